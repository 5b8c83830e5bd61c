// A cluster: which nodes it has, what runs on each, where its balancer is. It is read from one
// file, which is kubeadm's with a document more:
//
//   apiVersion: mainstay.dev/v1
//   kind: Cluster
//   nodes:
//   - name: m1
//     address: 10.0.0.1
//     roles: [control-plane, etcd]   # control-plane, apiserver, etcd; see cluster_resolve()
//   etcdDiscovery: https://discovery.example/TOKEN
//   etcdClientPort: 2379
//   etcdPeerPort: 2380
//   loadBalancer:
//     kind: haproxy                  # haproxy, nginx, none
//     port: 6443
//     virtualIP: 10.0.0.100/24
//     interface: eth0
//     nodes: [lb1=10.0.0.9]
//
// Reading and adding do not fill in what was not said: cluster_resolve() does, once, and it checks
// the whole. Everybody who asks for roles, the balancer or a plane calls it first (cluster_load()
// has done so).
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"
#include "manifests/control-plane.h"
#include "manifests/kubeadm-config.h"
#include "pki/key.h"

#define CLUSTER_FILE "/etc/mainstay/cluster.yaml"

enum {
    NODE_ETCD = 1,
    NODE_APISERVER = 2,
    NODE_CONTROLLERS = 4, // kube-controller-manager and kube-scheduler
    NODE_CONTROL_PLANE = NODE_APISERVER | NODE_CONTROLLERS,
    CLUSTER_NODES_MAX = 200,
    // How long a kube-apiserver serves on after SIGTERM, not ready any more, where the cluster has
    // a balancer: several of the balancer's checks must fit in.
    CLUSTER_DRAIN_SECONDS = 10,
};

// Owned by the cluster. roles 0: not said (of a balancer's node: none).
struct cluster_node {
    char *name, *address;
    unsigned roles;
};

enum balancer_kind {
    BALANCER_UNSAID, // only before cluster_resolve()
    BALANCER_NONE,   // with a virtual IP: keepalived alone, which moves it between the apiservers
    BALANCER_HAPROXY,
    BALANCER_NGINX,
};

struct cluster_balancer {
    enum balancer_kind kind;
    int port;         // where it listens
    char *virtual_ip; // NULL: none, and no keepalived
    int prefix_length;
    char *interface;            // of the virtual IP; NULL: not said
    struct cluster_node *nodes; // machines of its own; none: every node with NODE_APISERVER
    size_t n_nodes;
};

struct cluster {
    struct kubeadm_config file;
    struct cluster_node *nodes;
    size_t n_nodes;
    struct cluster_balancer balancer;
    char *etcd_discovery; // URL of etcd's discovery service; NULL: a static list of members
    int etcd_client_port, etcd_peer_port; // of every member; 0: the usual ones
    char *endpoint_host;                  // of controlPlaneEndpoint, without brackets; NULL: none
    int endpoint_port;
    struct string_list owned; // what `file` was given beside its own text
};

// Reads a whole file. 0, or -EINVAL with "FILE:LINE:COL: field: what is wrong". `warnings` (may be
// NULL) gets a sentence for what is not known. cluster_free() *ret in the end.
int cluster_read(const char *file, const void *data, size_t size, struct cluster *ret,
                 struct string_list *warnings, struct error *err);

// The same for a file of at most KUBEADM_CONFIG_MAX bytes. Also open's and read's errno.
int cluster_read_file(const char *path, struct cluster *ret, struct string_list *warnings,
                      struct error *err);
// Reads the file and resolves it.
int cluster_load(const char *path, struct cluster *ret, struct string_list *warnings,
                 struct error *err);

// "NAME=IP". roles 0: as cluster_resolve() finds. A node of the same name and address that is there
// gets these roles too; a name or an address that is taken otherwise is -EINVAL.
int cluster_add_node(struct cluster *cluster, const char *name_is_ip, unsigned roles,
                     struct error *err);
// The same for a machine that runs the balancer alone.
int cluster_add_balancer_node(struct cluster *cluster, const char *name_is_ip, struct error *err);
// "haproxy", "nginx", "none"; "IP/LEN". -EINVAL for anything else.
int cluster_set_balancer(struct cluster *cluster, const char *kind, struct error *err);
int cluster_set_virtual_ip(struct cluster *cluster, const char *ip_and_length, struct error *err);
void cluster_set_interface(struct cluster *cluster, const char *name);
// The same for fields of kubeadm's, which the cluster keeps a copy of.
void cluster_set_text(struct cluster *cluster, const char **field, const char *text);

// Fills in what was not said, and checks that the whole makes sense. 0, or -EINVAL.
//   roles: control-plane and etcd; no etcd where other nodes run etcd alone or it is external.
//   balancer: haproxy where controlPlaneEndpoint is at another port than the apiservers' and at no
//   node's own address, or where machines for it were named; else none.
//   controlPlaneEndpoint: the virtual IP, where there is one.
int cluster_resolve(struct cluster *cluster, struct string_list *warnings, struct error *err);

// By name; NULL where there is none.
const struct cluster_node *cluster_find_node(const struct cluster *cluster, const char *name);
size_t cluster_count(const struct cluster *cluster, unsigned roles); // nodes with all of these
int cluster_api_port(const struct cluster *cluster);                 // the apiservers' own

// What control_plane_render() needs for that node. Paths are the node's own ("/etc/kubernetes"),
// below `root` where that is not NULL. *ret borrows from the cluster and from what `owned` gets.
int cluster_plane(const struct cluster *cluster, const struct cluster_node *node, const char *root,
                  struct control_plane *ret, struct string_list *owned, struct error *err);

// What of the keys, certificates and kubeconfigs a node with these roles has no use for: of enum
// pki_without.
unsigned cluster_pki_without(unsigned roles);
// Names and addresses by which clients reach the kube-apiservers beside their own: those of the
// balancer. Adds them to the names for their certificates.
void cluster_api_names(const struct cluster *cluster, struct string_list *names);
// What keys are to be: `type` ("rsa-2048", …), or with NULL what the file says. 0, or -EINVAL.
int cluster_key_algorithm(const struct cluster *cluster, const char *type, enum key_algorithm *ret,
                          struct error *err);
// Puts the token in the place of ${DISCOVERY_TOKEN} in etcdDiscovery; `url` (NULL: none) takes that
// one's place first. -EINVAL where a token is needed and not there, or is none.
int cluster_set_discovery(struct cluster *cluster, const char *url, const char *token,
                          struct error *err);

// Which components run on a node with these roles.
bool cluster_runs(unsigned roles, enum control_plane_component component);

// Appends the cluster's file, in one form whatever it was read from: what CLUSTER_FILE holds. The
// same on every node, and the same again when it is read and written again.
void cluster_text(const struct cluster *cluster, struct buffer *out);

void cluster_free(struct cluster *cluster);
#define _cleanup_cluster_ _cleanup_(cluster_free)
