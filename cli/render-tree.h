// `mainstay render --out`: one tree of files per node, ready to be copied there. What is secret and
// shared is made once and kept in DIR/.cluster; everything but keys and certificates is a function
// of the input alone.
//
//   DIR/.cluster/pki/…                 the CAs and the service accounts' key
//   DIR/NAME/etc/kubernetes/…          certificates, kubeconfigs, manifests
//   DIR/NAME/etc/mainstay/…            cluster.yaml, config.yaml (the agent's), node.env
//   DIR/NAME/etc/systemd, etc/monit    who watches the agent
//   DIR/NAME/etc/haproxy, …            the load balancer
//   DIR/NAME/join.sh                   puts all of it into place
//   DIR/NAME/.rendered                 the files that the last run wrote, and the next may remove
#pragma once

#include "base/error.h"
#include "cli/node-plan.h"
#include "manifests/cluster.h"
#include "manifests/file-set.h"

struct render_tree_options {
    const char *out;
    const char *root; // before every path in the files; ${NODE_NAME} in it is the node's name
    const char *discovery_url, *discovery_token;
    struct string_list templates; // files of the user's own
    struct node_plan_options *plan;
};

// What one node's files are made from. Borrowed.
struct render_node {
    const struct cluster *cluster;
    const struct cluster_node *node;
    const struct control_plane *plane; // NULL: a machine that runs the balancer alone
    const char *root;                  // "" for none
};

int render_tree(const struct render_tree_options *options, struct error *err);

// ---- render-node.c ----

// The files that are there on every node: the cluster's, the agent's, systemd's, join.sh.
void render_node_files(const struct render_node *node, struct file_set *out);
// monit's, of the manifests that the set has. 0, or -EINVAL.
int render_node_monit(const struct render_node *node, struct file_set *out, struct error *err);
