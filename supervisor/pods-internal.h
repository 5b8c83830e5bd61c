// What the files pods*.c share; nobody else includes it.
#pragma once

#include "base/string-list.h"
#include "supervisor/depend-graph.h"
#include "supervisor/pods.h"

// How far a stop of all pods has got with one.
enum stop_step {
    STOP_NONE,
    STOP_DUE,  // its turn has not come
    STOP_TOLD, // it is being stopped, and others wait for it
};

struct slot {
    struct pods *pods;
    char *namespace_, *name;
    struct pod_worker *worker; // NULL between two instances
    bool gone;                 // the worker is POD_GONE and waits to be freed
    bool restored;             // from disk; the source has not asked for it yet
    struct pod *next;          // waits until the worker is gone
    char *next_file;
    bool held_back;                // `next` would close a cycle of dependencies: the worker runs on
    struct string_list depends_on; // of the worker's pod (mainstay.dev/depends-on)
    int64_t priority;              // of the worker's pod
    enum stop_step stop;
    struct slot_guard *guard;     // NULL: nothing is asked of the quorum guard
    monotime forced_until;        // a stop until then is not guarded
    monotime stop_until;          // STOP_TOLD: how long others wait for it
    bool was_ready, became_ready; // and what depends on it has not been told yet
};

struct pods {
    struct pods_options options;
    struct runtime *runtime;
    struct slot **slots; // sorted
    size_t n;
    sd_event_source *reap;      // frees gone workers and starts successors
    sd_event_source *admit;     // looks again at what waits at a gate
    size_t at_gates;            // how many pods were found to wait at one, the last time
    size_t n_depending;         // how many pods depend on others
    size_t n_ranked;            // how many have a priority
    struct depend_graph *graph; // NULL: to be made when it is needed
    bool cyclic;                // the graph has a cycle
    sd_event_source *order;     // writes down the order in which all stop, when there is time
    char *order_text;           // as it was written last
    struct stop *stop;          // of all pods; NULL: none goes on
    bool synced;
    const char *stopping; // why no pod starts (the agent or the machine ends); NULL: pods may start
};

// ---- pods-slots.c ----

struct slot *slot_find(const struct pods *pods, const char *namespace_, const char *name);
size_t slot_index_of(const struct slot *slot); // in pods->slots
struct slot *slot_get(struct pods *pods, const char *namespace_,
                      const char *name); // made where missing
void slot_drop_next(struct slot *slot);
void slot_free(struct slot *slot);
void slot_remove(struct pods *pods, const struct slot *slot);
// Takes the pod.
struct pod_worker *slot_new_worker(struct slot *slot, struct pod *pod, const char *file);

// ---- pods-ports.c ----

// A gate: another pod of the node has one of the pod's ports.
bool pods_port_closed(const struct slot *slot, struct buffer *why);

// ---- pods-admit.c ----

// Admits the slot's pod if nothing is in its way, else says what is.
void pods_admit(struct slot *slot);
// Something changed that pods may wait for: they are looked at again in the loop's next turn.
void pods_look_at_gates(struct pods *pods);
int pods_admit_init(struct pods *pods);

// ---- pods-depends.c ----

// What the worker's pod depends on.
void depends_read(struct slot *slot);
// What the graph is made from has changed.
void depends_forget_graph(struct pods *pods);
// The graph of what is in force; its nodes are the indices of pods->slots. Borrowed until the next
// change.
const struct depend_graph *depends_graph(struct pods *pods);
// For the gates: whether the pod is part of a cycle, or a pod that it depends on is not ready; with
// what to do.
bool depends_cycle_closed(const struct slot *slot, struct buffer *why);
bool depends_ready_closed(const struct slot *slot, struct buffer *why);
// Whether `next` of a pod that runs would close a cycle: then it is held back, and an event says
// so.
bool depends_hold_back(struct slot *slot);
// Looks again at what was held back: where it closes no cycle any more, it comes into force.
void depends_look_again(struct pods *pods);
// The worker changed; it may have become ready.
void depends_changed(struct slot *slot);
// Tells what depends on a pod that became ready: it starts now instead of waiting for its back-off.
void depends_tell_ready(struct pods *pods);

// ---- pods-order.c ----

// For whoever stops the pods when there is no agent (stop-pods): RUN/stop-order has a line "STEP
// UID" for each pod that does not stop in step 0.
int pods_order_init(struct pods *pods);
void pods_order_free(struct pods *pods);
// The order may have changed.
void pods_order_stale(struct pods *pods);

// ---- pods-guard.c ----

extern const struct pod_guard_ops pods_guard_ops; // of every worker
// The slot's pod changed: the member may be back.
void pods_guard_changed(struct slot *slot);
void pods_guard_gone(struct slot *slot); // the member stays away
void pods_guard_free(struct slot *slot); // the agent ends

// ---- pods-stop.c ----

// A pod changed while all are being stopped: the next one's turn may have come.
void pods_stop_look_again(struct pods *pods);
void pods_stop_free(struct pods *pods);
