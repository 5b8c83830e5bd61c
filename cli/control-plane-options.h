// What `mainstay init` and `mainstay render` take in common: where the control plane lives, under
// which names, addresses and ports. kubeadm's names of flags work beside ours.
#pragma once

#include "base/error.h"
#include "base/string-list.h"
#include "cli/options.h"
#include "manifests/control-plane.h"

struct control_plane_options {
    const char *root, *pki_dir, *kubeconfig_dir, *etcd_data_dir;
    const char *node_name, *advertise_address;
    const char *service_cidr, *pod_cidr, *dns_domain;
    const char *image_repository, *kubernetes_version, *etcd_image_tag;
    const char *etcd_servers, *etcd_initial_cluster, *etcd_initial_cluster_state;
    int64_t api_port, controller_manager_port, scheduler_port;
    int64_t etcd_client_port, etcd_peer_port, etcd_metrics_port;
    struct string_list etcd_args, api_args, controller_manager_args, scheduler_args;
    struct string_list owned; // what control_plane_options_resolve() made
    struct string_list merged_args[COMPONENTS];
};

extern const char *const control_plane_cluster_states[];

// Rows for a struct `tag` with a member `struct control_plane_options plane`.
#define CONTROL_PLANE_OPTIONS(tag)                                                                 \
    OPT_STRING(tag, plane.root, .name = "root", .argument = "DIR",                                 \
               .help = "Put everything below DIR instead of / (a trial leaves nothing behind)"),   \
        OPT_STRING(tag, plane.node_name, .name = "node-name", .argument = "NAME",                  \
                   .help = "This node's name (default: the host's, in lower case)"),               \
        OPT_STRING(tag, plane.advertise_address, .name = "advertise-address", .argument = "IP",    \
                   .help = "This node's address (default: that of the default route)"),            \
        OPT_STRING(tag, plane.advertise_address, .name = "apiserver-advertise-address",            \
                   .argument = "IP", .help = "kubeadm's name for --advertise-address"),            \
        OPT_STRING(tag, plane.pki_dir, .name = "pki-dir", .argument = "DIR",                       \
                   .help = "Keys and certificates (default: /etc/kubernetes/pki)"),                \
        OPT_STRING(tag, plane.pki_dir, .name = "cert-dir", .argument = "DIR",                      \
                   .help = "kubeadm's name for --pki-dir"),                                        \
        OPT_STRING(tag, plane.kubeconfig_dir, .name = "kubeconfig-dir", .argument = "DIR",         \
                   .help = "Kubeconfigs (default: /etc/kubernetes)"),                              \
        OPT_STRING(tag, plane.etcd_data_dir, .name = "etcd-data-dir", .argument = "DIR",           \
                   .help = "etcd's data (default: /var/lib/etcd)"),                                \
        OPT_STRING(tag, plane.service_cidr, .name = "service-cidr", .argument = "CIDR",            \
                   .help = "Network of the services (default: 10.96.0.0/12)"),                     \
        OPT_STRING(tag, plane.pod_cidr, .name = "pod-network-cidr", .argument = "CIDR",            \
                   .help = "Network of the pods, handed out to nodes (default: none)"),            \
        OPT_STRING(tag, plane.dns_domain, .name = "service-dns-domain", .argument = "DOMAIN",      \
                   .help = "DNS domain of the services (default: cluster.local)"),                 \
        OPT_STRING(tag, plane.image_repository, .name = "image-repository", .argument = "PREFIX",  \
                   .help = "Before the images' names (default: registry.k8s.io)"),                 \
        OPT_STRING(tag, plane.kubernetes_version, .name = "kubernetes-version",                    \
                   .argument = "VERSION",                                                          \
                   .help = "Which flags and tags of images: v1.19 to v1.34 (default: v1.20.2)"),   \
        OPT_STRING(tag, plane.etcd_image_tag, .name = "etcd-image-tag", .argument = "TAG",         \
                   .help = "Tag of etcd's image (default: that of the version)"),                  \
        CONTROL_PLANE_ETCD_OPTIONS(tag), CONTROL_PLANE_PORT_OPTIONS(tag),                          \
        CONTROL_PLANE_EXTRA_OPTIONS(tag)

#define CONTROL_PLANE_ETCD_OPTIONS(tag)                                                            \
    OPT_STRING(tag, plane.etcd_servers, .name = "etcd-servers", .argument = "URLS",                \
               .help = "etcd for kube-apiserver (default: this node's)"),                          \
        OPT_STRING(tag, plane.etcd_initial_cluster, .name = "etcd-initial-cluster",                \
                   .argument = "NAME=URL,...",                                                     \
                   .help = "etcd's members and their peer URLs (default: this node alone)"),       \
        OPT_STRING(tag, plane.etcd_initial_cluster_state, .name = "etcd-initial-cluster-state",    \
                   .argument = "STATE", .values = control_plane_cluster_states,                    \
                   .help = "new, or existing to join one (default: new)")

#define PORT_OPTION(tag, port, flag, text)                                                         \
    OPT_INT(tag, plane.port, .name = flag, .argument = "PORT", .min = 1, .help = text)
#define CONTROL_PLANE_PORT_OPTIONS(tag)                                                            \
    PORT_OPTION(tag, api_port, "apiserver-port", "kube-apiserver's port (default: 6443)"),         \
        PORT_OPTION(tag, api_port, "apiserver-bind-port", "kubeadm's name for --apiserver-port"),  \
        PORT_OPTION(tag, controller_manager_port, "controller-manager-port",                       \
                    "kube-controller-manager's port (default: 10257)"),                            \
        PORT_OPTION(tag, scheduler_port, "scheduler-port",                                         \
                    "kube-scheduler's port (default: 10259)"),                                     \
        PORT_OPTION(tag, etcd_client_port, "etcd-client-port",                                     \
                    "etcd's port for clients (default: 2379)"),                                    \
        PORT_OPTION(tag, etcd_peer_port, "etcd-peer-port",                                         \
                    "etcd's port for its peers (default: 2380)"),                                  \
        PORT_OPTION(tag, etcd_metrics_port, "etcd-metrics-port",                                   \
                    "etcd's port for /health and /metrics (default: 2381)")

#define EXTRA_OPTION(tag, list, flag, component)                                                   \
    OPT_LIST(tag, plane.list, .name = flag, .argument = "FLAG=VALUE",                              \
             .help = "A flag of " component " to add or replace (repeatable)")
#define CONTROL_PLANE_EXTRA_OPTIONS(tag)                                                           \
    EXTRA_OPTION(tag, etcd_args, "etcd-arg", "etcd"),                                              \
        EXTRA_OPTION(tag, api_args, "apiserver-arg", "kube-apiserver"),                            \
        EXTRA_OPTION(tag, controller_manager_args, "controller-manager-arg",                       \
                     "kube-controller-manager"),                                                   \
        EXTRA_OPTION(tag, scheduler_args, "scheduler-arg", "kube-scheduler")

// Fills in what was not said, from the defaults and this machine. *ret borrows from the options,
// which go on existing for as long. 0, or -EINVAL.
int control_plane_options_resolve(struct control_plane_options *options, struct control_plane *ret,
                                  struct error *err);

// Puts what was said over a plane that a cluster's file gave; arguments are added to those of the
// file, and replace the same ones. *plane then borrows from the options too. 0, or -EINVAL.
int control_plane_options_overlay(struct control_plane_options *options,
                                  struct control_plane *plane, struct error *err);
// As was said, or this machine's.
int control_plane_options_node_name(struct control_plane_options *options, const char **ret,
                                    struct error *err);
int control_plane_options_address(struct control_plane_options *options, const char **ret,
                                  struct error *err);

// An absolute path: what `path` (or, where that is NULL, `root` with `below`) means from here.
// Owned by the options. NULL, and *err set, where it has ".." inside.
const char *control_plane_options_path(struct control_plane_options *options, const char *path,
                                       const char *below, struct error *err);

void control_plane_options_free(struct control_plane_options *options);
