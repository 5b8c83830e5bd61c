// The agent: the one object that holds the parts together. Everything in it is used from the event
// loop only.
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/monotime.h"
#include "manifests/source.h"
#include "monit/handover.h"
#include "monit/health.h"
#include "monit/notify.h"
#include "supervisor/cgroup.h"
#include "supervisor/config.h"
#include "supervisor/events.h"
#include "supervisor/pods.h"

struct api;

struct agent {
    sd_event *loop;
    const struct config *config;
    struct health *health;
    size_t health_loop, health_source;
    struct event_log *events;
    struct cgroup_tree *cgroups;
    struct manifest_source *source;
    struct pods *pods;
    struct api *api;
    struct notify *notify;
    struct handover *handover;     // listening sockets from the agent before, for the one after
    sd_event_source *status_timer; // STATUS= is told when it is due; NULL before the first change
    walltime started_at;
    int lock_fd;                 // RUN/lock: one agent per run directory
    char *state_dir, *shims_dir; // below the root and the run directory
    bool unprivileged;           // an ordinary user
    bool synced;                 // the directory was read once and what ran was adopted
    bool stop_pods;              // the pods are being stopped; the agent ends when they are gone
    bool reloading;              // the service manager waits for the end of a rescan
    monotime reload_asked;
    bool reexec;                    // execute the program anew instead of ending
    uint64_t adopted;               // containers that were found running at start
    struct string_list limitations; // what this host or user cannot do, one sentence each
};

// Runs until a signal ends it: SIGTERM and SIGINT end the agent and leave the pods running (with
// --stop-pods-on-exit they are stopped first), SIGRTMIN+3 stops the pods and then ends the agent,
// SIGHUP reads the manifests again, SIGUSR2 executes the program `argv[0]` anew in place (an
// upgrade without a new PID). 0, or a negative errno.
int agent_run(const struct config *config, char *const *argv, struct error *err);

// Stops every pod; when all are gone the agent exits (where `exit_after`) or goes on with nothing
// running.
void agent_stop_all(struct agent *agent, bool exit_after);

// Tells the service manager how pods and manifests are (STATUS=): now, or soon after a change. Do
// nothing where nobody hears it. In agent-status.c.
void agent_status_tell(struct agent *agent);
void agent_status_changed(struct agent *agent);

// ---- between agent.c and agent-signals.c ----

// Makes the loop, which takes the signals of agent_run().
int agent_make_loop(struct agent *agent, struct error *err);
// Before another program is executed in place: it would inherit the signals that the loop blocks.
void agent_unblock_signals(void);
