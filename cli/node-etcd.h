// A node and the etcd of its cluster: how it is reached before the node has manifests, and the key
// by which balancers and etcd's care know the node.
#pragma once

#include "cli/node-plan.h"
#include "etcd/client.h"

struct node_etcd {
    struct string_list endpoints; // of the others; of this node itself where it is the only one
    char *cacert, *cert, *key;
};
void node_etcd_free(struct node_etcd *etcd);
#define _cleanup_node_etcd_ _cleanup_(node_etcd_free)

// `endpoints` (may be NULL: "URL,URL") says it otherwise than the plan. With `self`, this node's
// own member too.
void node_etcd_find(const struct node_plan *plan, const char *endpoints, bool self,
                    struct node_etcd *ret);
int node_etcd_connect(const struct node_etcd *etcd, int timeout_msec, struct etcd_client **ret,
                      struct error *err);

// Writes the node's entry (manifests/node-entry.h). 1: written; 0: it says the same already.
int node_etcd_register(const struct node_plan *plan, struct etcd_client *client, struct error *err);
