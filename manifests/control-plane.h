// The control plane's four static pods on one node: what they need to know, and their manifests,
// rendered from the templates in manifests/templates (kubeadm's shape, with the flags of the
// version asked for: versions.h).
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"

enum control_plane_component {
    COMPONENT_ETCD,
    COMPONENT_KUBE_APISERVER,
    COMPONENT_KUBE_CONTROLLER_MANAGER,
    COMPONENT_KUBE_SCHEDULER,
    COMPONENTS,
};

// The pod's name, which is also that of its binary, its image and its manifest without ".yaml".
const char *control_plane_component_name(enum control_plane_component component);

// "etcd", "kube-apiserver", … (also "apiserver", "controller-manager", "scheduler"): 0, or -EINVAL
// with the known names.
int control_plane_component_parse(const char *name, enum control_plane_component *ret,
                                  struct error *err);

// A directory or file of the node that a component sees too.
struct control_plane_volume {
    const char *name, *host_path, *mount_path;
    const char *path_type; // "DirectoryOrCreate", …; NULL: not checked
    bool read_only;
};
struct control_plane_volumes {
    struct control_plane_volume *items;
    size_t n;
};

struct control_plane_env {
    const char *name, *value; // value NULL: empty
};
struct control_plane_envs {
    struct control_plane_env *items;
    size_t n;
};

// Strings are borrowed. Directories are absolute paths without a slash at the end.
struct control_plane {
    const char *node_name;         // lower case
    const char *advertise_address; // IP address of this node
    const char *service_cidr;
    const char *pod_cidr; // NULL: the controller manager gives nodes no pod networks
    const char *dns_domain, *cluster_name;
    const char *pki_dir, *kubeconfig_dir, *etcd_data_dir, *flex_volume_dir;
    const char *image_repository, *kubernetes_version, *etcd_image_tag;
    const char *etcd_image_repository;      // NULL: image_repository
    const char *etcd_servers;               // NULL: this node's etcd
    bool etcd_here;                         // where that is one, it is a static pod on this node
    const char *etcd_initial_cluster;       // NULL: this node alone
    const char *etcd_initial_cluster_state; // "new" or "existing"
    const char *etcd_discovery;             // URL, in place of the two; or NULL
    // kube-apiserver's files for an etcd that somebody else runs; each may be NULL.
    bool external_etcd;
    const char *etcd_ca_file, *etcd_certificate_file, *etcd_key_file;
    // How long kube-apiserver serves on after SIGTERM while it is not ready any more, so that the
    // balancers leave it; its grace period covers that. 0: not at all.
    int shutdown_delay_seconds;
    int api_port, controller_manager_port, scheduler_port;
    int etcd_client_port, etcd_peer_port, etcd_metrics_port;
    // "flag=value" or "--flag=value"; a flag that the template sets too replaces the template's.
    struct string_list extra_args[COMPONENTS];
    struct control_plane_volumes extra_volumes[COMPONENTS];
    struct control_plane_envs extra_envs[COMPONENTS];
};

// kubeadm's names, ports, networks and versions; what depends on the machine (node name, address,
// directories) is left NULL.
#define CONTROL_PLANE_DEFAULTS                                                                     \
    {                                                                                              \
        .service_cidr = "10.96.0.0/12", .dns_domain = "cluster.local",                             \
        .cluster_name = "kubernetes", .image_repository = "registry.k8s.io",                       \
        .kubernetes_version = "v1.20.2", .etcd_image_tag = "3.4.13-0", .etcd_here = true,          \
        .etcd_initial_cluster_state = "new", .api_port = 6443, .controller_manager_port = 10257,   \
        .scheduler_port = 10259, .etcd_client_port = 2379, .etcd_peer_port = 2380,                 \
        .etcd_metrics_port = 2381,                                                                 \
    }

// Appends the component's manifest to `out`. 0, or -EINVAL with what is wrong.
int control_plane_render(const struct control_plane *plane, enum control_plane_component component,
                         struct buffer *out, struct error *err);

// The template of a component, as it was at build time (manifests/templates/NAME.yaml).
const char *control_plane_template(enum control_plane_component component);
