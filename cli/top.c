// `mainstay top`: what pods, containers and the node use, once or live. CPU and I/O are rates: the
// agent is asked twice, and counts nothing while nobody asks.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "cli/printers.h"
#include "cli/usage.h"

enum what { TOP_PODS, TOP_CONTAINERS, TOP_NODE };

struct top_options {
    struct common_options common;
    struct pod_scope scope;
    const char *output, *sort_by;
    bool containers, watch, no_headers, sum;
    int64_t interval; // nanoseconds; 0: not given
};

static const struct option top_options[] = {
    SCOPE_OPTIONS(top_options),
    OPT_BOOL(top_options, containers, .name = "containers",
             .help = "Show each container of the pods"),
    OPT_STRING(top_options, sort_by, .name = "sort-by", .argument = "cpu|memory",
               .values = (const char *const[]){"cpu", "memory", NULL},
               .help = "The greediest first"),
    OPT_STRING(top_options, output, .letter = 'o', .name = "output", .argument = "FORMAT",
               .offers = (const char *const[]){"wide", "json", "yaml", NULL},
               .help = "wide, json (as metrics.k8s.io has it), yaml, jsonpath=…"),
    OPT_BOOL(top_options, watch, .letter = 'w', .name = "watch", .help = "Go on until Ctrl-C"),
    OPT_DURATION(top_options, interval, .name = "interval", .argument = "DURATION",
                 .help = "How long is measured (1s; 2s with --watch)"),
    OPT_BOOL(top_options, sum, .name = "sum", .help = "A last line for all of them together"),
    OPT_BOOL(top_options, no_headers, .name = "no-headers", .help = "No headings"),
    COMMON_OPTIONS(top_options),
};

// A line of the table.
struct row {
    const char *namespace_, *pod, *container; // in `summary`; NULL where it does not apply
    struct usage usage;
    int64_t read_rate, write_rate; // bytes a second
};

struct top {
    const struct top_options *options;
    enum what what;
    const char **names;
    size_t n_names;
    bool *found;
    struct output output;
    struct client *client;
    json_t *before, *summary;        // the newest two answers
    monotime asked_before, asked_at; // when they came
    LIST_OF(struct row) rows;
    struct error *err;
};

static int64_t interval_nsec(const struct top *top)
{
    int64_t given = top->options->interval;
    return given > 0 ? given : NSEC_PER_SEC * (top->options->watch ? 2 : 1);
}

// ---- rows ----

static const json_t *same_in(const json_t *list, const char *key, const char *value)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_equal(field_text(json_array_get(list, i), key), value))
            return json_array_get(list, i);
    return NULL;
}

static int64_t rate_of(int64_t now, int64_t before, int64_t usec)
{
    if (now < 0 || before < 0 || now < before || usec <= 0)
        return USAGE_UNKNOWN;
    return (int64_t)((__int128)(now - before) * USEC_PER_SEC / usec);
}

static void add_row(struct top *top, const json_t *pod, const json_t *stats, const json_t *before,
                    const char *container)
{
    struct row *row = LIST_APPEND(&top->rows);
    int64_t usec = monotime_since(top->asked_at, top->asked_before);
    struct usage earlier = usage_read(before);
    row->namespace_ = field_text(pod, "podRef.namespace");
    row->pod = field_text(pod, "podRef.name");
    row->container = container;
    row->usage = usage_read(stats);
    row->read_rate = rate_of(row->usage.read_bytes, earlier.read_bytes, usec);
    row->write_rate = rate_of(row->usage.written_bytes, earlier.written_bytes, usec);
}

static bool is_named(const struct top *top, const char *pod, const char *name)
{
    const char *node = field_text_or_empty(top->summary, "node.nodeName");
    size_t length = strlen(name);
    return str_equal(pod, name) ||
           (str_starts_with(pod, name) && pod[length] == '-' && str_equal(pod + length + 1, node));
}

static bool is_wanted(struct top *top, const json_t *pod)
{
    const char *ns = top->options->scope.namespace_;
    const char *name = field_text_or_empty(pod, "podRef.name");
    bool wanted = top->n_names == 0;
    if (ns && !str_equal(ns, field_text(pod, "podRef.namespace")))
        return false;
    for (size_t i = 0; i < top->n_names; i++)
        if (is_named(top, name, top->names[i]))
            wanted = top->found[i] = true;
    return wanted;
}

static void add_pod_rows(struct top *top, const json_t *pod)
{
    const json_t *before = same_in(field_at(top->before, "pods"), "podRef.uid",
                                   field_text_or_empty(pod, "podRef.uid"));
    const json_t *containers = field_at(pod, "containers");
    if (top->what == TOP_PODS) {
        if (json_array_size(containers) > 0)
            add_row(top, pod, pod, before, NULL);
        return;
    }
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        const char *name = field_text_or_empty(container, "name");
        add_row(top, pod, container, field_named(field_at(before, "containers"), name), name);
    }
}

static int compare_rows(const void *a, const void *b, void *userdata)
{
    const struct row *x = a, *y = b;
    const char *by = userdata;
    int64_t left = str_equal(by, "cpu") ? x->usage.cpu_nanocores : x->usage.memory_bytes;
    int64_t right = str_equal(by, "cpu") ? y->usage.cpu_nanocores : y->usage.memory_bytes;
    if (by && left != right)
        return left < right ? 1 : -1;
    int order = strcmp(x->namespace_, y->namespace_);
    order = order ? order : strcmp(x->pod, y->pod);
    return order || !x->container || !y->container ? order : strcmp(x->container, y->container);
}

static void make_rows(struct top *top)
{
    const json_t *pods = field_at(top->summary, "pods");
    free(top->rows.items);
    top->rows.items = NULL;
    top->rows.n = 0;
    for (size_t i = 0; i < json_array_size(pods); i++)
        if (is_wanted(top, json_array_get(pods, i)))
            add_pod_rows(top, json_array_get(pods, i));
    if (top->rows.n > 1)
        qsort_r(top->rows.items, top->rows.n, sizeof(struct row), compare_rows,
                (void *)(uintptr_t)top->options->sort_by);
}

// ---- tables ----

static void add_usage_cells(const struct top *top, struct table *table, const struct row *row)
{
    const struct usage *u = &row->usage;
    char text[USAGE_SIZE];
    table_cell(table, usage_format_cpu(u->cpu_nanocores, text));
    table_cell(table, usage_format_memory(u->memory_bytes, text));
    if (top->output.format != OUTPUT_WIDE)
        return;
    table_cell(table, usage_format_rate(row->read_rate, text));
    table_cell(table, usage_format_rate(row->write_rate, text));
    table_cell(table, usage_format_number(u->threads, text));
    table_cell(table, usage_format_pressure(u->pressure_cpu, text));
    table_cell(table, usage_format_pressure(u->pressure_memory, text));
    table_cell(table, usage_format_pressure(u->pressure_io, text));
}

static struct table *new_table(const struct top *top)
{
    static const char *const wide[] = {"READ",     "WRITE",       "THREADS",
                                       "PSI(cpu)", "PSI(memory)", "PSI(io)"};
    const char *headings[12];
    size_t n = 0;
    if (top->options->scope.all_namespaces)
        headings[n++] = "NAMESPACE";
    if (top->what == TOP_CONTAINERS)
        headings[n++] = "POD";
    headings[n++] = "NAME";
    headings[n++] = "CPU(cores)";
    headings[n++] = "MEMORY(bytes)";
    for (size_t i = 0; top->output.format == OUTPUT_WIDE && i < ARRAY_SIZE(wide); i++)
        headings[n++] = wide[i];
    headings[n] = NULL;
    return table_new(headings);
}

static void add_sum(const struct top *top, struct table *table)
{
    struct row sum = {.usage = {.pressure_cpu = USAGE_UNKNOWN,
                                .pressure_memory = USAGE_UNKNOWN,
                                .pressure_io = USAGE_UNKNOWN}};
    LIST_EACH (row, &top->rows) {
        sum.usage.cpu_nanocores += MAX(row->usage.cpu_nanocores, (int64_t)0);
        sum.usage.memory_bytes += MAX(row->usage.memory_bytes, (int64_t)0);
        sum.usage.threads += MAX(row->usage.threads, (int64_t)0);
        sum.read_rate += MAX(row->read_rate, (int64_t)0);
        sum.write_rate += MAX(row->write_rate, (int64_t)0);
    }
    table_row(table);
    if (top->options->scope.all_namespaces)
        table_cell(table, "");
    if (top->what == TOP_CONTAINERS)
        table_cell(table, "________");
    table_cell(table, "________");
    add_usage_cells(top, table, &sum);
}

static void print_pods(const struct top *top, struct buffer *out)
{
    _cleanup_table_ struct table *table = new_table(top);
    LIST_EACH (row, &top->rows) {
        table_row(table);
        if (top->options->scope.all_namespaces)
            table_cell(table, row->namespace_);
        table_cell(table, row->pod);
        if (top->what == TOP_CONTAINERS)
            table_cell(table, row->container);
        add_usage_cells(top, table, row);
    }
    if (top->options->sum && top->rows.n > 0)
        add_sum(top, table);
    table_render(table, !top->options->no_headers, term_has_color(stdout), out);
}

static void print_node(const struct top *top, struct buffer *out)
{
    static const char *const headings[] = {"NAME",          "CPU(cores)", "CPU%",
                                           "MEMORY(bytes)", "MEMORY%",    NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    const json_t *node = field_at(top->summary, "node");
    struct usage now = usage_read(node), before = usage_read(field_at(top->before, "node"));
    int64_t usec = monotime_since(top->asked_at, top->asked_before);
    int64_t cpu = rate_of(now.cpu_nsec, before.cpu_nsec, usec);
    int64_t all = now.memory_bytes + field_int(node, "memory.availableBytes");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char text[USAGE_SIZE];
    table_row(table);
    table_cell(table, field_text(node, "nodeName"));
    table_cell(table, usage_format_cpu(cpu, text));
    table_cellf(table, "%lld%%", cpu < 0 || cores < 1 ? 0LL : (long long)cpu / cores / 10000000);
    table_cell(table, usage_format_memory(now.memory_bytes, text));
    table_cellf(table, "%lld%%", all <= 0 ? 0LL : (long long)now.memory_bytes * 100 / all);
    table_render(table, !top->options->no_headers, term_has_color(stdout), out);
}

// ---- JSON: the PodMetrics of metrics.k8s.io/v1beta1, with what that does not have beside it ----

static void set_quantity(json_t *o, const char *key, int64_t n, const char *unit)
{
    char text[USAGE_SIZE];
    if (n < 0)
        return;
    snprintf(text, sizeof(text), "%lld%s", (long long)n, unit);
    json_object_set_new(o, key, json_string(text));
}

static json_t *container_metrics(const struct row *row)
{
    json_t *o = json_object(), *usage = json_object();
    set_quantity(usage, "cpu", row->usage.cpu_nanocores, "n");
    set_quantity(usage, "memory", row->usage.memory_bytes < 0 ? -1 : row->usage.memory_bytes / 1024,
                 "Ki");
    json_object_set_new(o, "name", json_string(row->container));
    json_object_set_new(o, "usage", usage);
    return o;
}

static json_t *pod_metrics(const struct top *top, const json_t *pod)
{
    char window[DURATION_SIZE];
    json_t *o = json_object(), *metadata = json_object(), *containers = json_array();
    json_object_set(metadata, "name", field_at(pod, "podRef.name"));
    json_object_set(metadata, "namespace", field_at(pod, "podRef.namespace"));
    json_object_set(metadata, "uid", field_at(pod, "podRef.uid"));
    json_object_set_new(o, "metadata", metadata);
    json_object_set(o, "timestamp", field_at(pod, "cpu.time"));
    json_object_set_new(o, "window", json_string(duration_format_go(interval_nsec(top), window)));
    LIST_EACH (row, &top->rows)
        if (str_equal(row->pod, field_text(pod, "podRef.name")) &&
            str_equal(row->namespace_, field_text(pod, "podRef.namespace")))
            json_array_append_new(containers, container_metrics(row));
    json_object_set_new(o, "containers", containers);
    json_object_set(o, "stats", (json_t *)(uintptr_t)pod);
    return o;
}

static int print_json(struct top *top)
{
    json_t *list = json_object(), *items = json_array();
    const json_t *pods = field_at(top->summary, "pods");
    json_object_set_new(list, "kind", json_string("PodMetricsList"));
    json_object_set_new(list, "apiVersion", json_string("metrics.k8s.io/v1beta1"));
    json_object_set_new(list, "metadata", json_object());
    for (size_t i = 0; i < json_array_size(pods); i++)
        if (is_wanted(top, json_array_get(pods, i)))
            json_array_append_new(items, pod_metrics(top, json_array_get(pods, i)));
    json_object_set_new(list, "items", items);
    int r = output_print(&top->output, "pod",
                         top->what == TOP_NODE ? field_at(top->summary, "node") : list, top->err);
    json_decref(list);
    return r;
}

// ---- asking ----

static int ask(struct top *top)
{
    json_t *summary = NULL;
    int r = client_get(top->client, "/stats/summary", &summary, top->err);
    if (r < 0)
        return r;
    json_decref(top->before);
    top->before = top->summary;
    top->asked_before = top->asked_at;
    top->summary = summary;
    top->asked_at = monotime_now();
    return 0;
}

static void wait_interval(const struct top *top)
{
    int64_t nsec = interval_nsec(top);
    struct timespec left = {nsec / NSEC_PER_SEC, nsec % NSEC_PER_SEC};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

static bool is_table(const struct top *top)
{
    return top->output.format == OUTPUT_TABLE || top->output.format == OUTPUT_WIDE;
}

static int print(struct top *top)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    make_rows(top);
    if (!is_table(top))
        return print_json(top);
    if (top->options->watch && term_is_live(stdout))
        buffer_add_str(&out, "\033[H\033[J");
    if (top->what == TOP_NODE)
        print_node(top, &out);
    else if (top->rows.n == 0)
        fprintf(stderr, "No container runs%s.\n", top->n_names > 0 ? " there" : "");
    else
        print_pods(top, &out);
    fwrite(buffer_str(&out), 1, out.len, stdout);
    fflush(stdout);
    return 0;
}

static bool say_missing(const struct top *top)
{
    bool all = true;
    for (size_t i = 0; i < top->n_names; i++)
        if (!top->found[i]) {
            fprintf(stderr, "error: there is no pod \"%s\" here\n", top->names[i]);
            all = false;
        }
    return all;
}

static int run(struct top *top)
{
    int r = ask(top);
    do {
        wait_interval(top);
        if (r == 0)
            r = ask(top);
        if (r == 0)
            r = print(top);
        if (r == 0 && !say_missing(top))
            return CLI_NO;
    } while (r == 0 && top->options->watch);
    return client_failed(r, top->err);
}

// ---- the command ----

// "pods", "containers", "node", or nothing of the kind: then it is a name.
static bool find_what(const char *word, enum what *ret)
{
    static const struct {
        const char *word;
        enum what what;
    } words[] = {{"pods", TOP_PODS},
                 {"pod", TOP_PODS},
                 {"po", TOP_PODS},
                 {"containers", TOP_CONTAINERS},
                 {"container", TOP_CONTAINERS},
                 {"node", TOP_NODE},
                 {"nodes", TOP_NODE},
                 {"no", TOP_NODE}};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (str_equal(word, words[i].word)) {
            *ret = words[i].what;
            return true;
        }
    return false;
}

static int cmd_top(int argc, char **argv)
{
    struct top_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    struct top top = {.options = &options, .err = &err};
    int status;
    if (!command_parse(&command_top, argc, argv, &options, &rest, &status))
        return status;
    size_t first = rest.n > 0 && find_what(rest.arguments[0], &top.what);
    if (top.what == TOP_PODS && options.containers)
        top.what = TOP_CONTAINERS;
    if (top.what == TOP_NODE && rest.n > first)
        return command_usage_error(&command_top, "there is one node here, this one");
    top.names = rest.arguments + first;
    top.n_names = rest.n - first;
    if (output_parse(options.output, &top.output, &err) < 0)
        return command_usage_error(&command_top, "%s", error_message(&err));
    if (!is_table(&top) && top.what == TOP_PODS)
        top.what = TOP_CONTAINERS; // a pod's metrics are its containers'
    top.found = xcalloc(top.n_names + 1, sizeof(bool));
    top.client = client_new(options.common.socket);
    status = run(&top);
    client_free(top.client);
    json_decref(top.before);
    json_decref(top.summary);
    free(top.rows.items);
    free(top.found);
    output_free(&top.output);
    return status;
}

const struct command command_top = {
    .name = "top",
    .group = "Look",
    .summary = "Show what pods and containers use: CPU, memory, I/O, pressure",
    .usage = "[pods|containers|node] [NAME…] [-o wide] [-w]",
    .description =
        "The columns are those of kubectl top: CPU in thousandths of a core, measured for a "
        "second,\n"
        "and the working set of memory (what is used without what is only cached and was not\n"
        "touched lately). Where no memory controller counts, it is the resident sets of the\n"
        "processes together, in which shared pages count for each.\n"
        "\n"
        "With -o wide: bytes read and written a second, threads, and how much of the last ten\n"
        "seconds something had to wait for CPU, memory or I/O (per cent). What this host does not\n"
        "count is \"<unknown>\".",
    .examples = "  # The containers that take the most memory first\n"
                "  mainstay top containers --sort-by=memory\n"
                "  # etcd's containers, live, with I/O and pressure\n"
                "  mainstay top pod etcd --containers -o wide -w",
    .options = top_options,
    .n_options = ARRAY_SIZE(top_options),
    .argument = ARGUMENT_RESOURCE,
    .words = (const char *const[]){"pods", "containers", "node", NULL},
    .run = cmd_top,
};
