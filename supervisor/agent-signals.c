// The agent's loop and the signals that it takes (see agent.h: agent_run).
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "supervisor/agent.h"

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    struct agent *agent = userdata;
    notify_stopping(agent->notify);
    if (!agent->config->stop_pods_on_exit || agent->stop_pods) {
        log_notice("%s: the agent ends, the pods run on", strsignal((int)si->ssi_signo));
        return sd_event_exit(agent->loop, 0);
    }
    log_notice("%s: the pods are stopped, then the agent ends", strsignal((int)si->ssi_signo));
    agent_stop_all(agent, true);
    return 0;
}

// Process 1 asks for it (init.c), and whoever wants the pods stopped whatever the flags say.
static int on_halt(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    struct agent *agent = userdata;
    if (agent->stop_pods)
        return 0;
    notify_stopping(agent->notify);
    log_notice("the pods are stopped, then the agent ends");
    agent_stop_all(agent, true);
    return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    _cleanup_buffer_ struct buffer changes = BUFFER_EMPTY;
    agent_reload(userdata, &changes, NULL); // what comes of it is told by events
    return 0;
}

static int on_reexec(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    struct agent *agent = userdata;
    agent->reexec = true;
    return sd_event_exit(agent->loop, 0);
}

// Runs after every turn of the loop in which something happened.
static int on_turn(sd_event_source *source, void *userdata)
{
    struct agent *agent = userdata;
    log_flush();
    if (agent->source)
        agent_reload_scanned(agent, manifest_source_last_scan(agent->source));
    return 0;
}

int agent_make_loop(struct agent *agent, struct error *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGRTMIN + 3};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        sigaddset(&mask, signals[i]);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    int r = sd_event_new(&agent->loop);
    if (r >= 0)
        r = sd_event_add_signal(agent->loop, NULL, SIGTERM, on_terminate, agent);
    if (r >= 0)
        r = sd_event_add_signal(agent->loop, NULL, SIGINT, on_terminate, agent);
    if (r >= 0)
        r = sd_event_add_signal(agent->loop, NULL, SIGHUP, on_reload, agent);
    if (r >= 0)
        r = sd_event_add_signal(agent->loop, NULL, SIGUSR2, on_reexec, agent);
    if (r >= 0)
        r = sd_event_add_signal(agent->loop, NULL, SIGRTMIN + 3, on_halt, agent);
    if (r >= 0)
        r = sd_event_add_post(agent->loop, NULL, on_turn, agent);
    return r < 0 ? error_errno(err, r, "event loop") : 0;
}
