// `mainstay validate`: what the agent would say of manifests, without an agent.
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/commands.h"
#include "cli/draft.h"
#include "cli/printers.h"
#include "podspec/places.h"

struct validate_options {
    struct common_options common;
    const char *node, *output;
    struct string_list files;
    bool quiet, strict;
};

struct validate {
    const struct validate_options *options;
    const char *node;
    LIST_OF(struct draft) drafts;
    size_t unreadable;
};

static const struct option validate_options[] = {
    OPT_STRING(validate_options, output, .letter = 'o', .name = "output", .argument = "FORMAT",
               .values = (const char *const[]){"json", "yaml", NULL}, .help = "json or yaml"),
    OPT_BOOL(validate_options, quiet, .letter = 'q', .name = "quiet",
             .help = "Print errors only, nothing about what is right"),
    OPT_BOOL(validate_options, strict, .name = "strict", .help = "Warnings count as errors"),
    OPT_STRING(validate_options, node, .name = "node", .argument = "NAME",
               .help = "The node's name, which pods get as suffix (default: this host's)"),
    OPT_LIST(validate_options, files, .letter = 'f', .name = "filename", .argument = "FILE",
             .help = "As FILE alone: kubectl's way to name it"),
    COMMON_OPTIONS(validate_options),
};

static void add_file(struct validate *v, const char *file)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (draft_load(file, v->node, LIST_APPEND(&v->drafts), &err) == 0)
        return;
    fprintf(stderr, "error: %s\n", error_message(&err));
    draft_free(&v->drafts.items[--v->drafts.n]);
    v->unreadable++;
}

static int is_no_dot(const struct dirent *entry)
{
    return !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..");
}

// The files that the agent would read, sorted; what it would pass over is said.
static void add_directory(struct validate *v, const char *directory)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, is_no_dot, alphasort);
    if (n < 0) {
        fprintf(stderr, "error: %s: cannot read it: %s\n", directory, strerror(errno));
        v->unreadable++;
        return;
    }
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = path_join(directory, entries[i]->d_name);
        if (draft_is_manifest_name(entries[i]->d_name))
            add_file(v, path);
        else if (!v->options->quiet && !v->options->output)
            fprintf(stderr, "note: %s is no manifest: only *.yaml, *.yml and *.json are read\n",
                    path);
        free(entries[i]);
    }
    free(entries);
}

static bool same_pod(const struct pod *a, const struct pod *b)
{
    return str_equal(a->metadata.namespace, b->metadata.namespace) &&
           str_equal(a->metadata.name, b->metadata.name);
}

static void check_against(struct draft *draft, const struct pod *pod, const struct draft *earlier)
{
    for (size_t i = 0; i < earlier->pods.n; i++) {
        const struct pod *other = earlier->pods.items[i];
        if (other == pod)
            return;
        if (!same_pod(pod, other))
            continue;
        diag_add(&draft->diags, DIAG_ERROR, places_find(pod->places, "metadata.name"),
                 "pod %s/%s is already provided by %s; the agent runs one of the two only",
                 pod->metadata.namespace, pod->metadata.name, earlier->file);
        draft->valid = false;
    }
}

// Two manifests that claim one pod are a conflict to the agent, which keeps the one that runs.
static void check_conflicts(struct validate *v)
{
    LIST_EACH (draft, &v->drafts)
        for (size_t i = 0; i < draft->pods.n; i++)
            for (struct draft *earlier = v->drafts.items; earlier <= draft; earlier++)
                check_against(draft, draft->pods.items[i], earlier);
}

static bool is_good(const struct validate *v, const struct draft *draft)
{
    return draft->valid && !(v->options->strict && draft->diags.warnings > 0);
}

static json_t *draft_to_json(const struct validate *v, const struct draft *draft)
{
    json_t *findings = json_array(), *pods = json_array();
    for (size_t i = 0; i < draft->diags.n; i++) {
        const struct diag *d = &draft->diags.items[i];
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        diag_format(d, &text);
        json_array_append_new(findings,
                              json_pack("{s:s, s:i, s:i, s:s?, s:s, s:s}", "severity",
                                        d->severity == DIAG_ERROR ? "error" : "warning", "line",
                                        (int)d->line, "column", (int)d->column, "path", d->path,
                                        "message", d->message, "text", buffer_str(&text)));
    }
    for (size_t i = 0; draft->valid && i < draft->pods.n; i++) {
        const struct object_meta *m = &draft->pods.items[i]->metadata;
        json_array_append_new(pods, json_pack("{s:s?, s:s?, s:s?}", "namespace", m->namespace,
                                              "name", m->name, "uid", m->uid));
    }
    return json_pack("{s:s, s:b, s:o, s:o, s:I}", "file", draft->file, "valid",
                     (int)is_good(v, draft), "pods", pods, "findings", findings, "dropped",
                     (json_int_t)draft->diags.dropped);
}

static int print_structured(const struct validate *v)
{
    _cleanup_output_ struct output output = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    json_t *files = json_array();
    LIST_EACH (draft, &v->drafts)
        json_array_append_new(files, draft_to_json(v, draft));
    json_t *value = json_pack("{s:o}", "items", files);
    int r = output_parse(v->options->output, &output, &err);
    if (r == 0)
        r = output_print(&output, "manifest", value, &err);
    json_decref(value);
    return r;
}

static void print_draft(const struct validate *v, const struct draft *draft)
{
    draft_print_findings(draft, stdout);
    if (v->options->quiet || !draft->valid)
        return;
    printf("%s: ok:", draft->file);
    for (size_t i = 0; i < draft->pods.n; i++) {
        const struct object_meta *m = &draft->pods.items[i]->metadata;
        printf("%s pod %s/%s", i ? "," : "", m->namespace, m->name);
    }
    putchar('\n');
}

static int run_validate(struct validate *v, const struct options_rest *rest)
{
    size_t bad = 0;
    for (size_t i = 0; i < rest->n; i++) {
        struct stat st;
        if (!str_equal(rest->arguments[i], "-") && stat(rest->arguments[i], &st) == 0 &&
            S_ISDIR(st.st_mode))
            add_directory(v, rest->arguments[i]);
        else
            add_file(v, rest->arguments[i]);
    }
    check_conflicts(v);
    LIST_EACH (draft, &v->drafts)
        bad += !is_good(v, draft);
    if (v->options->output) {
        print_structured(v);
    } else {
        LIST_EACH (draft, &v->drafts)
            print_draft(v, draft);
        if (v->drafts.n + v->unreadable > 1 && !v->options->quiet)
            printf("%zu manifests: %zu ok, %zu not\n", v->drafts.n + v->unreadable,
                   v->drafts.n - bad, bad + v->unreadable);
        else if (v->drafts.n == 0 && v->unreadable == 0)
            fprintf(stderr, "note: there is no manifest\n");
    }
    return bad + v->unreadable > 0 ? CLI_NO : CLI_DONE;
}

static int validate_files(const struct validate_options *options, const struct options_rest *rest)
{
    _cleanup_free_ char *host = draft_host_name();
    struct validate v = {.options = options, .node = options->node ? options->node : host};
    int status = run_validate(&v, rest);
    LIST_EACH (draft, &v.drafts)
        draft_free(draft);
    free(v.drafts.items);
    return status;
}

static int cmd_validate(int argc, char **argv)
{
    struct validate_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (command_parse(&command_validate, argc, argv, &options, &rest, &status)) {
        options_rest_add(&rest, &options.files);
        status = rest.n > 0 ? validate_files(&options, &rest)
                            : command_usage_error(&command_validate,
                                                  "say what to check: a file, a directory or -");
    }
    options_free(validate_options, ARRAY_SIZE(validate_options), &options);
    return status;
}

const struct command command_validate = {
    .name = "validate",
    .group = "Change",
    .summary = "Check manifests without an agent: every error with file, line and column",
    .usage = "FILE|DIR|-… [-o json]",
    .description =
        "Says what the agent would say: unknown fields with the nearest known name, wrong types,\n"
        "values out of range, fields that this release does not honour, two files for one pod.\n"
        "One line each: FILE:LINE:COLUMN: field path: message. Exit status 1 on any error.",
    .examples = "  mainstay validate etcd.yaml\n"
                "  mainstay validate /etc/kubernetes/manifests\n"
                "  kubectl get pod web -o yaml | mainstay validate -\n"
                "  mainstay validate -o json etcd.yaml | jq '.items[].findings[]'",
    .options = validate_options,
    .n_options = ARRAY_SIZE(validate_options),
    .argument = ARGUMENT_FILE,
    .run = cmd_validate,
};
