// One pod at work: carries out the pod's and its containers' state machines over a runtime that is
// passed in, so that tests drive it with a fake runtime under a virtual clock. The structs are open
// to the room (status.c and state.c read them); only pod-worker*.c write them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/monotime.h"
#include "monit/health.h"
#include "podspec/podspec.h"
#include "supervisor/backoff.h"
#include "supervisor/container-machine.h"
#include "supervisor/events.h"
#include "supervisor/pod-machine.h"
#include "supervisor/probe-machine.h"
#include "supervisor/shim/shim-proto.h"

struct pod_worker;

// How one run of a container ended (or could not begin).
struct container_exit {
    bool known;             // false: never ran, or its exit could not be learned (`reason` tells)
    uint64_t restart_count; // of the run that ended
    int exit_code, signal;  // signal 0: exited by itself
    char *reason;           // "Completed", "Error", "OOMKilled", "StartError", "ShimDied", …
    char *message;          // termination message, or why it could not start
    walltime started_at, finished_at;
};

// A condition of the pod, and when it came to be so; since 0: from the beginning.
struct pod_condition {
    bool status;
    walltime since;
};

// Why a pod that runs is to be stopped.
enum pod_order {
    POD_ORDER_REMOVE = 1 << 0,  // its manifest is gone or was replaced
    POD_ORDER_HOLD = 1 << 1,    // mainstay stop
    POD_ORDER_RESTART = 1 << 2, // an operator or changed files
    POD_ORDER_PROBE = 1 << 3,   // a failed liveness or startup probe
};

// Who may have to be asked before a pod that runs is stopped for one of these orders. Nobody is
// before its end by itself, or before the machine's.
struct pod_guard_ops {
    // True where it may be stopped at once. False: pod_worker_let_go() follows.
    bool (*ask)(struct pod_worker *w, enum pod_order order);
    void (*forget)(struct pod_worker *w); // nothing is asked any more
};

struct container_worker {
    struct pod_worker *pod;
    const struct container *spec; // in pod->pod
    bool init;
    bool sidecar;     // an init container that runs on beside the others (restartPolicy: Always)
    bool initialized; // an init container whose successors may start: it succeeded, or is a sidecar
                      // that was started once; nothing of it is done again in this life of the pod
    bool ever_started;
    bool start_failed;      // the newest attempt did not get as far as a process
    bool stop_requested;    // the pod stops, or an operator restarts it: an exit now is no crash
    bool restart_requested; // after the stop, start again at once
    bool restart_asked;     // the guard was asked whether it may be restarted
    bool probe_asked[PROBE_KINDS]; // or stopped because of a failed probe
    enum container_state state;
    monotime deadline;      // of the state; MONOTIME_NEVER where it has none
    uint64_t restart_count; // of the run that is on, or the newest
    monotime over_at;       // when the newest run or attempt ended; back-off counts from here
    monotime grace_end;     // while stopping: when SIGKILL is due
    walltime started_at;    // of the current run
    monotime process_at;    // when its process was there
    pid_t pid;              // of the current run; 0 where there is none
    char *command;          // the file that was executed
    char *warnings;         // of the current run, as its shim tells them, one a line
    char *waiting_reason;   // "ContainerCreating", "CrashLoopBackOff", "CreateContainerError", …
    char *waiting_message;
    struct container_exit last, previous; // the newest exit, and the one before it
    struct backoff backoff;
    enum probe_result probes[PROBE_KINDS];             // what counts of the current run
    uint64_t probe_counts[PROBE_KINDS][PROBE_COUNTED]; // answers since the agent started
    bool probing;                                      // the runtime asks for them
    bool unhealthy; // a failed liveness or startup probe stops (or has stopped) this run
    void *run;      // the runtime's own: what it started for this container; NULL where nothing is
    // agent-health.c's own: what is waited for, and whether the shim's silence was told.
    struct health_wait slow, overdue, shim, probe;
    bool shim_complained;
};

// What the worker needs from the world. All return at once; results come back through the
// pod_worker_* calls below.
struct pod_runtime_ops {
    // Start run `c->restart_count` of the container. On failure (negative errno) *ret_reason is a
    // literal for status ("CreateContainerConfigError", …).
    int (*start)(void *runtime, struct container_worker *c, const char **ret_reason,
                 struct error *err);
    void (*signal)(void *runtime, struct container_worker *c); // its stop signal
    void (*kill)(void *runtime, struct container_worker *c, bool shim_too);
    // Run a hook; pod_worker_hook_done() follows. A negative errno where it cannot be run.
    int (*hook)(void *runtime, struct container_worker *c, const struct lifecycle_handler *hook,
                int64_t timeout_usec, struct error *err);
    void (*cancel_hook)(void *runtime, struct container_worker *c);
    // Begin with (or end) the probes of a container that runs; pod_worker_probed() follows. Called
    // for containers only that have any.
    void (*probe)(void *runtime, struct container_worker *c, bool on);
    // Go on with a liveness or startup probe that has failed: the container is not stopped yet.
    void (*probe_on)(void *runtime, struct container_worker *c, enum probe_kind kind);
    // The shim is over: kill what is left and call pod_worker_container_proven() when nothing is.
    void (*prove)(void *runtime, struct container_worker *c);
    // The exit is on record: let go of the run (c->run becomes NULL).
    void (*forget)(void *runtime, struct container_worker *c);
    // What the containers share beside volumes: namespaces, and a network. Each may be NULL where
    // there is none. `prepare` makes it: 1 where it is there already, 0 where
    // pod_worker_prepared() or pod_worker_not_prepared() (and another attempt) follow. `dismantle`
    // removes it: 1 where nothing is left already, 0 where pod_worker_dismantled() follows.
    // `reclaim`, after a restart of the agent: false where it was there and is not any more.
    int (*prepare)(void *runtime, struct pod_worker *w);
    int (*dismantle)(void *runtime, struct pod_worker *w);
    bool (*reclaim)(void *runtime, struct pod_worker *w);
    void (*bury)(void *runtime, struct pod_worker *w); // remove the pod's directories and cgroup
    void (*save)(void *runtime,
                 struct pod_worker *w); // the worker's state changed: persist, tell watchers
    void (*arm)(void *runtime, struct pod_worker *w,
                monotime deadline);  // call pod_worker_tick() then
    walltime (*wall)(void *runtime); // the clock on the wall; NULL: the real one
    void (*gone)(void *runtime,
                 struct pod_worker *w); // POD_GONE: the owner frees it (later, from its loop)
};

struct pod_worker {
    struct pod *pod; // owned
    char *file;      // the manifest it came from; NULL where unknown
    char hash[33];
    enum pod_state state;
    bool removing, held;
    bool held_for_exit;               // held only because the agent ends; not on disk
    bool sandbox_ready, sandbox_gone; // ends of POD_PREPARING and POD_DISMANTLING
    const struct string_list *ips; // of a network of its own, borrowed from the runtime; NULL: none
    bool adopting;                 // between pod_worker_adopt_begin() and _end()
    bool gone_told;                // the owner knows that the pod is POD_GONE
    bool admitted;                 // was admitted once: it may start again by itself
    bool gated;                    // but not where its owner admits each start
    char *waiting_reason, *waiting_message; // POD_WAITING: why; NULL where nothing is in the way
    char *held_back;                        // why it runs on although its manifest changed; or NULL
    const struct pod_guard_ops *guard;      // NULL: nobody is asked
    int asked_before;                       // the same under an earlier agent, until it resumes
    int asked;                              // enum pod_order: those that wait for its word
    walltime asked_since;
    char *asked_why;                      // what it waits for; NULL where nothing was said yet
    char *failed_reason, *failed_message; // POD_FINISHED with phase Failed, or NULL
    walltime created_at, started_at, removed_at; // removed_at: when it was decided; 0: it stays
    monotime active_until; // activeDeadlineSeconds from started_at; MONOTIME_NEVER: no end is set
    bool rebooted;         // what is known of it was written before the machine was started anew
    struct pod_condition prepared, initialized, ready; // the last one without readiness gates
    struct container_worker *containers;               // init containers first, then containers
    size_t n_containers, n_init;
    struct backoff_curve curve;
    const struct pod_runtime_ops *ops;
    void *runtime;
    struct event_log *events;
    uint64_t generation; // raised with every change, for watchers
    void *owner;         // the slot of pods.c
    void *keep;          // the runtime's own: timer, unsaved state, runs that were let go
};

// Takes `pod`. The worker starts in POD_WAITING; pod_worker_admit() sets it going.
struct pod_worker *pod_worker_new(struct pod *pod, const char *file, struct backoff_curve curve,
                                  const struct pod_runtime_ops *ops, void *runtime,
                                  struct event_log *events);
void pod_worker_free(struct pod_worker *w);
DEFINE_CLEANUP(struct pod_worker *, pod_worker_free)

void pod_worker_admit(struct pod_worker *w, monotime now);
// Says why it is not admitted yet (status and one event).
void pod_worker_set_waiting(struct pod_worker *w, const char *reason, const char *message);
// The same for the owner, where the message may change often: watchers are told of each change, an
// event is written for another reason, and for another message where it is a warning.
void pod_worker_wait(struct pod_worker *w, enum event_type type, const char *reason,
                     const char *message, monotime now);
// Says why it runs on although another spec is to follow; NULL: that is over.
void pod_worker_hold_back(struct pod_worker *w, const char *why, monotime now);
void pod_worker_remove(struct pod_worker *w, monotime now);
// The guard's word on the orders that wait for it: not yet (a warning, or only news), or now.
void pod_worker_guard_waits(struct pod_worker *w, enum event_type type, const char *why,
                            monotime now);
void pod_worker_let_go(struct pod_worker *w, monotime now);
// Takes back a removal that waits for the guard.
void pod_worker_keep(struct pod_worker *w, monotime now);
void pod_worker_hold(struct pod_worker *w, monotime now);
void pod_worker_release(struct pod_worker *w, monotime now);
// For the agent's or the machine's end (`why`, for people): whatever becomes of this agent on the
// way, the next one is to start the pod.
void pod_worker_hold_for_exit(struct pod_worker *w, const char *why, monotime now);
// Nothing of it is to have more grace than until `end`, whether it is being stopped or will be.
void pod_worker_cut_grace(struct pod_worker *w, monotime end, monotime now);
// When the grace of what lives is over where it is told to stop now.
monotime pod_worker_grace_end(const struct pod_worker *w, monotime now);
void pod_worker_forget_hold(struct pod_worker *w);
// NULL container: all of them.
void pod_worker_restart(struct pod_worker *w, const char *container, monotime now);
void pod_worker_retry(struct pod_worker *w, monotime now); // clears every back-off
void pod_worker_tick(struct pod_worker *w, monotime now);  // a deadline may have passed

// What the runtime reports.
void pod_worker_container_started(struct container_worker *c, const struct shim_state *state,
                                  monotime now);
// exit: NULL where the shim died without saying how.
// One event for each line that is new: what this host could not give the container, and what its
// log lost on the way. NULL: nothing.
void pod_worker_container_warned(struct container_worker *c, const char *lines);
void pod_worker_container_over(struct container_worker *c, const struct shim_state *exit,
                               monotime now);
void pod_worker_container_proven(struct container_worker *c, monotime now);
void pod_worker_hook_done(struct container_worker *c, bool ok, const char *why, monotime now);
// What a probe's answers add up to has changed: a failed liveness or startup probe stops the
// container, with the probe's grace period, and restarts it unless the policy is Never.
void pod_worker_probed(struct container_worker *c, enum probe_kind kind, enum probe_result result,
                       monotime now);

void pod_worker_prepared(struct pod_worker *w, monotime now);
void pod_worker_not_prepared(struct pod_worker *w, const char *why, monotime now);
void pod_worker_dismantled(struct pod_worker *w, monotime now);
// What the containers share is gone while they run: all of them are stopped, and the pod begins
// anew.
void pod_worker_sandbox_lost(struct pod_worker *w, const char *why, monotime now);

// What runs is handed over one by one: until all of it is, the pod does not go on, since what would
// come next may run already.
void pod_worker_adopt_begin(struct pod_worker *w);
void pod_worker_adopt_end(struct pod_worker *w, monotime now);
// A container whose run an earlier agent started (c->run is set): puts it into the state that fits;
// what its shim reports follows through pod_worker_container_started() and _over().
void pod_worker_adopt(struct container_worker *c, uint64_t restart_count, monotime now);
// True where the end of this run is on record already.
bool pod_worker_has_recorded(const struct container_worker *c, uint64_t restart_count);
// The end of a run that a newer one has replaced before it could be recorded: history and event.
void pod_worker_record_missed(struct container_worker *c, uint64_t restart_count,
                              const struct shim_state *exit);
// After a restart of the agent, once everything that lives was adopted: goes on from there.
void pod_worker_resume(struct pod_worker *w, monotime now);

struct container_worker *pod_worker_container(struct pod_worker *w, const char *name);
bool pod_worker_is_ready(const struct pod_worker *w);
// K/prober/prober_manager.go, UpdatePodStatus(): it runs, and its startup probe (if any) has
// succeeded; and its readiness probe (if any) succeeds, too.
bool pod_worker_container_is_started(const struct container_worker *c);
bool pod_worker_container_is_ready(const struct container_worker *c);
// "Pending", "Running", "Succeeded", "Failed".
const char *pod_worker_phase(const struct pod_worker *w);
// True while any process of the pod may exist.
bool pod_worker_is_alive(const struct pod_worker *w);
