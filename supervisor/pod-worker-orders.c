// What the pod's owner and operators ask of a pod: admit, remove, hold, release, restart, retry.
#include <string.h>

#include "base/alloc.h"
#include "supervisor/pod-worker-internal.h"

static void replace_waiting(struct pod_worker *w, const char *reason, const char *message)
{
    char *new_reason = xstrdup_or_null(reason), *new_message = xstrdup_or_null(message);
    free(w->waiting_reason);
    free(w->waiting_message);
    w->waiting_reason = new_reason;
    w->waiting_message = new_message;
}

void pod_worker_set_waiting(struct pod_worker *w, const char *reason, const char *message)
{
    bool news = reason && !str_equal(reason, w->waiting_reason);
    replace_waiting(w, reason, message);
    if (news && !w->held)
        pod_worker_event(w, NULL, EVENT_WARNING, reason, "%s", message ? message : reason);
}

void pod_worker_wait(struct pod_worker *w, enum event_type type, const char *reason,
                     const char *message, monotime now)
{
    bool other = !str_equal(reason, w->waiting_reason);
    bool changed = !str_equal(message, w->waiting_message);
    if (!other && !changed)
        return;
    replace_waiting(w, reason, message);
    if (other || type == EVENT_WARNING)
        pod_worker_event(w, NULL, type, reason, "%s", message);
    pod_worker_settle(w, now);
}

void pod_worker_admit(struct pod_worker *w, monotime now)
{
    pod_worker_step(w, POD_EV_ADMIT, now);
    pod_worker_settle(w, now);
}

void pod_worker_hold_back(struct pod_worker *w, const char *why, monotime now)
{
    if (str_equal(why, w->held_back))
        return;
    free(w->held_back);
    w->held_back = xstrdup_or_null(why);
    if (why)
        pod_worker_event(w, NULL, EVENT_WARNING, "DependencyCycle", "%s", why);
    pod_worker_settle(w, now);
}

void pod_worker_do_remove(struct pod_worker *w, monotime now)
{
    pod_worker_forget_orders(w, ~0);
    w->removing = true;
    w->removed_at = pod_worker_wall(w);
    pod_worker_step(w, POD_EV_REMOVE, now);
    pod_worker_settle(w, now);
}

void pod_worker_remove(struct pod_worker *w, monotime now)
{
    if (!w->removing && pod_worker_may_stop(w, POD_ORDER_REMOVE))
        pod_worker_do_remove(w, now);
}

void pod_worker_hold(struct pod_worker *w, monotime now)
{
    if (!w->held && !w->removing && pod_worker_may_stop(w, POD_ORDER_HOLD))
        pod_worker_do_hold(w, now);
}

void pod_worker_do_hold(struct pod_worker *w, monotime now)
{
    pod_worker_forget_orders(w, POD_ORDER_HOLD | POD_ORDER_RESTART | POD_ORDER_PROBE);
    w->held = true;
    pod_worker_event(w, NULL, EVENT_NORMAL, "Stopped",
                     "stopped by an operator until "
                     "`mainstay start %s`",
                     w->pod->metadata.name);
    pod_worker_step(w, POD_EV_HOLD, now);
    pod_worker_settle(w, now);
}

void pod_worker_hold_for_exit(struct pod_worker *w, const char *why, monotime now)
{
    if (w->asked & POD_ORDER_REMOVE) { // the machine's end does not wait for the guard
        pod_worker_do_remove(w, now);
        return;
    }
    if (w->asked & POD_ORDER_HOLD) {
        pod_worker_do_hold(w, now);
        return;
    }
    pod_worker_forget_orders(w, ~0);
    // What has ended, or is about to, is not to be done again by the next agent.
    if (w->held || w->removing || w->state == POD_FINISHED || w->state == POD_ENDING)
        return;
    w->held = w->held_for_exit = true;
    pod_worker_event(w, NULL, EVENT_NORMAL, "Stopped", "%s", why);
    pod_worker_step(w, POD_EV_HOLD, now);
    pod_worker_settle(w, now);
}

monotime pod_worker_grace_end(const struct pod_worker *w, monotime now)
{
    monotime end = now;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        if (!container_state_is_alive(c->state))
            continue;
        monotime own =
            c->grace_end.usec > 0 ? c->grace_end : monotime_add_usec(now, container_grace_usec(c));
        end.usec = MAX(end.usec, own.usec);
    }
    return end;
}

static bool is_within_grace(enum container_state state)
{
    return state == CONTAINER_PRE_STOP || state == CONTAINER_AWAIT_TURN ||
           state == CONTAINER_TERMINATING;
}

void pod_worker_cut_grace(struct pod_worker *w, monotime end, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        if (!container_state_is_alive(c->state))
            continue;
        monotime own =
            c->grace_end.usec > 0 ? c->grace_end : monotime_add_usec(now, container_grace_usec(c));
        if (own.usec <= end.usec)
            continue;
        c->grace_end = end;
        if (is_within_grace(c->state))
            c->deadline = monotime_min(c->deadline, end);
    }
    pod_worker_settle(w, now);
}

void pod_worker_release(struct pod_worker *w, monotime now)
{
    if (w->removing)
        return;
    pod_worker_forget_orders(w, POD_ORDER_HOLD);
    w->held = w->held_for_exit = false;
    if (w->state == POD_HELD || w->state == POD_FINISHED)
        pod_worker_set_waiting(w, NULL, NULL);
    if (w->state == POD_FINISHED) {
        pod_worker_do_rest(w, now);
        pod_worker_set_waiting(w, NULL, NULL);
    }
    pod_worker_step(w, POD_EV_RELEASE, now);
    pod_worker_settle(w, now);
}

void pod_worker_forget_hold(struct pod_worker *w)
{
    w->held = w->held_for_exit = false;
    pod_worker_set_waiting(w, NULL, NULL);
    w->ops->save(w->runtime, w);
}

void container_do_restart(struct container_worker *c, monotime now)
{
    c->restart_asked = false;
    if (container_state_is_alive(c->state)) {
        c->restart_requested = true;
        container_stop(c, now);
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
    bool running = w->state == POD_RUNNING, waits = !pod_worker_may_stop(w, POD_ORDER_RESTART);
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        bool has_part = running ? !c->init || c->sidecar : c->init;
        bool wanted = container ? strcmp(c->spec->name, container) == 0
                                : running || container_state_is_alive(c->state);
        if (!has_part || !wanted)
            continue;
        if (waits && container_state_is_alive(c->state))
            c->restart_asked = true;
        else
            container_do_restart(c, now);
    }
    if (!waits)
        pod_worker_forget_orders(w, POD_ORDER_RESTART | POD_ORDER_PROBE);
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
    if (monotime_reached(w->active_until, now))
        pod_worker_step(w, POD_EV_EXPIRED, now);
    for (size_t i = 0; i < w->n_containers; i++)
        if (monotime_reached(w->containers[i].deadline, now))
            container_step(&w->containers[i], CONTAINER_EV_DEADLINE, now);
    pod_worker_settle(w, now);
}
