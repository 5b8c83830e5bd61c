// A cluster's file written again: kubeadm's documents in v1beta4's form, in which everything can be
// said, and ours with all that was found for what was not said.
#include <string.h>

#include "base/alloc.h"
#include "manifests/cluster.h"
#include "manifests/render.h"

// "    name: \"value\"\n"; nothing where there is no value. All of it came from a YAML parser or
// the command line; what is no UTF-8 was refused there.
static void add_text(struct buffer *out, const char *indent, const char *name, const char *value)
{
    if (!value)
        return;
    buffer_printf(out, "%s%s: \"", indent, name);
    render_quoted(value, out);
    buffer_add_str(out, "\"\n");
}

static void add_item(struct buffer *out, const char *indent, const char *value)
{
    buffer_printf(out, "%s- \"", indent);
    render_quoted(value, out);
    buffer_add_str(out, "\"\n");
}

static void add_texts(struct buffer *out, const char *indent, const char *name,
                      const struct string_list *list)
{
    if (list->n > 0)
        buffer_printf(out, "%s%s:\n", indent, name);
    for (size_t i = 0; i < list->n; i++)
        add_item(out, indent, list->items[i]);
}

static void add_arguments(struct buffer *out, const char *indent, const struct string_list *list)
{
    if (list->n > 0)
        buffer_printf(out, "%sextraArgs:\n", indent);
    for (size_t i = 0; i < list->n; i++) {
        size_t len = strcspn(list->items[i], "=");
        _cleanup_free_ char *name = xstrndup(list->items[i], len);
        _cleanup_free_ char *below = xasprintf("%s  ", indent);
        _cleanup_free_ char *first = xasprintf("%s- ", indent);
        add_text(out, first, "name", name);
        add_text(out, below, "value", list->items[i] + len + (list->items[i][len] == '='));
    }
}

static void add_envs(struct buffer *out, const char *indent, const struct control_plane_envs *envs)
{
    _cleanup_free_ char *below = xasprintf("%s  ", indent);
    _cleanup_free_ char *first = xasprintf("%s- ", indent);
    if (envs->n > 0)
        buffer_printf(out, "%sextraEnvs:\n", indent);
    for (size_t i = 0; i < envs->n; i++) {
        add_text(out, first, "name", envs->items[i].name);
        add_text(out, below, "value", envs->items[i].value);
    }
}

static void add_volumes(struct buffer *out, const struct control_plane_volumes *volumes)
{
    if (volumes->n > 0)
        buffer_add_str(out, "  extraVolumes:\n");
    for (size_t i = 0; i < volumes->n; i++) {
        const struct control_plane_volume *volume = &volumes->items[i];
        add_text(out, "  - ", "name", volume->name);
        add_text(out, "    ", "hostPath", volume->host_path);
        add_text(out, "    ", "mountPath", volume->mount_path);
        add_text(out, "    ", "pathType", volume->path_type);
        if (volume->read_only)
            buffer_add_str(out, "    readOnly: true\n");
    }
}

static void add_component(struct buffer *out, const struct cluster *cluster, const char *name,
                          enum control_plane_component component)
{
    const struct kubeadm_config *file = &cluster->file;
    struct buffer inner = BUFFER_EMPTY;
    if (component == COMPONENT_KUBE_APISERVER)
        add_texts(&inner, "  ", "certSANs", &file->api_sans);
    add_arguments(&inner, "  ", &file->extra_args[component]);
    add_envs(&inner, "  ", &file->extra_envs[component]);
    add_volumes(&inner, &file->extra_volumes[component]);
    if (inner.len > 0)
        buffer_printf(out, "%s:\n%s", name, buffer_str(&inner));
    buffer_free(&inner);
}

static void add_etcd(struct buffer *out, const struct kubeadm_config *file)
{
    struct buffer inner = BUFFER_EMPTY;
    if (file->has_external_etcd) {
        add_texts(&inner, "    ", "endpoints", &file->etcd_endpoints);
        add_text(&inner, "    ", "caFile", file->etcd_ca_file);
        add_text(&inner, "    ", "certFile", file->etcd_certificate_file);
        add_text(&inner, "    ", "keyFile", file->etcd_key_file);
    } else {
        add_text(&inner, "    ", "dataDir", file->etcd_data_dir);
        add_text(&inner, "    ", "imageRepository", file->etcd_image_repository);
        add_text(&inner, "    ", "imageTag", file->etcd_image_tag);
        add_arguments(&inner, "    ", &file->extra_args[COMPONENT_ETCD]);
        add_envs(&inner, "    ", &file->extra_envs[COMPONENT_ETCD]);
        add_texts(&inner, "    ", "serverCertSANs", &file->etcd_server_sans);
        add_texts(&inner, "    ", "peerCertSANs", &file->etcd_peer_sans);
    }
    if (inner.len > 0)
        buffer_printf(out, "etcd:\n  %s:\n%s", file->has_external_etcd ? "external" : "local",
                      buffer_str(&inner));
    buffer_free(&inner);
}

static void add_kubeadm(struct buffer *out, const struct cluster *cluster)
{
    const struct kubeadm_config *file = &cluster->file;
    buffer_add_str(out, "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n");
    add_text(out, "", "kubernetesVersion", file->kubernetes_version);
    add_text(out, "", "clusterName", file->cluster_name);
    add_text(out, "", "controlPlaneEndpoint", file->control_plane_endpoint);
    add_text(out, "", "imageRepository", file->image_repository);
    add_text(out, "", "certificatesDir", file->certificates_dir);
    add_text(out, "", "encryptionAlgorithm", file->encryption_algorithm);
    if (file->says_ecdsa)
        buffer_printf(out, "featureGates:\n  PublicKeysECDSA: %s\n",
                      file->ecdsa ? "true" : "false");
    if (file->service_subnet || file->pod_subnet || file->dns_domain)
        buffer_add_str(out, "networking:\n");
    add_text(out, "  ", "serviceSubnet", file->service_subnet);
    add_text(out, "  ", "podSubnet", file->pod_subnet);
    add_text(out, "  ", "dnsDomain", file->dns_domain);
    add_etcd(out, file);
    add_component(out, cluster, "apiServer", COMPONENT_KUBE_APISERVER);
    add_component(out, cluster, "controllerManager", COMPONENT_KUBE_CONTROLLER_MANAGER);
    add_component(out, cluster, "scheduler", COMPONENT_KUBE_SCHEDULER);
    // The name and the address are each node's own, and stand in the list of nodes.
    if (file->bind_port)
        buffer_printf(out,
                      "---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
                      "localAPIEndpoint:\n  bindPort: %d\n",
                      (int)file->bind_port);
}

static void add_nodes(struct buffer *out, const struct cluster *cluster)
{
    if (cluster->n_nodes > 0)
        buffer_add_str(out, "nodes:\n");
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        bool both = (node->roles & NODE_CONTROL_PLANE) == NODE_CONTROL_PLANE;
        add_text(out, "- ", "name", node->name);
        add_text(out, "  ", "address", node->address);
        if (node->roles == 0)
            continue;
        buffer_add_str(out, "  roles:\n");
        if (node->roles & NODE_APISERVER)
            buffer_printf(out, "  - %s\n", both ? "control-plane" : "apiserver");
        if (node->roles & NODE_ETCD)
            buffer_add_str(out, "  - etcd\n");
    }
}

static void add_balancer(struct buffer *out, const struct cluster_balancer *balancer)
{
    static const char *const kinds[] = {
        [BALANCER_NONE] = "none", [BALANCER_HAPROXY] = "haproxy", [BALANCER_NGINX] = "nginx"};
    if (balancer->kind == BALANCER_UNSAID)
        return;
    buffer_printf(out, "loadBalancer:\n  kind: %s\n", kinds[balancer->kind]);
    if (balancer->kind != BALANCER_NONE)
        buffer_printf(out, "  port: %d\n", balancer->port);
    if (balancer->virtual_ip) {
        _cleanup_free_ char *text =
            xasprintf("%s/%d", balancer->virtual_ip, balancer->prefix_length);
        add_text(out, "  ", "virtualIP", text);
    }
    add_text(out, "  ", "interface", balancer->interface);
    if (balancer->n_nodes > 0)
        buffer_add_str(out, "  nodes:\n");
    for (size_t i = 0; i < balancer->n_nodes; i++) {
        add_text(out, "  - ", "name", balancer->nodes[i].name);
        add_text(out, "    ", "address", balancer->nodes[i].address);
    }
}

void cluster_text(const struct cluster *cluster, struct buffer *out)
{
    add_kubeadm(out, cluster);
    buffer_add_str(out, "---\napiVersion: mainstay.dev/v1\nkind: Cluster\n");
    add_nodes(out, cluster);
    add_text(out, "", "etcdDiscovery", cluster->etcd_discovery);
    if (cluster->etcd_client_port)
        buffer_printf(out, "etcdClientPort: %d\n", cluster->etcd_client_port);
    if (cluster->etcd_peer_port)
        buffer_printf(out, "etcdPeerPort: %d\n", cluster->etcd_peer_port);
    add_balancer(out, &cluster->balancer);
}
