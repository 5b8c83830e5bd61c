// `mainstay reset`: undoes what init or join have made of this machine. The cluster is told first,
// then what runs is stopped, then the files go; it can be interrupted, and be run again.
#include "cli/reset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/control-plane-options.h"
#include "cli/reset-etcd.h"
#include "cli/term.h"
#include "manifests/cluster.h"

struct reset_options {
    struct common_options common;
    struct control_plane_options plane;
    const char *manifests;
    int64_t timeout_nsec;
    bool force, yes, dry_run, keep_pki, keep_etcd_data;
};

static const struct option reset_option_rows[] = {
    OPT_BOOL(reset_options, yes, .letter = 'y', .name = "yes", .help = "Do not ask"),
    OPT_BOOL(reset_options, force, .name = "force",
             .help = "Do not ask, and go on where etcd does not answer or loses its quorum, or "
                     "where something may still run"),
    OPT_BOOL(reset_options, dry_run, .name = "dry-run", .help = "Only say what would be done"),
    OPT_BOOL(reset_options, keep_pki, .name = "keep-pki", .help = "Leave keys and certificates"),
    OPT_BOOL(reset_options, keep_etcd_data, .name = "keep-etcd-data", .help = "Leave etcd's data"),
    OPT_DURATION(reset_options, timeout_nsec, .name = "timeout", .argument = "DURATION",
                 .help = "How long to wait until the pods are gone (default 4m)"),
    OPT_STRING(reset_options, plane.root, .name = "root", .argument = "DIR",
               .help = "What init or join have put below DIR"),
    OPT_STRING(reset_options, manifests, .name = "manifests", .argument = "DIR",
               .help = "Where the manifests are (default: /etc/kubernetes/manifests)"),
    OPT_STRING(reset_options, plane.pki_dir, .name = "pki-dir", .argument = "DIR",
               .help = "Keys and certificates (default: /etc/kubernetes/pki)"),
    OPT_STRING(reset_options, plane.kubeconfig_dir, .name = "kubeconfig-dir", .argument = "DIR",
               .help = "Kubeconfigs (default: /etc/kubernetes)"),
    OPT_STRING(reset_options, plane.etcd_data_dir, .name = "etcd-data-dir", .argument = "DIR",
               .help = "etcd's data (default: /var/lib/etcd)"),
    OPT_STRING(reset_options, plane.node_name, .name = "node-name", .argument = "NAME",
               .help = "This node's name (default: its etcd member's, else the host's)"),
    COMMON_OPTIONS(reset_options),
};

const struct command command_reset = {
    .name = "reset",
    .group = "The control plane",
    .summary = "Undo what init or join have made of this machine",
    .usage = "[flags]",
    .description =
        "Takes this node's etcd member out of the cluster (and refuses to where the others would\n"
        "have no quorum), and its entry, so that balancers leave it; takes its manifests away and\n"
        "waits until the pods are gone; and removes what init or join have made: kubeconfigs,\n"
        "keys and certificates, etcd's data, the cluster's file, and nothing else. It asks first,\n"
        "on a terminal. What was made is listed in /etc/mainstay/made.\n\n"
        "It can be interrupted, and be run again.",
    .examples = "  # What would go?\n"
                "  mainstay reset --dry-run\n"
                "  # Begin again with the same keys\n"
                "  mainstay reset --yes --keep-pki",
    .options = reset_option_rows,
    .n_options = ARRAY_SIZE(reset_option_rows),
    .run = cmd_reset,
};

struct reset {
    struct reset_options *options;
    struct node_places places;
    struct made_list made, kept;
    struct reset_etcd etcd;
    char *node;
};

static void reset_free(struct reset *reset)
{
    made_list_free(&reset->made);
    made_list_free(&reset->kept);
    reset_etcd_free(&reset->etcd);
    free(reset->node);
}
#define _cleanup_reset_ _cleanup_(reset_free)

// ---- what there is ----

static int find_places(struct reset *reset, struct error *err)
{
    struct control_plane_options *options = &reset->options->plane;
    if (options->root && strspn(options->root, "/") == strlen(options->root))
        options->root = NULL;
    const struct {
        const char **to, *from, *below;
    } rows[] = {
        {&reset->places.pki_dir, options->pki_dir, "/etc/kubernetes/pki"},
        {&reset->places.kubeconfig_dir, options->kubeconfig_dir, "/etc/kubernetes"},
        {&reset->places.etcd_data_dir, options->etcd_data_dir, "/var/lib/etcd"},
        {&reset->places.manifests, reset->options->manifests, "/etc/kubernetes/manifests"},
        {&reset->places.cluster_file, NULL, CLUSTER_FILE},
        {&reset->places.made_file, NULL, MADE_FILE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        *rows[i].to = control_plane_options_path(options, rows[i].from, rows[i].below, err);
        if (!*rows[i].to)
            return -EINVAL;
    }
    reset->places.root = "";
    if (options->root)
        reset->places.root = control_plane_options_path(options, options->root, NULL, err);
    return reset->places.root ? 0 : -EINVAL;
}

static int find_node(struct reset *reset, struct error *err)
{
    const char *member = reset->etcd.access.local.name, *host = NULL;
    int code = 0;
    if (!reset->options->plane.node_name && member) {
        reset->node = xstrdup(member);
        return 0;
    }
    code = control_plane_options_node_name(&reset->options->plane, &host, err);
    reset->node = xstrdup_or_null(host);
    return code;
}

// The manifest directory, by the list where that knows another one.
static const char *manifests_of(const struct reset *reset)
{
    LIST_EACH (item, &reset->made.items)
        if (item->kind == MADE_MANIFEST) {
            char *slash = strrchr(item->path, '/');
            char *directory = xstrndup(item->path, (size_t)(slash - item->path));
            string_list_add_owned(&reset->options->plane.owned, directory);
            return directory;
        }
    return reset->places.manifests;
}

static bool stays(const struct reset_options *options, const struct made_item *item)
{
    return (options->keep_pki && item->kind == MADE_PKI) ||
           (options->keep_etcd_data && item->kind == MADE_ETCD_DATA);
}

// ---- telling ----

static void say_etcd(const struct reset *reset)
{
    const struct reset_etcd *etcd = &reset->etcd;
    if (etcd->own && !etcd->is_last)
        printf("  the etcd member %s leaves the cluster of %zu\n", reset->node,
               etcd->survey.members.members.n);
    if (etcd->is_last)
        printf("  the etcd member %s is the only one: the cluster ends, with all that it holds\n",
               reset->node);
    if (etcd->known && !etcd->answers)
        printf("  etcd does not answer: what it knows of this node stays\n");
}

static void say_plan(const struct reset *reset)
{
    printf("Reset of node %s:\n", reset->node);
    say_etcd(reset);
    LIST_EACH (item, &reset->made.items)
        if (!stays(reset->options, item))
            printf("  %s  %s%s\n", item->kind == MADE_MANIFEST ? "stop  " : "remove", item->path,
                   item->kind == MADE_ETCD_DATA ? "/*" : "");
    LIST_EACH (item, &reset->kept.items)
        printf("  keep    %s (it was there before)\n", item->path);
}

// True to go on.
static bool ask(const struct reset *reset)
{
    char answer[16] = "";
    if (reset->options->yes || reset->options->force)
        return true;
    if (!isatty(STDIN_FILENO)) {
        fflush(stdout);
        fprintf(stderr, "error: nobody is here to be asked: give --yes\n");
        return false;
    }
    printf("\nThis cannot be undone. Go on? [y/N] ");
    fflush(stdout);
    if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
        printf("Nothing was changed.\n");
        return false;
    }
    printf("\n");
    return true;
}

// ---- doing ----

static int stop(struct reset *reset, bool etcd, monotime deadline, struct error *err)
{
    const char **manifests = xcalloc(reset->made.items.n + 1, sizeof(*manifests));
    size_t n = 0;
    LIST_EACH (item, &reset->made.items)
        if (item->kind == MADE_MANIFEST && str_ends_with(item->path, "/etcd.yaml") == etcd)
            manifests[n++] = item->path;
    int code = reset_stop(manifests, n, manifests_of(reset), reset->options->common.socket,
                          reset->options->force, deadline, err);
    free(manifests);
    return code;
}

static int tell_cluster(struct reset *reset, monotime deadline, struct error *err)
{
    int code =
        reset_etcd_remove(&reset->etcd, reset->options->force ? monotime_now() : deadline, err);
    if (code < 0 && !reset->options->force)
        return error_prefix(err, code, "the etcd member %s is not out of the cluster", reset->node);
    if (code < 0)
        fprintf(stderr,
                "warning: the etcd member %s stays in the cluster (%s): on another node, "
                "`mainstay etcd member remove %s`\n",
                reset->node, error_message(err), reset->node);
    else if (reset->etcd.own && !reset->etcd.is_last)
        printf("  left     the etcd cluster\n");
    fflush(stdout);
    return 0;
}

static int remove_files(struct reset *reset, struct error *err)
{
    // Once more: what was starting may have made something meanwhile.
    made_list_free(&reset->made);
    made_list_free(&reset->kept);
    int code = made_load(&reset->places, &reset->made, &reset->kept, err);
    LIST_EACH (item, &reset->made.items)
        if (code == 0 && item->kind != MADE_MANIFEST && !stays(reset->options, item))
            code = reset_remove(item, err);
    if (code == 0)
        reset_tidy(&reset->places);
    // The list is the last to go: what it names is found by the next run.
    bool all = !reset->options->keep_pki && !reset->options->keep_etcd_data;
    if (code == 0 && all && unlink(reset->places.made_file) < 0 && errno != ENOENT)
        code = error_errno(err, errno, "cannot remove %s", reset->places.made_file);
    return code;
}

static int do_it(struct reset *reset, struct error *err)
{
    monotime deadline =
        monotime_add_usec(monotime_now(), reset->options->timeout_nsec / NSEC_PER_USEC);
    int code = reset_etcd_forget(&reset->etcd, reset->node, err);
    if (code < 0 && reset->options->force)
        code = 0;
    if (code == 0)
        code = stop(reset, false, deadline, err);
    if (code == 0)
        code = tell_cluster(reset, deadline, err);
    if (code == 0)
        code = stop(reset, true, deadline, err);
    return code == 0 ? remove_files(reset, err) : code;
}

static int failed(const struct error *err)
{
    fflush(stdout);
    fprintf(stderr, "error: %s\n", error_message(err));
    return CLI_NO;
}

static int look_at_etcd(struct reset *reset, struct error *err)
{
    int code = reset_etcd_look(manifests_of(reset), reset->places.cluster_file, &reset->etcd, err);
    if (code < 0 && !reset->options->force)
        return error_prefix(err, code,
                            "nothing was changed: the cluster's etcd does not answer, and would go "
                            "on counting this node in (--force goes on)");
    return reset_etcd_check(&reset->etcd, reset->options->force, err);
}

static int reset_run(struct reset *reset)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (find_places(reset, &err) < 0)
        return command_usage_error(&command_reset, "%s", error_message(&err));
    if (made_load(&reset->places, &reset->made, &reset->kept, &err) < 0)
        return failed(&err);
    if (reset->made.items.n == 0) {
        printf("There is nothing to reset: init and join have left nothing here.\n");
        unlink(reset->places.made_file);
        return CLI_DONE;
    }
    if (look_at_etcd(reset, &err) < 0 || find_node(reset, &err) < 0)
        return failed(&err);
    say_plan(reset);
    if (reset->options->dry_run)
        return CLI_DONE;
    if (!ask(reset))
        return CLI_NO;
    if (do_it(reset, &err) < 0)
        return failed(&err);
    printf("\nNode %s is reset.\n", reset->node);
    return CLI_DONE;
}

int cmd_reset(int argc, char **argv)
{
    struct reset_options options = {.timeout_nsec = 240 * NSEC_PER_SEC};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status = CLI_DONE;
    if (command_parse(&command_reset, argc, argv, &options, &rest, &status)) {
        _cleanup_reset_ struct reset reset = {.options = &options};
        status = rest.n > 0
                     ? command_usage_error(&command_reset, "\"%s\" is no flag", rest.arguments[0])
                     : reset_run(&reset);
    }
    control_plane_options_free(&options.plane);
    options_free(reset_option_rows, ARRAY_SIZE(reset_option_rows), &options);
    return status;
}
