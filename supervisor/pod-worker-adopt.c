// A pod after a restart of the agent: what still lives is taken over, what is gone is told, and the
// pod goes on from there.
#include "base/alloc.h"
#include "supervisor/pod-worker-internal.h"

// The pod's own record may be older than what runs, or lost.
static void adopt_pod(struct pod_worker *w, const struct container_worker *c)
{
    if (w->state != POD_WAITING && w->state != POD_FINISHED && w->state != POD_HELD &&
        !(w->state == POD_INITIALIZING && !c->init))
        return;
    w->state = c->init ? POD_INITIALIZING : POD_RUNNING;
    w->admitted = true;
    if (!walltime_is_set(w->started_at))
        w->started_at = walltime_now();
    if (!c->init && !walltime_is_set(w->initialized_since))
        w->initialized_since = w->started_at;
    pod_worker_set_waiting(w, NULL, NULL);
}

void pod_worker_adopt(struct container_worker *c, uint64_t restart_count, monotime now)
{
    bool recorded = pod_worker_has_recorded(c, restart_count);
    adopt_pod(c->pod, c);
    c->restart_count = restart_count;
    c->ever_started = true;
    if (c->state == CONTAINER_PROVING && recorded) {
        container_act(c, CONTAINER_DO_PROVE, now);
        return;
    }
    if (!container_state_is_alive(c->state) || c->state == CONTAINER_PROVING) {
        c->state = CONTAINER_STARTING;
        c->deadline = MONOTIME_NEVER;
    }
    // Hooks and signals of the agent that died may not have got through: they are given again; the
    // grace period goes on from where it was.
    static const enum container_action again[CONTAINER_STATES] = {
        [CONTAINER_POST_START] = CONTAINER_DO_POST_START,
        [CONTAINER_PRE_STOP] = CONTAINER_DO_PRE_STOP,
        [CONTAINER_TERMINATING] = CONTAINER_DO_TERMINATE,
        [CONTAINER_KILLING] = CONTAINER_DO_KILL,
    };
    container_act(c, again[c->state], now);
}

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
        pod_worker_do_start(w, now);
    if (w->state == POD_STOPPING)
        pod_worker_do_stop(w, now);
    pod_worker_settle(w, now);
}
