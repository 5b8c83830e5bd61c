// Stopping every pod of the node: by an operator, or because the agent (and with it, perhaps, the
// machine) ends.
#include "supervisor/pods-internal.h"

void pods_stop_all(struct pods *pods)
{
    for (size_t i = 0; i < pods->n; i++)
        if (pods->slots[i]->worker && !pods->slots[i]->gone)
            pod_worker_hold(pods->slots[i]->worker, monotime_now());
}

void pods_stop_for_exit(struct pods *pods)
{
    pods->stopping_all = true;
    for (size_t i = 0; i < pods->n; i++)
        if (pods->slots[i]->worker && !pods->slots[i]->gone)
            pod_worker_hold_for_exit(pods->slots[i]->worker, monotime_now());
    sd_event_source_set_enabled(pods->reap, SD_EVENT_ONESHOT);
}

bool pods_any_alive(const struct pods *pods)
{
    for (size_t i = 0; i < pods->n; i++)
        if (pods->slots[i]->worker && pod_worker_is_alive(pods->slots[i]->worker))
            return true;
    return false;
}

monotime pods_grace_end(const struct pods *pods)
{
    monotime end = {0};
    for (size_t i = 0; i < pods->n; i++) {
        const struct pod_worker *w = pods->slots[i]->worker;
        for (size_t c = 0; w && c < w->n_containers; c++)
            if (container_state_is_alive(w->containers[c].state))
                end.usec = MAX(end.usec, w->containers[c].grace_end.usec);
    }
    return end;
}

void pods_finish_stop_for_exit(struct pods *pods)
{
    for (size_t i = 0; i < pods->n; i++) {
        struct pod_worker *w = pods->slots[i]->worker;
        if (w && w->held_for_exit)
            pod_worker_forget_hold(w);
    }
    pods->options.all_stopped(pods->options.userdata);
}
