// What a cluster's file does not say, filled in; and whether the whole makes sense. What cannot
// work is an error; what works but is likely not meant is a warning that says what to do.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "manifests/cluster-internal.h"
#include "pki/layout.h"

enum { DEFAULT_API_PORT = 6443 };

static void warn(struct string_list *warnings, const char *format, ...) _printf_(2, 3);
static void warn(struct string_list *warnings, const char *format, ...)
{
    va_list args;
    if (!warnings)
        return;
    va_start(args, format);
    string_list_add_owned(warnings, xvasprintf(format, args));
    va_end(args);
}

int cluster_api_port(const struct cluster *cluster)
{
    return cluster->file.bind_port ? (int)cluster->file.bind_port : DEFAULT_API_PORT;
}

// ---- roles ----

static int resolve_roles(struct cluster *cluster, struct error *err)
{
    bool apart = cluster->file.has_external_etcd;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        apart |= cluster->nodes[i].roles == NODE_ETCD;
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->roles == 0)
            node->roles = NODE_CONTROL_PLANE | (apart ? 0 : NODE_ETCD);
        if ((node->roles & NODE_ETCD) && cluster->file.has_external_etcd)
            return error_set(err, EINVAL,
                             "node %s: cannot run etcd where etcd.external says that it is "
                             "elsewhere: leave the role out, or etcd.external",
                             node->name);
    }
    return 0;
}

static int check_etcd(const struct cluster *cluster, struct string_list *warnings,
                      struct error *err)
{
    size_t members = cluster_count(cluster, NODE_ETCD);
    if (cluster->file.has_external_etcd && cluster->file.etcd_endpoints.n == 0)
        return error_set(err, EINVAL, "etcd.external names no endpoints");
    if (cluster->n_nodes > 0 && members == 0 && !cluster->file.has_external_etcd)
        return error_set(err, EINVAL,
                         "no node runs etcd, and etcd.external does not say where it is: give a "
                         "node the role etcd");
    if (members > 0 && members % 2 == 0)
        warn(warnings,
             "%zu etcd members bear no more failures than %zu do (%zu) and fail more often: use an "
             "odd number, 3 or 5",
             members, members - 1, (members - 1) / 2);
    if (members > 7)
        warn(warnings, "%zu etcd members make every write slower: 3 or 5 are enough", members);
    if (cluster->etcd_discovery && members == 0)
        return error_set(err, EINVAL, "etcdDiscovery is of no use: no node runs etcd");
    if (cluster->etcd_discovery && !str_starts_with(cluster->etcd_discovery, "https://") &&
        !str_starts_with(cluster->etcd_discovery, "http://"))
        return error_set(err, EINVAL, "etcdDiscovery \"%s\": not a URL with http:// or https://",
                         cluster->etcd_discovery);
    return 0;
}

static void check_apiservers(const struct cluster *cluster, struct string_list *warnings)
{
    size_t apiservers = cluster_count(cluster, NODE_APISERVER);
    if (apiservers > 0 && cluster_count(cluster, NODE_CONTROLLERS) == 0)
        warn(warnings, "no node runs kube-controller-manager and kube-scheduler: give one the role "
                       "control-plane");
    if (apiservers > 1 && !cluster->endpoint_host)
        warn(warnings,
             "%zu kube-apiservers and no controlPlaneEndpoint: clients know one of them only, and "
             "fail with it. Say controlPlaneEndpoint, or loadBalancer.virtualIP",
             apiservers);
}

// ---- the endpoint ----

static bool is_address(const char *host)
{
    _cleanup_free_ char *address = cluster_address(host);
    return address != NULL;
}

static bool is_apiserver_address(const struct cluster *cluster, const char *host)
{
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if ((cluster->nodes[i].roles & NODE_APISERVER) &&
            str_equal(cluster->nodes[i].address, host))
            return true;
    return false;
}

// Where nothing was said, a virtual IP is the endpoint: it is there for nothing else.
static void endpoint_from_virtual_ip(struct cluster *cluster)
{
    const struct cluster_balancer *balancer = &cluster->balancer;
    if (cluster->file.control_plane_endpoint || !balancer->virtual_ip)
        return;
    int port = balancer->port ? balancer->port : cluster_api_port(cluster);
    _cleanup_free_ char *text = xasprintf(strchr(balancer->virtual_ip, ':') ? "[%s]:%d" : "%s:%d",
                                          balancer->virtual_ip, port);
    cluster_set_text(cluster, &cluster->file.control_plane_endpoint, text);
}

static int resolve_endpoint(struct cluster *cluster, struct error *err)
{
    const char *text = cluster->file.control_plane_endpoint;
    free(cluster->endpoint_host);
    cluster->endpoint_host = NULL;
    cluster->endpoint_port = cluster_api_port(cluster);
    if (!text)
        return 0;
    cluster->endpoint_host = pki_split_endpoint(text, &cluster->endpoint_port, err);
    return cluster->endpoint_host ? 0 : -EINVAL;
}

// ---- the balancer ----

static void resolve_kind(struct cluster *cluster, struct string_list *warnings)
{
    struct cluster_balancer *balancer = &cluster->balancer;
    bool elsewhere = cluster->endpoint_host && cluster_count(cluster, NODE_APISERVER) > 0 &&
                     !is_apiserver_address(cluster, cluster->endpoint_host);
    int port = balancer->port ? balancer->port : cluster->endpoint_port;
    if (balancer->kind != BALANCER_UNSAID)
        return;
    balancer->kind = balancer->n_nodes > 0 || (elsewhere && port != cluster_api_port(cluster))
                         ? BALANCER_HAPROXY
                         : BALANCER_NONE;
    if (elsewhere && balancer->kind == BALANCER_NONE && !balancer->virtual_ip)
        warn(warnings,
             "no balancer is rendered for %s port %d: on the nodes themselves kube-apiserver has "
             "that port. Say another port, or loadBalancer.nodes, or loadBalancer.kind: none if "
             "there is one already",
             cluster->endpoint_host, cluster->endpoint_port);
}

static int check_virtual_ip(const struct cluster *cluster, struct string_list *warnings,
                            struct error *err)
{
    const struct cluster_balancer *balancer = &cluster->balancer;
    const struct cluster_node *const lists[] = {cluster->nodes, balancer->nodes};
    const size_t n[] = {cluster->n_nodes, balancer->n_nodes};
    if (!balancer->virtual_ip)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (size_t j = 0; j < n[i]; j++)
            if (str_equal(lists[i][j].address, balancer->virtual_ip))
                return error_set(err, EINVAL,
                                 "the virtual IP %s is node %s's own address: it must be a free "
                                 "one, which keepalived moves from node to node",
                                 balancer->virtual_ip, lists[i][j].name);
    if (cluster->endpoint_host && is_address(cluster->endpoint_host) &&
        !str_equal(cluster->endpoint_host, balancer->virtual_ip))
        warn(warnings, "controlPlaneEndpoint is %s and not the virtual IP %s: nobody will use that",
             cluster->endpoint_host, balancer->virtual_ip);
    return 0;
}

static int resolve_balancer(struct cluster *cluster, struct string_list *warnings,
                            struct error *err)
{
    struct cluster_balancer *balancer = &cluster->balancer;
    resolve_kind(cluster, warnings);
    if (balancer->port == 0)
        balancer->port = cluster->endpoint_port;
    if (balancer->kind == BALANCER_NONE && balancer->virtual_ip && balancer->n_nodes == 0 &&
        cluster->endpoint_port != cluster_api_port(cluster))
        return error_set(err, EINVAL,
                         "without a load balancer nobody listens at the virtual IP's port %d: the "
                         "kube-apiservers have port %d",
                         cluster->endpoint_port, cluster_api_port(cluster));
    if ((balancer->kind == BALANCER_HAPROXY || balancer->kind == BALANCER_NGINX) &&
        balancer->n_nodes == 0 && balancer->port == cluster_api_port(cluster))
        return error_set(err, EINVAL,
                         "the balancer and kube-apiserver would both listen at port %d of the "
                         "same nodes: say another loadBalancer.port (and controlPlaneEndpoint), "
                         "another localAPIEndpoint.bindPort, or machines for it in "
                         "loadBalancer.nodes",
                         balancer->port);
    return check_virtual_ip(cluster, warnings, err);
}

int cluster_resolve(struct cluster *cluster, struct string_list *warnings, struct error *err)
{
    endpoint_from_virtual_ip(cluster);
    int code = resolve_endpoint(cluster, err);
    if (code == 0)
        code = resolve_roles(cluster, err);
    if (code == 0)
        code = check_etcd(cluster, warnings, err);
    if (code == 0)
        code = resolve_balancer(cluster, warnings, err);
    if (code == 0)
        check_apiservers(cluster, warnings);
    return code;
}
