// `mainstay diff`: what applying a manifest would change, and whether that restarts the pod.
#include "cli/diff-text.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/comparable.h"
#include "cli/draft.h"
#include "cli/field.h"
#include "cli/node-state.h"
#include "cli/term.h"

struct diff_options {
    struct common_options common;
    struct string_list files;
};

static const struct option diff_options[] = {
    OPT_LIST(diff_options, files, .letter = 'f', .name = "filename", .argument = "FILE",
             .help = "As FILE alone: kubectl's way to name it"),
    COMMON_OPTIONS(diff_options),
};

static bool is_same(const json_t *running, const struct pod *pod)
{
    char hash[33];
    return str_equal(field_text(running, "mainstay.hash"), pod_hash(pod, hash)) &&
           str_equal(field_text(running, "metadata.uid"), pod->metadata.uid);
}

static void say_consequence(const json_t *running, const struct pod *pod)
{
    const char *name = pod->metadata.name;
    if (!running)
        printf("# pod/%s: new; applying starts it\n", name);
    else if (is_same(running, pod))
        printf("# pod/%s: nothing restarts\n", name);
    else
        printf("# pod/%s: applying restarts it: the old instance is stopped (within its grace "
               "period), then the new one starts\n",
               name);
}

// *ret_differs is only ever set.
static int diff_pod(struct client *client, const struct draft *draft, const struct pod *pod,
                    bool *ret_differs, struct error *err)
{
    _cleanup_free_ char *path = client_pod_path(pod->metadata.namespace, pod->metadata.name, "");
    _cleanup_free_ char *old_name =
        xasprintf("running pod/%s (%s)", pod->metadata.name, pod->metadata.namespace);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    json_t *running = NULL;
    int r = client_get(client, path, &running, err);
    if (r < 0 && r != -ENOENT)
        return r;
    json_t *wanted = pod_to_json(pod);
    _cleanup_free_ char *old_text = running ? comparable_yaml(running) : xstrdup("");
    _cleanup_free_ char *new_text = comparable_yaml(wanted);
    bool differs = diff_text(running ? old_name : "/dev/null", old_text, draft->file, new_text,
                             term_has_color(stdout), &out);
    fwrite(buffer_str(&out), 1, out.len, stdout);
    say_consequence(running, pod);
    *ret_differs = *ret_differs || differs || !is_same(running, pod);
    json_decref(wanted);
    json_decref(running);
    return 0;
}

static bool provides(const struct draft *draft, const char *namespace_, const char *name)
{
    for (size_t i = 0; i < draft->pods.n; i++)
        if (str_equal(draft->pods.items[i]->metadata.namespace, namespace_) &&
            str_equal(draft->pods.items[i]->metadata.name, name))
            return true;
    return false;
}

// Pods that the file in the directory provides and the new one does not.
static void say_lost_pods(const struct node_state *state, const struct draft *draft,
                          bool *ret_differs)
{
    const struct object_meta *first = &draft->pods.items[0]->metadata;
    const json_t *provider = node_state_provider(state, first->namespace, first->name);
    const json_t *pods = field_at(provider, "pods");
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        const char *name = field_text_or_empty(pod, "name");
        if (provides(draft, field_text(pod, "namespace"), name))
            continue;
        printf("# pod/%s: gone from the manifest; applying stops it\n", name);
        *ret_differs = true;
    }
}

static int diff_file(struct client *client, const struct node_state *state, const char *file,
                     bool *ret_differs, struct error *err)
{
    _cleanup_draft_ struct draft draft = {0};
    int r = draft_load(file, node_state_node(state), &draft, err);
    if (r < 0)
        return r;
    draft_print_findings(&draft, stderr);
    if (!draft.valid)
        return error_set(err, EINVAL, "%s would be refused; what runs would go on running",
                         draft.file);
    for (size_t i = 0; i < draft.pods.n && r == 0; i++)
        r = diff_pod(client, &draft, draft.pods.items[i], ret_differs, err);
    if (r == 0)
        say_lost_pods(state, &draft, ret_differs);
    return r;
}

static int diff_files(const struct diff_options *options, const struct options_rest *rest)
{
    _cleanup_client_ struct client *client = client_new(options->common.socket);
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_node_state_ struct node_state state = {0};
    bool differs = false;
    int r = node_state_fetch(client, &state, &err);
    for (size_t i = 0; i < rest->n && r == 0; i++)
        r = diff_file(client, &state, rest->arguments[i], &differs, &err);
    return r < 0 ? client_failed(r, &err) : differs ? CLI_NO : CLI_DONE;
}

static int cmd_diff(int argc, char **argv)
{
    struct diff_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (command_parse(&command_diff, argc, argv, &options, &rest, &status)) {
        options_rest_add(&rest, &options.files);
        status = rest.n > 0 ? diff_files(&options, &rest)
                            : command_usage_error(&command_diff,
                                                  "say what to compare: mainstay diff FILE");
    }
    options_free(diff_options, ARRAY_SIZE(diff_options), &options);
    return status;
}

const struct command command_diff = {
    .name = "diff",
    .group = "Change",
    .summary = "Show what applying a manifest would change, and whether it restarts the pod",
    .usage = "FILE|-…",
    .description = "Compares the manifest, with its defaults, to the pod that runs. Exit status 0 "
                   "where nothing\nwould change, 1 where something would (as `kubectl diff`).",
    .examples = "  mainstay diff etcd.yaml\n"
                "  mainstay render etcd | mainstay diff -",
    .options = diff_options,
    .n_options = ARRAY_SIZE(diff_options),
    .argument = ARGUMENT_FILE,
    .run = cmd_diff,
};
