// The tables of `mainstay get`: which columns a kind has, and what stands in them.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/monotime.h"
#include "cli/table.h"

struct columns {
    bool wide, namespaces, labels;
};

// A kind of thing that can be got.
struct resource {
    const char *kind;         // "pod", for -o name
    const char *const *names; // "pods", "pod", "po", NULL
    const char *path;         // of the API; NULL: made of the status (nodes)
    bool namespaced, watchable;
    bool wrapped; // a watch's lines are {"type","object"}
    bool sorted;  // by namespace and name; else in the agent's order
    struct table *(*table)(struct columns columns);
    void (*row)(struct table *table, struct columns columns, const json_t *object, walltime now);
    const json_t *(*name)(const json_t *object); // a string
};

// By name or abbreviation; NULL where unknown.
const struct resource *resource_find(const char *name);
// What is near to an unknown name, or NULL.
const char *resource_nearest(const char *name);

// A v1 Node, and a list of it, out of the agent's status. A new reference.
json_t *node_from_status(const json_t *status);
