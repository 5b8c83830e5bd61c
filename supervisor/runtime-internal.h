// What the files runtime*.c share; nobody else includes it.
#pragma once

#include "supervisor/prober.h"
#include "supervisor/runtime.h"
#include "supervisor/sandbox.h"
#include "supervisor/stats.h"
#include "supervisor/volumes-limits.h"
#include "supervisor/volumes-sweeper.h"

enum run_role {
    RUN_UNCLAIMED, // of an earlier agent; no worker has asked for it yet
    RUN_CURRENT,   // the run of its container (c->run)
    RUN_MISSED,    // a newer run has replaced it before its end was recorded
    RUN_DONE,      // its end is on record: to be forgotten once that is on disk
    RUN_DOOMED,    // of a pod that has no such container: killed, then forgotten
};

// One shim, started or adopted.
struct run {
    struct runtime *rt;
    enum run_role role;
    struct container_worker *c; // NULL where RUN_UNCLAIMED or RUN_DOOMED
    struct shim_link *link;
    struct shim_spec spec;
    bool over, exit_known;      // the shim is gone; it left an exit behind
    uint64_t oom_kills;         // that the cgroup had counted when the run began (or was adopted)
    struct stats_rate rate;     // of CPU use, between two questions
    uint64_t refused;           // forks, as oom_kills
    struct cgroup_alarm *alarm; // while the container runs
    struct shim_exec *hook;
    struct probe_question *hook_question; // by HTTP or TCP
    sd_event_source *hook_timer;
    struct probes *probes; // while the container is probed
    struct cgroup_watch *empty_watch;
    sd_event_source *exit_watch; // without cgroups: the first process of a shim that died
};

typedef LIST_OF(struct run *) run_list;

// What the runtime keeps for a worker (w->keep).
struct keep {
    sd_event_source *timer;
    bool dirty, pod_saved, complained;
    monotime dirty_at;
    bool in_tier; // its CPU requests are in runtime.burstable_milli, if it is Burstable
    run_list done;
};

struct runtime {
    struct runtime_options options;
    const struct runtime_owner_ops *ops;
    void *userdata;
    struct prober *prober;
    struct sandboxes *sandboxes;
    struct volumes_sweeper *sweeper;
    struct volumes_limits *limits;
    LIST_OF(struct pod_worker *) dirty;
    sd_event_source *flush, *retry;
    uint64_t flushes;        // how often it was tried
    int64_t burstable_milli; // what the Burstable pods that live ask for together
    bool refused;            // the newest time, not all could be written
    run_list unclaimed;      // also those that are doomed
};

struct volumes_options runtime_volumes(const struct runtime *rt);
struct keep *keep_of(struct pod_worker *w);
// Something of the worker is to be written (and done runs forgotten) when the loop has time.
void runtime_mark_dirty(struct runtime *rt, struct pod_worker *w);
int runtime_keep_init(struct runtime *rt, struct error *err);
void runtime_keep_free(struct runtime *rt);

// In runtime-alarm.c. The container's process is there: the worker is told, and from now on there
// are events for processes that are killed or refused.
void run_is_running(struct run *run, const struct shim_state *state, monotime now);

// In runtime-sandbox.c: the operations `prepare`, `dismantle` and `reclaim`.
int runtime_prepare(void *runtime, struct pod_worker *w);
int runtime_dismantle(void *runtime, struct pod_worker *w);
bool runtime_reclaim(void *runtime, struct pod_worker *w);
int runtime_sandboxes_init(struct runtime *rt, struct error *err);

// In runtime-tiers.c. The worker changed, or (leaves) is about to be freed.
void runtime_count_tier(struct runtime *rt, struct pod_worker *w, bool leaves);

struct run *run_new(struct runtime *rt);
void run_free(struct run *run);
void run_cancel_hook(struct run *run);
void run_stop_watching(struct run *run);
void run_list_remove(run_list *list, const struct run *run);
void run_set_done(struct run *run); // RUN_DONE, in its worker's list
extern const struct shim_link_ops run_link_ops;

// The operations `hook` and `cancel_hook` of struct pod_runtime_ops.
int runtime_hook(void *runtime, struct container_worker *c, const struct lifecycle_handler *hook,
                 int64_t timeout_usec, struct error *err);
void runtime_cancel_hook(void *runtime, struct container_worker *c);
