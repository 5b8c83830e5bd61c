// The service manager kills what starts or stops for longer than the unit allows. Whoever wrote the
// unit could not know how many pods are adopted, how slow the disk is, or what grace the pods have:
// the time-outs are extended as long as there is progress, and no longer.
#include <time.h>

#include "supervisor/agent.h"

enum {
    START_USEC = 60000000, // from one sign of progress to the next one
    KILL_USEC = 30000000,  // after the last grace period: SIGKILL, and the proof that all is gone
    EVERY_USEC = 5000000,
    NOT_AGAIN_USEC = 1000000, // signs of progress that follow so soon are not told
};

void agent_progress(struct agent *agent)
{
    monotime now = monotime_now();
    if (agent->synced || !notify_is_heard(agent->notify) ||
        !monotime_reached(monotime_add_usec(agent->extended, NOT_AGAIN_USEC), now))
        return;
    agent->extended = now;
    notify_status(agent->notify, "Starting: %s",
                  agent->source ? "the manifests are read" : "what runs is adopted");
    notify_extend(agent->notify, START_USEC);
}

static void extend_stop(struct agent *agent)
{
    monotime over = monotime_add_usec(pods_grace_end(agent->pods), KILL_USEC);
    int64_t left = monotime_since(over, monotime_now());
    if (left > 0)
        notify_extend(agent->notify, left);
}

static int on_timeout_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct agent *agent = userdata;
    if (agent->stop_pods)
        extend_stop(agent);
    else
        agent_progress(agent);
    if (!agent->stop_pods && agent->synced)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    sd_event_source_set_time_relative(source, EVERY_USEC);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

void agent_extend_timeouts(struct agent *agent)
{
    if (!notify_is_heard(agent->notify))
        return;
    if (agent->stop_pods)
        extend_stop(agent);
    else
        agent_progress(agent);
    if (!agent->timeout_timer &&
        sd_event_add_time_relative(agent->loop, &agent->timeout_timer, CLOCK_MONOTONIC, EVERY_USEC,
                                   0, on_timeout_timer, agent) < 0)
        agent->timeout_timer = NULL; // what was told just now has to do
    if (agent->timeout_timer)
        sd_event_source_set_enabled(agent->timeout_timer, SD_EVENT_ONESHOT);
}
