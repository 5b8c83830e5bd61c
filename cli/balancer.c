// `mainstay balancer`: the balancer's files of this node, printed or written once (render), or kept
// in step with the nodes that etcd knows (follow).
#include "cli/balancer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/pki-report.h"
#include "cli/term.h"
#include "pki/layout.h"

enum { CALL_MSEC = 5000, HOST_MAX = 253 };

static const struct option balancer_option_rows[] = {
    OPT_STRING(balancer_options, cluster_file, .name = "cluster-file", .argument = "FILE",
               .help = "The cluster (default: " CLUSTER_FILE ")"),
    OPT_STRING(balancer_options, node_name, .name = "node-name", .argument = "NAME",
               .help = "Which of its nodes this is (default: this host's name)"),
    OPT_STRING(balancer_options, root, .name = "root", .argument = "DIR",
               .help = "Everything below this directory instead of /"),
    OPT_BOOL(balancer_options, offline, .name = "offline", .only = "render",
             .help = "render: the nodes of the cluster's file; etcd is not asked"),
    OPT_BOOL(balancer_options, write, .name = "write", .only = "render",
             .help = "render: put the files where they belong, where they are others than there"),
    OPT_STRING(balancer_options, etcd.endpoints, .name = "endpoints", .argument = "URL,...",
               .help = "etcd's members (default: what this node's manifests name)"),
    OPT_STRING(balancer_options, etcd.cacert, .name = "cacert", .argument = "FILE",
               .help = "The CA of etcd's certificates"),
    OPT_STRING(balancer_options, etcd.cert, .name = "cert", .argument = "FILE",
               .help = "The client certificate for etcd"),
    OPT_STRING(balancer_options, etcd.key, .name = "key", .argument = "FILE",
               .help = "Its private key"),
    OPT_STRING(balancer_options, etcd.manifests, .name = "manifests", .argument = "DIR",
               .help = "The manifests that name them (default: /etc/kubernetes/manifests)"),
    COMMON_OPTIONS(balancer_options),
};

static const char *const balancer_words[] = {"render", "follow", NULL};

const struct command command_balancer = {
    .name = "balancer",
    .group = "The control plane",
    .summary = "Render the load balancer's files, and keep them in step with the nodes",
    .usage = "render|follow [FILE] [flags]",
    .description =
        "The files by which HAProxy or nginx, and keepalived where there is a virtual address,\n"
        "stand before the kube-apiservers, as the cluster's file asks for them.\n"
        "\n"
        "render   prints this node's files, or the one that is named; --write puts them into\n"
        "         their places\n"
        "follow   runs until it is ended: writes the configurations anew when a node is\n"
        "         registered in etcd or leaves it. A new file takes its place only when the\n"
        "         program that it is for finds it good; who runs that program (the agent, by\n"
        "         the annotations of its manifest) reloads it. While etcd is away, or has\n"
        "         nobody, what is on disk stays.\n"
        "\n"
        "The servers are the nodes that `mainstay init` and `join` have registered in etcd;\n"
        "while there is none, those of the cluster's file.\n"
        "\n"
        "A machine that only balances (loadBalancer.nodes) has no certificate for etcd, because\n"
        "who may read etcd may read all secrets of the cluster. There, follow refuses; after a\n"
        "node has joined or left, change \"nodes\" in the cluster's file and write the files "
        "anew.\n"
        "Nodes that are still to come may be in it: they get nothing until they answer.",
    .examples =
        "  # What would HAProxy get?\n"
        "  mainstay balancer render haproxy.cfg\n"
        "  # On a machine that balances alone, when \"nodes\" in /etc/mainstay/cluster.yaml\n"
        "  # has another node (the agent reloads HAProxy by itself, systemd does not)\n"
        "  mainstay balancer render --write && systemctl reload haproxy",
    .options = balancer_option_rows,
    .n_options = ARRAY_SIZE(balancer_option_rows),
    .argument = ARGUMENT_WORDS,
    .words = balancer_words,
    .verbs = balancer_words,
    .run = cmd_balancer,
};

// ---- this node and its cluster ----

static char *host_name(void)
{
    char host[HOST_MAX + 1] = "";
    gethostname(host, sizeof(host) - 1);
    for (char *p = host; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return xstrdup(host);
}

int balancer_site_load(const struct balancer_options *options, struct balancer_site *ret,
                       struct error *err)
{
    ret->root = options->root ? options->root : "";
    _cleanup_free_ char *file = options->cluster_file ? xstrdup(options->cluster_file)
                                                      : xasprintf("%s" CLUSTER_FILE, ret->root);
    _cleanup_free_ char *name = options->node_name ? xstrdup(options->node_name) : host_name();
    int code = cluster_load(file, &ret->cluster, NULL, err);
    if (code == -ENOENT)
        return error_set(err, ENOENT,
                         "cannot read %s: No such file or directory; `mainstay init`, `join` and "
                         "`render` write it, and --cluster-file names another one",
                         file);
    if (code < 0)
        return code;
    ret->node = balancer_find_node(&ret->cluster, name);
    return ret->node
               ? 0
               : error_set(err, ENOENT, "%s has no node \"%s\": give --node-name", file, name);
}

void balancer_site_free(struct balancer_site *site)
{
    cluster_free(&site->cluster);
}

// Where no manifest of this node names etcd: its members by the cluster's file, and the certificate
// that kube-apiserver would use. -ENOENT where this machine has none.
static int find_by_cluster(const struct balancer_site *site, struct etcd_access *ret,
                           struct error *err)
{
    const struct cluster *cluster = &site->cluster;
    _cleanup_string_list_ struct string_list owned = {0};
    struct control_plane plane;
    int code =
        cluster_plane(cluster, site->node, *site->root ? site->root : NULL, &plane, &owned, err);
    if (code < 0)
        return code;
    ret->cacert = xasprintf("%s/etcd/ca.crt", plane.pki_dir);
    ret->cert = xasprintf("%s/apiserver-etcd-client.crt", plane.pki_dir);
    ret->key = xasprintf("%s/apiserver-etcd-client.key", plane.pki_dir);
    if (access(ret->key, R_OK) < 0)
        return error_set(err, ENOENT, "this machine has no certificate for etcd (%s)", ret->cert);
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i].roles & NODE_ETCD)
            string_list_add_owned(&ret->endpoints,
                                  pki_url(cluster->nodes[i].address, plane.etcd_client_port));
    for (size_t i = 0; i < cluster->file.etcd_endpoints.n; i++)
        string_list_add(&ret->endpoints, cluster->file.etcd_endpoints.items[i]);
    return 0;
}

int balancer_connect(const struct balancer_options *options, const struct balancer_site *site,
                     struct etcd_client **ret, struct error *err)
{
    _cleanup_etcd_access_ struct etcd_access found = {0};
    _cleanup_free_ char *manifests = xasprintf("%s/etc/kubernetes/manifests", site->root);
    int code = etcd_access_find(&options->etcd, manifests, &found, err);
    if (code == -ENOENT) {
        error_clear(err);
        etcd_access_free(&found);
        code = find_by_cluster(site, &found, err);
    }
    return code < 0 ? code : etcd_access_connect(&found, NULL, CALL_MSEC, ret, err);
}

int balancer_ask_etcd(struct etcd_client *client, struct node_entries *ret, int64_t *ret_revision,
                      struct error *err)
{
    _cleanup_etcd_range_ struct etcd_range range = {0};
    int code = etcd_range(client, NODE_ENTRY_PREFIX, 0, &range, err);
    if (code == 0)
        code = node_entries_read(&range, ret, err);
    if (code == 0)
        *ret_revision = range.revision;
    return code;
}

bool balancer_is_registered(const struct node_entries *entries)
{
    for (size_t i = 0; i < entries->n; i++)
        if (entries->items[i].roles & NODE_APISERVER)
            return true;
    return false;
}

// ---- render ----

// The registered nodes; none where this machine has no way to etcd, or nobody is registered.
static int registered_nodes(const struct balancer_options *options,
                            const struct balancer_site *site, struct node_entries *ret,
                            struct error *err)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    int64_t revision = 0;
    if (options->offline)
        return 0;
    int code = balancer_connect(options, site, &client, err);
    if (code == 0)
        code = balancer_ask_etcd(client, ret, &revision, err);
    if (code == -ENOENT) {
        error_clear(err);
        fprintf(stderr, "This machine knows no way to etcd: the nodes are those of the cluster's "
                        "file. Give \"nodes\" there who has joined since, and take out who has "
                        "left.\n");
        return 0;
    }
    return code < 0 ? error_prefix(err, code, "--offline takes the nodes from the cluster's file")
                    : 0;
}

static bool is_wanted(const struct file_set_file *file, const char *name)
{
    return !name || str_equal(name, path_base(file->path)) || str_equal(name, file->path) ||
           (name[0] == '/' && str_equal(name + 1, file->path));
}

static int print_files(const struct file_set *files, const char *name, struct error *err)
{
    bool many = !name && files->n > 1, found = false;
    for (size_t i = 0; i < files->n; i++) {
        const struct file_set_file *file = &files->items[i];
        if (!is_wanted(file, name))
            continue;
        if (many)
            printf("%s==> /%s <==\n", found ? "\n" : "", file->path);
        fwrite(file->text.data, 1, file->text.len, stdout);
        found = true;
    }
    if (name && !found)
        return error_set(err, ENOENT, "this node has no file \"%s\" of the balancer's", name);
    return fflush(stdout) == 0 ? 0 : error_errno(err, EIO, "standard output");
}

static int write_files(const struct balancer_site *site, const struct file_set *files,
                       const char *name, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < files->n && code >= 0; i++) {
        if (!is_wanted(&files->items[i], name))
            continue;
        _cleanup_free_ char *path = xasprintf("%s/%s", site->root, files->items[i].path);
        code = balancer_put_file(site->root, &files->items[i], err);
        if (code >= 0)
            pki_say(code > 0 ? "written" : "kept", code > 0 ? TERM_GREEN : TERM_DIM, path, NULL);
    }
    return code < 0 ? code : 0;
}

static int render(const struct balancer_options *options, const char *name, struct error *err)
{
    _cleanup_balancer_site_ struct balancer_site site = {0};
    _cleanup_node_entries_ struct node_entries entries = {0};
    _cleanup_file_set_ struct file_set files = {0};
    int code = balancer_site_load(options, &site, err);
    if (code < 0)
        return code;
    if (!balancer_runs_on(&site.cluster, site.node))
        return error_set(err, ENOENT,
                         "node %s runs no balancer (loadBalancer in the cluster's file)",
                         site.node->name);
    code = registered_nodes(options, &site, &entries, err);
    if (code == 0)
        code = balancer_render(&site.cluster, site.node, site.root,
                               balancer_is_registered(&entries) ? &entries : NULL, BALANCER_ALL,
                               &files, err);
    if (code < 0)
        return code;
    return options->write ? write_files(&site, &files, name, err) : print_files(&files, name, err);
}

// ---- the command ----

static int run(const struct balancer_options *options, const struct options_rest *rest)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *word = rest->n > 0 ? rest->arguments[0] : NULL;
    int status = command_check_flags(&command_balancer, rest);
    if (status != 0)
        return status;
    if (str_equal(word, "follow") && rest->n == 1)
        return balancer_follow(options);
    if (!str_equal(word, "render") || rest->n > 2)
        return command_usage_error(&command_balancer, "say render [FILE], or follow");
    if (render(options, rest->n > 1 ? rest->arguments[1] : NULL, &err) < 0) {
        fprintf(stderr, "error: %s\n", error_message(&err));
        return CLI_NO;
    }
    return CLI_DONE;
}

int cmd_balancer(int argc, char **argv)
{
    struct balancer_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status = CLI_DONE;
    if (command_parse(&command_balancer, argc, argv, &options, &rest, &status))
        status = run(&options, &rest);
    options_free(balancer_option_rows, ARRAY_SIZE(balancer_option_rows), &options);
    return status;
}
