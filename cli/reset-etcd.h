// What `mainstay reset` has to do with the cluster's etcd before this node's files go: whether its
// member can go, and taking it and the node's entry away.
#pragma once

#include "base/monotime.h"
#include "cli/etcd-access.h"
#include "cli/etcd-survey.h"

struct reset_etcd {
    struct etcd_access access;
    struct etcd_survey survey;
    struct etcd_client *client;  // of all endpoints; NULL: etcd is not known or does not answer
    const struct etcd_look *own; // this node's member among those of the survey, or NULL
    bool known;                  // something says where etcd is
    bool answers;
    bool is_last; // the only member: the cluster ends with it
};

// Looks. 0 also where nobody knows of an etcd; -EAGAIN where it does not answer and a member of
// this node's would stay behind. reset_etcd_free() it in either case.
int reset_etcd_look(const char *manifests, const char *cluster_file, struct reset_etcd *ret,
                    struct error *err);
void reset_etcd_free(struct reset_etcd *etcd);
#define _cleanup_reset_etcd_ _cleanup_(reset_etcd_free)

// -EPERM where the others would have no quorum.
int reset_etcd_check(const struct reset_etcd *etcd, bool force, struct error *err);
// Takes the node's entry away; 0 also where there is none.
int reset_etcd_forget(const struct reset_etcd *etcd, const char *node, struct error *err);
// Takes the member out of the cluster, by the others; 0 also where it is out. etcd refuses for some
// seconds after a member has come back: it is asked again until the deadline.
int reset_etcd_remove(const struct reset_etcd *etcd, monotime deadline, struct error *err);
