// `mainstay rollback`: puts the manifest of an earlier revision back into the directory.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/diff-text.h"
#include "cli/draft.h"
#include "cli/field.h"
#include "cli/guard-wait.h"
#include "cli/manifest-put.h"
#include "cli/node-manifests.h"
#include "cli/node-state.h"
#include "cli/past.h"
#include "cli/term.h"
#include "manifests/guard.h"

struct rollback_options {
    struct common_options common;
    const char *namespace_;
    int64_t to;
    bool wait, dry_run, force;
    int64_t timeout_nsec, settle_nsec;
};

static const struct option rollback_options[] = {
    OPT_INT(rollback_options, to, .name = "to", .argument = "N",
            .help = "The revision to go back to (default: the newest other one that was ready)"),
    OPT_BOOL(rollback_options, dry_run, .name = "dry-run",
             .help = "Only show what would change in the manifest"),
    OPT_BOOL(rollback_options, force, .name = "force",
             .help = "Also where etcd loses its quorum by it (mainstay.dev/quorum-guard)"),
    OPT_BOOL(rollback_options, wait, .name = "wait",
             .help = "Return when the pod is ready, or say exactly why it is not"),
    OPT_DURATION(rollback_options, timeout_nsec, .name = "timeout", .argument = "DURATION",
                 .help = "With --wait: give up after this time (default 2m); the time of a trial "
                         "(mainstay.dev/confirm) comes on top"),
    OPT_DURATION(rollback_options, settle_nsec, .name = "settle", .argument = "DURATION",
                 .help =
                     "With --wait: ready is who stays so this long without a restart (default 2s)"),
    OPT_STRING(rollback_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pod's namespace (default: any)"),
    COMMON_OPTIONS(rollback_options),
};

struct rollback {
    const struct rollback_options *options;
    struct client *client;
    struct node_state state;
    json_t *past;
    const json_t *revision; // to go back to
    char *target;           // the file
    struct draft draft;     // what it gets
    struct error *err;
};

// ---- which revision ----

// With a manifest that failed its trial, what runs is what the file is to say again. Else it is the
// newest one that was ready and is another spec.
static const json_t *choose_default(const json_t *past)
{
    const json_t *items = field_at(past, "items"), *current = past_current(past);
    if (field_int(past, "failed"))
        return current;
    for (size_t i = json_array_size(items); i-- > 0;) {
        const json_t *item = json_array_get(items, i);
        bool same = current && str_equal(field_text(item, "hash"), field_text(current, "hash"));
        bool failed = strstr(field_text_or_empty(item, "outcome"), "FailedTrial") != NULL;
        if (!same && !failed && field_text(item, "readyAt"))
            return item;
    }
    return NULL;
}

static int choose_revision(struct rollback *rb)
{
    const char *name = field_text_or_empty(rb->past, "name");
    if (rb->options->to > 0) {
        rb->revision = past_revision(rb->past, rb->options->to, rb->err);
        if (!rb->revision)
            return -ENOENT;
    } else {
        rb->revision = choose_default(rb->past);
    }
    if (!rb->revision)
        return error_set(rb->err, ENOENT,
                         "pod %s has no other spec that was ever ready, so there is nothing to go "
                         "back to; see `mainstay history %s` (--to N takes any of them)",
                         name, name);
    if (!past_manifest(rb->revision))
        return error_set(rb->err, ENOTSUP,
                         "revision %lld did not come from a file (but from %s), so there is none "
                         "to put it back into; `mainstay history %s --revision %lld` prints it",
                         field_int(rb->revision, "revision"),
                         field_text_or_empty(rb->revision, "file"), name,
                         field_int(rb->revision, "revision"));
    return 0;
}

// ---- which file ----

struct podmaster_search {
    const char *target;
    char *pod, *source; // of the podmaster that puts the target there
};

static void compare_pair(struct podmaster_search *search, const struct pod *pod,
                         const struct container *container, const char *source,
                         const char *destination)
{
    if (!destination || search->pod)
        return;
    _cleanup_free_ char *path = container_host_path(pod, container, destination);
    if (!str_equal(path, search->target))
        return;
    search->pod = xstrdup(pod->metadata.name);
    search->source = source ? container_host_path(pod, container, source) : xstrdup("its source");
}

// --pair=KEY=SOURCE:DEST, as often as there are manifests.
static void compare_pairs(struct podmaster_search *search, const struct pod *pod,
                          const struct container *container, const struct string_list *words)
{
    static const char flag[] = "--pair=";
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->items[i];
        const char *equals = str_starts_with(word, flag) ? strchr(word + strlen(flag), '=') : NULL;
        const char *colon = equals ? strchr(equals, ':') : NULL;
        if (!colon)
            continue;
        _cleanup_free_ char *source = xstrndup(equals + 1, (size_t)(colon - equals - 1));
        compare_pair(search, pod, container, source, colon + 1);
    }
}

static void look_for_podmaster(void *userdata, const struct pod *pod,
                               const struct container *container)
{
    struct podmaster_search *search = userdata;
    if (!container_runs(container, "podmaster"))
        return;
    compare_pair(search, pod, container, container_flag(container, "source-file"),
                 container_flag(container, "dest-file"));
    compare_pair(search, pod, container, container_flag(container, "source"),
                 container_flag(container, "destination"));
    compare_pairs(search, pod, container, &container->command);
    compare_pairs(search, pod, container, &container->args);
}

static bool revision_is_guarded(const json_t *revision)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const char *manifest = revision ? past_manifest(revision) : NULL;
    if (manifest)
        buffer_add_str(&text, manifest);
    return manifest && guard_is_in(&text);
}

// Whoever runs podmaster, and wherever: what it puts there says so. Where another node holds the
// lease there is no file, and the newest revision says it.
static int check_guard(const struct rollback *rb)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const json_t *items = field_at(rb->past, "items");
    bool guarded = revision_is_guarded(rb->revision) ||
                   revision_is_guarded(json_array_get(items, json_array_size(items) - 1));
    if (!guarded && fs_read_file(AT_FDCWD, rb->target, PODSPEC_SIZE_MAX, &text) == 0)
        guarded = guard_is_in(&text);
    return guarded ? error_set(rb->err, EPERM,
                               "%s is put there by podmaster, which would undo this: change its "
                               "source instead, on every node",
                               rb->target)
                   : 0;
}

static int check_podmaster(const struct rollback *rb)
{
    struct podmaster_search search = {.target = rb->target};
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    int r = node_manifests_load(node_state_directory(&rb->state), node_state_node(&rb->state),
                                &manifests, NULL);
    if (r == 0)
        node_manifests_each(&manifests, look_for_podmaster, &search);
    r = search.pod ? error_set(rb->err, EPERM,
                               "%s is put there by podmaster (pod %s), which would undo this: "
                               "change %s instead, on every node",
                               rb->target, search.pod, search.source)
                   : 0;
    free(search.pod);
    free(search.source);
    return r < 0 ? r : check_guard(rb);
}

static int check_file(const struct rollback *rb)
{
    struct stat st;
    bool there = lstat(rb->target, &st) == 0;
    if (!there && errno != ENOENT)
        return error_errno(rb->err, errno, "%s", rb->target);
    if (there && S_ISLNK(st.st_mode)) {
        _cleanup_free_ char *link = realpath(rb->target, NULL);
        return error_set(rb->err, EPERM,
                         "%s is a symlink (to %s), so something else looks after it: change it "
                         "there; `mainstay history %s --revision %lld` prints what it is to be",
                         rb->target, link ? link : "nothing", field_text_or_empty(rb->past, "name"),
                         field_int(rb->revision, "revision"));
    }
    return check_podmaster(rb);
}

static int check_neighbours(const struct rollback *rb, const json_t *item)
{
    bool several = json_array_size(field_at(item, "pods")) > 1 || rb->draft.pods.n > 1;
    return several ? error_set(rb->err, EEXIST,
                               "%s holds several pods, which would all be set back: edit it by "
                               "hand; `mainstay history %s --revision %lld` prints the whole file "
                               "as it was",
                               rb->target, field_text_or_empty(rb->past, "name"),
                               field_int(rb->revision, "revision"))
                   : 0;
}

// The file that provides the pod now; else (it was removed) the one that it came from.
static int choose_target(struct rollback *rb)
{
    const json_t *item = node_state_provider(&rb->state, field_text_or_empty(rb->past, "namespace"),
                                             field_text_or_empty(rb->past, "name"));
    const char *file =
        field_text(item, "file") ? field_text(item, "file") : field_text(rb->revision, "file");
    if (!file)
        return error_set(rb->err, ENOENT, "nobody knows which file revision %lld came from",
                         field_int(rb->revision, "revision"));
    rb->target = xstrdup(file);
    int r = check_neighbours(rb, item);
    return r == 0 ? check_file(rb) : r;
}

// ---- doing it ----

static int make_draft(struct rollback *rb)
{
    rb->draft.file = xasprintf("revision %lld", (long long)field_int(rb->revision, "revision"));
    buffer_add_str(&rb->draft.content, past_manifest(rb->revision));
    draft_judge(&rb->draft, node_state_node(&rb->state));
    if (rb->draft.valid)
        return 0;
    draft_print_findings(&rb->draft, stderr);
    return error_set(rb->err, EINVAL, "revision %lld is not valid for this release any more",
                     field_int(rb->revision, "revision"));
}

static void show_diff(const struct rollback *rb)
{
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY, out = BUFFER_EMPTY;
    bool there = fs_read_file(AT_FDCWD, rb->target, PODSPEC_SIZE_MAX, &old) == 0;
    _cleanup_free_ char *name = xasprintf("%s (%s)", rb->target, rb->draft.file);
    if (diff_text(there ? rb->target : "/dev/null", buffer_str(&old), name,
                  buffer_str(&rb->draft.content), term_has_color(stdout), &out))
        fwrite(buffer_str(&out), 1, out.len, stdout);
    else
        printf("%s has that content already.\n", rb->target);
}

static int carry_out(struct rollback *rb)
{
    char sha256[DIGEST_HEX_SIZE];
    const char *verb;
    const struct buffer *content = &rb->draft.content;
    monotime deadline =
        monotime_add_usec(monotime_now(), rb->options->timeout_nsec / NSEC_PER_USEC);
    digest_sha256_hex(content->data, content->len, sha256);
    int r = manifest_put(rb->target, content, &verb, rb->err);
    if (r < 0)
        return r;
    printf("pod/%s %s: %s is as in revision %lld\n", field_text_or_empty(rb->past, "name"),
           str_equal(verb, "unchanged") ? "unchanged" : "rolled back", rb->target,
           field_int(rb->revision, "revision"));
    fflush(stdout);
    if (rb->options->force)
        r = guard_force(rb->client, field_text(rb->past, "namespace"),
                        field_text_or_empty(rb->past, "name"), str_equal(verb, "configured"),
                        rb->err);
    if (r < 0)
        return r;
    return rb->options->wait
               ? manifest_settle(rb->client, rb->target, sha256, &rb->draft.pods,
                                 rb->options->settle_nsec / NSEC_PER_USEC, deadline, rb->err)
               : 0;
}

static int roll_back(struct rollback *rb, const char *name)
{
    int r = past_fetch(rb->client, NULL, rb->options->namespace_, name, &rb->past, rb->err);
    if (r == 0)
        r = node_state_fetch(rb->client, &rb->state, rb->err);
    if (r == 0)
        r = choose_revision(rb);
    if (r == 0)
        r = make_draft(rb);
    if (r == 0)
        r = choose_target(rb);
    if (r < 0)
        return r;
    if (!rb->options->dry_run)
        return carry_out(rb);
    show_diff(rb);
    return 0;
}

static int rollback_pod(const struct rollback_options *options, const char *name)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct rollback rb = {
        .options = options, .client = client_new(options->common.socket), .err = &err};
    int r = roll_back(&rb, name);
    draft_free(&rb.draft);
    free(rb.target);
    json_decref(rb.past);
    node_state_free(&rb.state);
    client_free(rb.client);
    return client_failed(r, &err);
}

static int cmd_rollback(int argc, char **argv)
{
    struct rollback_options options = {.timeout_nsec = 120 * NSEC_PER_SEC,
                                       .settle_nsec = 2 * NSEC_PER_SEC};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_rollback, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n != 1)
        return command_usage_error(&command_rollback, "name one pod: mainstay rollback NAME");
    return rollback_pod(&options, rest.arguments[0]);
}

const struct command command_rollback = {
    .name = "rollback",
    .group = "Change",
    .summary = "Put the manifest of an earlier revision of a pod back",
    .usage = "NAME [--to N] [--dry-run] [--wait]",
    .description = "The file gets the text that it had then, in one step. Without --to it is the "
                   "newest other spec\nthat was ready; where the manifest on disk failed its trial "
                   "(mainstay.dev/confirm), the one\nthat runs instead. A rollback is a new "
                   "revision, so it can be undone the same way.",
    .examples = "  mainstay rollback etcd --dry-run\n"
                "  mainstay rollback etcd --to 3 --wait",
    .options = rollback_options,
    .n_options = ARRAY_SIZE(rollback_options),
    .argument = ARGUMENT_POD,
    .single = true,
    .run = cmd_rollback,
};
