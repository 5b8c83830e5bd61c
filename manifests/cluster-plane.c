// What the control plane of one node of a cluster is made from.
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "manifests/balancer.h"
#include "manifests/cluster.h"
#include "manifests/user-template.h"
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
    plane->etcd_here = self->roles & NODE_ETCD;
    if (plane->etcd_here)
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
    plane.shutdown_delay_seconds = has_balancer(cluster) ? BALANCER_SHUTDOWN_DELAY_SEC : 0;
    int code = plane_version(cluster, &plane, owned, err);
    if (code < 0)
        return code;
    plane.api_port = cluster_api_port(cluster);
    if (cluster->etcd_client_port)
        plane.etcd_client_port = cluster->etcd_client_port;
    if (cluster->etcd_peer_port)
        plane.etcd_peer_port = cluster->etcd_peer_port;
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

// ---- certificates ----

unsigned cluster_pki_without(unsigned roles)
{
    return (roles & NODE_APISERVER ? 0 : PKI_WITHOUT_APISERVER) |
           (roles & NODE_ETCD ? 0 : PKI_WITHOUT_ETCD) |
           (roles & NODE_CONTROLLERS ? 0 : PKI_WITHOUT_CONTROLLERS);
}

static void add_once(struct string_list *names, const char *name)
{
    if (!string_list_contains(names, name))
        string_list_add(names, name);
}

void cluster_api_names(const struct cluster *cluster, struct string_list *names)
{
    const struct cluster_balancer *balancer = &cluster->balancer;
    if (balancer->virtual_ip)
        add_once(names, balancer->virtual_ip);
    if (balancer->kind == BALANCER_NONE)
        return;
    for (size_t i = 0; i < balancer->n_nodes; i++) {
        add_once(names, balancer->nodes[i].name);
        add_once(names, balancer->nodes[i].address);
    }
    // A balancer on the nodes is asked by their own programs at the loopback's address.
    add_once(names, "127.0.0.1");
}

int cluster_key_algorithm(const struct cluster *cluster, const char *type, enum key_algorithm *ret,
                          struct error *err)
{
    const char *said = type ? type : cluster->file.encryption_algorithm;
    bool rsa = cluster->file.says_ecdsa && !cluster->file.ecdsa;
    *ret = rsa ? KEY_RSA_2048 : KEY_ECDSA_P256;
    if (!said)
        return 0;
    _cleanup_free_ char *lower = xstrdup(said);
    for (char *p = lower; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return key_algorithm_parse(lower, ret, err);
}

// ---- etcd's discovery ----

int cluster_set_discovery(struct cluster *cluster, const char *url, const char *token,
                          struct error *err)
{
    static const char mark[] = "${DISCOVERY_TOKEN}";
    const char *text = url ? url : cluster->etcd_discovery;
    const char *at = text ? strstr(text, mark) : NULL;
    if (token && !discovery_token_is_valid(token))
        return error_set(err, EINVAL,
                         "discovery token \"%s\": letters, digits, \"-\" and \"_\" only", token);
    if (at && !token)
        return error_set(err, EINVAL, "%s: say what the token is: --discovery-token TOKEN", text);
    if (!text)
        return 0;
    char *whole = at ? xasprintf("%.*s%s%s", (int)(at - text), text, token, at + strlen(mark))
                     : xstrdup(text);
    free(cluster->etcd_discovery);
    cluster->etcd_discovery = whole;
    return 0;
}
