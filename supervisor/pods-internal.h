// What the files pods*.c share; nobody else includes it.
#pragma once

#include "supervisor/pods.h"

struct slot {
    struct pods *pods;
    char *namespace_, *name;
    struct pod_worker *worker; // NULL between two instances
    bool gone;                 // the worker is POD_GONE and waits to be freed
    bool restored;             // from disk; the source has not asked for it yet
    struct pod *next;          // waits until the worker is gone
    char *next_file;
};

struct pods {
    struct pods_options options;
    struct runtime *runtime;
    struct slot **slots; // sorted
    size_t n;
    sd_event_source *reap;  // frees gone workers and starts successors
    sd_event_source *admit; // looks again at what waits at a gate
    size_t at_gates;        // how many pods were found to wait at one, the last time
    bool synced, stopping_all;
};

// ---- pods-slots.c ----

struct slot *slot_find(const struct pods *pods, const char *namespace_, const char *name);
struct slot *slot_get(struct pods *pods, const char *namespace_,
                      const char *name); // made where missing
void slot_drop_next(struct slot *slot);
void slot_free(struct slot *slot);
void slot_remove(struct pods *pods, const struct slot *slot);
// Takes the pod.
struct pod_worker *slot_new_worker(struct slot *slot, struct pod *pod, const char *file);

// ---- pods-admit.c ----

// Admits the slot's pod if nothing is in its way, else says what is.
void pods_admit(struct slot *slot);
// Something changed that pods may wait for: they are looked at again in the loop's next turn.
void pods_look_at_gates(struct pods *pods);
int pods_admit_init(struct pods *pods);

// ---- pods-stop.c ----

// While the agent ends: tells the owner once nothing of any pod is alive.
void pods_finish_stop_for_exit(struct pods *pods);
