// How the pod catches up with its containers after any event: whose turn it is, whether all are
// done, who is probed, and what is computed from them for others to read.
#include <string.h>

#include "supervisor/pod-worker-internal.h"

static bool init_is_done(const struct container_worker *c)
{
    if (c->sidecar)
        return pod_worker_container_is_started(c);
    return c->state == CONTAINER_EXITED && c->last.known && c->last.exit_code == 0 &&
           !c->start_failed;
}

// The init container whose turn it is; NULL when all are done. *failed: it ended for good. A
// sidecar that was started once holds up nothing later, whatever becomes of it (as in
// computeInitContainerActions() of K/kuberuntime/kuberuntime_container.go, 1.29).
static struct container_worker *current_init(struct pod_worker *w, bool *failed)
{
    *failed = false;
    for (size_t i = 0; i < w->n_init; i++) {
        struct container_worker *c = &w->containers[i];
        c->initialized = c->initialized || init_is_done(c);
        if (c->initialized)
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

// K/kuberuntime/kuberuntime_termination_order.go (1.29): a sidecar is told to end when all other
// containers are gone, and of the sidecars those that were started after it.
static bool has_its_turn(const struct container_worker *c)
{
    const struct pod_worker *w = c->pod;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *other = &w->containers[i];
        if (container_state_is_alive(other->state) && (!other->sidecar || other > c))
            return false;
    }
    return true;
}

static bool give_turns(struct pod_worker *w, monotime now)
{
    bool any = false;
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        if (c->state != CONTAINER_AWAIT_TURN || !has_its_turn(c))
            continue;
        container_step(c, CONTAINER_EV_TURN, now);
        any = true;
    }
    return any;
}

static bool advance(struct pod_worker *w, monotime now)
{
    switch (w->state) {
    case POD_PREPARING:
        return w->sandbox_ready && pod_worker_step(w, POD_EV_PREPARED, now);
    case POD_INITIALIZING:
        return advance_init(w, now);
    case POD_RUNNING:
        return all_done(w) && pod_worker_step(w, POD_EV_ALL_DONE, now);
    case POD_ENDING:
    case POD_STOPPING:
        return give_turns(w, now) ||
               (!pod_worker_is_alive(w) && pod_worker_step(w, POD_EV_ALL_PROVEN, now));
    case POD_DISMANTLING:
        return w->sandbox_gone && pod_worker_step(w, POD_EV_DISMANTLED, now);
    case POD_HELD:
        return !w->held && pod_worker_step(w, POD_EV_RELEASE, now);
    case POD_WAITING:
        return w->admitted && !w->gated && !w->removing && !w->held && !w->waiting_reason &&
               pod_worker_step(w, POD_EV_ADMIT, now);
    default:
        return false;
    }
}

static bool compute_ready(const struct pod_worker *w)
{
    if (w->state != POD_RUNNING)
        return false;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        if ((!c->init || c->sidecar) && !pod_worker_container_is_ready(c))
            return false;
    }
    return true;
}

// Nothing takes it back but a new life of the pod: a sidecar may be down for a while.
static bool compute_initialized(const struct pod_worker *w)
{
    if (w->state == POD_RUNNING)
        return true;
    for (size_t i = 0; i < w->n_init; i++)
        if (!w->containers[i].initialized)
            return false;
    return w->state != POD_WAITING && w->state != POD_PREPARING && w->state != POD_HELD;
}

// The pod has what its containers need: directories, volumes, cgroup, network.
static bool compute_prepared(const struct pod_worker *w)
{
    return w->state == POD_INITIALIZING || w->state == POD_RUNNING || w->state == POD_ENDING ||
           w->state == POD_STOPPING;
}

static void set_condition(const struct pod_worker *w, struct pod_condition *condition, bool status)
{
    if (condition->status == status)
        return;
    condition->status = status;
    condition->since = pod_worker_wall(w);
}

static bool has_probes(const struct container_worker *c)
{
    return (!c->init || c->sidecar) &&
           (c->spec->startupProbe || c->spec->readinessProbe || c->spec->livenessProbe);
}

// Containers that run are probed, others are not.
static void settle_probes(struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++) {
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
    bool active = w->state == POD_INITIALIZING || w->state == POD_RUNNING;
    monotime earliest = active ? w->active_until : MONOTIME_NEVER;
    for (size_t i = 0; i < w->n_containers; i++)
        earliest = monotime_min(earliest, w->containers[i].deadline);
    return earliest;
}

void pod_worker_settle(struct pod_worker *w, monotime now)
{
    if (w->adopting)
        return;
    if (w->asked && !pod_worker_is_alive(w)) { // it ended by itself: nothing is to be asked
        w->guard->forget(w);
        pod_worker_let_go(w, now);
        return;
    }
    while (advance(w, now))
        ;
    settle_probes(w);
    set_condition(w, &w->prepared, compute_prepared(w));
    set_condition(w, &w->initialized, compute_initialized(w));
    set_condition(w, &w->ready, compute_ready(w));
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
    return w->ready.status;
}

// It has, or had, a process.
static bool has_begun(const struct container_worker *c)
{
    return c->ever_started && (c->pid != 0 || c->last.reason);
}

const char *pod_worker_phase(const struct pod_worker *w)
{
    if (w->state == POD_FINISHED)
        return w->failed_reason ? "Failed" : "Succeeded";
    if (w->state != POD_RUNNING && w->state != POD_ENDING && w->state != POD_STOPPING &&
        w->state != POD_DISMANTLING)
        return "Pending";
    for (size_t i = 0; i < w->n_init; i++)
        if (!w->containers[i].initialized && w->state != POD_RUNNING)
            return "Pending";
    for (size_t i = w->n_init; i < w->n_containers; i++)
        if (!has_begun(&w->containers[i]))
            return "Pending";
    return "Running";
}
