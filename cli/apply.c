// `mainstay apply`: judge manifests, put them into the directory atomically, and wait until their
// pods are ready.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/draft.h"
#include "cli/field.h"
#include "cli/guard-wait.h"
#include "cli/manifest-put.h"
#include "cli/node-state.h"

struct apply_options {
    struct common_options common;
    struct string_list files;
    bool wait, force;
    int64_t timeout_nsec, settle_nsec;
};

static const struct option apply_options[] = {
    OPT_BOOL(apply_options, wait, .name = "wait",
             .help = "Return when the pods are ready, or say exactly why they are not"),
    OPT_DURATION(apply_options, timeout_nsec, .name = "timeout", .argument = "DURATION",
                 .help = "With --wait: give up after this time (default 2m); the time of a trial "
                         "(mainstay.dev/confirm) comes on top"),
    OPT_DURATION(apply_options, settle_nsec, .name = "settle", .argument = "DURATION",
                 .help =
                     "With --wait: ready is who stays so this long without a restart (default 2s)"),
    OPT_BOOL(apply_options, force, .name = "force",
             .help = "Also where etcd loses its quorum by it (mainstay.dev/quorum-guard)"),
    OPT_LIST(apply_options, files, .letter = 'f', .name = "filename", .argument = "FILE",
             .help = "As FILE alone: kubectl's way to name it"),
    COMMON_OPTIONS(apply_options),
};

// One manifest on its way into the directory.
struct application {
    struct draft draft;
    char *target; // the absolute path that it gets
    char sha256[DIGEST_HEX_SIZE];
    const char *verb; // "created", "configured", "unchanged"
};

struct apply {
    const struct apply_options *options;
    struct client *client;
    struct node_state state;
    LIST_OF(struct application) files;
    struct error *err;
};

static bool ends_with_node(const char *name, const char *node, size_t *ret_len)
{
    size_t len = strlen(name), suffix = strlen(node) + 1;
    if (len <= suffix || name[len - suffix] != '-' || !str_equal(name + len - suffix + 1, node))
        return false;
    *ret_len = len - suffix;
    return true;
}

// The file's own name where the agent would read it, else one made of the pod's name.
static char *target_name(const struct apply *apply, const struct draft *draft)
{
    const char *base = path_base(draft->file);
    const char *pod = draft->pods.items[0]->metadata.name;
    size_t len = strlen(pod);
    if (draft_is_manifest_name(base))
        return xstrdup(base);
    ends_with_node(pod, node_state_node(&apply->state), &len);
    return xasprintf("%.*s.yaml", (int)len, pod);
}

static bool drafts_pod(const struct draft *draft, const json_t *pod)
{
    for (size_t i = 0; i < draft->pods.n; i++)
        if (str_equal(draft->pods.items[i]->metadata.namespace, field_text(pod, "namespace")) &&
            str_equal(draft->pods.items[i]->metadata.name, field_text(pod, "name")))
            return true;
    return false;
}

// Another file may provide the pods already: then that is the one to replace, as long as nothing
// else in it would be lost. *ret is that file (borrowed), or stays NULL.
static int find_provider(const struct apply *apply, const struct draft *draft, const char **ret)
{
    for (size_t i = 0; i < draft->pods.n; i++) {
        const struct object_meta *m = &draft->pods.items[i]->metadata;
        const json_t *item = node_state_provider(&apply->state, m->namespace, m->name);
        const char *file = field_text(item, "file");
        if (!file)
            continue;
        int r = node_state_check_file(file, m->name, apply->err);
        if (r < 0)
            return r;
        if (*ret && !str_equal(*ret, file))
            return error_set(
                apply->err, EEXIST,
                "%s: its pods are provided by two files now, %s and %s; apply them one by "
                "one",
                draft->file, *ret, file);
        *ret = file;
    }
    return 0;
}

// Nobody's pod goes because another manifest came: neither one that shares the file with the pod
// that is meant, nor one whose file happens to have the same name.
static int check_lost_pods(const struct apply *apply, const struct draft *draft, const char *target,
                           bool provides)
{
    const json_t *item = node_state_manifest(&apply->state, target);
    const json_t *pods = field_at(item, "pods");
    bool same_name = str_equal(path_base(draft->file), path_base(target));
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        if (drafts_pod(draft, pod))
            continue;
        if (!provides)
            return error_set(apply->err, EEXIST,
                             "%s: %s is there already and provides another pod, %s; give the file "
                             "another name",
                             draft->file, target, field_text_or_empty(pod, "name"));
        // With the same name it is the same manifest, edited.
        if (!same_name)
            return error_set(
                apply->err, EEXIST,
                "%s: pod %s is provided by %s together with %s, which would be lost; edit "
                "that file instead",
                draft->file, draft->pods.items[0]->metadata.name, target,
                field_text_or_empty(pod, "name"));
    }
    return 0;
}

static int choose_target(const struct apply *apply, struct application *file)
{
    const char *directory = node_state_directory(&apply->state);
    const char *provider = NULL;
    struct stat st;
    int r = find_provider(apply, &file->draft, &provider);
    if (r < 0)
        return r;
    _cleanup_free_ char *name = target_name(apply, &file->draft);
    bool is_file = stat(directory, &st) == 0 && S_ISREG(st.st_mode);
    if (is_file) // staticPodPath may name a single file
        file->target = xstrdup(directory);
    else if (provider)
        file->target = xstrdup(provider);
    else
        file->target = path_join(directory, name);
    return check_lost_pods(apply, &file->draft, file->target, provider != NULL);
}

static int prepare(struct apply *apply, const char *path)
{
    struct application *file = LIST_APPEND(&apply->files);
    int r = draft_load(path, node_state_node(&apply->state), &file->draft, apply->err);
    if (r < 0)
        return r;
    draft_print_findings(&file->draft, stderr);
    if (!file->draft.valid)
        return error_set(apply->err, EINVAL, "%s is not valid; nothing was applied",
                         file->draft.file);
    digest_sha256_hex(buffer_str(&file->draft.content), file->draft.content.len, file->sha256);
    r = choose_target(apply, file);
    LIST_EACH (other, &apply->files)
        if (r == 0 && other != file && str_equal(other->target, file->target))
            r = error_set(apply->err, EEXIST, "%s and %s would both become %s", other->draft.file,
                          file->draft.file, file->target);
    return r;
}

static void say_applied(const struct application *file)
{
    bool renamed = !str_equal(path_base(file->draft.file), path_base(file->target));
    for (size_t i = 0; i < file->draft.pods.n; i++)
        printf("pod/%s %s%s%s%s\n", file->draft.pods.items[i]->metadata.name, file->verb,
               renamed ? " (in " : "", renamed ? file->target : "", renamed ? ")" : "");
    fflush(stdout);
}

static int wait_ready(const struct apply *apply, const struct application *file, monotime deadline)
{
    return manifest_settle(apply->client, file->target, file->sha256, &file->draft.pods,
                           apply->options->settle_nsec / NSEC_PER_USEC, deadline, apply->err);
}

static int apply_all(struct apply *apply, const struct options_rest *rest)
{
    int r = node_state_fetch(apply->client, &apply->state, apply->err);
    // All are judged before the first is written.
    for (size_t i = 0; i < rest->n && r == 0; i++)
        r = prepare(apply, rest->arguments[i]);
    for (size_t i = 0; i < apply->files.n && r == 0; i++) {
        struct application *file = &apply->files.items[i];
        r = manifest_put(file->target, &file->draft.content, &file->verb, apply->err);
        if (r == 0)
            say_applied(file);
        for (size_t j = 0; j < file->draft.pods.n && r == 0 && apply->options->force; j++)
            r = guard_force(apply->client, file->draft.pods.items[j]->metadata.namespace,
                            file->draft.pods.items[j]->metadata.name,
                            str_equal(file->verb, "configured"), apply->err);
    }
    if (!apply->options->wait)
        return r;
    monotime deadline =
        monotime_add_usec(monotime_now(), apply->options->timeout_nsec / NSEC_PER_USEC);
    for (size_t i = 0; i < apply->files.n && r == 0; i++)
        r = wait_ready(apply, &apply->files.items[i], deadline);
    return r;
}

static int apply_files(const struct apply_options *options, const struct options_rest *rest)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct apply apply = {
        .options = options, .client = client_new(options->common.socket), .err = &err};
    int r = apply_all(&apply, rest);
    LIST_EACH (file, &apply.files) {
        draft_free(&file->draft);
        free(file->target);
    }
    free(apply.files.items);
    node_state_free(&apply.state);
    client_free(apply.client);
    return client_failed(r, &err);
}

static int cmd_apply(int argc, char **argv)
{
    struct apply_options options = {.timeout_nsec = 120 * NSEC_PER_SEC,
                                    .settle_nsec = 2 * NSEC_PER_SEC};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (command_parse(&command_apply, argc, argv, &options, &rest, &status)) {
        options_rest_add(&rest, &options.files);
        status = rest.n > 0 ? apply_files(&options, &rest)
                            : command_usage_error(&command_apply,
                                                  "say what to apply: mainstay apply FILE");
    }
    options_free(apply_options, ARRAY_SIZE(apply_options), &options);
    return status;
}

const struct command command_apply = {
    .name = "apply",
    .group = "Change",
    .summary = "Check manifests and put them into the agent's directory",
    .usage = "FILE|-… [--force] [--wait] [--timeout 2m]",
    .description = "Everything is checked before anything is written, and a file is replaced in "
                   "one step. Where\n"
                   "another file provides the pod already, that file is the one that is replaced.",
    .examples = "  mainstay apply etcd.yaml --wait\n"
                "  mainstay render kube-apiserver | mainstay apply - --wait --timeout 5m",
    .options = apply_options,
    .n_options = ARRAY_SIZE(apply_options),
    .argument = ARGUMENT_FILE,
    .run = cmd_apply,
};
