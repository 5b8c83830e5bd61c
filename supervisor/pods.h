// All pods of the node: what must run (from the source) against what runs (workers), one instance
// per name and never two at once.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "supervisor/pod-worker.h"
#include "supervisor/runtime.h"

struct pods;

// How long a stop of all pods for the end of the agent or the machine may take; 0: as long as their
// own grace periods add up to. The critical ones (system-cluster-critical and above) stop last, in
// the second part of the time (KubeletConfiguration: shutdownGracePeriod and
// shutdownGracePeriodCriticalPods).
struct pods_budget {
    int64_t total_usec, critical_usec;
};

struct pods_options {
    struct runtime_options runtime; // strings borrowed
    struct backoff_curve curve;
    const char *allowed_unsafe_sysctls; // of pod-sysctls.h; NULL for none
    struct pods_budget budget;
    const char *guard_program;   // `mainstay`, for the quorum guard; NULL: there is none
    int64_t guard_patience_usec; // how long members that cannot be asked hold a pod's stop up
    // A pod changed, or (deleted) is gone; it must not be touched from inside.
    void (*changed)(void *userdata, const struct pod_worker *w, bool deleted);
    // pods_restore() has got on by one pod.
    void (*progress)(void *userdata);
    // The last pod that pods_stop_for_exit() or pods_stop_for_shutdown() stopped is gone, or none
    // is waited for any longer.
    void (*all_stopped)(void *userdata);
    void *userdata;
};

int pods_new(const struct pods_options *options, struct pods **ret, struct error *err);
void pods_free(struct pods *pods); // what runs goes on running
DEFINE_CLEANUP(struct pods *, pods_free)

// Takes up what an earlier agent left: its state on disk and the shims that live. To be called
// once, before the source tells what must run. *ret_adopted counts the containers that run.
int pods_restore(struct pods *pods, size_t *ret_adopted, struct error *err);

// From the source. A pod must run with this spec (taken); an instance with another UID or spec is
// stopped first and proven gone.
void pods_set(struct pods *pods, struct pod *pod, const char *file);
void pods_removed(struct pods *pods, const char *namespace_, const char *name, const char *uid);
// The whole directory was read: what was restored and is not wanted any more is stopped.
void pods_synced(struct pods *pods);

// Writes state that is not on disk yet; for the agent's orderly end.
void pods_flush(struct pods *pods);
// As runtime_unsaved().
size_t pods_unsaved(const struct pods *pods, uint64_t *ret_flushes, bool *ret_refused);

// What the HTTP API and the status page read. Sorted by namespace and name. The array is the
// caller's (free()), the workers are borrowed.
size_t pods_list(const struct pods *pods, struct pod_worker ***ret);

// NAME with or without the node's suffix; namespace NULL: "default", then any where it is unique.
// -ENOENT (with the nearest name) or -ENOTUNIQ with *err.
int pods_find(const struct pods *pods, const char *namespace_, const char *name,
              struct pod_worker **ret, struct error *err);

// By its full name; NULL where none runs or is to run.
struct pod_worker *pods_worker(const struct pods *pods, const char *namespace_, const char *name);

// A spec that waits for the running instance to be gone, or NULL.
const struct pod *pods_successor(const struct pods *pods, const struct pod_worker *w);

// The quorum guard is not to hold up the pod's stop: true where it did, and does not any more.
// `coming`: else the next one, if it is ordered in a moment (a manifest that was just written).
bool pods_force(struct pods *pods, const struct pod_worker *w, bool coming);

// Operators' verbs. Return at once; the change is followed through the API's watch.
//
// A stop of all pods has an order: what has a lower priority is gone first, and what depends on
// others before these are told; a pod is worth as much as the highest that depends on it. Pods that
// neither rule parts stop together. Nobody waits for ever behind a pod that does not end.
void pods_stop_all(struct pods *pods); // mainstay stop --all: each stays so until it is started
// Stops every pod for the time until the next agent starts; all_stopped() follows.
void pods_stop_for_exit(struct pods *pods);
// The same while the machine goes down, for which this agent may be needed on: what it stopped it
// starts again where that is called off.
void pods_stop_for_shutdown(struct pods *pods);
void pods_shutdown_cancelled(struct pods *pods);
// When the grace period that ends last of those that run is over; zero where none runs.
monotime pods_grace_end(const struct pods *pods);
