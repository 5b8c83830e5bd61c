// What etcd keeps of each node of a cluster, so that balancers and etcd's care know who is there
// without asking a file that was written long ago: the key NODE_ENTRY_PREFIX NAME with
//
//   {"address": "10.0.0.1", "roles": ["control-plane", "etcd"], "apiServerPort": 6443}
//
// init and join write it, reset and etcd's care take it away.
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "etcd/codec.h"
#include "manifests/cluster.h"

#define NODE_ENTRY_PREFIX "/mainstay/nodes/"

// Owned.
struct node_entry {
    char *name, *address; // a DNS subdomain; an IP address
    unsigned roles;       // NODE_ETCD, …
    int api_port;         // 0 where no apiserver runs there
};
struct node_entries {
    struct node_entry *items;
    size_t n;
};

void node_entries_free(struct node_entries *entries);
#define _cleanup_node_entries_ _cleanup_(node_entries_free)

// The key and the value of a node. The caller frees both.
char *node_entry_key(const char *name);
char *node_entry_text(const struct cluster_node *node, int api_port);

// Appends what a range over NODE_ENTRY_PREFIX answered, sorted by name. -EBADMSG with the key in
// the message where an entry is not what node_entry_text() writes: fields that are not known are
// passed over, names, addresses and ports must be such.
int node_entries_read(const struct etcd_range *range, struct node_entries *entries,
                      struct error *err);

// The same from the cluster's file: what is known before etcd is there.
void node_entries_of(const struct cluster *cluster, struct node_entries *entries);
