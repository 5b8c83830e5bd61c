// What the control plane of one node of a cluster is made from.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "manifests/cluster.h"
#include "manifests/versions.h"
#include "pki/layout.h"

static const char *own(struct string_list *owned, char *text)
{
    string_list_add_owned(owned, text);
    return text;
}

static const char *first_of(const char *said, const char *otherwise)
{
    return said ? said : otherwise;
}

static void plane_directories(const struct cluster *cluster, const char *root,
                              struct control_plane *plane, struct string_list *owned)
{
    const struct {
        const char **to, *path;
    } rows[] = {
        {&plane->pki_dir, first_of(cluster->file.certificates_dir, "/etc/kubernetes/pki")},
        {&plane->kubeconfig_dir, "/etc/kubernetes"},
        {&plane->etcd_data_dir, first_of(cluster->file.etcd_data_dir, "/var/lib/etcd")},
        {&plane->flex_volume_dir, "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        *rows[i].to = root ? own(owned, xasprintf("%s%s", root, rows[i].path)) : rows[i].path;
}

// Every member's peer URL under its name, for --initial-cluster.
static void plane_members(const struct cluster *cluster, struct control_plane *plane,
                          struct string_list *owned)
{
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        _cleanup_free_ char *url = pki_url(node->address, plane->etcd_peer_port);
        if (node->roles & NODE_ETCD)
            buffer_printf(&text, "%s%s=%s", text.len > 0 ? "," : "", node->name, url);
    }
    plane->etcd_initial_cluster = own(owned, buffer_take(&text));
}

// A node with an etcd of its own uses that one alone, as with kubeadm. With the others in the list
// as well, etcd's client would spread the requests over all of them, and one frozen or unreachable
// member would hold up a third of the requests of every apiserver (until its keepalive gives up
// after 40 s); so each node fails by itself, and the balancer leaves it.
static void plane_servers(const struct cluster *cluster, const struct cluster_node *self,
                          struct control_plane *plane, struct string_list *owned)
{
    struct buffer text = BUFFER_EMPTY;
    const struct kubeadm_config *file = &cluster->file;
    if (self->roles & NODE_ETCD)
        return;
    for (size_t i = 0; i < file->etcd_endpoints.n; i++)
        buffer_printf(&text, "%s%s", text.len > 0 ? "," : "", file->etcd_endpoints.items[i]);
    for (size_t i = 0; i < cluster->n_nodes && !file->has_external_etcd; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        _cleanup_free_ char *url = pki_url(node->address, plane->etcd_client_port);
        if (node->roles & NODE_ETCD)
            buffer_printf(&text, "%s%s", text.len > 0 ? "," : "", url);
    }
    plane->etcd_servers = own(owned, buffer_take(&text));
}

// The images' tags have a "v" before a Kubernetes version.
static int plane_version(const struct cluster *cluster, struct control_plane *plane,
                         struct string_list *owned, struct error *err)
{
    int minor = 0;
    const char *version = cluster->file.kubernetes_version;
    if (version)
        plane->kubernetes_version =
            version[0] == 'v' ? version : own(owned, xasprintf("v%s", version));
    int code = kubernetes_version_parse(plane->kubernetes_version, &minor, err);
    if (code == 0)
        plane->etcd_image_tag = first_of(cluster->file.etcd_image_tag, kubernetes_etcd_tag(minor));
    return code;
}

// keepalived alone, which moves an address, is one too.
static bool has_balancer(const struct cluster *cluster)
{
    const struct cluster_balancer *balancer = &cluster->balancer;
    return balancer->kind == BALANCER_HAPROXY || balancer->kind == BALANCER_NGINX ||
           balancer->virtual_ip;
}

int cluster_plane(const struct cluster *cluster, const struct cluster_node *node, const char *root,
                  struct control_plane *ret, struct string_list *owned, struct error *err)
{
    const struct kubeadm_config *file = &cluster->file;
    struct control_plane plane = CONTROL_PLANE_DEFAULTS;
    plane.node_name = node->name;
    plane.advertise_address = node->address;
    plane.service_cidr = first_of(file->service_subnet, plane.service_cidr);
    plane.pod_cidr = file->pod_subnet;
    plane.dns_domain = first_of(file->dns_domain, plane.dns_domain);
    plane.cluster_name = first_of(file->cluster_name, plane.cluster_name);
    plane.image_repository = first_of(file->image_repository, plane.image_repository);
    plane.etcd_image_repository = file->etcd_image_repository;
    plane.etcd_discovery = cluster->etcd_discovery;
    plane.external_etcd = file->has_external_etcd;
    plane.etcd_ca_file = file->etcd_ca_file;
    plane.etcd_certificate_file = file->etcd_certificate_file;
    plane.etcd_key_file = file->etcd_key_file;
    plane.shutdown_delay_seconds = has_balancer(cluster) ? CLUSTER_DRAIN_SECONDS : 0;
    int code = plane_version(cluster, &plane, owned, err);
    if (code < 0)
        return code;
    plane.api_port = cluster_api_port(cluster);
    plane_directories(cluster, root, &plane, owned);
    plane_members(cluster, &plane, owned);
    plane_servers(cluster, node, &plane, owned);
    for (int i = 0; i < COMPONENTS; i++) {
        plane.extra_args[i] = file->extra_args[i];
        plane.extra_volumes[i] = file->extra_volumes[i];
        plane.extra_envs[i] = file->extra_envs[i];
    }
    *ret = plane;
    return 0;
}
