// The health of the agent's parts (monit/health.h): one row a part. Each is looked at on the health
// tick, when the watchdog is fed, and when somebody asks for the health; what somebody waits for
// too long by the health clock is a hang. What hangs the loop itself is told by monit/hang.h.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "base/work.h"
#include "supervisor/agent.h"
#include "supervisor/api.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/pressure.h"
#include "supervisor/runtime.h"
#include "supervisor/shim-link.h"
#include "supervisor/shutdown.h"

enum {
    TICK_USEC = 30000000,          // without a watchdog, which is fed more often,
    TICK_ACCURACY_USEC = 15000000, // and then a wake-up that happens anyway will do
    SCANS_MISSED = 4,
    PATIENCE_USEC = 60000000, // what a part may take for what takes milliseconds
    LOOP_USEC = 10000000,     // and the loop for one thing (it may be a burst of many)
    FINDINGS_NAMED = 3,       // further ones are counted
};

// What is wrong with a part, for people.
struct findings {
    struct buffer failed, degraded;
    size_t n_failed, n_degraded;
};

struct agent_health {
    sd_event_source *tick;
    size_t source; // its index in the registry
    int64_t patience_usec;
    struct health_wait scan, unsaved, api;
};

static void add_finding(struct buffer *to, size_t *n, const char *format, va_list args)
    _printf_(3, 0);
static void add_finding(struct buffer *to, size_t *n, const char *format, va_list args)
{
    if ((*n)++ >= FINDINGS_NAMED)
        return;
    if (to->len > 0)
        buffer_add_str(to, ", ");
    buffer_vprintf(to, format, args);
}

static void find_failed(struct findings *f, const char *format, ...) _printf_(2, 3);
static void find_failed(struct findings *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_finding(&f->failed, &f->n_failed, format, args);
    va_end(args);
}

static void find_degraded(struct findings *f, const char *format, ...) _printf_(2, 3);
static void find_degraded(struct findings *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_finding(&f->degraded, &f->n_degraded, format, args);
    va_end(args);
}

static const char *close_findings(struct buffer *text, size_t n)
{
    if (n > FINDINGS_NAMED)
        buffer_printf(text, " and %zu more", n - FINDINGS_NAMED);
    return n > 0 ? buffer_str(text) : NULL;
}

static const char *human(int64_t usec, char *duration)
{
    return duration_format_human(usec / USEC_PER_SEC, duration);
}

// ---- source ----

static void check_source(struct agent *agent, struct findings *f)
{
    struct agent_health *h = agent->parts;
    char silent[DURATION_SIZE], every[DURATION_SIZE];
    int64_t due = agent->config->file_check_usec;
    if (!agent->source || due <= 0)
        return;
    int64_t waited =
        health_waiting(agent->health, &h->scan, manifest_source_last_scan(agent->source).usec);
    if (waited > MAX(SCANS_MISSED * work_scaled_usec(due), h->patience_usec))
        find_failed(f, "no look at %s for %s, though one is due every %s",
                    agent->config->manifest_path, human(waited, silent), human(due, every));
}

// ---- pods ----

static bool is_slow_state(enum container_state state)
{
    return state == CONTAINER_STARTING || state == CONTAINER_KILLING || state == CONTAINER_PROVING;
}

static void find_slow(const struct container_worker *c, int64_t waited, struct findings *f)
{
    char duration[DURATION_SIZE];
    const struct object_meta *pod = &c->pod->pod->metadata;
    find_degraded(f,
                  c->state == CONTAINER_STARTING
                      ? "pod %s/%s: container %s has been starting for %s"
                      : "pod %s/%s: container %s is not gone %s after SIGKILL",
                  pod->namespace, pod->name, c->spec->name, human(waited, duration));
}

// Of both the agent is only told: by a shim, and by the kernel.
static void check_slow(struct agent *agent, struct container_worker *c, struct findings *f)
{
    if (!is_slow_state(c->state)) {
        health_waited(&c->slow);
        return;
    }
    bool starting = c->state == CONTAINER_STARTING;
    int64_t waited =
        health_waiting(agent->health, &c->slow, c->restart_count << 1 | (starting ? 1 : 0));
    if (waited > agent->parts->patience_usec)
        find_slow(c, waited, f);
}

// A deadline that has passed while nobody did anything about it: only a lost timer does that.
static void check_overdue(struct agent *agent, struct container_worker *c, monotime now,
                          struct findings *f)
{
    char duration[DURATION_SIZE];
    const struct object_meta *pod = &c->pod->pod->metadata;
    if (!monotime_reached(c->deadline, now)) {
        health_waited(&c->overdue);
        return;
    }
    int64_t waited = health_waiting(agent->health, &c->overdue, c->deadline.usec);
    if (waited > agent->parts->patience_usec)
        find_failed(f, "pod %s/%s: container %s should have left state %s %s ago", pod->namespace,
                    pod->name, c->spec->name, container_state_name(c->state),
                    human(waited, duration));
}

// Calls `check` for every container of every pod.
static void each_container(struct agent *agent, struct findings *f,
                           void (*check)(struct agent *agent, struct container_worker *c,
                                         struct findings *f))
{
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = agent->pods ? pods_list(agent->pods, &workers) : 0;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < workers[i]->n_containers; c++)
            check(agent, &workers[i]->containers[c], f);
}

static void check_worker(struct agent *agent, struct container_worker *c, struct findings *f)
{
    check_slow(agent, c, f);
    check_overdue(agent, c, monotime_now(), f);
}

static void check_pods(struct agent *agent, struct findings *f)
{
    each_container(agent, f, check_worker);
}

// ---- prober ----

static void check_probes(struct agent *agent, struct container_worker *c, struct findings *f)
{
    const struct object_meta *pod = &c->pod->pod->metadata;
    char duration[DURATION_SIZE];
    uint64_t question = runtime_overdue_probe(c, monotime_now());
    if (question == 0) {
        health_waited(&c->probe);
        return;
    }
    int64_t waited = health_waiting(agent->health, &c->probe, question);
    if (waited > agent->parts->patience_usec)
        find_failed(f, "pod %s/%s: a probe of container %s has been due for %s", pod->namespace,
                    pod->name, c->spec->name, human(waited, duration));
}

static void check_prober(struct agent *agent, struct findings *f)
{
    each_container(agent, f, check_probes);
}

// ---- logs: the shims write them ----

static void tell_unresponsive(struct container_worker *c, int64_t waited, bool heard)
{
    char duration[DURATION_SIZE];
    if (c->shim_complained)
        return;
    c->shim_complained = true;
    pod_worker_event(c->pod, c, EVENT_WARNING, "ShimUnresponsive",
                     "the shim of container %s %s for %s: the container runs on, but its output "
                     "waits to be read, and its end is not seen",
                     c->spec->name, heard ? "has not answered" : "has never answered this agent",
                     human(waited, duration));
}

static void check_shim(struct agent *agent, struct container_worker *c, struct findings *f)
{
    const struct shim_link *link = runtime_run_link(c);
    const struct object_meta *pod = &c->pod->pod->metadata;
    char duration[DURATION_SIZE];
    uint64_t question = link ? shim_link_unanswered(link) : 0;
    if (question == 0 || c->state == CONTAINER_STARTING) {
        health_waited(&c->shim);
        c->shim_complained = false;
        return;
    }
    int64_t waited = health_waiting(agent->health, &c->shim, question);
    bool heard = shim_link_was_heard(link);
    if (waited <= agent->parts->patience_usec)
        return;
    tell_unresponsive(c, waited, heard);
    if (heard)
        find_failed(f, "pod %s/%s: the shim of container %s (pid %d) has not answered for %s",
                    pod->namespace, pod->name, c->spec->name, (int)shim_link_state(link)->shim_pid,
                    human(waited, duration));
    else
        find_degraded(
            f, "pod %s/%s: the shim of container %s (pid %d) has never answered this agent, for %s",
            pod->namespace, pod->name, c->spec->name, (int)shim_link_state(link)->shim_pid,
            human(waited, duration));
}

static void check_logs(struct agent *agent, struct findings *f)
{
    each_container(agent, f, check_shim);
}

static void ask_shim(struct agent *agent, struct container_worker *c, struct findings *f)
{
    struct shim_link *link = runtime_run_link(c);
    if (link)
        shim_link_ask(link);
}

// ---- api ----

static void check_api(struct agent *agent, struct findings *f)
{
    struct agent_health *h = agent->parts;
    char duration[DURATION_SIZE];
    uint64_t turns;
    if (!agent->api || !api_is_waited_for(agent->api, &turns)) {
        health_waited(&h->api);
        return;
    }
    int64_t waited = health_waiting(agent->health, &h->api, turns);
    if (waited <= h->patience_usec)
        return;
    if (api_is_paused(agent->api))
        find_degraded(f, "no connection can be accepted: out of descriptors or memory");
    else
        find_failed(f, "a client has not been answered for %s", human(waited, duration));
}

// ---- state ----

static void check_state(struct agent *agent, struct findings *f)
{
    struct agent_health *h = agent->parts;
    char duration[DURATION_SIZE];
    uint64_t flushes;
    bool refused;
    size_t unsaved = agent->pods ? pods_unsaved(agent->pods, &flushes, &refused) : 0;
    if (unsaved == 0) {
        health_waited(&h->unsaved);
        return;
    }
    int64_t waited = health_waiting(agent->health, &h->unsaved, refused ? 0 : flushes + 1);
    if (waited <= h->patience_usec)
        return;
    if (refused)
        find_degraded(f, "the state of %zu %s cannot be written (see the event StateNotSaved)",
                      unsaved, unsaved == 1 ? "pod" : "pods");
    else
        find_failed(f, "the state of %zu %s has not been written for %s", unsaved,
                    unsaved == 1 ? "pod" : "pods", human(waited, duration));
}

// ---- disk ----

static void on_pressure(void *userdata, const char *sentence)
{
    find_degraded(userdata, "%s", sentence);
}

static void check_disk(struct agent *agent, struct findings *f)
{
    pressure_look(agent->pressure, on_pressure, f);
}

// ---- the registry ----

// A new part is a row. One without a check is seen by whoever asks: it answers, or it does not.
static const struct {
    const char *name;
    void (*check)(struct agent *agent, struct findings *f);
} parts[] = {
    {"loop", NULL},           {"source", check_source}, {"pods", check_pods},
    {"prober", check_prober}, {"logs", check_logs},     {"api", check_api},
    {"state", check_state},   {"disk", check_disk},
};

static void check_part(struct agent *agent, size_t part)
{
    struct findings f = {.failed = BUFFER_EMPTY, .degraded = BUFFER_EMPTY};
    if (!parts[part].check)
        return;
    parts[part].check(agent, &f);
    health_set_failed(agent->health, part, close_findings(&f.failed, f.n_failed));
    health_set_degraded(agent->health, part, close_findings(&f.degraded, f.n_degraded));
    buffer_free(&f.failed);
    buffer_free(&f.degraded);
}

static void check(struct agent *agent)
{
    health_observe(agent->health, monotime_now());
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        check_part(agent, i);
}

// What is asked now is answered by the next tick.
static void on_feed(void *userdata)
{
    struct agent *agent = userdata;
    check(agent);
    each_container(agent, NULL, ask_shim);
    shutdown_tick(agent->shutdown);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct agent *agent = userdata;
    on_feed(agent);
    notify_health(agent->notify);
    sd_event_source_set_time_relative(source, (uint64_t)work_scaled_usec(TICK_USEC));
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static void register_parts(struct agent *agent)
{
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        health_register(agent->health, parts[i].name, 0);
    agent->parts->source = (size_t)health_find(agent->health, "source");
    health_set_ready(agent->health, agent->parts->source, false);
}

int agent_health_start(struct agent *agent, struct error *err)
{
    agent->parts = xcalloc(1, sizeof(*agent->parts));
    agent->parts->patience_usec = work_scaled_usec(PATIENCE_USEC);
    agent->check_health = check;
    agent->health = health_new(work_scaled_usec(TICK_USEC), monotime_now());
    register_parts(agent);
    int r = notify_new(agent->loop, agent->health, &agent->notify, err);
    if (r < 0)
        return r;
    notify_set_check(agent->notify, on_feed, agent);
    if (notify_feeds_every(agent->notify) > 0) {
        health_set_period(agent->health, notify_feeds_every(agent->notify));
        return 0;
    }
    r = sd_event_add_time_relative(agent->loop, &agent->parts->tick, CLOCK_MONOTONIC,
                                   (uint64_t)work_scaled_usec(TICK_USEC),
                                   (uint64_t)work_scaled_usec(TICK_ACCURACY_USEC), on_tick, agent);
    return r < 0 ? error_errno(err, r, "event loop") : 0;
}

void agent_health_synced(struct agent *agent)
{
    health_set_ready(agent->health, agent->parts->source, true);
}

void agent_health_end(struct agent *agent)
{
    notify_free(agent->notify);
    health_free(agent->health);
    if (agent->parts)
        sd_event_source_disable_unref(agent->parts->tick);
    free(agent->parts);
}

// ---- hangs of the loop ----

int agent_hang_start(struct agent *agent, struct error *err)
{
    const char *socket = getenv("NOTIFY_SOCKET");
    struct hang_options options = {
        .limit_usec = work_scaled_usec(LOOP_USEC),
        .identifier = "mainstayd",
        .notify_socket = str_empty(socket) ? NULL : socket,
    };
    return hang_new(&options, &agent->hang, err);
}

// The loop goes on after a hang that was told.
static void tell_hang_over(struct agent *agent, const struct hang_report *report)
{
    char duration[DURATION_SIZE];
    event_add(agent->events, (struct event_object){0}, EVENT_WARNING, "PartHung",
              "%s hung for %s%s%s, and goes on", report->part, human(report->usec, duration),
              report->what[0] ? ": " : "", report->what);
    notify_repeat_status(agent->notify);
}

static int turn(struct agent *agent)
{
    struct hang_report report;
    int r = sd_event_prepare(agent->loop);
    if (r == 0) {
        if (hang_is_over(agent->hang, &report))
            tell_hang_over(agent, &report);
        hang_rest(agent->hang);
        r = sd_event_wait(agent->loop, UINT64_MAX);
        hang_work(agent->hang);
    }
    work_step();
    return r > 0 ? sd_event_dispatch(agent->loop) : r;
}

int agent_loop(struct agent *agent)
{
    int code = 0;
    while (sd_event_get_state(agent->loop) != SD_EVENT_FINISHED) {
        int r = turn(agent);
        if (r < 0)
            return r;
    }
    sd_event_get_exit_code(agent->loop, &code);
    return code;
}
