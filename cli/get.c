// `mainstay get`: pods, events, manifests and the node, once or as a watch.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "cli/printers.h"
#include "cli/selector.h"

struct get_options {
    struct common_options common;
    struct pod_scope scope;
    const char *output, *selector;
    bool watch, watch_only, no_headers, show_labels;
};

struct get {
    const struct get_options *options;
    const struct resource *resource;
    const char **names;
    size_t n_names;
    bool *found; // which of the names
    struct output output;
    struct selector *selector;
    struct columns columns;
    struct table *table;
    bool headings_printed;
    bool initial_over; // of a watch: what comes now is news
    struct client *client;
    struct error *err;
};

static bool has_name(const struct get *get, const json_t *object, const char *name)
{
    const char *own = json_string_value(get->resource->name(object));
    if (str_equal(get->resource->kind, "pod"))
        return pod_is_named(object, NULL, name);
    const char *base = own ? strrchr(own, '/') : NULL;
    return str_equal(own, name) || (base && str_equal(base + 1, name));
}

static bool is_wanted(struct get *get, const json_t *object)
{
    const char *ns = get->options->scope.namespace_;
    if (ns && get->resource->namespaced && !str_equal(ns, field_text(object, "metadata.namespace")))
        return false;
    if (!selector_matches(get->selector, object))
        return false;
    bool named = get->n_names == 0;
    for (size_t i = 0; i < get->n_names; i++)
        if (has_name(get, object, get->names[i]))
            named = get->found[i] = true;
    return named;
}

static bool is_table(const struct get *get)
{
    return get->output.format == OUTPUT_TABLE || get->output.format == OUTPUT_WIDE;
}

static void flush_table(struct get *get)
{
    if (get->resource->sorted)
        table_sort(get->table, get->columns.namespaces ? 2 : 1);
    table_print(get->table, !get->headings_printed && !get->options->no_headers);
    get->headings_printed = true;
}

// Files that are refused or in conflict: said below the table on stderr, so that it can be piped.
static void say_refused(struct get *get)
{
    json_t *list = NULL;
    if (client_get(get->client, "/mainstay/v1/manifests", &list, NULL) < 0)
        return;
    bool color = term_has_color(stderr);
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const json_t *findings = field_at(item, "findings");
        const char *state = field_text_or_empty(item, "state");
        if (str_equal(state, "Accepted"))
            continue;
        fprintf(stderr, "%s%s%s %s%s%s\n", term_begin(TERM_RED, color), state,
                term_end(TERM_RED, color), field_text_or_empty(item, "file"),
                field_text(item, "conflictWith") ? ": its pod is already provided by " : "",
                field_text_or_empty(item, "conflictWith"));
        for (size_t j = 0; j < json_array_size(findings); j++) {
            _cleanup_free_ char *text =
                term_safe(field_text_or_empty(json_array_get(findings, j), "text"));
            fprintf(stderr, "  %s\n", text);
        }
    }
    json_decref(list);
}

static int missing_names(const struct get *get)
{
    int status = CLI_DONE;
    for (size_t i = 0; i < get->n_names; i++)
        if (!get->found[i]) {
            fprintf(stderr, "error: %s \"%s\" not found; `mainstay get %s` lists what there is\n",
                    get->resource->kind, get->names[i], get->resource->names[0]);
            status = CLI_NO;
        }
    return status;
}

static void print_table(struct get *get, const json_t *items)
{
    walltime now = walltime_now();
    for (size_t i = 0; i < json_array_size(items); i++)
        get->resource->row(get->table, get->columns, json_array_get(items, i), now);
    if (table_rows(get->table) > 0)
        flush_table(get);
    else if (get->n_names == 0)
        fprintf(stderr, "No %s found%s%s.\n", get->resource->names[0],
                get->options->scope.namespace_ ? " in namespace " : "",
                get->options->scope.namespace_ ? get->options->scope.namespace_ : "");
    if (str_equal(get->resource->kind, "pod") && get->n_names == 0)
        say_refused(get);
}

static int fetch(struct get *get, json_t **ret)
{
    if (get->resource->path)
        return client_get(get->client, get->resource->path, ret, get->err);
    json_t *status;
    int r = client_get(get->client, "/mainstay/v1/status", &status, get->err);
    if (r < 0)
        return r;
    *ret = json_pack("{s:s, s:s, s:[o]}", "kind", "NodeList", "apiVersion", "v1", "items",
                     node_from_status(status));
    json_decref(status);
    return 0;
}

static int get_once(struct get *get)
{
    json_t *list;
    int r = fetch(get, &list);
    if (r < 0)
        return client_failed(r, get->err);
    json_t *wanted = json_array();
    const json_t *items = field_at(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        if (is_wanted(get, json_array_get(items, i)))
            json_array_append(wanted, json_array_get(items, i));
    if (is_table(get)) {
        print_table(get, wanted);
    } else if (get->n_names == 1 && json_array_size(wanted) == 1) {
        r = output_print(&get->output, get->resource->kind, json_array_get(wanted, 0), get->err);
    } else if (get->n_names == 0 || json_array_size(wanted) > 0) {
        json_object_set(list, "items", wanted);
        r = output_print(&get->output, get->resource->kind, list, get->err);
    }
    json_decref(wanted);
    json_decref(list);
    return r < 0 ? client_failed(r, get->err) : missing_names(get);
}

static int print_watched(struct get *get, const json_t *object)
{
    if (!is_table(get)) {
        int r = output_print(&get->output, get->resource->kind, object, get->err);
        if (r == 0 && get->output.format == OUTPUT_JSONPATH)
            putchar('\n');
        fflush(stdout);
        return r;
    }
    get->resource->row(get->table, get->columns, object, walltime_now());
    // What is there at the beginning is aligned as one table.
    if (get->initial_over || !get->resource->wrapped)
        flush_table(get);
    return 0;
}

static int watch_line(void *userdata, const char *line, size_t len)
{
    struct get *get = userdata;
    json_t *message = json_loadb(line, len, 0, NULL);
    const json_t *object = get->resource->wrapped ? field_at(message, "object") : message;
    const char *type = field_text_or_empty(message, "type");
    int r = 0;
    if (!message)
        r = error_set(get->err, EPROTO, "the agent sent a line that is no JSON");
    else if (get->resource->wrapped && str_equal(type, "ERROR"))
        r = error_set(get->err, EREMOTEIO, "%s", field_text_or_empty(object, "message"));
    else if (get->resource->wrapped && str_equal(type, "BOOKMARK")) {
        get->initial_over = true;
        if (is_table(get) && table_rows(get->table) > 0)
            flush_table(get);
    } else if (is_wanted(get, object) && (get->initial_over || !get->options->watch_only))
        r = print_watched(get, object);
    json_decref(message);
    return r;
}

// With --watch-only events begin after the newest one.
static int watch_path(struct get *get, char **ret)
{
    const char *after = "";
    json_t *list = NULL;
    if (get->options->watch_only && !get->resource->wrapped) {
        int r = client_get(get->client, get->resource->path, &list, get->err);
        if (r < 0)
            return r;
        after = field_text_or_empty(list, "metadata.resourceVersion");
        get->initial_over = true;
    }
    *ret = xasprintf("%s?watch=true%s%s", get->resource->path, *after ? "&after=" : "", after);
    json_decref(list);
    return 0;
}

static int get_watch(struct get *get)
{
    _cleanup_free_ char *path = NULL;
    int r = watch_path(get, &path);
    if (r < 0)
        return client_failed(r, get->err);
    client_add_lines(get->client, path, watch_line, get);
    r = client_run(get->client, MONOTIME_NEVER, get->err);
    if (r == 0)
        r = error_set(get->err, ENOTCONN,
                      "the agent ended the watch; did it stop? See `systemctl "
                      "status mainstayd`.");
    return client_failed(r, get->err);
}

static const struct option get_options[] = {
    OPT_STRING(get_options, output, .letter = 'o', .name = "output", .argument = "FORMAT",
               .offers = (const char *const[]){"json", "yaml", "wide", "name",
                                               "jsonpath=", "custom-columns=", NULL},
               .help =
                   "wide, json, yaml, name, jsonpath=TEMPLATE or custom-columns=HEADING:PATH,…"),
    OPT_BOOL(get_options, watch, .letter = 'w', .name = "watch",
             .help = "After listing, go on and show every change"),
    OPT_BOOL(get_options, watch_only, .name = "watch-only", .help = "Show changes only"),
    SCOPE_OPTIONS(get_options),
    OPT_STRING(get_options, selector, .letter = 'l', .name = "selector", .argument = "SELECTOR",
               .help = "Only what has these labels: tier=control-plane,component!=etcd"),
    OPT_BOOL(get_options, show_labels, .name = "show-labels", .help = "A column with the labels"),
    OPT_BOOL(get_options, no_headers, .name = "no-headers", .help = "Leave out the headings"),
    COMMON_OPTIONS(get_options),
};

// "pod/etcd" is "pod etcd".
static const struct resource *find_resource(struct options_rest *rest)
{
    const char *slash = strchr(rest->arguments[0], '/');
    if (!slash)
        return resource_find(rest->arguments[0]);
    _cleanup_free_ char *kind = xstrndup(rest->arguments[0], (size_t)(slash - rest->arguments[0]));
    return resource_find(kind);
}

static int unknown_resource(const char *name)
{
    const char *nearest = resource_nearest(name);
    return command_usage_error(&command_get,
                               "unknown kind \"%s\"%s%s%s; known are pods (po), events "
                               "(ev), manifests, nodes (no)",
                               name, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                               nearest ? "\"?" : "");
}

static int run_get(struct get *get, struct options_rest *rest)
{
    const char *slash = strchr(rest->arguments[0], '/');
    get->names = rest->arguments + 1;
    get->n_names = rest->n - 1;
    if (slash) {
        rest->arguments[0] = slash + 1;
        get->names = rest->arguments;
        get->n_names = rest->n;
    }
    get->columns = (struct columns){
        .wide = get->output.format == OUTPUT_WIDE,
        .namespaces = get->options->scope.all_namespaces && get->resource->namespaced,
        .labels = get->options->show_labels,
    };
    get->output.no_headings = get->options->no_headers;
    get->found = xcalloc(get->n_names + 1, sizeof(bool));
    get->table = get->resource->table(get->columns);
    get->client = client_new(get->options->common.socket);
    bool watch = get->options->watch || get->options->watch_only;
    int status = watch ? get_watch(get) : get_once(get);
    client_free(get->client);
    table_free(get->table);
    free(get->found);
    return status;
}

static int cmd_get(int argc, char **argv)
{
    struct get_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    struct get get = {.options = &options, .err = &err};
    int status;
    if (!command_parse(&command_get, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 0)
        return command_usage_error(&command_get,
                                   "say what to get: pods, events, manifests or nodes");
    get.resource = find_resource(&rest);
    if (!get.resource)
        return unknown_resource(rest.arguments[0]);
    if ((options.watch || options.watch_only) && !get.resource->watchable)
        return command_usage_error(&command_get, "%s cannot be watched", get.resource->names[0]);
    bool good = output_parse(options.output, &get.output, &err) == 0 &&
                selector_parse(options.selector, &get.selector, &err) == 0;
    status =
        good ? run_get(&get, &rest) : command_usage_error(&command_get, "%s", error_message(&err));
    output_free(&get.output);
    selector_free(get.selector);
    return status;
}

const struct command command_get = {
    .name = "get",
    .group = "Look",
    .summary = "List pods, events, manifests or the node",
    .usage = "pods|events|manifests|nodes [NAME…] [-o FORMAT] [-w]",
    .description =
        "Columns and formats are kubectl's. Without -n the pods of every namespace are listed; -A\n"
        "adds the column that says which. NAME is a pod's name with or without \"-<node>\".\n"
        "\n"
        "A pod whose manifest was edited badly goes on running and shows \"Running,Refused\"; what "
        "is\n"
        "wrong with the file is said below the table, on stderr, with its line and column.",
    .examples = "  # The pods of this node, with addresses, process ids and files\n"
                "  mainstay get pods -o wide\n"
                "  # What happens, as it happens\n"
                "  mainstay get events -w\n"
                "  # The image of every container\n"
                "  mainstay get pods -o jsonpath='{range .items[*]}{.metadata.name}{\"\\t\"}"
                "{.spec.containers[*].image}{\"\\n\"}{end}'\n"
                "  # Which manifests are refused, and why\n"
                "  mainstay get manifests",
    .options = get_options,
    .n_options = ARRAY_SIZE(get_options),
    .argument = ARGUMENT_RESOURCE,
    .words = (const char *const[]){"pods", "events", "manifests", "nodes", NULL},
    .run = cmd_get,
};
