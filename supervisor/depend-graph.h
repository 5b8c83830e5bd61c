// Which pods depend on which, as a graph of numbers: cycles, and the order in which all stop. Pure:
// pods-depends.c makes the graph from the pods.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

struct depend_graph;

// Nodes are 0 … n − 1.
struct depend_graph *depend_graph_new(size_t n);
void depend_graph_free(struct depend_graph *g);
DEFINE_CLEANUP(struct depend_graph *, depend_graph_free)

// `node` depends on `on`. Twice is as good as once.
void depend_graph_add(struct depend_graph *g, size_t node, size_t on);
bool depend_graph_depends(const struct depend_graph *g, size_t node, size_t on); // directly

bool depend_graph_has_cycle(const struct depend_graph *g);

// The shortest cycle through the node: how many nodes (0: none), and in *ret, which the caller
// frees, which, beginning with the node itself; each depends on the next one and the last on the
// first.
size_t depend_graph_cycle(const struct depend_graph *g, size_t node, size_t **ret);

// What is needed by a pod of a high priority is worth as much: raises each node's priority to that
// of the highest that depends on it.
void depend_graph_raise(const struct depend_graph *g, int64_t *priorities);

// How many nodes of the same priority stand behind the node in the longest chain of dependencies:
// when all stop, so many steps follow its own.
size_t depend_graph_behind(const struct depend_graph *g, const int64_t *priorities, size_t node);

// When all stop: in which step each node does, from 0 on, where each step is awaited.
void depend_graph_steps(const struct depend_graph *g, const int64_t *priorities, size_t *ret);

// When all stop: whether it is the node's turn. What has a lower (raised) priority is gone by then,
// and so is what depends on it. Nodes that are gone are never asked for.
bool depend_graph_may_stop(const struct depend_graph *g, const int64_t *priorities,
                           const bool *gone, size_t node);
