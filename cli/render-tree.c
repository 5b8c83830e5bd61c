// See render-tree.h. All of every node's files is rendered before anything is written.
#include "cli/render-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/draft.h"
#include "cli/pki-report.h"
#include "manifests/balancer.h"
#include "manifests/user-template.h"
#include "manifests/worker.h"

enum { KEY_MAX = 64 << 10, LIST_MAX = 1 << 20 };

#define SHARED    ".cluster/pki"
#define LIST      ".rendered"
#define MANIFESTS "etc/kubernetes/manifests/"
#define WORKER    "worker"

// One node on its way. What the plane borrows lives here.
struct tree {
    const struct cluster_node *node;
    char *root, *dir; // dir: DIR/NAME
    bool balancer_alone;
    struct control_plane plane;
    struct control_plane_options flags; // a copy, for what it owns
    struct string_list owned;
    struct file_set files;
};

struct forest {
    const struct render_tree_options *options;
    struct cluster cluster;
    struct tree *trees;
    size_t n;
    struct string_list api_sans, etcd_server_sans, etcd_peer_sans;
    struct pki_external_etcd external;
    enum key_algorithm algorithm;
    size_t made, kept, changed;
};

static void forest_free(struct forest *forest)
{
    for (size_t i = 0; i < forest->n; i++) {
        struct tree *tree = &forest->trees[i];
        free(tree->root);
        free(tree->dir);
        control_plane_options_free(&tree->flags);
        string_list_free(&tree->owned);
        file_set_free(&tree->files);
    }
    free(forest->trees);
    string_list_free(&forest->api_sans);
    string_list_free(&forest->etcd_server_sans);
    string_list_free(&forest->etcd_peer_sans);
    cluster_free(&forest->cluster);
}
#define _cleanup_forest_ _cleanup_(forest_free)

// ---- the cluster ----

// What is unsaid must mean the same to the next version of this program.
static void pin_versions(struct forest *forest)
{
    struct kubeadm_config *file = &forest->cluster.file;
    const struct control_plane *plane = &forest->trees[0].plane;
    if (!file->kubernetes_version)
        cluster_set_text(&forest->cluster, &file->kubernetes_version, plane->kubernetes_version);
    if (!file->etcd_image_tag && !file->has_external_etcd)
        cluster_set_text(&forest->cluster, &file->etcd_image_tag, plane->etcd_image_tag);
}

// A single node may stand in kubeadm's own fields alone.
static int add_only_node(struct cluster *cluster, struct error *err)
{
    const struct kubeadm_config *file = &cluster->file;
    if (cluster->n_nodes > 0)
        return 0;
    if (!file->node_name || !file->advertise_address)
        return error_set(err, EINVAL,
                         "which nodes? Name them by --node NAME=IP (once for each), or in a "
                         "document of kind Cluster");
    _cleanup_free_ char *word = xasprintf("%s=%s", file->node_name, file->advertise_address);
    return cluster_add_node(cluster, word, 0, err);
}

static int read_cluster(struct forest *forest, struct error *err)
{
    const struct render_tree_options *options = forest->options;
    struct cluster *cluster = &forest->cluster;
    _cleanup_string_list_ struct string_list warnings = {0};
    int code = node_plan_read_cluster(options->plan->config, cluster, err);
    if (code == 0)
        code = node_plan_apply_flags(options->plan, cluster, err);
    if (code == 0)
        code =
            cluster_set_discovery(cluster, options->discovery_url, options->discovery_token, err);
    if (code == 0)
        code = add_only_node(cluster, err);
    if (code == 0)
        code = cluster_resolve(cluster, &warnings, err);
    for (size_t i = 0; i < warnings.n; i++)
        fprintf(stderr, "warning: %s\n", warnings.items[i]);
    if (code == 0)
        code = cluster_key_algorithm(cluster, options->plan->key_type, &forest->algorithm, err);
    return code;
}

// "…/${NODE_NAME}" → "…/m1"; "" for none.
static char *root_of(const char *root, const char *name)
{
    static const char mark[] = "${NODE_NAME}";
    struct buffer out = BUFFER_EMPTY;
    for (const char *p = root ? root : ""; *p;) {
        if (str_starts_with(p, mark)) {
            buffer_add_str(&out, name);
            p += strlen(mark);
        } else {
            buffer_add_char(&out, *p++);
        }
    }
    return buffer_take(&out);
}

// Directories stand in shell scripts, units and lists of flags, where not everything can.
static int check_plain(const struct tree *tree, struct error *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./+@,=";
    const char *const paths[] = {tree->root, tree->plane.pki_dir, tree->plane.kubeconfig_dir,
                                 tree->plane.etcd_data_dir};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (paths[i][strspn(paths[i], allowed)])
            return error_set(err, EINVAL,
                             "\"%s\": a directory of letters, digits and -_./+@,= only can stand "
                             "in all the files of a tree",
                             paths[i]);
    return 0;
}

static int plant(struct forest *forest, const struct cluster_node *node, bool balancer_alone,
                 struct error *err)
{
    struct tree *tree = &forest->trees[forest->n++];
    const struct control_plane_options *flags = forest->options->plan->plane;
    tree->node = node;
    tree->balancer_alone = balancer_alone;
    tree->root = root_of(forest->options->root, node->name);
    tree->dir = path_join(forest->options->out, node->name);
    tree->flags = *flags;
    tree->flags.owned = (struct string_list){0};
    memset(tree->flags.merged_args, 0, sizeof(tree->flags.merged_args));
    int code = cluster_plane(&forest->cluster, node, *tree->root ? tree->root : NULL, &tree->plane,
                             &tree->owned, err);
    if (code == 0)
        code = control_plane_options_overlay(&tree->flags, &tree->plane, err);
    return code < 0 ? code : check_plain(tree, err);
}

static int plant_all(struct forest *forest, struct error *err)
{
    const struct cluster *cluster = &forest->cluster;
    const struct cluster_balancer *balancer = &cluster->balancer;
    int code = 0;
    forest->trees = xcalloc(cluster->n_nodes + balancer->n_nodes, sizeof(*forest->trees));
    for (size_t i = 0; i < cluster->n_nodes && code == 0; i++)
        code = plant(forest, &cluster->nodes[i], false, err);
    for (size_t i = 0; i < balancer->n_nodes && code == 0; i++)
        if (!cluster_find_node(cluster, balancer->nodes[i].name))
            code = plant(forest, &balancer->nodes[i], true, err);
    if (code == 0)
        pin_versions(forest);
    return code;
}

// ---- rendering ----

static int render_manifests(const struct tree *tree, struct file_set *out, struct error *err)
{
    for (int i = 0; i < COMPONENTS; i++) {
        enum control_plane_component component = (enum control_plane_component)i;
        struct buffer text = BUFFER_EMPTY;
        if (!cluster_runs(tree->node->roles, component))
            continue;
        int code = control_plane_render(&tree->plane, component, &text, err);
        if (code < 0) {
            buffer_free(&text);
            return code;
        }
        _cleanup_free_ char *path =
            xasprintf(MANIFESTS "%s.yaml", control_plane_component_name(component));
        file_set_add(out, path, 0600, &text);
    }
    return 0;
}

// A template that is filled in must be a manifest: with a wrong one, the node would run something
// else than was meant, or nothing.
static int check_manifest(const char *file, const struct buffer *text, const char *node,
                          struct error *err)
{
    _cleanup_draft_ struct draft draft = {.file = xstrdup(file)};
    _cleanup_buffer_ struct buffer found = BUFFER_EMPTY;
    buffer_add(&draft.content, text->data, text->len);
    draft_judge(&draft, node);
    for (size_t i = 0; i < draft.diags.n && !draft.valid && found.len == 0; i++)
        if (draft.diags.items[i].severity == DIAG_ERROR)
            diag_format(&draft.diags.items[i], &found);
    if (draft.valid && draft.pods.n > 0)
        return 0;
    return error_set(err, EINVAL, "--template: %s",
                     found.len > 0 ? buffer_str(&found) : "there is no pod in it");
}

static int fill_template(const struct forest *forest, const struct tree *tree, const char *file,
                         struct buffer *out, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const struct user_template_values values = {
        .cluster = &forest->cluster,
        .node = tree->node,
        .plane = &tree->plane,
        .discovery_token = forest->options->discovery_token,
    };
    int code = fs_read_file(AT_FDCWD, file, USER_TEMPLATE_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "cannot read the template %s", file);
    code = user_template_fill(file, buffer_str(&text), &values, out, err);
    return code < 0 ? code : check_manifest(file, out, tree->node->name, err);
}

static int render_user_template(const struct forest *forest, struct tree *tree, const char *file,
                                struct error *err)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    const char *name = path_base(file);
    _cleanup_free_ char *path = xasprintf(MANIFESTS "%s", name);
    if (!draft_is_manifest_name(name))
        return error_set(err, EINVAL,
                         "--template %s: no manifest is called so: *.yaml, *.yml or *.json, "
                         "without a dot before it",
                         file);
    if (file_set_has(&tree->files, path))
        return error_set(err, EINVAL,
                         "--template %s: %s is rendered already: give the file another name", file,
                         path);
    int code = fill_template(forest, tree, file, &out, err);
    if (code == 0)
        file_set_add(&tree->files, path, 0600, &out);
    return code;
}

static int render_one(struct forest *forest, struct tree *tree, struct error *err)
{
    const struct render_node node = {&forest->cluster, tree->node, &tree->plane, tree->root};
    const struct string_list *templates = &forest->options->templates;
    int code = render_manifests(tree, &tree->files, err);
    if (code == 0)
        code = balancer_render(&forest->cluster, tree->node, *tree->root ? tree->root : NULL, NULL,
                               BALANCER_ALL, &tree->files, err);
    for (size_t i = 0; i < templates->n && code == 0 && !tree->balancer_alone; i++)
        code = render_user_template(forest, tree, templates->items[i], err);
    if (code < 0)
        return error_prefix(err, code, "node %s", tree->node->name);
    render_node_files(&node, &tree->files);
    code = render_node_monit(&node, &tree->files, err);
    return code < 0 ? error_prefix(err, code, "node %s", tree->node->name) : 0;
}

// ---- keys and certificates ----

static struct pki_layout layout_of(const struct forest *forest, const struct tree *tree,
                                   const char *pki_dir, const char *kubeconfig_dir)
{
    return (struct pki_layout){
        .pki_dir = pki_dir,
        .kubeconfig_dir = kubeconfig_dir,
        .node_name = tree->plane.node_name,
        .advertise_address = tree->plane.advertise_address,
        .api_port = tree->plane.api_port,
        .control_plane_endpoint = forest->cluster.file.control_plane_endpoint,
        .service_cidr = tree->plane.service_cidr,
        .dns_domain = tree->plane.dns_domain,
        .cluster_name = tree->plane.cluster_name,
        .api_sans = &forest->api_sans,
        .etcd_server_sans = &forest->etcd_server_sans,
        .etcd_peer_sans = &forest->etcd_peer_sans,
        .external_etcd = forest->cluster.file.has_external_etcd ? &forest->external : NULL,
        .kubelet = true,
        .algorithm = forest->algorithm,
        .without = cluster_pki_without(tree->node->roles),
    };
}

static void choose_names(struct forest *forest)
{
    const struct kubeadm_config *file = &forest->cluster.file;
    string_list_copy(&forest->api_sans, &file->api_sans);
    string_list_copy(&forest->etcd_server_sans, &file->etcd_server_sans);
    string_list_copy(&forest->etcd_peer_sans, &file->etcd_peer_sans);
    cluster_api_names(&forest->cluster, &forest->api_sans);
    forest->external = (struct pki_external_etcd){.ca_file = file->etcd_ca_file,
                                                  .certificate_file = file->etcd_certificate_file,
                                                  .key_file = file->etcd_key_file,
                                                  .elsewhere = true};
}

static int check_names(const struct forest *forest, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < forest->n && code == 0; i++) {
        struct pki_layout layout = layout_of(forest, &forest->trees[i], ".", NULL);
        code = forest->trees[i].balancer_alone ? 0 : pki_layout_check(&layout, err);
    }
    return code;
}

static int make_pki(struct forest *forest, const struct pki_layout *layout, struct error *err)
{
    _cleanup_pki_report_ struct pki_report report = {0};
    int code = pki_layout_make(layout, &report, err);
    pki_say_report(&report);
    forest->made += report.made;
    forest->kept += report.kept;
    return code;
}

static int share_file(const char *from, const char *to, const char *name, struct error *err)
{
    _cleanup_free_ char *source = path_join(from, name), *target = path_join(to, name);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, old = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, source, KEY_MAX, &text);
    if (code == -ENOENT && str_ends_with(name, ".key"))
        return 0; // an external CA: its key is not here
    if (code < 0)
        return error_errno(err, code, "cannot read %s", source);
    code = fs_read_file(AT_FDCWD, target, KEY_MAX, &old);
    if (code == 0 && old.len == text.len && memcmp(old.data, text.data, text.len) == 0)
        return 0;
    if (code != -ENOENT)
        return code < 0 ? error_errno(err, code, "cannot read %s", target)
                        : error_set(err, EEXIST,
                                    "%s is there and is another one than %s, by which this "
                                    "cluster's certificates are signed: is it another cluster's?",
                                    target, source);
    code = fs_mkdir_parents_of(AT_FDCWD, target);
    if (code == 0)
        code = fs_write_atomic(AT_FDCWD, target, text.data, text.len,
                               str_ends_with(name, ".crt") ? 0644 : 0600, // as kubeadm's
                               FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 ? error_errno(err, code, "cannot write %s", target) : 0;
}

// What the nodes have in common, as far as this node's roles need it.
static int share(const struct forest *forest, const struct tree *tree, const char *pki_dir,
                 struct error *err)
{
    static const struct {
        const char *name;
        bool etcd;
    } files[] = {{"ca.crt", false},
                 {"ca.key", false},
                 {"front-proxy-ca.crt", false},
                 {"front-proxy-ca.key", false},
                 {"sa.key", false},
                 {"sa.pub", false},
                 {"etcd/ca.crt", true},
                 {"etcd/ca.key", true}};
    _cleanup_free_ char *from = path_join(forest->options->out, SHARED);
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(files) && code == 0; i++) {
        bool wanted = files[i].etcd ? !forest->cluster.file.has_external_etcd
                                    : (tree->node->roles & NODE_APISERVER) != 0;
        if (wanted)
            code = share_file(from, pki_dir, files[i].name, err);
    }
    return code;
}

static int make_node_pki(struct forest *forest, const struct tree *tree, struct error *err)
{
    const char *below = tree->plane.pki_dir + strlen(tree->root);
    _cleanup_free_ char *pki_dir = xasprintf("%s%s", tree->dir, below);
    _cleanup_free_ char *kubeconfig_dir =
        xasprintf("%s%s", tree->dir, tree->plane.kubeconfig_dir + strlen(tree->root));
    struct pki_layout layout = layout_of(forest, tree, pki_dir, kubeconfig_dir);
    int code = share(forest, tree, pki_dir, err);
    return code < 0 ? code : make_pki(forest, &layout, err);
}

// A machine that balances alone knows the CA and no more: it asks the kube-apiservers how they are.
static int share_ca(const struct forest *forest, const char *pki_dir, struct error *err)
{
    _cleanup_free_ char *from = path_join(forest->options->out, SHARED);
    return share_file(from, pki_dir, "ca.crt", err);
}

static int make_balancer_pki(const struct forest *forest, const struct tree *tree,
                             struct error *err)
{
    const char *below = tree->plane.pki_dir + strlen(tree->root);
    _cleanup_free_ char *pki_dir = xasprintf("%s%s", tree->dir, below);
    return share_ca(forest, pki_dir, err);
}

static int make_all_pki(struct forest *forest, struct error *err)
{
    const char *out = forest->options->out;
    _cleanup_free_ char *shared = path_join(out, SHARED), *hidden = path_join(out, ".cluster");
    struct pki_layout layout = layout_of(forest, &forest->trees[0], shared, NULL);
    layout.without = PKI_AUTHORITIES_ONLY;
    int code = fs_mkdir_parents(AT_FDCWD, hidden, 0700);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", hidden);
    code = make_pki(forest, &layout, err);
    for (size_t i = 0; i < forest->n && code == 0; i++)
        code = forest->trees[i].balancer_alone ? make_balancer_pki(forest, &forest->trees[i], err)
                                               : make_node_pki(forest, &forest->trees[i], err);
    return code;
}

// ---- writing ----

static void say(void *userdata, enum file_set_outcome outcome, const char *path)
{
    struct forest *forest = userdata;
    switch (outcome) {
    case FILE_SET_MADE:
        forest->made++;
        pki_say("made", TERM_GREEN, path, NULL);
        break;
    case FILE_SET_KEPT:
        forest->kept++;
        break;
    case FILE_SET_CHANGED:
    case FILE_SET_REMOVED:
        forest->changed++;
        pki_say(outcome == FILE_SET_CHANGED ? "changed" : "removed", TERM_YELLOW, path, NULL);
        break;
    }
}

// Files of an earlier run that nobody would render now: a manifest left behind would run.
static int remove_old(struct forest *forest, const struct tree *tree, struct error *err)
{
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY;
    _cleanup_free_ char *list = path_join(tree->dir, LIST);
    char *save = NULL;
    int code = fs_read_file(AT_FDCWD, list, LIST_MAX, &old);
    if (code == -ENOENT || (code == 0 && old.len == 0))
        return 0;
    if (code < 0)
        return error_errno(err, code, "cannot read %s", list);
    for (char *line = strtok_r(old.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        _cleanup_free_ char *path = path_join(tree->dir, line);
        _cleanup_free_ char *whole = xasprintf("/%s", line);
        if (!path_is_clean_absolute(whole) || file_set_has(&tree->files, line))
            continue;
        if (unlinkat(AT_FDCWD, path, 0) == 0)
            say(forest, FILE_SET_REMOVED, path);
        else if (errno != ENOENT)
            return error_errno(err, errno, "cannot remove %s", path);
    }
    return 0;
}

static int write_tree(struct forest *forest, struct tree *tree, struct error *err)
{
    struct buffer list = BUFFER_EMPTY;
    int code = remove_old(forest, tree, err);
    for (size_t i = 0; i < tree->files.n; i++)
        buffer_printf(&list, "%s\n", tree->files.items[i].path);
    file_set_add(&tree->files, LIST, 0644, &list);
    return code < 0 ? code : file_set_write(&tree->files, tree->dir, say, forest, err);
}

// What a worker needs, the same for each: a token and its name are its own.
static int write_worker(struct forest *forest, struct error *err)
{
    _cleanup_file_set_ struct file_set files = {0};
    _cleanup_free_ char *dir = path_join(forest->options->out, WORKER);
    _cleanup_free_ char *pki_dir = path_join(dir, "etc/kubernetes/pki");
    bool taken = balancer_find_node(&forest->cluster, WORKER) != NULL;
    if (taken || cluster_count(&forest->cluster, NODE_APISERVER) == 0)
        return 0;
    int code = worker_render(&forest->cluster, "", &files, err);
    if (code == 0)
        code = file_set_write(&files, dir, say, forest, err);
    return code < 0 ? code : share_ca(forest, pki_dir, err);
}

// Trees of nodes that the cluster does not have (any more): they hold keys, so they are not removed
// without being asked to.
static void note_strangers(const struct forest *forest)
{
    const char *out = forest->options->out;
    DIR *dir = opendir(out);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat st;
        _cleanup_free_ char *list = xasprintf("%s/%s/" LIST, out, entry->d_name);
        bool known = entry->d_name[0] == '.';
        for (size_t i = 0; i < forest->n && !known; i++)
            known = str_equal(forest->trees[i].node->name, entry->d_name);
        if (!known && stat(list, &st) == 0)
            fprintf(stderr, "warning: %s/%s: the cluster has no such node (any more)\n", out,
                    entry->d_name);
    }
    if (dir)
        closedir(dir);
}

static void say_next(const struct forest *forest)
{
    const char *out = forest->options->out, *name = forest->trees[0].node->name;
    printf("\n%zu nodes: %zu files made, %zu changed, %zu kept. What next, for each node (%s, for "
           "example):\n",
           forest->n, forest->made, forest->changed, forest->kept, name);
    printf("  tar -C %s/%s -cf - . | ssh root@%s 'mkdir -m 700 tree && tar -C tree -xf - && sh "
           "tree/join.sh'\n",
           out, name, forest->trees[0].node->address);
    printf("%s/.cluster holds the keys of the CAs: keep it where nobody else can read it.\n", out);
}

int render_tree(const struct render_tree_options *options, struct error *err)
{
    _cleanup_forest_ struct forest forest = {.options = options};
    int code = read_cluster(&forest, err);
    if (code == 0)
        code = plant_all(&forest, err);
    if (code < 0)
        return code;
    choose_names(&forest);
    code = check_names(&forest, err);
    for (size_t i = 0; i < forest.n && code == 0; i++)
        code = render_one(&forest, &forest.trees[i], err);
    if (code < 0)
        return code;
    code = make_all_pki(&forest, err);
    for (size_t i = 0; i < forest.n && code == 0; i++)
        code = write_tree(&forest, &forest.trees[i], err);
    if (code == 0)
        code = write_worker(&forest, err);
    if (code < 0)
        return code;
    note_strangers(&forest);
    say_next(&forest);
    return 0;
}
