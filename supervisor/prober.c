// See prober.h.
#include "supervisor/prober.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/work.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/probe-question.h"

enum { TIMER_ACCURACY_USEC = 10000 }; // so that a thousand probes a second wake a hundred times

struct prober {
    sd_event *event;
    const char *node_ip;
    struct curl_loop *transfers; // NULL until a probe asks over the network
    monotime started;
};

// One probe.
struct asker {
    struct probes *probes; // NULL where the container has no such probe
    const struct probe *spec;
    struct probe_machine machine;
    struct probe_question *question; // NULL: none is put
    monotime asked;
    sd_event_source *timer;
};

struct probes {
    struct prober *prober;
    struct container_worker *c;
    struct shim_link *link;
    struct asker askers[PROBE_KINDS];
};

struct prober *prober_new(sd_event *event, const char *node_ip)
{
    struct prober *prober = xcalloc(1, sizeof(*prober));
    prober->event = event;
    prober->node_ip = node_ip;
    prober->started = monotime_now();
    return prober;
}

void prober_free(struct prober *prober)
{
    if (!prober)
        return;
    curl_loop_free(prober->transfers);
    free(prober);
}

// ---- asking ----

static int on_due(sd_event_source *source, uint64_t usec, void *userdata);

static void arm(struct asker *a)
{
    monotime due = probe_machine_due(&a->machine);
    const struct probes *probes = a->probes;
    int r = 0;
    if (monotime_is_never(due)) {
        if (a->timer)
            sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
        return;
    }
    if (work_is_silenced("prober"))
        return;
    if (!a->timer)
        r = sd_event_add_time(probes->prober->event, &a->timer, CLOCK_BOOTTIME, due.usec,
                              TIMER_ACCURACY_USEC, on_due, a);
    else
        r = sd_event_source_set_time(a->timer, due.usec);
    if (r >= 0)
        r = sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
    if (r < 0)
        pod_worker_event(probes->c->pod, probes->c, EVENT_WARNING, "TimerFailed",
                         "%s probe of container %s: %s", probe_kind_name(a->machine.kind),
                         probes->c->spec->name, strerror(-r));
}

// K/prober/prober.go, probe(): what it records for each outcome.
static void tell(const struct asker *a, enum probe_outcome outcome, const char *message)
{
    const struct container_worker *c = a->probes->c;
    const char *kind = probe_kind_name(a->machine.kind);
    if (outcome == PROBE_WARNED)
        pod_worker_event(c->pod, c, EVENT_WARNING, "ProbeWarning", "%s probe warning: %s", kind,
                         message);
    else if (outcome == PROBE_FAILED)
        pod_worker_event(c->pod, c, EVENT_WARNING, "Unhealthy", "%s probe failed: %s", kind,
                         message);
    else if (outcome == PROBE_ERRORED)
        pod_worker_event(c->pod, c, EVENT_WARNING, "Unhealthy", "%s probe errored: %s", kind,
                         message);
}

// K/prober/worker.go, doProbe(): errors of the prober itself are not counted.
static void count(struct container_worker *c, enum probe_kind kind, enum probe_outcome outcome)
{
    if (outcome == PROBE_FAILED)
        c->probe_counts[kind][PROBE_COUNTED_FAILURE]++;
    else if (outcome != PROBE_ERRORED)
        c->probe_counts[kind][PROBE_COUNTED_SUCCESS]++;
}

static void unblock_others(struct probes *probes, monotime now)
{
    for (size_t i = 0; i < PROBE_KINDS; i++)
        if (probes->askers[i].probes) {
            probe_machine_unblock(&probes->askers[i].machine, now);
            arm(&probes->askers[i]);
        }
}

static void put(struct asker *a, monotime now);

// The end of a question. The last call may free everything.
static void on_answered(void *userdata, enum probe_outcome outcome, const char *message)
{
    struct asker *a = userdata;
    struct probes *probes = a->probes;
    const struct object_meta *pod = &probes->c->pod->pod->metadata;
    WORK_SCOPE("prober", "pod", pod->namespace, pod->name);
    monotime now = monotime_now();
    probe_question_free(TAKE_PTR(a->question));
    enum probe_step step = probe_machine_answer(&a->machine, outcome);
    if (step == PROBE_STEP_AGAIN) {
        put(a, now);
        return;
    }
    count(probes->c, a->machine.kind, outcome);
    if (message)
        tell(a, outcome, message);
    arm(a);
    if (step != PROBE_STEP_CHANGED)
        return;
    if (a->machine.kind == PROBE_STARTUP && a->machine.result == PROBE_SUCCESS)
        unblock_others(probes, now);
    pod_worker_probed(probes->c, a->machine.kind, a->machine.result, now);
}

int prober_target(struct prober *prober, const struct container_worker *c, struct shim_link *link,
                  bool network, struct probe_target *ret, struct error *err)
{
    if (network && !prober->transfers) {
        int r = curl_loop_new(prober->event, &prober->transfers, err);
        if (r < 0)
            return r;
    }
    const struct string_list *own = c->pod->ips;
    const char *node = prober->node_ip ? prober->node_ip : "127.0.0.1";
    *ret = (struct probe_target){
        .container = c->spec,
        .address = own && own->n ? own->items[0] : node,
        .link = link,
        .transfers = prober->transfers,
    };
    return 0;
}

static int ask(struct asker *a, monotime now, struct error *err)
{
    const struct probes *probes = a->probes;
    struct probe_target target;
    int r = prober_target(probes->prober, probes->c, probes->link, !a->spec->exec, &target, err);
    if (r < 0)
        return r;
    return probe_question_ask(&target, a->spec, now, on_answered, a, &a->question, err);
}

static void put(struct asker *a, monotime now)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    a->asked = now;
    if (ask(a, now, &err) < 0)
        on_answered(a, PROBE_ERRORED, err.code == -ESRCH ? NULL : error_message(&err));
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct asker *a = userdata;
    const struct object_meta *pod = &a->probes->c->pod->pod->metadata;
    WORK_SCOPE("prober", "pod", pod->namespace, pod->name);
    monotime now = monotime_now();
    if (!monotime_reached(probe_machine_due(&a->machine), now)) {
        arm(a);
        return 0;
    }
    probe_machine_ask(&a->machine, now);
    put(a, now);
    return 0;
}

// ---- a container's probes ----

// K/prober/worker.go: an agent that has just started does not ask all containers at once.
static int64_t jitter(const struct prober *prober, int64_t period_usec, monotime now)
{
    uint64_t random;
    if (monotime_since(now, prober->started) >= period_usec ||
        getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return 0;
    return (int64_t)(random % (uint64_t)period_usec);
}

static void begin(struct asker *a, monotime now)
{
    const struct container_worker *c = a->probes->c;
    const struct prober *prober = a->probes->prober;
    bool blocked = c->spec->startupProbe && c->probes[PROBE_STARTUP] != PROBE_SUCCESS;
    bool earlier = c->process_at.usec < prober->started.usec;
    enum probe_kind kind = a->machine.kind;
    if (earlier)
        probe_machine_take_over(&a->machine, c->probes[kind], c->process_at, blocked,
                                jitter(prober, a->machine.period_usec, now), now);
    else
        probe_machine_start(&a->machine, c->process_at, blocked);
    arm(a);
}

struct probes *probes_new(struct prober *prober, struct container_worker *c, struct shim_link *link)
{
    struct probes *probes = xcalloc(1, sizeof(*probes));
    monotime now = monotime_now();
    probes->prober = prober;
    probes->c = c;
    probes->link = link;
    for (enum probe_kind kind = 0; kind < PROBE_KINDS; kind++) {
        struct asker *a = &probes->askers[kind];
        a->spec = container_probe(c->spec, kind);
        if (!a->spec)
            continue;
        a->probes = probes;
        probe_machine_init(&a->machine, kind, a->spec);
        begin(a, now);
    }
    return probes;
}

void probes_free(struct probes *probes)
{
    if (!probes)
        return;
    for (size_t i = 0; i < PROBE_KINDS; i++) {
        probe_question_free(probes->askers[i].question);
        sd_event_source_disable_unref(probes->askers[i].timer);
    }
    free(probes);
}

void probes_go_on(struct probes *probes, enum probe_kind kind, monotime now)
{
    struct asker *a = &probes->askers[kind];
    if (!a->probes)
        return;
    probe_machine_go_on(&a->machine, now);
    arm(a);
}

uint64_t probes_overdue(const struct probes *probes, monotime now)
{
    for (size_t i = 0; i < PROBE_KINDS; i++) {
        const struct asker *a = &probes->askers[i];
        if (!a->probes)
            continue;
        if (monotime_reached(probe_machine_due(&a->machine), now))
            return probe_machine_due(&a->machine).usec;
        int64_t limit_usec = MAX(a->spec->timeoutSeconds, (int64_t)1) * USEC_PER_SEC;
        if (a->question && monotime_reached(monotime_add_usec(a->asked, limit_usec), now))
            return a->asked.usec;
    }
    return 0;
}
