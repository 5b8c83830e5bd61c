// What the commands that change the members of an etcd cluster share.
#pragma once

#include "cli/etcd-survey.h"
#include "cli/etcd.h"

// Where nodes of the control plane tell of themselves, for balancers.
#define ETCD_NODES_PREFIX "/mainstay/nodes/"

// A node that is to become a member.
struct etcd_node {
    char *name, *address; // address NULL: only peer URLs were given
    struct string_list peer_urls;
};
// "NAME=IP" (the peers' port is this node's), or "NAME" with peer URLs. -EINVAL.
int etcd_new_node(const struct etcd_access *access, const char *name_is_ip, const char *peer_urls,
                  struct etcd_node *ret, struct error *err);
void etcd_node_free(struct etcd_node *node);
#define _cleanup_etcd_node_ _cleanup_(etcd_node_free)

void etcd_split_urls(const char *urls, struct string_list *ret);

// -ENOENT with the names that there are.
int etcd_find_member(const struct etcd_survey *survey, const char *word,
                     const struct etcd_look **ret, struct error *err);

// -EPERM, with what to do, where the cluster would have no quorum without it.
int etcd_check_removal(const struct etcd_survey *survey, const struct etcd_look *look, bool force,
                       struct error *err);

// As etcd_member_add(); waits up to 20 s for etcd to take the change.
int etcd_add_member(const struct etcd_session *session, const struct string_list *peer_urls,
                    bool learner, int64_t *ret_id, struct etcd_members *ret_members,
                    struct error *err);

// Takes a node's key away, if it is there.
int etcd_forget_node(struct etcd_client *client, const char *name, struct error *err);

// "m1=https://10.0.0.1:2380,…" of all that have a name; `node` (may be NULL) gives one to the
// member with its peer URL. The caller frees.
char *etcd_initial_cluster(const struct etcd_members *members, const struct etcd_node *node);

int etcd_member_replace(const struct etcd_options *options, const char *word, struct error *err);

// Brings this node's manifests in line with the members that there are. `word` is not used.
int etcd_member_sync(const struct etcd_options *options, const char *word, struct error *err);
// The same with what is known already; says what it did.
int etcd_sync_manifests(const struct etcd_access *access, const struct etcd_members *members,
                        struct error *err);
// In the cluster file of this node, `node` takes the place of the one that is called `old`; 0 also
// where there is no such file, or nobody is called so.
int etcd_sync_cluster_file(const char *file, const char *old, const struct etcd_node *node,
                           struct error *err);

// What --etcd-servers should be where it is `servers` now: without those that are nobody's. The
// caller frees.
char *etcd_servers_in_line(const char *servers, const struct etcd_members *members);
