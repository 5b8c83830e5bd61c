// A node's way into an etcd cluster that is there: added as a learner, started, promoted. Each step
// finds what an earlier run has done already.
#pragma once

#include "cli/node-etcd.h"
#include "etcd/members.h"

struct join_member {
    int64_t id;
    char *initial_cluster; // for the manifest's flag
    bool is_learner;       // it is to be promoted
};
void join_member_free(struct join_member *member);
#define _cleanup_join_member_ _cleanup_(join_member_free)

// Adds this node's member, or finds the one that was added before. -EEXIST where one of that name
// or address is there that this node cannot be.
int join_etcd_add(const struct node_plan *plan, struct etcd_client *client, monotime deadline,
                  struct join_member *ret, struct error *err);

// Waits until the learner has caught up, and makes it a voter; 0 also where it is one. -ETIMEDOUT
// with etcd's last word.
int join_etcd_promote(struct etcd_client *client, int64_t id, monotime deadline, struct error *err);
