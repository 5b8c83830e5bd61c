// How the pod catches up with its containers after any event: whose turn it is, whether all are
// done, who is probed, and what is computed from them for others to read.
#include <string.h>

#include "supervisor/pod-worker-internal.h"

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
        return pod_worker_step(w, POD_EV_INIT_DONE, now);
    if (failed)
        return pod_worker_step(w, POD_EV_INIT_FAILED, now);
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
        return all_done(w) && pod_worker_step(w, POD_EV_ALL_DONE, now);
    case POD_STOPPING:
        return !pod_worker_is_alive(w) && pod_worker_step(w, POD_EV_ALL_PROVEN, now);
    case POD_HELD:
        return !w->held && pod_worker_step(w, POD_EV_RELEASE, now);
    case POD_WAITING:
        return w->admitted && !w->removing && !w->held && !w->waiting_reason &&
               pod_worker_step(w, POD_EV_ADMIT, now);
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

// ---- what others read ----

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
