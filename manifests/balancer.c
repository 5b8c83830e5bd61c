// See balancer.h.
#include "manifests/balancer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/balancer-templates.h"
#include "manifests/render.h"
#include "podspec/checks.h"

// What the templates are filled in with.
struct balancer {
    const struct cluster *cluster;
    const struct cluster_node *node;
    const char *root; // "" for none
    char *pki_dir;    // owned by `strings`
    int port;         // where this node answers: the balancer, or (keepalived alone) kube-apiserver
    struct string_list strings; // owns what the parameters borrow
    struct string_list bind, servers, peers, root_flag, keepalived_dir, haproxy_run, good, live,
        connect;
    LIST_OF(struct render_parameter) parameters;
    struct file_set *out;
};

static void balancer_clear(struct balancer *b)
{
    string_list_free(&b->strings);
    string_list_free(&b->bind);
    string_list_free(&b->servers);
    string_list_free(&b->peers);
    string_list_free(&b->root_flag);
    string_list_free(&b->keepalived_dir);
    string_list_free(&b->haproxy_run);
    string_list_free(&b->good);
    string_list_free(&b->live);
    string_list_free(&b->connect);
    free(b->parameters.items);
}
#define _cleanup_balancer_ _cleanup_(balancer_clear)

static const struct cluster_balancer *settings(const struct balancer *b)
{
    return &b->cluster->balancer;
}

static bool is_ipv6(const char *address)
{
    return strchr(address, ':') != NULL;
}

static char *host_port(const char *address, int port)
{
    return xasprintf(is_ipv6(address) ? "[%s]:%d" : "%s:%d", address, port);
}

// ---- who there is ----

static const struct cluster_node *find(const struct cluster_node *nodes, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(nodes[i].name, name))
            return &nodes[i];
    return NULL;
}

const struct cluster_node *balancer_find_node(const struct cluster *cluster, const char *name)
{
    const struct cluster_node *own = find(cluster->nodes, cluster->n_nodes, name);
    return own ? own : find(cluster->balancer.nodes, cluster->balancer.n_nodes, name);
}

bool balancer_runs_on(const struct cluster *cluster, const struct cluster_node *node)
{
    const struct cluster_balancer *balancer = &cluster->balancer;
    if (balancer->kind == BALANCER_NONE && !balancer->virtual_ip)
        return false;
    return balancer->n_nodes > 0 ? find(balancer->nodes, balancer->n_nodes, node->name) != NULL
                                 : (node->roles & NODE_APISERVER) != 0;
}

static int check_entry(const struct node_entry *entry, struct error *err)
{
    if (check_dns_subdomain(entry->name))
        return error_set(err, EINVAL, "\"%s\" is no node's name", entry->name);
    if (check_ip(entry->address))
        return error_set(err, EINVAL, "node %s: \"%s\" is no IP address", entry->name,
                         entry->address);
    return 0;
}

static int add_server(struct balancer *b, const struct node_entry *entry, struct error *err)
{
    int code = check_entry(entry, err);
    if (code < 0 || !(entry->roles & NODE_APISERVER))
        return code;
    _cleanup_free_ char *where = host_port(entry->address, entry->api_port);
    string_list_add_owned(&b->servers, settings(b)->kind == BALANCER_NGINX
                                           ? xstrdup(where)
                                           : xasprintf("%s %s", entry->name, where));
    bool beside = settings(b)->n_nodes == 0 && !str_equal(entry->name, b->node->name);
    if (beside)
        string_list_add(&b->peers, entry->address);
    return 0;
}

static int add_nodes(struct balancer *b, const struct node_entries *entries, struct error *err)
{
    for (size_t i = 0; i < entries->n; i++) {
        int code = add_server(b, &entries->items[i], err);
        if (code < 0)
            return code;
    }
    for (size_t i = 0; i < settings(b)->n_nodes; i++)
        if (!str_equal(settings(b)->nodes[i].name, b->node->name))
            string_list_add(&b->peers, settings(b)->nodes[i].address);
    return b->servers.n > 0
               ? 0
               : error_set(err, ENODATA, "there is no kube-apiserver to send requests to");
}

// ---- what they are filled in with ----

static void add(struct balancer *b, const char *name, char *owned)
{
    string_list_add_owned(&b->strings, owned);
    *LIST_APPEND(&b->parameters) = (struct render_parameter){.name = name, .value = owned};
}

static void add_list(struct balancer *b, const char *name, const struct string_list *list)
{
    *LIST_APPEND(&b->parameters) = (struct render_parameter){.name = name, .list = list};
}

// Two clusters on one network rarely have addresses that end alike.
static int router_id(const char *virtual_ip)
{
    unsigned char bytes[sizeof(struct in6_addr)] = {0};
    bool v6 = is_ipv6(virtual_ip);
    inet_pton(v6 ? AF_INET6 : AF_INET, virtual_ip, bytes);
    int last = bytes[v6 ? 15 : 3];
    return last > 0 ? last : 255;
}

static int check_virtual_ip(const struct balancer *b, struct error *err)
{
    const struct cluster_balancer *balancer = settings(b);
    if (!balancer->virtual_ip)
        return 0;
    if (str_empty(balancer->interface))
        return error_set(err, EINVAL,
                         "the virtual address %s needs loadBalancer.interface (--interface): the "
                         "network interface that it stands on",
                         balancer->virtual_ip);
    if (strlen(balancer->interface) > 15 || strpbrk(balancer->interface, " \t\n{}!#\"'/"))
        return error_set(err, EINVAL, "\"%s\" is no network interface's name", balancer->interface);
    if (is_ipv6(balancer->virtual_ip) != is_ipv6(b->node->address))
        return error_set(err, EINVAL,
                         "the virtual address %s and node %s's %s must both be IPv4 or both IPv6",
                         balancer->virtual_ip, b->node->name, b->node->address);
    return 0;
}

static void add_virtual_ip(struct balancer *b)
{
    const struct cluster_balancer *balancer = settings(b);
    if (!balancer->virtual_ip)
        return;
    add(b, "VIRTUAL_IP", xasprintf("%s/%d", balancer->virtual_ip, balancer->prefix_length));
    add(b, "ROUTER_ID", xasprintf("%d", router_id(balancer->virtual_ip)));
    add(b, "INTERFACE", xstrdup(balancer->interface));
}

// HAProxy takes IPv4's connections at IPv6's socket, too, where it is told so; nginx wants both.
static void add_bind(struct balancer *b)
{
    bool v6 = is_ipv6(b->node->address), both = settings(b)->kind == BALANCER_NGINX;
    if (!v6 || both)
        string_list_add_owned(&b->bind, xasprintf("0.0.0.0:%d", b->port));
    if (v6)
        string_list_add_owned(&b->bind, xasprintf("[::]:%d%s", b->port, both ? "" : " v4v6"));
    add_list(b, "BIND", &b->bind);
}

// /readyz is open to everybody unless kube-apiserver is told to let nobody in without a name.
static void add_statuses(struct balancer *b)
{
    const struct string_list *flags = &b->cluster->file.extra_args[COMPONENT_KUBE_APISERVER];
    bool closed = string_list_contains(flags, "anonymous-auth=false");
    add(b, "GOOD_STATUSES", xstrdup(closed ? "200,401" : "200"));
    string_list_add(&b->good, "200");
    if (closed)
        string_list_add(&b->good, "401");
    add_list(b, "GOOD_STATUS", &b->good);
}

// HAProxy says that it lives. nginx, and kube-apiserver where there is no balancer, take
// connections.
static void add_live(struct balancer *b)
{
    const char *localhost = is_ipv6(b->node->address) ? "[::1]" : "127.0.0.1";
    if (settings(b)->kind == BALANCER_HAPROXY)
        string_list_add_owned(&b->live,
                              xasprintf("http://127.0.0.1:%d/livez", BALANCER_HEALTH_PORT));
    else
        string_list_add_owned(&b->connect, xasprintf("https://%s:%d/livez", localhost, b->port));
    add(b, "LOCALHOST", xstrdup(localhost));
    add(b, "CHECK_BALANCER", xasprintf("%s/etc/keepalived/check-balancer", b->root));
    add_list(b, "LIVE_URL", &b->live);
    add_list(b, "CONNECT_URL", &b->connect);
}

static void fill(struct balancer *b)
{
    if (*b->root)
        string_list_add_owned(&b->root_flag, xasprintf("--root=%s", b->root));
    add(b, "NODE_NAME", xstrdup(b->node->name));
    add(b, "ADDRESS", xstrdup(b->node->address));
    add(b, "PORT", xasprintf("%d", b->port));
    add(b, "HEALTH_PORT", xasprintf("%d", BALANCER_HEALTH_PORT));
    add(b, "CHECK_INTERVAL", xasprintf("%d", BALANCER_CHECK_SEC));
    add(b, "PKI_DIR", xstrdup(b->pki_dir));
    add(b, "CA_FILE", xasprintf("%s/ca.crt", b->pki_dir));
    add(b, "CHECK_SCRIPT", xasprintf("%s/etc/keepalived/check-apiserver", b->root));
    add(b, "MAINSTAY_DIR", xasprintf("%s/etc/mainstay", b->root));
    if (settings(b)->virtual_ip &&
        settings(b)->kind != BALANCER_NONE) // else they are the balancer's
        string_list_add_owned(&b->keepalived_dir, xasprintf("%s/etc/keepalived", b->root));
    add_list(b, "KEEPALIVED_DIR", &b->keepalived_dir);
    if (settings(b)->kind == BALANCER_HAPROXY) // where it is asked which servers are down
        string_list_add_owned(&b->haproxy_run, xasprintf("%s/run/haproxy", b->root));
    add_list(b, "HAPROXY_RUN_DIR", &b->haproxy_run);
    add_list(b, "SERVER", &b->servers);
    add_list(b, "PEER", &b->peers);
    add_list(b, "ROOT_FLAG", &b->root_flag);
    add_statuses(b);
    add_live(b);
    add_bind(b);
    add_virtual_ip(b);
}

// ---- the files ----

static bool has_haproxy(const struct balancer *b)
{
    return settings(b)->kind == BALANCER_HAPROXY;
}

static bool has_nginx(const struct balancer *b)
{
    return settings(b)->kind == BALANCER_NGINX;
}

static bool has_keepalived(const struct balancer *b)
{
    return settings(b)->virtual_ip != NULL;
}

// Who may read etcd may read all secrets of the cluster: a machine that only balances has no
// certificate for it, and its files are rendered anew by hand.
static bool has_follow(const struct balancer *b)
{
    return (b->node->roles & NODE_APISERVER) != 0;
}

// What one program's files have in common.
struct program {
    const char *dir, *config; // /etc/haproxy, haproxy.cfg
    const char *run;          // /run/haproxy
};
static const struct program haproxy = {"etc/haproxy", "haproxy.cfg", "run/haproxy"};
static const struct program nginx = {"etc/nginx", "kube-apiserver.conf", "run/nginx"};
static const struct program keepalived = {"etc/keepalived", "keepalived.conf", "run/keepalived"};

static const struct file {
    bool (*wanted)(const struct balancer *b);
    const struct program *program; // NULL: the balancer's
    const char *path;
    mode_t mode;
    enum balancer_template template;
    unsigned what;
} files[] = {
    {has_haproxy, &haproxy, "etc/haproxy/haproxy.cfg", 0644, TEMPLATE_HAPROXY_CFG,
     BALANCER_CONFIGURATION},
    {has_nginx, &nginx, "etc/nginx/kube-apiserver.conf", 0644, TEMPLATE_NGINX_CONF,
     BALANCER_CONFIGURATION},
    // The scripts first: keepalived looks for them when it checks its configuration.
    {has_keepalived, &keepalived, "etc/keepalived/check-balancer", 0755, TEMPLATE_CHECK_BALANCER,
     BALANCER_CONFIGURATION},
    {has_keepalived, &keepalived, "etc/keepalived/check-apiserver", 0755, TEMPLATE_CHECK_APISERVER,
     BALANCER_CONFIGURATION},
    {has_keepalived, &keepalived, "etc/keepalived/keepalived.conf", 0644, TEMPLATE_KEEPALIVED_CONF,
     BALANCER_CONFIGURATION},
    {has_haproxy, &haproxy, "etc/kubernetes/manifests/haproxy.yaml", 0600, TEMPLATE_HAPROXY_YAML,
     BALANCER_MANIFESTS},
    {has_nginx, &nginx, "etc/kubernetes/manifests/nginx.yaml", 0600, TEMPLATE_NGINX_YAML,
     BALANCER_MANIFESTS},
    {has_keepalived, &keepalived, "etc/kubernetes/manifests/keepalived.yaml", 0600,
     TEMPLATE_KEEPALIVED_YAML, BALANCER_MANIFESTS},
    {has_follow, NULL, "etc/kubernetes/manifests/balancer-follow.yaml", 0600,
     TEMPLATE_BALANCER_FOLLOW_YAML, BALANCER_MANIFESTS},
};

static const struct program *program_of(const struct balancer *b, const struct file *file)
{
    if (file->program)
        return file->program;
    return has_nginx(b) ? &nginx : has_haproxy(b) ? &haproxy : &keepalived;
}

static int render_file(struct balancer *b, const struct file *file, struct error *err)
{
    const struct program *program = program_of(b, file);
    size_t n_parameters = b->parameters.n, n_strings = b->strings.n;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    add(b, "CONFIG_DIR", xasprintf("%s/%s", b->root, program->dir));
    add(b, "CONFIG_FILE", xasprintf("%s/%s/%s", b->root, program->dir, program->config));
    add(b, "RUN_DIR", xasprintf("%s/%s", b->root, program->run));
    __typeof__(&render_template) render =
        file->what == BALANCER_MANIFESTS ? render_template : render_text_template;
    int code = render(path_base(file->path), balancer_template(file->template), b->parameters.items,
                      b->parameters.n, &text, err);
    if (code == 0)
        file_set_add(b->out, file->path, file->mode, &text);
    b->parameters.n = n_parameters;
    while (b->strings.n > n_strings)
        free(b->strings.items[--b->strings.n]);
    return code;
}

static int check_port(const struct balancer *b, struct error *err)
{
    bool clash = settings(b)->kind != BALANCER_NONE && (b->node->roles & NODE_APISERVER) &&
                 b->port == cluster_api_port(b->cluster);
    if (!clash)
        return 0;
    return error_set(err, EINVAL,
                     "node %s: the balancer cannot listen on port %d, where its kube-apiserver "
                     "does: give loadBalancer.port (and controlPlaneEndpoint) another, or "
                     "localAPIEndpoint.bindPort",
                     b->node->name, b->port);
}

int balancer_render(const struct cluster *cluster, const struct cluster_node *node,
                    const char *root, const struct node_entries *entries, unsigned what,
                    struct file_set *out, struct error *err)
{
    _cleanup_node_entries_ struct node_entries own = {0};
    _cleanup_balancer_ struct balancer b = {
        .cluster = cluster, .node = node, .root = root ? root : "", .out = out};
    if (!balancer_runs_on(cluster, node))
        return 0;
    if (!entries) {
        node_entries_of(cluster, &own);
        entries = &own;
    }
    bool bare = settings(&b)->kind == BALANCER_NONE && settings(&b)->n_nodes == 0;
    b.port = bare ? cluster_api_port(cluster) : settings(&b)->port;
    const char *pki_dir = cluster->file.certificates_dir;
    b.pki_dir = xasprintf("%s%s", b.root, pki_dir ? pki_dir : "/etc/kubernetes/pki");
    string_list_add_owned(&b.strings, b.pki_dir);
    int code = check_port(&b, err);
    if (code == 0)
        code = check_virtual_ip(&b, err);
    if (code == 0)
        code = add_nodes(&b, entries, err);
    if (code == 0)
        fill(&b);
    for (size_t i = 0; i < ARRAY_SIZE(files) && code == 0; i++)
        if ((files[i].what & what) && files[i].wanted(&b))
            code = render_file(&b, &files[i], err);
    return code;
}
