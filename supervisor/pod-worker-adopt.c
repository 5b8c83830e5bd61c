// A pod after a restart of the agent: what still lives is taken over, what is gone is told, and the
// pod goes on from there.
#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/pod-worker-internal.h"

static bool any_began(const struct pod_worker *w)
{
    for (size_t i = w->n_init; i < w->n_containers; i++)
        if (w->containers[i].state != CONTAINER_WAITING || w->containers[i].run)
            return true;
    return false;
}

// The pod's own record may be older than what runs, or lost.
static void adopt_pod(struct pod_worker *w, const struct container_worker *c)
{
    bool initializing = c->init && !any_began(w);
    if (w->state != POD_WAITING && w->state != POD_PREPARING && w->state != POD_DISMANTLING &&
        w->state != POD_FINISHED && w->state != POD_HELD &&
        !(w->state == POD_INITIALIZING && !initializing))
        return;
    w->state = initializing ? POD_INITIALIZING : POD_RUNNING;
    w->admitted = true;
    if (!walltime_is_set(w->started_at))
        w->started_at = pod_worker_wall(w);
    for (size_t i = 0; i < w->n_init && &w->containers[i] < c; i++)
        w->containers[i].initialized = true; // it would not run otherwise
    pod_worker_set_waiting(w, NULL, NULL);
}

void pod_worker_adopt_begin(struct pod_worker *w)
{
    w->adopting = true;
}

void pod_worker_adopt_end(struct pod_worker *w, monotime now)
{
    w->adopting = false;
    pod_worker_settle(w, now);
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
        [CONTAINER_AWAIT_TURN] = CONTAINER_DO_AWAIT_TURN,
        [CONTAINER_TERMINATING] = CONTAINER_DO_TERMINATE,
        [CONTAINER_KILLING] = CONTAINER_DO_KILL,
    };
    container_act(c, again[c->state], now);
}

// A container that had a process when the last agent saw it, and has no shim now.
static void tell_vanished(struct container_worker *c)
{
    c->pid = 0;
    if (c->state == CONTAINER_PROVING)
        return; // its end is on record
    c->state = CONTAINER_PROVING;
    container_exit_clear(&c->previous);
    c->previous = c->last;
    c->last = (struct container_exit){
        .restart_count = c->restart_count,
        .exit_code = 137,
        .reason = xstrdup("Lost"),
        .message = xstrdup("the container and its records are gone: the machine was restarted or "
                           "its run directory was emptied"),
        .started_at = c->started_at,
        .finished_at = pod_worker_wall(c->pod),
    };
    pod_worker_event(c->pod, c, EVENT_WARNING, "Lost",
                     "run %llu of container %s is gone with its records (machine restarted?)",
                     (unsigned long long)c->restart_count, c->spec->name);
    backoff_reset(&c->backoff);
}

static void resume_vanished(struct container_worker *c, monotime now)
{
    tell_vanished(c);
    c->over_at = now;
    container_step(c, CONTAINER_EV_PROVEN, now);
}

static void resume_container(struct container_worker *c, monotime now)
{
    bool active = c->pod->state == POD_INITIALIZING || c->pod->state == POD_RUNNING;
    if (container_state_is_alive(c->state) && !c->run)
        resume_vanished(c, now);
    else if (c->state == CONTAINER_EXITED && !c->run && active)
        container_decide(c, now);
}

// A container of before the reboot may have to run again; it waits for its turn, as in a new pod.
static bool may_run_again(const struct container_worker *c)
{
    if (c->run || c->state == CONTAINER_WAITING)
        return false;
    return c->init || container_should_restart(c);
}

// Whether what an earlier boot began is to be done again, init containers first: what they had
// prepared (mounts, files in memory, settings of the kernel) is gone. As where the kubelet makes a
// new sandbox, which under restartPolicy Never it does not.
static bool begins_anew(const struct pod_worker *w)
{
    if (w->state != POD_INITIALIZING && w->state != POD_RUNNING)
        return false;
    if (!w->rebooted || pod_worker_is_stopping(w) || str_equal(w->pod->spec.restartPolicy, "Never"))
        return false;
    for (size_t i = w->n_init; i < w->n_containers; i++)
        if (w->containers[i].state == CONTAINER_WAITING || may_run_again(&w->containers[i]))
            return true;
    return false;
}

static void begin_anew(struct pod_worker *w)
{
    w->state = w->gated ? POD_WAITING : POD_PREPARING;
    pod_worker_set_waiting(w, NULL, NULL);
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        c->initialized = false;
        if (may_run_again(c)) {
            c->state = CONTAINER_WAITING;
            c->deadline = MONOTIME_NEVER;
            container_set_waiting(c, NULL, NULL);
        }
    }
}

void pod_worker_set_active_until(struct pod_worker *w, monotime now)
{
    const int64_t *seconds = w->pod->spec.activeDeadlineSeconds;
    if (!seconds || !walltime_is_set(w->started_at))
        return;
    int64_t passed = (pod_worker_wall(w).nsec - w->started_at.nsec) / NSEC_PER_USEC;
    w->active_until =
        monotime_add_usec(now, MAX(*seconds * USEC_PER_SEC - MAX(passed, (int64_t)0), (int64_t)0));
}

static void tell_sandbox_lost(struct pod_worker *w, const char *why, monotime now)
{
    if (w->state != POD_INITIALIZING && w->state != POD_RUNNING)
        return;
    pod_worker_event(w, NULL, EVENT_WARNING, "SandboxChanged",
                     "%s: its containers are stopped, and it begins anew", why);
    pod_worker_step(w, POD_EV_SANDBOX_LOST, now);
}

void pod_worker_sandbox_lost(struct pod_worker *w, const char *why, monotime now)
{
    tell_sandbox_lost(w, why, now);
    pod_worker_settle(w, now);
}

void pod_worker_prepared(struct pod_worker *w, monotime now)
{
    w->sandbox_ready = true;
    pod_worker_settle(w, now);
}

void pod_worker_not_prepared(struct pod_worker *w, const char *why, monotime now)
{
    if (w->state != POD_PREPARING)
        return;
    if (str_equal(w->waiting_reason, "FailedCreatePodSandBox") &&
        str_equal(w->waiting_message, why))
        pod_worker_event(w, NULL, EVENT_WARNING, "FailedCreatePodSandBox", "%s", why);
    else
        pod_worker_wait(w, EVENT_WARNING, "FailedCreatePodSandBox", why, now);
}

void pod_worker_dismantled(struct pod_worker *w, monotime now)
{
    w->sandbox_gone = true;
    pod_worker_settle(w, now);
}

void pod_worker_resume(struct pod_worker *w, monotime now)
{
    if (monotime_is_never(w->active_until))
        pod_worker_set_active_until(w, now);
    for (size_t i = 0; w->rebooted && i < w->n_containers; i++)
        if (container_state_is_alive(w->containers[i].state) && !w->containers[i].run)
            tell_vanished(&w->containers[i]);
    bool reclaimed = !w->ops->reclaim || w->ops->reclaim(w->runtime, w);
    if (begins_anew(w))
        begin_anew(w);
    else if (!reclaimed && !w->rebooted)
        tell_sandbox_lost(w, "the pod's namespaces are gone", now);
    w->rebooted = false;
    if (w->state == POD_PREPARING)
        pod_worker_do_prepare(w, now);
    if (w->state == POD_DISMANTLING)
        pod_worker_do_dismantle(w, now);
    for (size_t i = 0; i < w->n_containers; i++)
        resume_container(&w->containers[i], now);
    if (w->state == POD_RUNNING)
        pod_worker_do_start(w, now);
    if (w->state == POD_STOPPING || w->state == POD_ENDING)
        pod_worker_do_stop(w, now);
    pod_worker_ask_again(w, now);
    pod_worker_settle(w, now);
}
