// `mainstay history`: the accepted specs of a pod, one of them, or what differs between two.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/comparable.h"
#include "cli/diff-text.h"
#include "cli/duration.h"
#include "cli/field.h"
#include "cli/past.h"
#include "cli/printers.h"
#include "cli/table.h"

enum { HASH_SHOWN = 12 };

struct history_options {
    struct common_options common;
    const char *namespace_, *output, *diff, *root_dir;
    int64_t revision;
};

static const struct option history_options[] = {
    OPT_STRING(history_options, output, .letter = 'o', .name = "output", .argument = "FORMAT",
               .offers = (const char *const[]){"wide", "json", "yaml",
                                               "jsonpath=", "custom-columns=", NULL},
               .help = "wide, json, yaml, jsonpath=TEMPLATE, custom-columns=HEADING:PATH,…"),
    OPT_INT(history_options, revision, .name = "revision", .argument = "N",
            .help = "Print the manifest of this revision as it was written; with -o yaml or json "
                    "its pod, with defaults"),
    OPT_STRING(history_options, diff, .name = "diff", .argument = "N[,M]",
               .help = "What changed from revision N to M (default: to the one that runs)"),
    OPT_STRING(history_options, root_dir, .name = "root-dir", .argument = "DIR",
               .help = "Read it below the agent's --root-dir instead, where no agent runs"),
    OPT_STRING(history_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pod's namespace (default: any)"),
    COMMON_OPTIONS(history_options),
};

// ---- the table ----

static void add_row(struct table *table, bool wide, const json_t *item, walltime now)
{
    char age[DURATION_SIZE];
    const char *outcome = field_text_or_empty(item, "outcome");
    enum term_style style = strstr(outcome, "FailedTrial")        ? TERM_RED
                            : str_starts_with(outcome, "Running") ? TERM_GREEN
                            : field_true(item, "current")         ? TERM_YELLOW
                                                                  : TERM_PLAIN;
    table_row(table);
    table_cellf(table, "%lld", field_int(item, "revision"));
    table_cell(table, age_of_text(field_text(item, "acceptedAt"), now, age));
    if (wide)
        table_cell(table, field_text(item, "hash"));
    else
        table_cellf(table, "%.*s", HASH_SHOWN, field_text_or_empty(item, "hash"));
    table_cell_styled(table, outcome, style);
    table_cell(table, field_text(item, "file"));
    if (!wide)
        return;
    const char *ready = field_text(item, "readyAt");
    table_cell(table, ready ? age_of_text(ready, now, age) : "never");
    table_cell(table, field_text(item, "origin"));
    table_cell(table, field_text(item, "message"));
}

static void print_table(const json_t *past, bool wide)
{
    static const char *const narrow_headings[] = {"REVISION", "AGE",  "HASH",
                                                  "OUTCOME",  "FILE", NULL};
    static const char *const wide_headings[] = {"REVISION", "AGE",    "HASH",    "OUTCOME", "FILE",
                                                "READY",    "ORIGIN", "MESSAGE", NULL};
    _cleanup_table_ struct table *table = table_new(wide ? wide_headings : narrow_headings);
    const json_t *items = field_at(past, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        add_row(table, wide, json_array_get(items, i), walltime_now());
    table_print(table, true);
    if (field_int(past, "failed"))
        printf(
            "\nThe manifest on disk is revision %lld, which failed its trial: revision %lld runs "
            "instead.\n",
            field_int(past, "failed"), field_int(past, "current"));
}

// ---- one revision, and two ----

static int print_revision(const json_t *past, long long number, struct output *output,
                          struct error *err)
{
    const json_t *revision = past_revision(past, number, err);
    bool plain = output->format == OUTPUT_TABLE || output->format == OUTPUT_WIDE;
    if (!revision)
        return -ENOENT;
    const char *text =
        past_manifest(revision) ? past_manifest(revision) : field_text_or_empty(revision, "pod");
    if (plain) {
        fputs(text, stdout);
        return 0;
    }
    json_t *pod = past_pod(past, revision, err);
    if (!pod)
        return -EINVAL;
    int r = output_print(output, "pod", pod, err);
    json_decref(pod);
    return r;
}

static char *text_of(const json_t *past, long long number, struct error *err)
{
    const json_t *revision = past_revision(past, number, err);
    json_t *pod = revision ? past_pod(past, revision, err) : NULL;
    char *text = pod ? comparable_yaml(pod) : NULL;
    json_decref(pod);
    return text;
}

static int print_diff(const json_t *past, long long from, long long to, struct error *err)
{
    _cleanup_free_ char *old_text = text_of(past, from, err);
    _cleanup_free_ char *new_text = old_text ? text_of(past, to, err) : NULL;
    const char *name = field_text_or_empty(past, "name");
    _cleanup_free_ char *old_name = xasprintf("pod/%s revision %lld", name, from);
    _cleanup_free_ char *new_name = xasprintf("pod/%s revision %lld", name, to);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    if (!new_text)
        return -ENOENT;
    if (diff_text(old_name, old_text, new_name, new_text, term_has_color(stdout), &out))
        fwrite(buffer_str(&out), 1, out.len, stdout);
    else
        printf("Revisions %lld and %lld are the same spec.\n", from, to);
    return 0;
}

// "3" or "3,5".
static int parse_diff(const char *text, const json_t *past, long long *ret_from, long long *ret_to,
                      struct error *err)
{
    size_t len = strcspn(text, ",");
    _cleanup_free_ char *from = xstrndup(text, len);
    *ret_to = field_int(past, "current");
    int r = str_to_int(from, 1, INT64_MAX, ret_from);
    if (r == 0 && text[len])
        r = str_to_int(text + len + 1, 1, INT64_MAX, ret_to);
    if (r < 0)
        return error_set(err, EINVAL, "--diff: \"%s\" is not N or N,M (numbers of revisions)",
                         text);
    if (*ret_to == 0)
        return error_set(err, EINVAL,
                         "--diff: the pod was removed and none of its revisions runs; "
                         "give two: --diff N,M");
    return 0;
}

static int show(const struct history_options *options, const json_t *past, struct error *err)
{
    _cleanup_output_ struct output output = {0};
    long long from, to;
    int r = output_parse(options->output, &output, err);
    if (r == 0 && options->diff) {
        r = parse_diff(options->diff, past, &from, &to, err);
        return r == 0 ? print_diff(past, from, to, err) : r;
    }
    if (r == 0 && options->revision > 0)
        return print_revision(past, options->revision, &output, err);
    if (r == 0 && (output.format == OUTPUT_TABLE || output.format == OUTPUT_WIDE))
        print_table(past, output.format == OUTPUT_WIDE);
    else if (r == 0)
        r = output_print(&output, "revision", past, err);
    return r;
}

static int history_of(const struct history_options *options, const char *name)
{
    _cleanup_client_ struct client *client = client_new(options->common.socket);
    _cleanup_error_ struct error err = ERROR_NONE;
    json_t *past = NULL;
    int r = past_fetch(client, options->root_dir, options->namespace_, name, &past, &err);
    if (r == 0)
        r = show(options, past, &err);
    json_decref(past);
    return client_failed(r, &err);
}

static int cmd_history(int argc, char **argv)
{
    struct history_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_history, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n != 1)
        return command_usage_error(&command_history, "name one pod: mainstay history NAME");
    return history_of(&options, rest.arguments[0]);
}

const struct command command_history = {
    .name = "history",
    .group = "Change",
    .summary = "Show the accepted specs of a pod, and what differs between them",
    .usage = "NAME [--revision N | --diff N[,M]]",
    .description =
        "The newest ten are kept, also of a pod that was removed. OUTCOME is Running (NotReady "
        "while it\nhas not been ready) for the one that runs, else Replaced, Removed, or "
        "NeverReady; with the\nannotation mainstay.dev/confirm also OnTrial, Confirmed or "
        "FailedTrial (-o wide says why).",
    .examples = "  mainstay history etcd\n"
                "  mainstay history etcd --diff 3,4\n"
                "  mainstay history etcd --revision 3 > etcd.yaml",
    .options = history_options,
    .n_options = ARRAY_SIZE(history_options),
    .argument = ARGUMENT_POD,
    .single = true,
    .run = cmd_history,
};
