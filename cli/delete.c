// `mainstay delete`: take manifests away, and wait until their pods are gone.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/draft.h"
#include "cli/field.h"
#include "cli/guard-wait.h"
#include "cli/node-state.h"
#include "cli/pod-view.h"
#include "cli/pod-wait.h"

struct delete_options {
    struct common_options common;
    const char *namespace_;
    struct string_list files;
    bool wait, force;
    int64_t timeout_nsec;
};

static const struct option delete_options[] = {
    OPT_LIST(delete_options, files, .letter = 'f', .name = "filename", .argument = "FILE",
             .help = "The pods of this manifest, which need not be the one in the directory"),
    OPT_BOOL(delete_options, wait, .name = "wait",
             .help = "Wait until the pods are gone (the default; --wait=false does not)"),
    OPT_DURATION(delete_options, timeout_nsec, .name = "timeout", .argument = "DURATION",
                 .help = "Give up waiting after this time (default: no limit)"),
    OPT_BOOL(delete_options, force, .name = "force",
             .help = "Also where etcd loses its quorum by it (mainstay.dev/quorum-guard)"),
    OPT_STRING(delete_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pods' namespace (default: any)"),
    COMMON_OPTIONS(delete_options),
};

// A pod that goes.
struct victim {
    char *namespace_, *name;
    const json_t *item; // its manifest; borrowed from the state; NULL: there is none (any more)
};

struct deletion {
    const struct delete_options *options;
    struct client *client;
    struct node_state state;
    LIST_OF(struct victim) victims;
    struct string_list manifests; // the files that are taken away
    struct error *err;
};

static void add_victim(struct deletion *d, const char *namespace_, const char *name,
                       const json_t *item)
{
    LIST_EACH (known, &d->victims)
        if (str_equal(known->namespace_, namespace_) && str_equal(known->name, name))
            return;
    struct victim *victim = LIST_APPEND(&d->victims);
    victim->namespace_ = xstrdup_or_null(namespace_);
    victim->name = xstrdup(name);
    victim->item = item;
}

static void add_manifest(struct deletion *d, const char *file)
{
    if (!string_list_contains(&d->manifests, file))
        string_list_add(&d->manifests, file);
}

static bool is_victim(const struct deletion *d, const json_t *pod)
{
    LIST_EACH (victim, &d->victims)
        if (str_equal(victim->namespace_, field_text(pod, "namespace")) &&
            str_equal(victim->name, field_text(pod, "name")))
            return true;
    return false;
}

static int add_by_name(struct deletion *d, const char *name)
{
    json_t *pod;
    if (str_starts_with(name, "pod/"))
        name += strlen("pod/");
    _cleanup_free_ char *path = client_pod_path(d->options->namespace_, name, "");
    int r = client_get(d->client, path, &pod, d->err);
    if (r < 0)
        return r;
    const char *ns = field_text(pod, "metadata.namespace");
    const char *full = field_text_or_empty(pod, "metadata.name");
    const json_t *item = node_state_provider(&d->state, ns, full);
    bool leaving = field_true(pod, "mainstay.removing");
    if (item)
        add_manifest(d, field_text_or_empty(item, "file"));
    else if (!leaving)
        r = error_set(d->err, ENOENT, "pod %s has no manifest in %s; it comes from %s", full,
                      node_state_directory(&d->state), field_text_or_empty(pod, "mainstay.file"));
    if (r == 0)
        add_victim(d, ns, full, item);
    json_decref(pod);
    return r;
}

// The file is the one in the directory itself: it goes, whatever it is worth.
static bool add_own_file(struct deletion *d, const char *path)
{
    struct stat given, own;
    for (size_t i = 0; i < json_array_size(d->state.manifests); i++) {
        const json_t *item = json_array_get(d->state.manifests, i);
        const char *file = field_text_or_empty(item, "file");
        const json_t *pods = field_at(item, "pods");
        if (stat(path, &given) < 0 || stat(file, &own) < 0 || given.st_ino != own.st_ino ||
            given.st_dev != own.st_dev)
            continue;
        add_manifest(d, file);
        for (size_t j = 0; j < json_array_size(pods); j++)
            add_victim(d, field_text(json_array_get(pods, j), "namespace"),
                       field_text_or_empty(json_array_get(pods, j), "name"), item);
        return true;
    }
    return false;
}

static int add_by_file(struct deletion *d, const char *path)
{
    _cleanup_draft_ struct draft draft = {0};
    if (add_own_file(d, path))
        return 0;
    int r = draft_load(path, node_state_node(&d->state), &draft, d->err);
    if (r < 0)
        return r;
    if (!draft.valid) {
        draft_print_findings(&draft, stderr);
        return error_set(d->err, EINVAL, "%s is not valid, so nobody knows which pods it means",
                         draft.file);
    }
    for (size_t i = 0; i < draft.pods.n; i++) {
        const struct object_meta *m = &draft.pods.items[i]->metadata;
        const json_t *item = node_state_provider(&d->state, m->namespace, m->name);
        if (!item)
            return error_set(d->err, ENOENT, "%s: there is no pod %s/%s", draft.file, m->namespace,
                             m->name);
        add_manifest(d, field_text_or_empty(item, "file"));
        add_victim(d, m->namespace, m->name, item);
    }
    return 0;
}

// A manifest with several pods goes only where all of them were meant.
static int check_bystanders(const struct deletion *d)
{
    LIST_EACH (victim, &d->victims) {
        const json_t *pods = field_at(victim->item, "pods");
        for (size_t i = 0; i < json_array_size(pods); i++) {
            const json_t *pod = json_array_get(pods, i);
            const char *file = field_text_or_empty(victim->item, "file");
            if (!is_victim(d, pod))
                return error_set(
                    d->err, EEXIST,
                    "%s provides not only %s but also %s; nothing was deleted. Take the "
                    "pod's document out of the file, or delete all its pods: `mainstay "
                    "delete -f %s`",
                    file, victim->name, field_text_or_empty(pod, "name"), file);
        }
    }
    return 0;
}

static int remove_manifests(const struct deletion *d)
{
    for (size_t i = 0; i < d->manifests.n; i++) {
        const char *file = d->manifests.items[i];
        if (unlink(file) < 0 && errno != ENOENT) {
            bool denied = errno == EACCES || errno == EPERM;
            return error_errno(d->err, errno, "cannot remove %s%s", file,
                               denied ? "; run this command as root" : "");
        }
    }
    return 0;
}

static int wait_gone(const struct deletion *d)
{
    int64_t timeout = d->options->timeout_nsec;
    monotime deadline =
        timeout > 0 ? monotime_add_usec(monotime_now(), timeout / NSEC_PER_USEC) : MONOTIME_NEVER;
    struct pod_target *targets = xcalloc(d->victims.n + 1, sizeof(*targets));
    for (size_t i = 0; i < d->victims.n; i++)
        targets[i] =
            (struct pod_target){d->victims.items[i].namespace_, d->victims.items[i].name, NULL};
    int r = pods_wait(d->client, targets, d->victims.n, POD_GOAL_GONE, 0, deadline, d->err);
    free(targets);
    return r;
}

static int check_files(const struct deletion *d)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < d->victims.n; i++) {
        const char *file = field_text(d->victims.items[i].item, "file");
        r = file ? node_state_check_file(file, d->victims.items[i].name, d->err) : 0;
    }
    return r;
}

static int run_delete(struct deletion *d, const struct options_rest *rest)
{
    int r = node_state_fetch(d->client, &d->state, d->err);
    for (size_t i = 0; i < rest->n && r == 0; i++)
        r = add_by_name(d, rest->arguments[i]);
    for (size_t i = 0; i < d->options->files.n && r == 0; i++)
        r = add_by_file(d, d->options->files.items[i]);
    if (r == 0)
        r = check_files(d);
    if (r == 0)
        r = check_bystanders(d);
    if (r == 0)
        r = remove_manifests(d);
    for (size_t i = 0; i < d->victims.n && r == 0 && d->options->force; i++)
        r = guard_force(d->client, d->victims.items[i].namespace_, d->victims.items[i].name, true,
                        d->err);
    if (r == 0 && d->options->wait && d->victims.n > 0)
        r = wait_gone(d);
    if (r < 0)
        return r;
    for (size_t i = 0; i < d->victims.n; i++)
        printf("pod \"%s\" deleted\n", d->victims.items[i].name);
    if (d->victims.n == 0)
        for (size_t i = 0; i < d->manifests.n; i++)
            printf("manifest \"%s\" deleted\n", d->manifests.items[i]);
    return 0;
}

static void deletion_free(struct deletion *d)
{
    LIST_EACH (victim, &d->victims) {
        free(victim->namespace_);
        free(victim->name);
    }
    free(d->victims.items);
    string_list_free(&d->manifests);
    node_state_free(&d->state);
    client_free(d->client);
}

static int cmd_delete(int argc, char **argv)
{
    struct delete_options options = {.wait = true};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int status;
    if (!command_parse(&command_delete, argc, argv, &options, &rest, &status)) {
        options_free(delete_options, ARRAY_SIZE(delete_options), &options);
        return status;
    }
    if (rest.n == 0 && options.files.n == 0)
        return command_usage_error(&command_delete, "say which pod: mainstay delete NAME");
    // kubectl says `delete pod NAME`
    bool kind =
        rest.n > 1 && (str_equal(rest.arguments[0], "pod") ||
                       str_equal(rest.arguments[0], "pods") || str_equal(rest.arguments[0], "po"));
    struct options_rest names = {.arguments = rest.arguments + kind, .n = rest.n - kind};
    struct deletion d = {
        .options = &options, .client = client_new(options.common.socket), .err = &err};
    int r = run_delete(&d, &names);
    deletion_free(&d);
    options_free(delete_options, ARRAY_SIZE(delete_options), &options);
    return client_failed(r, &err);
}

const struct command command_delete = {
    .name = "delete",
    .group = "Change",
    .summary = "Take a pod's manifest away and wait until the pod is gone",
    .usage = "NAME…|-f FILE [--wait=false] [--timeout 2m]",
    .description =
        "The manifest is removed from the directory. One that provides other pods too is "
        "left alone.",
    .examples = "  mainstay delete web\n  mainstay delete -f web.yaml --wait=false",
    .options = delete_options,
    .n_options = ARRAY_SIZE(delete_options),
    .argument = ARGUMENT_POD,
    .run = cmd_delete,
};
