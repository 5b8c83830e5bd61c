// The pod's half of the pod worker: its construction, its own machine and that machine's actions.
#include "supervisor/pod-worker.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "podspec/annotations.h"
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

walltime pod_worker_wall(const struct pod_worker *w)
{
    return w->ops->wall ? w->ops->wall(w->runtime) : walltime_now();
}

bool pod_worker_is_stopping(const struct pod_worker *w)
{
    return w->removing || w->held || w->state == POD_STOPPING || w->state == POD_ENDING;
}

// ---- construction ----

static void add_container(struct pod_worker *w, const struct container *spec, bool init)
{
    struct container_worker *c = &w->containers[w->n_containers++];
    c->pod = w;
    c->spec = spec;
    c->init = init;
    c->sidecar = init && str_equal(spec->restartPolicy, "Always");
    c->deadline = MONOTIME_NEVER;
    container_reset_probes(c);
}

// The annotation mainstay.dev/backoff, which validation has seen already, or else the node's.
static struct backoff_curve curve_of(const struct pod *pod, struct backoff_curve curve)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_pod_annotations_ struct pod_annotations annotations = {0};
    if (pod_annotations_parse(pod, &annotations, &err) < 0 || annotations.backoff_max_usec == 0)
        return curve;
    curve.initial_usec = annotations.backoff_initial_usec;
    curve.max_usec = annotations.backoff_max_usec;
    return curve;
}

struct pod_worker *pod_worker_new(struct pod *pod, const char *file, struct backoff_curve curve,
                                  const struct pod_runtime_ops *ops, void *runtime,
                                  struct event_log *events)
{
    struct pod_worker *w = xcalloc(1, sizeof(*w));
    w->pod = pod;
    w->file = xstrdup_or_null(file);
    pod_hash(pod, w->hash);
    w->active_until = MONOTIME_NEVER;
    w->curve = curve_of(pod, curve);
    w->ops = ops;
    w->runtime = runtime;
    w->events = events;
    w->created_at = pod_worker_wall(w);
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
    free(w->held_back);
    free(w->asked_why);
    free(w->failed_reason);
    free(w->failed_message);
    free(w);
}

// ---- actions ----

static void do_nothing(struct pod_worker *w, monotime now)
{
}

void pod_worker_do_prepare(struct pod_worker *w, monotime now)
{
    w->admitted = true;
    if (!walltime_is_set(w->started_at))
        w->started_at = pod_worker_wall(w);
    pod_worker_set_waiting(w, NULL, NULL);
    w->sandbox_ready = !w->ops->prepare || w->ops->prepare(w->runtime, w) > 0;
}

static void do_init(struct pod_worker *w, monotime now)
{
    pod_worker_set_active_until(w, now);
    pod_worker_set_waiting(w, NULL, NULL);
}

void pod_worker_do_dismantle(struct pod_worker *w, monotime now)
{
    w->sandbox_gone = !w->ops->dismantle || w->ops->dismantle(w->runtime, w) > 0;
}

void pod_worker_do_start(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        if ((!c->init || c->sidecar) && c->state == CONTAINER_WAITING)
            container_step(c, CONTAINER_EV_START, now);
    }
}

void container_stop(struct container_worker *c, monotime now)
{
    if (container_state_is_alive(c->state) && !c->stop_requested)
        pod_worker_event(c->pod, c, EVENT_NORMAL, "Killing", "stopping container %s",
                         c->spec->name);
    c->stop_requested = true;
    container_step(c, CONTAINER_EV_STOP, now);
}

void pod_worker_do_stop(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++)
        container_stop(&w->containers[i], now);
}

// Takes `message`. NULL, NULL: it has not failed.
static void set_failed(struct pod_worker *w, const char *reason, char *message)
{
    free(w->failed_reason);
    free(w->failed_message);
    w->failed_reason = xstrdup_or_null(reason);
    w->failed_message = message;
}

static const struct container_worker *first_failed(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        bool failed = c->start_failed || c->last.exit_code != 0;
        if (c->state == CONTAINER_EXITED && !c->sidecar && !c->initialized && failed)
            return c;
    }
    return NULL;
}

// K/active_deadline.go: the reason.
static void do_expire(struct pod_worker *w, monotime now)
{
    set_failed(w, "DeadlineExceeded",
               xasprintf("the pod was active for longer than its activeDeadlineSeconds (%lld)",
                         (long long)*w->pod->spec.activeDeadlineSeconds));
    pod_worker_event(w, NULL, EVENT_NORMAL, "DeadlineExceeded", "%s", w->failed_message);
    pod_worker_do_stop(w, now);
}

static void do_finish(struct pod_worker *w, monotime now)
{
    const struct container_worker *failed = first_failed(w);
    pod_worker_do_dismantle(w, now); // nobody waits for that
    if (w->failed_reason)            // it was stopped for that
        return;
    if (!failed) {
        pod_worker_event(w, NULL, EVENT_NORMAL, "Completed", "every container has completed");
        return;
    }
    set_failed(w, failed->last.reason ? failed->last.reason : "Error",
               xasprintf("%s %s failed and is not restarted (restartPolicy %s)",
                         failed->init ? "init container" : "container", failed->spec->name,
                         container_restart_policy(failed)));
    pod_worker_event(w, failed, EVENT_WARNING, "PodFailed", "%s", w->failed_message);
}

void pod_worker_do_rest(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        c->state = CONTAINER_WAITING;
        c->deadline = MONOTIME_NEVER;
        c->stop_requested = c->restart_requested = c->initialized = false;
        backoff_reset(&c->backoff);
    }
    set_failed(w, NULL, NULL);
    w->started_at = (walltime){0};
    w->active_until = MONOTIME_NEVER;
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
    [POD_DO_NOTHING] = do_nothing,
    [POD_DO_PREPARE] = pod_worker_do_prepare,
    [POD_DO_INIT] = do_init,
    [POD_DO_DISMANTLE] = pod_worker_do_dismantle,
    [POD_DO_START] = pod_worker_do_start,
    [POD_DO_STOP] = pod_worker_do_stop,
    [POD_DO_FINISH] = do_finish,
    [POD_DO_REST] = pod_worker_do_rest,
    [POD_DO_BURY] = do_bury,
    [POD_DO_EXPIRE] = do_expire,
};

bool pod_worker_step(struct pod_worker *w, enum pod_event event, monotime now)
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

struct container_worker *pod_worker_container(struct pod_worker *w, const char *name)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (strcmp(w->containers[i].spec->name, name) == 0)
            return &w->containers[i];
    return NULL;
}
