// The load balancer before a cluster's kube-apiservers: the configurations of HAProxy, nginx and
// keepalived, and the static pods that run them, for one node.
//
//   etc/haproxy/haproxy.cfg          etc/kubernetes/manifests/haproxy.yaml
//   etc/nginx/kube-apiserver.conf    etc/kubernetes/manifests/nginx.yaml (instead)
//   etc/keepalived/keepalived.conf, check-balancer, check-apiserver, and keepalived.yaml, with a
//                                    virtual IP
//   balancer-follow.yaml             where etcd's client certificate is: on control-plane nodes
//
// The configurations depend on which nodes there are; the manifests do not.
#pragma once

#include "base/error.h"
#include "manifests/cluster.h"
#include "manifests/file-set.h"
#include "manifests/node-entry.h"

enum {
    BALANCER_HEALTH_PORT = 8404, // HAProxy's own /livez and /readyz, on 127.0.0.1
    BALANCER_CHECK_SEC = 2,      // how often HAProxy asks a kube-apiserver for /readyz
    BALANCER_SHUTDOWN_DELAY_SEC =
        10, // what a kube-apiserver behind it must serve on for: see below
};
// An apiserver that is being stopped answers /readyz with an error at once and serves on for its
// --shutdown-delay-duration. HAProxy sends it no new connections from the next check on: the delay
// must be longer than one interval and one slow answer. It is long enough for the checks of the
// balancers that clouds offer, too (every ten seconds at most).

enum {
    BALANCER_CONFIGURATION = 1,
    BALANCER_MANIFESTS = 2,
    BALANCER_ALL = BALANCER_CONFIGURATION | BALANCER_MANIFESTS,
};

// Of the cluster's nodes and the machines that run the balancer alone; NULL where there is none.
const struct cluster_node *balancer_find_node(const struct cluster *cluster, const char *name);

// True where that node runs something of it (HAProxy, nginx, or keepalived).
bool balancer_runs_on(const struct cluster *cluster, const struct cluster_node *node);

// Adds the files to `out`; none where balancer_runs_on() is false. `root` (may be NULL) stands
// before the node's directories in what the files say. `entries` (NULL: the cluster's file) are the
// nodes that there are. -EINVAL where they make no sense, -ENODATA where no kube-apiserver is among
// them: a balancer without servers is never rendered.
int balancer_render(const struct cluster *cluster, const struct cluster_node *node,
                    const char *root, const struct node_entries *entries, unsigned what,
                    struct file_set *out, struct error *err);
