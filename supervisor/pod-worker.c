// The pod's half of the pod worker: its own machine, the order of its containers, what operators
// ask of it, and what status is computed from.
#include "supervisor/pod-worker.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "supervisor/pod-worker-internal.h"

void pod_worker_event(const struct pod_worker *w, const struct container_worker *c,
                      enum event_type type, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    struct event_object about = {
        .namespace_ = w->pod->metadata.namespace,
        .pod = w->pod->metadata.name,
        .uid = w->pod->metadata.uid,
        .container = c ? c->spec->name : NULL,
        .file = w->file,
    };
    event_add(w->events, about, type, reason, "%s", message);
}

bool pod_worker_is_stopping(const struct pod_worker *w)
{
    return w->removing || w->held || w->state == POD_STOPPING;
}

// ---- construction ----

static void add_container(struct pod_worker *w, const struct container *spec, bool init)
{
    struct container_worker *c = &w->containers[w->n_containers++];
    c->pod = w;
    c->spec = spec;
    c->init = init;
    c->deadline = MONOTIME_NEVER;
    container_reset_probes(c);
}

struct pod_worker *pod_worker_new(struct pod *pod, const char *file, struct backoff_curve curve,
                                  const struct pod_runtime_ops *ops, void *runtime,
                                  struct event_log *events)
{
    struct pod_worker *w = xcalloc(1, sizeof(*w));
    w->pod = pod;
    w->file = xstrdup_or_null(file);
    pod_hash(pod, w->hash);
    w->created_at = walltime_now();
    w->curve = curve;
    w->ops = ops;
    w->runtime = runtime;
    w->events = events;
    w->n_init = pod->spec.initContainers.n;
    w->containers = xcalloc(w->n_init + pod->spec.containers.n, sizeof(*w->containers));
    LIST_EACH (spec, &pod->spec.initContainers)
        add_container(w, spec, true);
    LIST_EACH (spec, &pod->spec.containers)
        add_container(w, spec, false);
    return w;
}

static void container_worker_clear(struct container_worker *c)
{
    free(c->command);
    free(c->warnings);
    free(c->waiting_reason);
    free(c->waiting_message);
    container_exit_clear(&c->last);
    container_exit_clear(&c->previous);
}

void pod_worker_free(struct pod_worker *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_containers; i++)
        container_worker_clear(&w->containers[i]);
    free(w->containers);
    pod_free(w->pod);
    free(w->file);
    free(w->waiting_reason);
    free(w->waiting_message);
    free(w->failed_reason);
    free(w->failed_message);
    free(w);
}

// ---- actions ----

static void do_nothing(struct pod_worker *w, monotime now)
{
}

static void do_init(struct pod_worker *w, monotime now)
{
    w->admitted = true;
    w->started_at = walltime_now();
    pod_worker_set_waiting(w, NULL, NULL);
}

static void do_start(struct pod_worker *w, monotime now)
{
    if (!walltime_is_set(w->initialized_since)) // an agent may go on with what another began
        w->initialized_since = walltime_now();
    for (size_t i = w->n_init; i < w->n_containers; i++)
        if (w->containers[i].state == CONTAINER_WAITING)
            container_step(&w->containers[i], CONTAINER_EV_START, now);
}

static void stop_container(struct container_worker *c, monotime now)
{
    if (container_state_is_alive(c->state) && !c->stop_requested)
        pod_worker_event(c->pod, c, EVENT_NORMAL, "Killing", "stopping container %s",
                         c->spec->name);
    c->stop_requested = true;
    container_step(c, CONTAINER_EV_STOP, now);
}

static void do_stop(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++)
        stop_container(&w->containers[i], now);
}

static const struct container_worker *first_failed(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        bool failed = c->start_failed || c->last.exit_code != 0;
        if (c->state == CONTAINER_EXITED && failed)
            return c;
    }
    return NULL;
}

static void do_finish(struct pod_worker *w, monotime now)
{
    const struct container_worker *failed = first_failed(w);
    free(w->failed_reason);
    free(w->failed_message);
    w->failed_reason = w->failed_message = NULL;
    if (!failed) {
        pod_worker_event(w, NULL, EVENT_NORMAL, "Completed", "every container has completed");
        return;
    }
    w->failed_reason = xstrdup(failed->last.reason ? failed->last.reason : "Error");
    w->failed_message =
        xasprintf("%s %s failed and is not restarted (restartPolicy %s)",
                  failed->init ? "init container" : "container", failed->spec->name,
                  w->pod->spec.restartPolicy ? w->pod->spec.restartPolicy : "Always");
    pod_worker_event(w, failed, EVENT_WARNING, "PodFailed", "%s", w->failed_message);
}

static void do_rest(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        c->state = CONTAINER_WAITING;
        c->deadline = MONOTIME_NEVER;
        c->stop_requested = c->restart_requested = false;
        backoff_reset(&c->backoff);
    }
    w->started_at = w->initialized_since = (walltime){0};
    if (w->held && !w->held_for_exit)
        pod_worker_set_waiting(w, "Stopped",
                               "stopped by an operator; `mainstay start` starts it again");
}

static void do_bury(struct pod_worker *w, monotime now)
{
    pod_worker_event(w, NULL, EVENT_NORMAL, "Removed", "the pod is gone");
    w->ops->bury(w->runtime, w);
}

static void (*const actions[])(struct pod_worker *w, monotime now) = {
    [POD_DO_NOTHING] = do_nothing, [POD_DO_INIT] = do_init,     [POD_DO_START] = do_start,
    [POD_DO_STOP] = do_stop,       [POD_DO_FINISH] = do_finish, [POD_DO_REST] = do_rest,
    [POD_DO_BURY] = do_bury,
};

static bool pod_step(struct pod_worker *w, enum pod_event event, monotime now)
{
    struct pod_transition t = pod_machine_step(w->state, event, w->removing);
    log_debug("pod %s: %s in %s%s%s", w->pod->metadata.name, pod_event_name(event),
              pod_state_name(w->state), t.valid ? " → " : " means nothing",
              t.valid ? pod_state_name(t.to) : "");
    if (!t.valid)
        return false;
    w->state = t.to;
    actions[t.action](w, now);
    return true;
}

// ---- the pod catches up with its containers ----

// The init container whose turn it is; NULL when all have succeeded. *failed: it ended for good.
static struct container_worker *current_init(struct pod_worker *w, bool *failed)
{
    *failed = false;
    for (size_t i = 0; i < w->n_init; i++) {
        struct container_worker *c = &w->containers[i];
        bool succeeded = c->state == CONTAINER_EXITED && c->last.known && c->last.exit_code == 0 &&
                         !c->start_failed;
        if (succeeded)
            continue;
        *failed = c->state == CONTAINER_EXITED && !container_should_restart(c);
        return c;
    }
    return NULL;
}

static bool advance_init(struct pod_worker *w, monotime now)
{
    bool failed;
    struct container_worker *c = current_init(w, &failed);
    if (!c)
        return pod_step(w, POD_EV_INIT_DONE, now);
    if (failed)
        return pod_step(w, POD_EV_INIT_FAILED, now);
    if (c->state != CONTAINER_WAITING)
        return false;
    container_step(c, CONTAINER_EV_START, now);
    return true;
}

static bool all_done(const struct pod_worker *w)
{
    for (size_t i = w->n_init; i < w->n_containers; i++)
        if (w->containers[i].state != CONTAINER_EXITED)
            return false;
    return true;
}

bool pod_worker_is_alive(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (container_state_is_alive(w->containers[i].state) || w->containers[i].run)
            return true;
    return false;
}

static bool advance(struct pod_worker *w, monotime now)
{
    switch (w->state) {
    case POD_INITIALIZING:
        return advance_init(w, now);
    case POD_RUNNING:
        return all_done(w) && pod_step(w, POD_EV_ALL_DONE, now);
    case POD_STOPPING:
        return !pod_worker_is_alive(w) && pod_step(w, POD_EV_ALL_PROVEN, now);
    case POD_HELD:
        return !w->held && pod_step(w, POD_EV_RELEASE, now);
    case POD_WAITING:
        return w->admitted && !w->removing && !w->held && !w->waiting_reason &&
               pod_step(w, POD_EV_ADMIT, now);
    default:
        return false;
    }
}

static bool compute_ready(const struct pod_worker *w)
{
    if (w->state != POD_RUNNING)
        return false;
    for (size_t i = w->n_init; i < w->n_containers; i++)
        if (!pod_worker_container_is_ready(&w->containers[i]))
            return false;
    return true;
}

static bool has_probes(const struct container_worker *c)
{
    return !c->init && (c->spec->startupProbe || c->spec->readinessProbe || c->spec->livenessProbe);
}

// Containers that run are probed, others are not.
static void settle_probes(struct pod_worker *w)
{
    for (size_t i = w->n_init; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        bool on = c->state == CONTAINER_RUNNING && c->run;
        if (on == c->probing || !has_probes(c))
            continue;
        c->probing = on;
        w->ops->probe(w->runtime, c, on);
    }
}

static monotime earliest_deadline(const struct pod_worker *w)
{
    monotime earliest = MONOTIME_NEVER;
    for (size_t i = 0; i < w->n_containers; i++)
        earliest = monotime_min(earliest, w->containers[i].deadline);
    return earliest;
}

void pod_worker_settle(struct pod_worker *w, monotime now)
{
    while (advance(w, now))
        ;
    settle_probes(w);
    bool ready = compute_ready(w);
    if (ready != w->ready) {
        w->ready = ready;
        w->ready_since = walltime_now();
    }
    w->generation++;
    w->ops->arm(w->runtime, w, earliest_deadline(w));
    w->ops->save(w->runtime, w);
    if (w->state == POD_GONE && !w->gone_told) {
        w->gone_told = true;
        w->ops->gone(w->runtime, w);
    }
}

// ---- what the owner and operators ask ----

void pod_worker_set_waiting(struct pod_worker *w, const char *reason, const char *message)
{
    bool news = reason && !str_equal(reason, w->waiting_reason);
    char *new_reason = xstrdup_or_null(reason), *new_message = xstrdup_or_null(message);
    free(w->waiting_reason);
    free(w->waiting_message);
    w->waiting_reason = new_reason;
    w->waiting_message = new_message;
    if (news && !w->held)
        pod_worker_event(w, NULL, EVENT_WARNING, reason, "%s", message ? message : reason);
}

void pod_worker_admit(struct pod_worker *w, monotime now)
{
    pod_step(w, POD_EV_ADMIT, now);
    pod_worker_settle(w, now);
}

void pod_worker_remove(struct pod_worker *w, monotime now)
{
    if (w->removing)
        return;
    w->removing = true;
    pod_step(w, POD_EV_REMOVE, now);
    pod_worker_settle(w, now);
}

void pod_worker_hold(struct pod_worker *w, monotime now)
{
    if (w->held || w->removing)
        return;
    w->held = true;
    pod_worker_event(w, NULL, EVENT_NORMAL, "Stopped",
                     "stopped by an operator until "
                     "`mainstay start %s`",
                     w->pod->metadata.name);
    pod_step(w, POD_EV_HOLD, now);
    pod_worker_settle(w, now);
}

void pod_worker_hold_for_exit(struct pod_worker *w, monotime now)
{
    if (w->held || w->removing)
        return;
    w->held = w->held_for_exit = true;
    pod_worker_event(w, NULL, EVENT_NORMAL, "Stopped",
                     "stopped because the agent ends; the next one starts it again");
    pod_step(w, POD_EV_HOLD, now);
    pod_worker_settle(w, now);
}

void pod_worker_release(struct pod_worker *w, monotime now)
{
    if (w->removing)
        return;
    w->held = w->held_for_exit = false;
    if (w->state == POD_HELD || w->state == POD_FINISHED)
        pod_worker_set_waiting(w, NULL, NULL);
    if (w->state == POD_FINISHED) {
        do_rest(w, now);
        pod_worker_set_waiting(w, NULL, NULL);
    }
    pod_step(w, POD_EV_RELEASE, now);
    pod_worker_settle(w, now);
}

void pod_worker_forget_hold(struct pod_worker *w)
{
    w->held = w->held_for_exit = false;
    pod_worker_set_waiting(w, NULL, NULL);
    w->ops->save(w->runtime, w);
}

static void restart_container(struct container_worker *c, monotime now)
{
    if (container_state_is_alive(c->state)) {
        c->restart_requested = true;
        stop_container(c, now);
        return;
    }
    backoff_reset(&c->backoff);
    container_step(c, CONTAINER_EV_START, now);
}

void pod_worker_restart(struct pod_worker *w, const char *container, monotime now)
{
    if (w->state == POD_HELD || w->state == POD_FINISHED) {
        pod_worker_release(w, now);
        return;
    }
    if (w->state != POD_RUNNING && w->state != POD_INITIALIZING)
        return;
    size_t first = w->state == POD_RUNNING ? w->n_init : 0;
    size_t end = w->state == POD_RUNNING ? w->n_containers : w->n_init;
    for (size_t i = first; i < end; i++) {
        struct container_worker *c = &w->containers[i];
        bool wanted = container ? strcmp(c->spec->name, container) == 0
                                : w->state == POD_RUNNING || container_state_is_alive(c->state);
        if (wanted)
            restart_container(c, now);
    }
    pod_worker_settle(w, now);
}

void pod_worker_retry(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        backoff_reset(&w->containers[i].backoff);
        container_step(&w->containers[i], CONTAINER_EV_RETRY, now);
    }
    pod_worker_settle(w, now);
}

void pod_worker_tick(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (monotime_reached(w->containers[i].deadline, now))
            container_step(&w->containers[i], CONTAINER_EV_DEADLINE, now);
    pod_worker_settle(w, now);
}

// ---- after a restart of the agent ----

// A container that had a process when the last agent saw it, and has no shim now.
static void resume_vanished(struct container_worker *c, monotime now)
{
    if (c->state != CONTAINER_PROVING) {
        container_exit_clear(&c->previous);
        c->previous = c->last;
        c->last = (struct container_exit){
            .restart_count = c->restart_count,
            .exit_code = 137,
            .reason = xstrdup("Lost"),
            .message = xstrdup("the container and its records are gone: the machine was restarted "
                               "or its run directory was emptied"),
            .started_at = c->started_at,
            .finished_at = walltime_now(),
        };
        pod_worker_event(c->pod, c, EVENT_WARNING, "Lost",
                         "run %llu of container %s is gone with its records (machine restarted?)",
                         (unsigned long long)c->restart_count, c->spec->name);
        backoff_reset(&c->backoff);
    }
    c->state = CONTAINER_PROVING;
    c->over_at = now;
    c->pid = 0;
    container_step(c, CONTAINER_EV_PROVEN, now);
}

static void resume_container(struct container_worker *c, monotime now)
{
    if (container_state_is_alive(c->state) && !c->run)
        resume_vanished(c, now);
    else if (c->state == CONTAINER_EXITED && !c->run)
        container_decide(c, now);
}

void pod_worker_resume(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++)
        resume_container(&w->containers[i], now);
    if (w->state == POD_RUNNING)
        do_start(w, now);
    if (w->state == POD_STOPPING)
        do_stop(w, now);
    pod_worker_settle(w, now);
}

// ---- what others read ----

struct container_worker *pod_worker_container(struct pod_worker *w, const char *name)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (strcmp(w->containers[i].spec->name, name) == 0)
            return &w->containers[i];
    return NULL;
}

bool pod_worker_container_is_started(const struct container_worker *c)
{
    return c->state == CONTAINER_RUNNING &&
           (!c->spec->startupProbe || c->probes[PROBE_STARTUP] == PROBE_SUCCESS);
}

bool pod_worker_container_is_ready(const struct container_worker *c)
{
    return pod_worker_container_is_started(c) &&
           (!c->spec->readinessProbe || c->probes[PROBE_READINESS] == PROBE_SUCCESS);
}

bool pod_worker_is_ready(const struct pod_worker *w)
{
    return w->ready;
}

const char *pod_worker_phase(const struct pod_worker *w)
{
    if (w->state == POD_FINISHED)
        return w->failed_reason ? "Failed" : "Succeeded";
    if (w->state != POD_RUNNING && w->state != POD_STOPPING)
        return "Pending";
    for (size_t i = w->n_init; i < w->n_containers; i++)
        if (!w->containers[i].ever_started ||
            (w->containers[i].state == CONTAINER_STARTING && w->containers[i].restart_count == 0))
            return "Pending";
    return "Running";
}
