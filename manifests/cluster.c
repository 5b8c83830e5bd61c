// A cluster's nodes and balancer, put together from a file and from flags. See cluster.h.
#include "manifests/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/cluster-internal.h"

enum { NAME_MAX_LEN = 253, LABEL_MAX = 63 };

// ---- names and addresses ----

char *cluster_address(const char *text)
{
    struct in6_addr bytes;
    char plain[INET6_ADDRSTRLEN];
    if (!text)
        return NULL;
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, &bytes) != 1)
        return NULL;
    return xstrdup(inet_ntop(family, &bytes, plain, sizeof(plain)));
}

// One part of a name between dots: a DNS label in lower case, as Kubernetes wants node names.
static bool is_label(const char *s, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return len > 0 && len <= LABEL_MAX && s[0] != '-' && s[len - 1] != '-' &&
           strspn(s, allowed) >= len;
}

static bool is_node_name(const char *name)
{
    if (!name || !*name || strlen(name) > NAME_MAX_LEN)
        return false;
    for (;;) {
        size_t len = strcspn(name, ".");
        if (!is_label(name, len))
            return false;
        if (!name[len])
            return true;
        name += len + 1;
    }
}

// An address that no single machine can have.
static bool is_nobodys(const char *address)
{
    struct in6_addr six;
    struct in_addr four;
    if (inet_pton(AF_INET, address, &four) == 1) {
        uint32_t host = ntohl(four.s_addr);
        return host >> 24 == 0 || host >> 28 >= 0xe; // 0.0.0.0/8, multicast, reserved, broadcast
    }
    return inet_pton(AF_INET6, address, &six) == 1 &&
           (IN6_IS_ADDR_UNSPECIFIED(&six) || IN6_IS_ADDR_MULTICAST(&six));
}

int cluster_check_node(const char *name, const char *address, struct error *err)
{
    _cleanup_free_ char *known = cluster_address(address);
    if (!is_node_name(name))
        return error_set(
            err, EINVAL,
            "\"%s\" is no name for a node: lower-case letters, digits, \"-\" and \".\" "
            "only, a letter or digit at both ends",
            name);
    if (!known)
        return error_set(err, EINVAL, "node %s: \"%s\" is no IP address", name, address);
    if (is_nobodys(known))
        return error_set(err, EINVAL, "node %s: no machine can have the address %s", name, known);
    return 0;
}

unsigned cluster_role_parse(const char *name)
{
    return str_equal(name, "etcd")            ? NODE_ETCD
           : str_equal(name, "apiserver")     ? NODE_APISERVER
           : str_equal(name, "control-plane") ? NODE_CONTROL_PLANE
                                              : 0;
}

// ---- nodes ----

static int check_taken(const struct cluster_node *nodes, size_t n, const char *name,
                       const char *address, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct cluster_node *node = &nodes[i];
        bool same_name = str_equal(node->name, name);
        if (same_name && !str_equal(node->address, address))
            return error_set(err, EINVAL, "node %s is there twice: with the address %s and with %s",
                             name, node->address, address);
        if (!same_name && str_equal(node->address, address))
            return error_set(err, EINVAL, "nodes %s and %s have the same address %s", node->name,
                             name, address);
    }
    return 0;
}

static int put_node(struct cluster_node **nodes, size_t *n, const char *name, const char *address,
                    unsigned roles, struct error *err)
{
    int code = cluster_check_node(name, address, err);
    _cleanup_free_ char *known = code == 0 ? cluster_address(address) : NULL;
    if (code == 0)
        code = check_taken(*nodes, *n, name, known, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < *n; i++) {
        if (str_equal((*nodes)[i].name, name)) {
            (*nodes)[i].roles |= roles;
            return 0;
        }
    }
    if (*n >= CLUSTER_NODES_MAX)
        return error_set(err, EINVAL, "more than %d nodes", CLUSTER_NODES_MAX);
    *nodes = xreallocarray(*nodes, *n + 1, sizeof(**nodes));
    (*nodes)[(*n)++] = (struct cluster_node){xstrdup(name), TAKE_PTR(known), roles};
    return 0;
}

int cluster_put_node(struct cluster *cluster, const char *name, const char *address, unsigned roles,
                     struct error *err)
{
    return put_node(&cluster->nodes, &cluster->n_nodes, name, address, roles, err);
}

int cluster_put_balancer_node(struct cluster *cluster, const char *name, const char *address,
                              struct error *err)
{
    struct cluster_balancer *balancer = &cluster->balancer;
    return put_node(&balancer->nodes, &balancer->n_nodes, name, address, 0, err);
}

static int split_node(const char *name_is_ip, char **ret_name, const char **ret_address,
                      struct error *err)
{
    const char *equals = strchr(name_is_ip, '=');
    if (!equals)
        return error_set(err, EINVAL, "\"%s\": a node is NAME=IP, such as m1=10.0.0.1", name_is_ip);
    *ret_name = xstrndup(name_is_ip, (size_t)(equals - name_is_ip));
    *ret_address = equals + 1;
    return 0;
}

int cluster_add_node(struct cluster *cluster, const char *name_is_ip, unsigned roles,
                     struct error *err)
{
    _cleanup_free_ char *name = NULL;
    const char *address = NULL;
    int code = split_node(name_is_ip, &name, &address, err);
    return code < 0 ? code : cluster_put_node(cluster, name, address, roles, err);
}

int cluster_add_balancer_node(struct cluster *cluster, const char *name_is_ip, struct error *err)
{
    _cleanup_free_ char *name = NULL;
    const char *address = NULL;
    int code = split_node(name_is_ip, &name, &address, err);
    return code < 0 ? code : cluster_put_balancer_node(cluster, name, address, err);
}

const struct cluster_node *cluster_find_node(const struct cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (str_equal(cluster->nodes[i].name, name))
            return &cluster->nodes[i];
    return NULL;
}

size_t cluster_count(const struct cluster *cluster, unsigned roles)
{
    size_t n = 0;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        n += (cluster->nodes[i].roles & roles) == roles;
    return n;
}

bool cluster_runs(unsigned roles, enum control_plane_component component)
{
    static const unsigned needed[COMPONENTS] = {
        [COMPONENT_ETCD] = NODE_ETCD,
        [COMPONENT_KUBE_APISERVER] = NODE_APISERVER,
        [COMPONENT_KUBE_CONTROLLER_MANAGER] = NODE_CONTROLLERS,
        [COMPONENT_KUBE_SCHEDULER] = NODE_CONTROLLERS,
    };
    return (roles & needed[component]) != 0;
}

// ---- the rest ----

int cluster_set_balancer(struct cluster *cluster, const char *kind, struct error *err)
{
    static const struct {
        const char *name;
        enum balancer_kind kind;
    } kinds[] = {{"haproxy", BALANCER_HAPROXY}, {"nginx", BALANCER_NGINX}, {"none", BALANCER_NONE}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (str_equal(kind, kinds[i].name)) {
            cluster->balancer.kind = kinds[i].kind;
            return 0;
        }
    }
    return error_set(err, EINVAL, "no load balancer \"%s\": there are haproxy, nginx and none",
                     kind);
}

int cluster_set_virtual_ip(struct cluster *cluster, const char *ip_and_length, struct error *err)
{
    const char *slash = strchr(ip_and_length, '/');
    _cleanup_free_ char *text =
        xstrndup(ip_and_length, slash ? (size_t)(slash - ip_and_length) : strlen(ip_and_length));
    _cleanup_free_ char *address = cluster_address(text);
    long long length = 0, longest = strchr(text, ':') ? 128 : 32;
    if (!address || is_nobodys(address))
        return error_set(err, EINVAL,
                         "virtual IP \"%s\": \"%s\" is no address that a machine can have",
                         ip_and_length, text);
    if (!slash || str_to_int(slash + 1, 1, longest, &length) < 0)
        return error_set(err, EINVAL,
                         "virtual IP \"%s\": the length of its network is missing or wrong: "
                         "%s/%s, for example",
                         ip_and_length, address, longest == 32 ? "24" : "64");
    free(cluster->balancer.virtual_ip);
    cluster->balancer.virtual_ip = TAKE_PTR(address);
    cluster->balancer.prefix_length = (int)length;
    return 0;
}

void cluster_set_interface(struct cluster *cluster, const char *name)
{
    free(cluster->balancer.interface);
    cluster->balancer.interface = xstrdup_or_null(name);
}

void cluster_set_text(struct cluster *cluster, const char **field, const char *text)
{
    char *copy = xstrdup(text);
    string_list_add_owned(&cluster->owned, copy);
    *field = copy;
}

int cluster_read_file(const char *path, struct cluster *ret, struct string_list *warnings,
                      struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, KUBEADM_CONFIG_MAX, &text);
    if (code == -EFBIG)
        return error_set(err, EFBIG, "%s is larger than %d bytes, which no cluster needs", path,
                         KUBEADM_CONFIG_MAX);
    if (code < 0)
        return error_errno(err, code, "cannot read %s", path);
    return cluster_read(path, buffer_str(&text), text.len, ret, warnings, err);
}

int cluster_load(const char *path, struct cluster *ret, struct string_list *warnings,
                 struct error *err)
{
    _cleanup_cluster_ struct cluster cluster = {0};
    int code = cluster_read_file(path, &cluster, warnings, err);
    if (code < 0)
        return code;
    code = cluster_resolve(&cluster, warnings, err);
    if (code < 0)
        return error_prefix(err, code, "%s", path);
    *ret = cluster;
    cluster = (struct cluster){0};
    return 0;
}

static void free_nodes(struct cluster_node *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(nodes[i].name);
        free(nodes[i].address);
    }
    free(nodes);
}

void cluster_free(struct cluster *cluster)
{
    kubeadm_config_free(&cluster->file);
    free_nodes(cluster->nodes, cluster->n_nodes);
    free_nodes(cluster->balancer.nodes, cluster->balancer.n_nodes);
    free(cluster->balancer.virtual_ip);
    free(cluster->balancer.interface);
    free(cluster->etcd_discovery);
    free(cluster->endpoint_host);
    string_list_free(&cluster->owned);
    *cluster = (struct cluster){0};
}
