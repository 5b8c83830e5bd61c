// The agent: the one object that holds the parts together. Everything in it is used from the event
// loop only.
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/monotime.h"
#include "manifests/source.h"
#include "monit/handover.h"
#include "monit/hang.h"
#include "monit/health.h"
#include "monit/notify.h"
#include "supervisor/cgroup.h"
#include "supervisor/changes.h"
#include "supervisor/config.h"
#include "supervisor/events.h"
#include "supervisor/pods.h"
#include "supervisor/revisions.h"

struct api;
struct pressure;
struct renewals;
struct shutdown;

struct agent {
    sd_event *loop;
    const struct config *config;
    char *const *argv; // of this process
    struct health *health;
    struct agent_health *parts;                // agent-health.c's own
    void (*check_health)(struct agent *agent); // brings `health` up to date; may be NULL
    struct hang *hang;
    struct event_log *events;
    struct device_filter *devices; // NULL for an ordinary user, or where it cannot be had
    struct cgroup_tree *cgroups;
    struct manifest_source *source;
    struct pods *pods;
    struct revisions *revisions;
    struct changes *changes;
    struct api *api;
    struct renewals *renewals; // NULL: not switched on
    struct pressure *pressure;
    struct shutdown *shutdown; // NULL: the machine's end is not held up
    struct notify *notify;
    struct handover *handover;      // listening sockets from the agent before, for the one after
    sd_event_source *status_timer;  // STATUS= is told when it is due; NULL before the first change
    sd_event_source *timeout_timer; // while time-outs of the service manager are extended
    monotime extended;              // when that was told last
    walltime started_at;
    int lock_fd; // RUN/lock: one agent per run directory
    char *state_dir, *shims_dir, *history_dir, *changes_dir; // below the root and the run directory
    bool unprivileged;                                       // an ordinary user
    bool synced;    // the directory was read once and what ran was adopted
    bool stop_pods; // the pods are being stopped; the agent ends when they are gone
    bool reloading; // the service manager waits for the end of a rescan
    monotime reload_asked;
    char *refused;                  // why the configuration file is not in force as it is; or NULL
    char *reloaded;                 // what the reload that brought this configuration has changed
    bool reexec;                    // execute the program anew instead of ending
    uint64_t adopted;               // containers that were found running at start
    struct string_list limitations; // what this host or user cannot do, one sentence each
};

// Runs until a signal ends it: SIGTERM and SIGINT end the agent and leave the pods running (with
// --stop-pods-on-exit, or on SIGRTMIN+3, they are stopped first), SIGHUP is agent_reload(), SIGUSR2
// executes the program `argv[0]` anew in place (an upgrade without a new PID). `handover`: sockets
// from the agent before. 0, or a negative errno; *ret_started is whether there was an agent at all
// (else another configuration may help).
int agent_run(const struct config *config, char *const *argv, struct handover *handover,
              bool *ret_started, struct error *err);

// Reads flags and configuration file anew. 1: it differs (`ret_changes` says in what) and comes
// into force in a moment, by executing the program anew. 0: it is as before, and the manifests are
// read again. The event ConfigurationReloaded tells when either has happened. A negative errno with
// *err: it is refused, and what is in force stays so. In agent-reload.c.
int agent_reload(struct agent *agent, struct buffer *ret_changes, struct error *err);

// Stops every pod; when all are gone the agent exits (where `exit_after`) or goes on with nothing
// running.
void agent_stop_all(struct agent *agent, bool exit_after);

// Tells the service manager how pods and manifests are (STATUS=): now, or soon after a change. Do
// nothing where nobody hears it. In agent-status.c.
void agent_status_tell(struct agent *agent);
void agent_status_changed(struct agent *agent);

// In agent-health.c. Makes the registry of the parts, and what tells the service manager about
// them; takes both apart again.
int agent_health_start(struct agent *agent, struct error *err);
void agent_health_end(struct agent *agent);
// The directory was read: the agent is ready.
void agent_health_synced(struct agent *agent);
// The observer of the loop, and the loop under its eyes, until sd_event_exit(): the exit code, or a
// negative errno.
int agent_hang_start(struct agent *agent, struct error *err);
int agent_loop(struct agent *agent);

// Writes --pid-file, and takes it away where it names this process. In agent-pidfile.c.
void agent_pidfile_write(const struct agent *agent);
void agent_pidfile_remove(const struct agent *agent);

// In agent-timeouts.c: the service manager is to wait, while the agent starts (each call of
// agent_progress() says that it gets on) or, as of now, stops its pods.
void agent_extend_timeouts(struct agent *agent);
void agent_progress(struct agent *agent);

// ---- between agent.c and agent-signals.c ----

// Makes the loop, which takes the signals of agent_run().
int agent_make_loop(struct agent *agent, struct error *err);

// ---- between agent.c and agent-reload.c ----

// At start: what the program that this process executed before has to tell.
void agent_reload_receive(struct agent *agent);
// The agent is ready for the first time: its configuration is a good one.
void agent_reload_synced(struct agent *agent);
// The source finished a look at the directory at that time: it may end a reload.
void agent_reload_scanned(struct agent *agent, monotime scanned);
