// All pods of the node: what must run (from the source) against what runs (workers), one instance
// per name and never two at once.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "supervisor/pod-worker.h"

struct pods;

// What the HTTP API and the status page read. Sorted by namespace and name. The array is the
// caller's (free()), the workers are borrowed.
size_t pods_list(const struct pods *pods, struct pod_worker ***ret);

// NAME with or without the node's suffix; namespace NULL: "default", then any where it is unique.
// -ENOENT (with the nearest name) or -ENOTUNIQ with *err.
int pods_find(const struct pods *pods, const char *namespace_, const char *name,
              struct pod_worker **ret, struct error *err);

// A spec that waits for the running instance to be gone, or NULL.
const struct pod *pods_successor(const struct pods *pods, const struct pod_worker *w);

// Operators' verbs. Return at once; the change is followed through the API's watch.
void pods_stop_all(struct pods *pods); // for `mainstay stop --all` and a system shutdown
bool pods_any_alive(const struct pods *pods);
