// See node-plan.h.
#include "cli/node-plan.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/balancer.h"

enum { MANIFEST_MAX = 10 << 20 };

#define DEFAULT_MANIFESTS "/etc/kubernetes/manifests"

const char *const node_plan_components[] = {"etcd", "kube-apiserver", "kube-controller-manager",
                                            "kube-scheduler", NULL};
const char *const node_plan_key_types[] = {"ecdsa-p256", "ecdsa-p384", "rsa-2048",
                                           "rsa-3072",   "rsa-4096",   NULL};
const char *const node_plan_balancers[] = {"haproxy", "nginx", "none", NULL};

static void warn_all(const struct string_list *warnings)
{
    for (size_t i = 0; i < warnings->n; i++)
        fprintf(stderr, "warning: %s\n", warnings->items[i]);
}

// "a,b" and "c" → a, b, c
static void split_commas(const struct string_list *from, struct string_list *to)
{
    for (size_t i = 0; i < from->n; i++) {
        for (const char *p = from->items[i]; *p; p += *p == ',') {
            size_t len = strcspn(p, ",");
            if (len > 0)
                string_list_add_owned(to, xstrndup(p, len));
            p += len;
        }
    }
}

// ---- the cluster ----

int node_plan_read_cluster(const char *path, struct cluster *cluster, struct error *err)
{
    _cleanup_string_list_ struct string_list warnings = {0};
    int code = path ? cluster_read_file(path, cluster, &warnings, err) : 0;
    warn_all(&warnings);
    return code;
}

static int add_nodes(struct cluster *cluster, const struct string_list *list, unsigned roles,
                     const char *flag, struct error *err)
{
    for (size_t i = 0; i < list->n; i++)
        if (cluster_add_node(cluster, list->items[i], roles, err) < 0)
            return error_prefix(err, EINVAL, "%s", flag);
    return 0;
}

static void set_text(struct cluster *cluster, const char **field, const char *given)
{
    if (given)
        cluster_set_text(cluster, field, given);
}

// What holds for every node goes into the cluster's file; arguments and ports that a flag says are
// this node's own.
int node_plan_apply_flags(const struct node_plan_options *options, struct cluster *cluster,
                          struct error *err)
{
    struct kubeadm_config *file = &cluster->file;
    const struct control_plane_options *plane = options->plane;
    set_text(cluster, &file->control_plane_endpoint, options->control_plane_endpoint);
    set_text(cluster, &file->service_subnet, plane->service_cidr);
    set_text(cluster, &file->pod_subnet, plane->pod_cidr);
    set_text(cluster, &file->dns_domain, plane->dns_domain);
    set_text(cluster, &file->image_repository, plane->image_repository);
    set_text(cluster, &file->kubernetes_version, plane->kubernetes_version);
    set_text(cluster, &file->etcd_image_tag, plane->etcd_image_tag);
    if (plane->api_port > 0)
        file->bind_port = plane->api_port;
    if (plane->etcd_client_port > 0 && plane->etcd_client_port <= UINT16_MAX)
        cluster->etcd_client_port = (int)plane->etcd_client_port;
    if (plane->etcd_peer_port > 0 && plane->etcd_peer_port <= UINT16_MAX)
        cluster->etcd_peer_port = (int)plane->etcd_peer_port;
    int code = add_nodes(cluster, &options->nodes, 0, "--node", err);
    if (code == 0)
        code = add_nodes(cluster, &options->etcd_nodes, NODE_ETCD, "--etcd-node", err);
    if (code == 0)
        code =
            add_nodes(cluster, &options->apiserver_nodes, NODE_APISERVER, "--apiserver-node", err);
    if (code == 0 && options->balancer)
        code = cluster_set_balancer(cluster, options->balancer, err);
    if (code == 0 && options->virtual_ip)
        code = cluster_set_virtual_ip(cluster, options->virtual_ip, err);
    if (options->interface)
        cluster_set_interface(cluster, options->interface);
    return code;
}

// ---- this node in it ----

bool node_plan_is_own_address(const char *address)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *bytes =
            family == AF_INET6
                ? (const void *)&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr
                : (const void *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
        found = (family == AF_INET || family == AF_INET6) &&
                inet_ntop(family, bytes, text, sizeof(text)) && str_equal(text, address);
    }
    freeifaddrs(all);
    return found;
}

static const char *lower_case(struct node_plan *plan, const char *name)
{
    char *copy = xstrdup(name);
    for (char *p = copy; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    string_list_add_owned(&plan->owned, copy);
    return copy;
}

// The name by flag or file, else the host's, else that of the node whose address this host has.
static int find_name(struct node_plan *plan, const char **ret, struct error *err)
{
    struct cluster *cluster = &plan->cluster;
    if (!plan->options->plane->node_name && cluster->file.node_name) {
        *ret = lower_case(plan, cluster->file.node_name);
        return 0;
    }
    int code = control_plane_options_node_name(plan->options->plane, ret, err);
    if (code < 0 || plan->options->plane->node_name || cluster->n_nodes == 0 ||
        cluster_find_node(cluster, *ret))
        return code;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (node_plan_is_own_address(cluster->nodes[i].address)) {
            *ret = cluster->nodes[i].name;
            return 0;
        }
    return 0;
}

static int parse_roles(const struct string_list *words, unsigned *ret, struct error *err)
{
    static const struct {
        const char *name;
        unsigned roles;
    } rows[] = {
        {"control-plane", NODE_CONTROL_PLANE}, {"apiserver", NODE_APISERVER}, {"etcd", NODE_ETCD}};
    _cleanup_string_list_ struct string_list names = {0};
    split_commas(words, &names);
    for (size_t i = 0; i < names.n; i++) {
        unsigned roles = 0;
        for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
            roles |= str_equal(names.items[i], rows[j].name) ? rows[j].roles : 0;
        if (roles == 0)
            return error_set(err, EINVAL,
                             "--role: no role \"%s\": there are control-plane, apiserver and etcd",
                             names.items[i]);
        *ret |= roles;
    }
    return 0;
}

static int add_self(struct node_plan *plan, const char *name, struct error *err)
{
    struct cluster *cluster = &plan->cluster;
    const char *address = plan->options->plane->advertise_address;
    bool declared = cluster->n_nodes > 0;
    if (declared && !plan->joins) {
        struct buffer names = BUFFER_EMPTY;
        for (size_t i = 0; i < cluster->n_nodes; i++)
            buffer_printf(&names, "%s%s", i > 0 ? ", " : "", cluster->nodes[i].name);
        error_set(err, EINVAL,
                  "this node, %s, is none of the cluster's (%s): give --node-name, or add it with "
                  "--node %s=ADDRESS",
                  name, buffer_str(&names), name);
        buffer_free(&names);
        return -EINVAL;
    }
    if (!address && !plan->joins)
        address = cluster->file.advertise_address;
    if (!address && control_plane_options_address(plan->options->plane, &address, err) < 0)
        return -EINVAL;
    unsigned roles = 0;
    if (parse_roles(&plan->options->roles, &roles, err) < 0)
        return -EINVAL;
    _cleanup_free_ char *word = xasprintf("%s=%s", name, address);
    return cluster_add_node(cluster, word, roles, err);
}

static int find_self(struct node_plan *plan, struct error *err)
{
    const char *name = NULL, *address = plan->options->plane->advertise_address;
    int code = find_name(plan, &name, err);
    if (code < 0)
        return code;
    const struct cluster_node *self = cluster_find_node(&plan->cluster, name);
    if (!self && (code = add_self(plan, name, err)) < 0)
        return code;
    if (self && address && !str_equal(address, self->address))
        return error_set(err, EINVAL,
                         "--advertise-address %s: the cluster's file says that node %s is at %s",
                         address, name, self->address);
    _cleanup_string_list_ struct string_list warnings = {0};
    code = cluster_resolve(&plan->cluster, &warnings, err);
    warn_all(&warnings);
    plan->self = cluster_find_node(&plan->cluster, name);
    return code;
}

// ---- what runs here ----

static int choose_components(struct node_plan *plan, struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    split_commas(&plan->options->only, &names);
    for (int i = 0; i < COMPONENTS; i++)
        plan->wanted[i] =
            names.n == 0 && cluster_runs(plan->self->roles, (enum control_plane_component)i);
    for (size_t i = 0; i < names.n; i++) {
        enum control_plane_component component = COMPONENT_ETCD;
        if (control_plane_component_parse(names.items[i], &component, err) < 0)
            return error_prefix(err, EINVAL, "--only");
        if (!cluster_runs(plan->self->roles, component))
            return error_set(err, EINVAL, "--only: %s is no part of node %s's roles in the cluster",
                             control_plane_component_name(component), plan->self->name);
        plan->wanted[component] = true;
    }
    return 0;
}

static int find_places(struct node_plan *plan, struct error *err)
{
    struct control_plane_options *options = plan->options->plane;
    plan->places = (struct node_places){
        .pki_dir = plan->plane.pki_dir,
        .kubeconfig_dir = plan->plane.kubeconfig_dir,
        .etcd_data_dir = plan->plane.etcd_data_dir,
        .manifests =
            control_plane_options_path(options, plan->options->manifests, DEFAULT_MANIFESTS, err),
    };
    if (!plan->places.manifests)
        return -EINVAL;
    plan->places.root = options->root ? options->root : "";
    plan->places.cluster_file = control_plane_options_path(options, NULL, CLUSTER_FILE, err);
    plan->places.made_file = control_plane_options_path(options, NULL, MADE_FILE, err);
    return plan->places.cluster_file && plan->places.made_file ? 0 : -EINVAL;
}

static int make_plane(struct node_plan *plan, struct error *err)
{
    struct control_plane_options *options = plan->options->plane;
    if (options->root && strspn(options->root, "/") == strlen(options->root))
        options->root = NULL;
    if (options->root) { // absolute, for the manifests
        options->root = control_plane_options_path(options, options->root, NULL, err);
        if (!options->root)
            return -EINVAL;
    }
    int code =
        cluster_plane(&plan->cluster, plan->self, options->root, &plan->plane, &plan->owned, err);
    if (code < 0)
        return code;
    // What is unsaid must mean the same to the next version of this program.
    if (!plan->cluster.file.kubernetes_version)
        cluster_set_text(&plan->cluster, &plan->cluster.file.kubernetes_version,
                         plan->plane.kubernetes_version);
    if (!plan->cluster.file.etcd_image_tag && !plan->cluster.file.has_external_etcd)
        cluster_set_text(&plan->cluster, &plan->cluster.file.etcd_image_tag,
                         plan->plane.etcd_image_tag);
    // A cluster begins with one node, and grows by `join`.
    plan->plane.etcd_initial_cluster = NULL;
    plan->plane.etcd_initial_cluster_state = plan->joins ? "existing" : "new";
    return control_plane_options_overlay(options, &plan->plane, err);
}

// A list that is given by flag takes the place of the file's, as with kubeadm.
static void choose_names(struct string_list *to, const struct string_list *flag,
                         const struct string_list *file)
{
    if (flag->n > 0)
        split_commas(flag, to);
    else
        string_list_copy(to, file);
}

static void choose_sans(struct node_plan *plan)
{
    const struct kubeadm_config *file = &plan->cluster.file;
    const struct node_plan_options *options = plan->options;
    choose_names(&plan->api_sans, &options->api_sans, &file->api_sans);
    cluster_api_names(&plan->cluster, &plan->api_sans);
    choose_names(&plan->etcd_server_sans, &options->etcd_sans, &file->etcd_server_sans);
    choose_names(&plan->etcd_peer_sans, &options->etcd_sans, &file->etcd_peer_sans);
    plan->external_etcd = (struct pki_external_etcd){
        .ca_file = file->etcd_ca_file,
        .certificate_file = file->etcd_certificate_file,
        .key_file = file->etcd_key_file,
    };
}

int node_plan_make_of(struct node_plan_options *options, struct cluster *cluster,
                      struct node_plan *plan, struct error *err)
{
    plan->options = options;
    plan->cluster = *cluster;
    *cluster = (struct cluster){0};
    int code = node_plan_apply_flags(options, &plan->cluster, err);
    if (code == 0)
        code = find_self(plan, err);
    if (code == 0)
        code = choose_components(plan, err);
    if (code == 0)
        code = make_plane(plan, err);
    if (code == 0)
        code = cluster_key_algorithm(&plan->cluster, options->key_type, &plan->algorithm, err);
    if (code == 0)
        code = find_places(plan, err);
    if (code == 0)
        choose_sans(plan);
    return code;
}

// The file that was given, else the one that an earlier run has left.
static int choose_config(struct node_plan_options *options, const char **ret, struct error *err)
{
    *ret = options->config;
    if (*ret)
        return 0;
    const char *own = control_plane_options_path(options->plane, NULL, CLUSTER_FILE, err);
    if (own && access(own, F_OK) == 0)
        *ret = own;
    return own ? 0 : -EINVAL;
}

int node_plan_make(struct node_plan_options *options, struct node_plan *plan, struct error *err)
{
    struct cluster cluster = {0};
    const char *config = NULL;
    int code = choose_config(options, &config, err);
    if (code == 0)
        code = node_plan_read_cluster(config, &cluster, err);
    if (code == 0)
        return node_plan_make_of(options, &cluster, plan, err);
    cluster_free(&cluster);
    return code;
}

// ---- manifests ----

// Lines that other commands keep in step with the cluster's members.
static bool is_followed(const char *line)
{
    static const char *const flags[] = {
        "--initial-cluster=", "--initial-cluster-state=", "--etcd-servers="};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        const char *at = strstr(line, flags[i]);
        if (at && at < line + strcspn(line, "\n"))
            return true;
    }
    return false;
}

static void add_steady_lines(const char *text, struct buffer *out)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (!is_followed(text))
            buffer_add(out, text, len);
        text += len + (text[len] == '\n');
        buffer_add_char(out, '\n');
    }
}

static bool is_same_but_for_members(const char *a, const char *b)
{
    _cleanup_buffer_ struct buffer steady_a = BUFFER_EMPTY, steady_b = BUFFER_EMPTY;
    add_steady_lines(a, &steady_a);
    add_steady_lines(b, &steady_b);
    return str_equal(buffer_str(&steady_a), buffer_str(&steady_b));
}

// What a member was told of the others counts until it has data.
static bool has_data(const struct node_plan *plan)
{
    _cleanup_free_ char *member = path_join(plan->plane.etcd_data_dir, "member");
    return access(member, F_OK) == 0;
}

static void compare(const struct node_plan *plan, struct node_file *file)
{
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, file->path, MANIFEST_MAX, &old);
    file->exists = code != -ENOENT;
    file->unreadable = code == -EACCES;
    file->same = code == 0 && old.len == file->text.len &&
                 memcmp(buffer_str(&old), buffer_str(&file->text), old.len) == 0;
    if (code < 0 || file->same)
        return;
    if (!file->is_manifest) // `balancer follow` keeps it in step with the nodes
        file->same = true;
    else if (is_same_but_for_members(buffer_str(&old), buffer_str(&file->text))) {
        file->same = file->component != COMPONENT_ETCD || has_data(plan);
        file->outdated = !file->same;
    }
}

static int render_one(struct node_plan *plan, enum control_plane_component component,
                      struct error *err)
{
    struct node_file *file = LIST_APPEND(&plan->files);
    file->component = component;
    file->is_manifest = true;
    file->mode = 0600;
    file->path =
        xasprintf("%s/%s.yaml", plan->places.manifests, control_plane_component_name(component));
    int code = control_plane_render(&plan->plane, component, &file->text, err);
    if (code == 0)
        compare(plan, file);
    return code;
}

static int render_balancer(struct node_plan *plan, struct error *err)
{
    static const char manifests[] = "etc/kubernetes/manifests/";
    const char *root = plan->places.root;
    _cleanup_file_set_ struct file_set set = {0};
    int code = balancer_render(&plan->cluster, plan->self, *root ? root : NULL, NULL, BALANCER_ALL,
                               &set, err);
    for (size_t i = 0; i < set.n && code == 0; i++) {
        struct node_file *file = LIST_APPEND(&plan->files);
        file->component = COMPONENTS;
        file->is_manifest = str_starts_with(set.items[i].path, manifests);
        file->mode = set.items[i].mode;
        file->path = file->is_manifest
                         ? path_join(plan->places.manifests, set.items[i].path + strlen(manifests))
                         : xasprintf("%s/%s", root, set.items[i].path);
        buffer_add(&file->text, set.items[i].text.data, set.items[i].text.len);
        compare(plan, file);
    }
    return code;
}

static void drop_files(struct node_plan *plan)
{
    LIST_EACH (file, &plan->files) {
        free(file->path);
        buffer_free(&file->text);
    }
    free(plan->files.items);
    plan->files.items = NULL;
    plan->files.n = 0;
}

void node_plan_free(struct node_plan *plan)
{
    drop_files(plan);
    cluster_free(&plan->cluster);
    string_list_free(&plan->api_sans);
    string_list_free(&plan->etcd_server_sans);
    string_list_free(&plan->etcd_peer_sans);
    string_list_free(&plan->owned);
}

int node_plan_render(struct node_plan *plan, struct error *err)
{
    drop_files(plan);
    for (int i = 0; i < COMPONENTS; i++)
        if (plan->wanted[i] && render_one(plan, (enum control_plane_component)i, err) < 0)
            return -EINVAL;
    return plan->options->only.n == 0 ? render_balancer(plan, err) : 0;
}

bool node_plan_conflicts(const struct node_plan *plan)
{
    bool conflict = false;
    LIST_EACH (file, &plan->files) {
        if (plan->options->force || !file->exists || file->same || file->outdated)
            continue;
        if (file->unreadable) {
            fprintf(stderr, "error: %s cannot be read: run this as root\n", file->path);
            return true;
        }
        fprintf(stderr, "error: %s is there and differs from what would be written\n", file->path);
        conflict = true;
    }
    if (conflict)
        fprintf(stderr, "Nothing was changed. --force replaces it; --only leaves it out; "
                        "`mainstay render` shows the new text.\n");
    return conflict;
}

void node_plan_pods(const struct node_plan *plan, struct node_manifests *ret)
{
    LIST_EACH (file, &plan->files)
        if (file->is_manifest)
            node_manifests_add(ret, file->path, &file->text, plan->plane.node_name);
}

void node_plan_subject(const struct node_plan *plan, const struct node_manifests *pods,
                       struct preflight_subject *ret)
{
    struct preflight_peer *peers = xcalloc(plan->cluster.n_nodes, sizeof(*peers));
    for (size_t i = 0; i < plan->cluster.n_nodes; i++)
        peers[i] =
            (struct preflight_peer){plan->cluster.nodes[i].name, plan->cluster.nodes[i].address};
    *ret = (struct preflight_subject){
        .plane = &plan->plane,
        .pods = pods,
        .manifests = plan->places.manifests,
        .endpoint = plan->cluster.file.control_plane_endpoint,
        .peers = peers,
        .n_peers = plan->cluster.n_nodes,
    };
}
