// What runs the pod workers for real: shims, cgroups, timers, state on disk. It implements
// pod_runtime_ops over the parts that do the work, and finds the runs of an earlier agent again.
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "supervisor/container-spec.h"
#include "supervisor/events.h"
#include "supervisor/pod-worker.h"
#include "supervisor/shim-link.h"

struct runtime;
struct run;
struct stats;

struct runtime_options {
    sd_event *event;
    struct container_spec_options containers; // borrowed strings
    struct shim_link_options shims;           // borrowed strings
    const char *state_dir;                    // borrowed; <root>/state/pods
    struct event_log *events;
    const char *cni_conf_dir, *cni_bin_dirs; // borrowed; of sandbox.h
    int64_t cni_timeout_usec;
    uint64_t volume_stats_usec; // how often limited volumes are measured
};

// Both are called from the loop; the worker must not be freed from inside.
struct runtime_owner_ops {
    void (*changed)(void *userdata, struct pod_worker *w);
    void (*gone)(void *userdata, struct pod_worker *w);
    void (*network_changed)(void *userdata); // what runtime_network_problem() says
};

extern const struct pod_runtime_ops runtime_ops; // for pod_worker_new(), with a struct runtime *

int runtime_new(const struct runtime_options *options, const struct runtime_owner_ops *ops,
                void *userdata, struct runtime **ret, struct error *err);
void runtime_free(struct runtime *rt); // after all workers; what runs goes on running

// Why no pod can have a network of its own at present; NULL where it can. Borrowed.
const char *runtime_network_problem(struct runtime *rt);

// Writes what is not on disk yet, and lets go of the runs whose exit is on record.
void runtime_flush(struct runtime *rt);
// Before a worker is freed.
void runtime_release(struct runtime *rt, struct pod_worker *w);

// ---- the runs of an earlier agent ----

// Connects to every shim there is. They wait in the runtime until they are claimed.
int runtime_find_runs(struct runtime *rt, struct error *err);
// Gives the worker the runs that are its own. Returns how many live.
size_t runtime_claim(struct runtime *rt, struct pod_worker *w, monotime now);
// A run that nobody has claimed, of another pod than `uid` where one is given, with this namespace
// and name (NULL: any); NULL where there is none.
const struct shim_spec *runtime_unclaimed(const struct runtime *rt, const char *namespace_,
                                          const char *name, const char *uid);
// Kills the unclaimed runs of a pod at once.
void runtime_doom(struct runtime *rt, const char *uid);
// A pod made up from what the unclaimed runs of a UID say about themselves: enough to stop them.
// The caller frees it.
struct pod *runtime_pod_of_runs(const struct runtime *rt, const char *uid);

// Removes what is there of pods that neither `knows` nor any run tells of (their records were
// lost). For when all manifests have been read.
typedef bool runtime_knows(void *userdata, const char *uid);
void runtime_remove_strays(struct runtime *rt, runtime_knows *knows, void *userdata);

// The log file of the run that is on, or was on last; the id of its shim and the cgroup while it
// lives (NULL else). Borrowed.
const char *runtime_run_id(const struct container_worker *c);
const char *runtime_run_cgroup(const struct container_worker *c);
// What the run that is on was started with (its limits, and those that are not enforced); NULL
// where none is on. Borrowed.
const struct shim_spec *runtime_run_spec(const struct container_worker *c);
// What the run that is on uses, asked now (stats_read()); false where none is on.
bool runtime_run_stats(struct container_worker *c, struct stats *ret);
// What the pod's own cgroup tells of the pod as a whole: CPU and pressure, also of containers that
// are gone; false where nothing runs.
bool runtime_pod_stats(const struct pod_worker *w, struct stats *ret);
// probes_overdue() of the run that is on; 0 where it is not probed.
uint64_t runtime_overdue_probe(const struct container_worker *c, monotime now);
// The link to its shim while that lives, else NULL. Borrowed.
struct shim_link *runtime_run_link(const struct container_worker *c);

// For health checks: how many workers have changes that are not on disk, how often it was tried to
// write some, and whether the newest attempt has failed (the event StateNotSaved tells why).
size_t runtime_unsaved(const struct runtime *rt, uint64_t *ret_flushes, bool *ret_refused);
