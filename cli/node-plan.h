// What `mainstay init` and `join` are to make of this node: the cluster, this node's part in it,
// and each manifest with its text, before anything is written.
#pragma once

#include "cli/control-plane-options.h"
#include "cli/made-files.h"
#include "cli/node-manifests.h"
#include "cli/preflight.h"
#include "manifests/cluster.h"
#include "pki/pki.h"

// Flags that both take, beside CONTROL_PLANE_OPTIONS.
struct node_plan_options {
    struct control_plane_options *plane;
    const char *config, *manifests, *control_plane_endpoint, *key_type;
    const char *balancer, *virtual_ip, *interface;
    struct string_list nodes, etcd_nodes, apiserver_nodes;
    struct string_list only, api_sans, etcd_sans;
    struct string_list roles; // of a node that the cluster's file does not name
    bool force;
};

extern const char *const node_plan_components[], *const node_plan_key_types[],
                                                     *const node_plan_balancers[];

// Rows for a struct `tag` with a member `struct node_plan_options plan`.
#define NODE_PLAN_OPTIONS(tag)                                                                     \
    OPT_STRING(tag, plan.manifests, .name = "manifests", .argument = "DIR",                        \
               .help = "Where the manifests go (default: /etc/kubernetes/manifests)"),             \
        OPT_LIST(tag, plan.only, .name = "only", .argument = "COMPONENT,...",                      \
                 .offers = node_plan_components,                                                   \
                 .help = "Write the manifests of these only (etcd, kube-apiserver, ...)"),         \
        OPT_BOOL(tag, plan.force, .name = "force",                                                 \
                 .help = "Replace manifests that differ; keys and certificates are never "         \
                         "replaced"),                                                              \
        OPT_STRING(tag, plan.key_type, .name = "key-type", .argument = "TYPE",                     \
                   .offers = node_plan_key_types,                                                  \
                   .help = "ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096"),    \
        OPT_LIST(tag, plan.api_sans, .name = "apiserver-cert-extra-sans", .argument = "NAME,...",  \
                 .help = "Further names and addresses for kube-apiserver's certificate"),          \
        OPT_LIST(tag, plan.etcd_sans, .name = "etcd-cert-extra-sans", .argument = "NAME,...",      \
                 .help = "Further names and addresses for etcd's certificates")

// A file that is to be written, and what is there.
struct node_file {
    enum control_plane_component component; // COMPONENTS: of the balancer
    bool is_manifest;
    char *path;
    mode_t mode;
    struct buffer text;
    bool exists, unreadable;
    bool same;     // or as good as the same: it stays
    bool outdated; // it was for a member that never started: it is replaced
};

struct node_plan {
    struct node_plan_options *options;
    struct cluster cluster;
    const struct cluster_node *self;
    struct control_plane plane;
    struct node_places places;
    LIST_OF(struct node_file) files;
    enum key_algorithm algorithm;
    struct string_list api_sans, etcd_server_sans, etcd_peer_sans, owned;
    struct pki_external_etcd external_etcd;
    bool wanted[COMPONENTS];
    bool joins; // an etcd that is there already
    size_t made, kept;
};

// Reads kubeadm's file with our document (NULL: none); warnings go to stderr. 0, or a negative
// errno.
int node_plan_read_cluster(const char *path, struct cluster *cluster, struct error *err);
// Puts the flags over what the cluster's file says. 0, or -EINVAL.
int node_plan_apply_flags(const struct node_plan_options *options, struct cluster *cluster,
                          struct error *err);

// Whether an interface of this machine has it.
bool node_plan_is_own_address(const char *address);

// From the file of --config (NULL for none), the flags and this machine. Warnings go to stderr. 0,
// or -EINVAL. node_plan_free() it in either case; the options are not freed.
int node_plan_make(struct node_plan_options *options, struct node_plan *plan, struct error *err);
// The same, where the cluster was read already (it is taken).
int node_plan_make_of(struct node_plan_options *options, struct cluster *cluster,
                      struct node_plan *plan, struct error *err);
void node_plan_free(struct node_plan *plan);
#define _cleanup_node_plan_ _cleanup_(node_plan_free)

// Renders the manifests (again) and compares them with what is there.
int node_plan_render(struct node_plan *plan, struct error *err);
// Says on stderr which manifests somebody has changed: those are not ours to replace.
bool node_plan_conflicts(const struct node_plan *plan);

// Whether certificates can bear its names. 0, or -EINVAL.
int node_plan_check_names(const struct node_plan *plan, struct error *err);

// What is to run here, as the agent will read it.
void node_plan_pods(const struct node_plan *plan, struct node_manifests *ret);
// Borrows from plan and pods; the caller frees ret->peers.
void node_plan_subject(const struct node_plan *plan, const struct node_manifests *pods,
                       struct preflight_subject *ret);

// ---- node-write.c: each says a line for every file ----

// Notes what will be made (made-files.h), and writes the cluster file.
int node_plan_write_cluster(struct node_plan *plan, struct error *err);
int node_plan_write_pki(struct node_plan *plan, struct error *err);
// That of this component, or with COMPONENTS all. node_plan_render() comes first.
int node_plan_write_manifests(struct node_plan *plan, enum control_plane_component component,
                              struct error *err);
