// `mainstay render`: a control plane's manifests on stdout, or with --out a tree of everything that
// each node of a cluster needs.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/control-plane-options.h"
#include "cli/node-plan.h"
#include "cli/render-tree.h"
#include "manifests/user-template.h"

struct render_options {
    struct common_options common;
    struct control_plane_options plane;
    struct node_plan_options plan;
    const char *out, *discovery_url, *discovery_token;
    struct string_list templates;
    bool all;
};

static const struct option render_option_rows[] = {
    OPT_BOOL(render_options, all, .name = "all", .help = "All of the node's components"),
    OPT_STRING(render_options, plan.config, .name = "config", .argument = "FILE",
               .help = "kubeadm's configuration file, with a document of kind Cluster or without"),
    OPT_STRING(render_options, out, .name = "out", .argument = "DIR",
               .help = "Write one tree per node below DIR, with certificates and all"),
    OPT_LIST(render_options, plan.nodes, .name = "node", .argument = "NAME=IP",
             .help = "A node of the cluster (repeatable)"),
    OPT_LIST(render_options, plan.etcd_nodes, .name = "etcd-node", .argument = "NAME=IP",
             .help = "A node that runs etcd alone (repeatable); the others run none then"),
    OPT_LIST(render_options, plan.apiserver_nodes, .name = "apiserver-node", .argument = "NAME=IP",
             .help = "A node that runs kube-apiserver alone (repeatable)"),
    OPT_STRING(render_options, plan.control_plane_endpoint, .name = "control-plane-endpoint",
               .argument = "HOST[:PORT]", .help = "The load balancer before the API servers"),
    OPT_STRING(render_options, plan.balancer, .name = "load-balancer", .argument = "KIND",
               .values = node_plan_balancers, .help = "haproxy, nginx or none"),
    OPT_STRING(render_options, plan.virtual_ip, .name = "virtual-ip", .argument = "IP/LEN",
               .help = "The address that moves between the balancers"),
    OPT_STRING(render_options, plan.interface, .name = "interface", .argument = "IF",
               .help = "The interface of the virtual IP"),
    OPT_STRING(render_options, plan.key_type, .name = "key-type", .argument = "TYPE",
               .offers = node_plan_key_types,
               .help = "ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096"),
    OPT_STRING(render_options, discovery_url, .name = "etcd-discovery", .argument = "URL",
               .help = "etcd's members find each other by this, not by a list of them"),
    OPT_STRING(render_options, discovery_token, .name = "discovery-token", .argument = "TOKEN",
               .help = "What ${DISCOVERY_TOKEN} stands for"),
    OPT_LIST(render_options, templates, .name = "template", .argument = "FILE",
             .help = "A manifest of your own, filled in for each node (repeatable)"),
    CONTROL_PLANE_OPTIONS(render_options),
    COMMON_OPTIONS(render_options),
};

static const char *const render_words[] = {"etcd", "kube-apiserver", "kube-controller-manager",
                                           "kube-scheduler", NULL};

const struct command command_render = {
    .name = "render",
    .group = "The control plane",
    .summary = "Print a control plane's manifests, or write a tree per node",
    .usage = "COMPONENT...|--all|--template FILE|--out DIR [flags]",
    .description =
        "Prints the manifests of etcd, kube-apiserver, kube-controller-manager and\n"
        "kube-scheduler in kubeadm's shape, as `mainstay init` writes them, with the flags of the\n"
        "version asked for (v1.19 to v1.34).\n\n"
        "With --out, writes a tree of files for each node of the cluster, ready to be copied:\n"
        "certificates, kubeconfigs, manifests, the load balancer's files, the agent's "
        "configuration,\n"
        "monit's and systemd's files, and a join.sh that puts them into place. The cluster is "
        "what\n"
        "kubeadm's file (v1beta1 to v1beta4), its document of kind Cluster and the flags say.\n"
        "Fields of that document (apiVersion mainstay.dev/v1): nodes, each with name, address and\n"
        "roles (control-plane, etcd, apiserver; default: control-plane and etcd, without etcd "
        "where\n"
        "other nodes run it alone); loadBalancer with kind, port, virtualIP, interface and nodes;\n"
        "etcdDiscovery, etcdClientPort, etcdPeerPort.\n\n"
        "DIR/.cluster holds the CAs. What is secret is made once and kept; all else is the same\n"
        "for the same input.\n\n"
        "A node with etcd and a kube-apiserver has the latter ask its own etcd alone, as with\n"
        "kubeadm. To name all members instead would seem safer and is not: etcd's client spreads\n"
        "its requests over all it knows, and one frozen or unreachable member would hold up a "
        "share\n"
        "of them on every node, for up to 40 s. So each node fails by itself, and the balancer "
        "leaves\n"
        "it. A kube-apiserver on a node without etcd knows all members.\n\n"
        "A --template is a manifest in which ${NODE_NAME}, ${NODE_IP}, ${DISCOVERY_TOKEN},\n"
        "${DISCOVERY_URL}, ${ETCD_INITIAL_CLUSTER}, ${CONTROL_PLANE_ENDPOINT}, ${CLUSTER_NAME},\n"
        "${KUBERNETES_VERSION} and ${PKI_DIR} are filled in; $${NODE_NAME} is ${NODE_NAME} itself.",
    .examples =
        "  # What would change in a manifest with another port?\n"
        "  mainstay render kube-apiserver --apiserver-port=7443 > /tmp/kube-apiserver.yaml\n"
        "  mainstay diff /tmp/kube-apiserver.yaml\n"
        "  # Three nodes behind an address that moves\n"
        "  mainstay render --out cluster --config kubeadm.yaml --node m1=10.0.0.1 \\\n"
        "      --node m2=10.0.0.2 --node m3=10.0.0.3 --control-plane-endpoint 10.0.0.100:8443 \\\n"
        "      --virtual-ip 10.0.0.100/24 --interface eth0",
    .options = render_option_rows,
    .n_options = ARRAY_SIZE(render_option_rows),
    .argument = ARGUMENT_WORDS,
    .words = render_words,
    .run = cmd_render,
};

// ---- one node, on stdout ----

// The node that is printed, and its cluster.
struct printed {
    struct cluster cluster;
    const struct cluster_node *node;
    struct control_plane plane;
    struct string_list owned;
    bool known; // a cluster was given; else what runs where is not
};

static void printed_free(struct printed *printed)
{
    cluster_free(&printed->cluster);
    string_list_free(&printed->owned);
}
#define _cleanup_printed_ _cleanup_(printed_free)

static bool names_cluster(const struct render_options *options)
{
    const struct node_plan_options *plan = &options->plan;
    return plan->config || plan->nodes.n + plan->etcd_nodes.n + plan->apiserver_nodes.n > 0 ||
           plan->control_plane_endpoint || plan->balancer || plan->virtual_ip ||
           options->discovery_url || options->templates.n > 0;
}

static int add_this_node(struct render_options *options, struct cluster *cluster,
                         const char **ret_name, struct error *err)
{
    const char *name = options->plane.node_name, *address = options->plane.advertise_address;
    if (!name)
        name = cluster->file.node_name;
    if (!address)
        address = cluster->file.advertise_address;
    int code = name ? 0 : control_plane_options_node_name(&options->plane, &name, err);
    if (code == 0 && !address)
        code = control_plane_options_address(&options->plane, &address, err);
    if (code < 0)
        return code;
    _cleanup_free_ char *word = xasprintf("%s=%s", name, address);
    *ret_name = name;
    return cluster_add_node(cluster, word, 0, err);
}

// The node that this machine is: by its name, else by an address.
static const char *find_this_machine(struct render_options *options, const struct cluster *cluster)
{
    const char *name = NULL;
    if (control_plane_options_node_name(&options->plane, &name, NULL) == 0 &&
        cluster_find_node(cluster, name))
        return name;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (node_plan_is_own_address(cluster->nodes[i].address))
            return cluster->nodes[i].name;
    return NULL;
}

// Of several nodes, one must be named, or be this machine.
static int choose_node(struct render_options *options, struct cluster *cluster,
                       const char **ret_name, struct error *err)
{
    const char *name = options->plane.node_name;
    if (cluster->n_nodes == 0)
        return add_this_node(options, cluster, ret_name, err);
    if (!name && cluster->n_nodes > 1)
        name = find_this_machine(options, cluster);
    if (!name && cluster->n_nodes > 1)
        return error_set(err, EINVAL,
                         "which of the %zu nodes? Give --node-name, or --out DIR for all of them",
                         cluster->n_nodes);
    if (name && !cluster_find_node(cluster, name))
        return error_set(err, EINVAL, "--node-name %s: the cluster has no such node", name);
    *ret_name = name ? name : cluster->nodes[0].name;
    return 0;
}

static int load_printed(struct render_options *options, struct printed *ret, struct error *err)
{
    struct cluster *cluster = &ret->cluster;
    _cleanup_string_list_ struct string_list warnings = {0};
    const char *name = NULL, *root = NULL;
    int code = node_plan_read_cluster(options->plan.config, cluster, err);
    if (code == 0)
        code = node_plan_apply_flags(&options->plan, cluster, err);
    if (code == 0)
        code =
            cluster_set_discovery(cluster, options->discovery_url, options->discovery_token, err);
    if (code == 0)
        code = choose_node(options, cluster, &name, err);
    if (code == 0)
        code = cluster_resolve(cluster, &warnings, err);
    for (size_t i = 0; i < warnings.n; i++)
        fprintf(stderr, "warning: %s\n", warnings.items[i]);
    if (code == 0 && options->plane.root) {
        root = control_plane_options_path(&options->plane, options->plane.root, NULL, err);
        code = root ? 0 : -EINVAL;
    }
    if (code < 0)
        return code;
    ret->node = cluster_find_node(cluster, name);
    ret->known = true;
    code = cluster_plane(cluster, ret->node, root, &ret->plane, &ret->owned, err);
    return code < 0 ? code : control_plane_options_overlay(&options->plane, &ret->plane, err);
}

static int render_one(const struct control_plane *plane, enum control_plane_component component,
                      struct buffer *out, struct error *err)
{
    if (out->len > 0)
        buffer_add_str(out, "---\n");
    return control_plane_render(plane, component, out, err);
}

static int fill_template(const struct render_options *options, const struct printed *printed,
                         const char *file, struct buffer *out, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const struct user_template_values values = {
        .cluster = &printed->cluster,
        .node = printed->node,
        .plane = &printed->plane,
        .discovery_token = options->discovery_token,
    };
    int code = fs_read_file(AT_FDCWD, file, USER_TEMPLATE_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "cannot read the template %s", file);
    if (out->len > 0)
        buffer_add_str(out, "---\n");
    return user_template_fill(file, buffer_str(&text), &values, out, err);
}

static int render(struct render_options *options, const struct options_rest *rest,
                  struct buffer *out, struct error *err)
{
    _cleanup_printed_ struct printed printed = {0};
    int code = names_cluster(options)
                   ? load_printed(options, &printed, err)
                   : control_plane_options_resolve(&options->plane, &printed.plane, err);
    for (int i = 0; i < COMPONENTS && options->all && code == 0; i++) {
        enum control_plane_component component = (enum control_plane_component)i;
        if (!printed.known || cluster_runs(printed.node->roles, component))
            code = render_one(&printed.plane, component, out, err);
    }
    for (size_t i = 0; i < rest->n && code == 0; i++) {
        enum control_plane_component component = COMPONENT_ETCD;
        code = control_plane_component_parse(rest->arguments[i], &component, err);
        if (code == 0)
            code = render_one(&printed.plane, component, out, err);
    }
    for (size_t i = 0; i < options->templates.n && code == 0; i++)
        code = fill_template(options, &printed, options->templates.items[i], out, err);
    return code;
}

static int render_and_print(struct render_options *options, const struct options_rest *rest)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    bool named = rest->n > 0 || options->templates.n > 0;
    if (named == options->all)
        return command_usage_error(&command_render,
                                   "name the components, or give --all, or --out DIR");
    if (render(options, rest, &out, &err) < 0)
        return command_usage_error(&command_render, "%s", error_message(&err));
    if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0) {
        fprintf(stderr, "error: cannot write: %m\n");
        return CLI_NO;
    }
    return CLI_DONE;
}

// ---- trees ----

static int render_and_write(struct render_options *options, const struct options_rest *rest)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct control_plane_options *plane = &options->plane;
    struct render_tree_options tree = {
        .out = options->out,
        .discovery_url = options->discovery_url,
        .discovery_token = options->discovery_token,
        .templates = options->templates,
        .plan = &options->plan,
    };
    if (rest->n > 0 || options->all)
        return command_usage_error(&command_render, "--out writes all components of all nodes");
    if (plane->node_name || plane->advertise_address)
        return command_usage_error(&command_render,
                                   "with --out, a node is given by --node NAME=IP");
    if (!*tree.out)
        return command_usage_error(&command_render, "--out: which directory?");
    if (plane->root) {
        tree.root = control_plane_options_path(plane, plane->root, NULL, &err);
        if (!tree.root)
            return command_usage_error(&command_render, "--root: %s", error_message(&err));
    }
    int code = render_tree(&tree, &err);
    fflush(stdout);
    if (code < 0)
        fprintf(stderr, "error: %s\n", error_message(&err));
    return code < 0 ? CLI_NO : CLI_DONE;
}

int cmd_render(int argc, char **argv)
{
    struct render_options options = {.plan.plane = NULL};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status = CLI_DONE;
    options.plan.plane = &options.plane;
    if (command_parse(&command_render, argc, argv, &options, &rest, &status))
        status =
            options.out ? render_and_write(&options, &rest) : render_and_print(&options, &rest);
    control_plane_options_free(&options.plane);
    options_free(render_option_rows, ARRAY_SIZE(render_option_rows), &options);
    return status;
}
