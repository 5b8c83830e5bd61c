// `mainstay describe pod NAME`: the whole story of a pod, in kubectl's order.
#include "cli/describe.h"

#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/field.h"
#include "cli/pod-view.h"

enum { LABEL_WIDTH = 18 };

struct describe_options {
    struct common_options common;
    const char *namespace_;
};

static const struct option describe_options[] = {
    OPT_STRING(describe_options, namespace_, .letter = 'n', .name = "namespace",
               .argument = "NAMESPACE", .help = "The pod's namespace (default: any)"),
    COMMON_OPTIONS(describe_options),
};

void describe_line(struct buffer *out, int indent, const char *label, const char *text)
{
    _cleanup_free_ char *safe = term_safe(str_empty(text) ? "<none>" : text);
    int label_width = (int)strlen(label) + 1;
    buffer_printf(out, "%*s%s:%*s%s\n", indent, "", label,
                  MAX(LABEL_WIDTH - indent - label_width, 1), "", safe);
}

void describe_linef(struct buffer *out, int indent, const char *label, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    describe_line(out, indent, label, text);
}

void describe_heading(struct buffer *out, int indent, const char *label)
{
    _cleanup_free_ char *safe = term_safe(label);
    buffer_printf(out, "%*s%s:\n", indent, "", safe);
}

void describe_map(struct buffer *out, const char *label, const json_t *map)
{
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)map, key, value) {
        _cleanup_free_ char *text = xasprintf("%s=%s", key, json_string_value(value));
        _cleanup_free_ char *safe = term_safe(text);
        if (n++ == 0)
            describe_line(out, 0, label, safe);
        else
            buffer_printf(out, "%*s%s\n", LABEL_WIDTH, "", safe);
    }
    if (n == 0)
        describe_line(out, 0, label, NULL);
}

static void describe_refusal(struct buffer *out, const json_t *pod)
{
    const json_t *manifest = field_at(pod, "mainstay.manifest");
    const json_t *findings = field_at(manifest, "findings");
    if (!json_is_object(manifest))
        return;
    describe_linef(out, 0, "Manifest State", "%s (the last good one runs on)",
                   field_text_or_empty(manifest, "state"));
    if (field_text(manifest, "conflictWith"))
        describe_line(out, 2, "Conflict With", field_text(manifest, "conflictWith"));
    for (size_t i = 0; i < json_array_size(findings); i++) {
        _cleanup_free_ char *text =
            term_safe(field_text_or_empty(json_array_get(findings, i), "text"));
        buffer_printf(out, "  %s\n", text);
    }
}

static void describe_trial(struct buffer *out, const json_t *pod)
{
    char text[AGE_SIZE];
    const json_t *trial = field_at(pod, "mainstay.trial");
    if (!str_equal(field_text(trial, "state"), "OnTrial"))
        return;
    walltime deadline = walltime_from_json(field_at(trial, "deadline"));
    describe_linef(out, 0, "Trial", "revision %lld, until %s", field_int(trial, "revision"),
                   walltime_is_set(deadline) ? moment_format(deadline, text)
                                             : "some time after its start");
}

static void describe_head(struct buffer *out, const json_t *pod)
{
    struct pod_view view;
    char text[AGE_SIZE];
    pod_view_read(pod, &view);
    describe_line(out, 0, "Name", field_text(pod, "metadata.name"));
    describe_line(out, 0, "Namespace", field_text(pod, "metadata.namespace"));
    describe_line(out, 0, "Node", field_text(pod, "spec.nodeName"));
    if (field_text(pod, "spec.priorityClassName"))
        describe_line(out, 0, "Priority Class", field_text(pod, "spec.priorityClassName"));
    if (json_is_integer(field_at(pod, "spec.priority")))
        describe_linef(out, 0, "Priority", "%lld", field_int(pod, "spec.priority"));
    describe_line(out, 0, "Start Time",
                  moment_format(walltime_from_json(field_at(pod, "status.startTime")), text));
    describe_map(out, "Labels", field_at(pod, "metadata.labels"));
    describe_map(out, "Annotations", field_at(pod, "metadata.annotations"));
    describe_line(out, 0, "Status", view.status);
    if (field_text(pod, "mainstay.reason"))
        describe_line(out, 0, "Reason", field_text(pod, "mainstay.reason"));
    if (field_text(pod, "mainstay.message"))
        describe_line(out, 0, "Message", field_text(pod, "mainstay.message"));
    if (field_text(pod, "mainstay.heldBack"))
        describe_line(out, 0, "Held Back", field_text(pod, "mainstay.heldBack"));
    if (field_text(pod, "mainstay.guard"))
        describe_line(out, 0, "Quorum Guard", field_text(pod, "mainstay.guard"));
    describe_line(out, 0, "IP", field_text(pod, "status.podIP"));
    describe_line(out, 0, "UID", field_text(pod, "metadata.uid"));
    describe_line(out, 0, "Agent State", field_text(pod, "mainstay.state"));
    describe_line(out, 0, "Manifest", field_text(pod, "mainstay.file"));
    describe_line(out, 0, "Hash", field_text(pod, "mainstay.hash"));
    describe_refusal(out, pod);
    describe_trial(out, pod);
}

static void describe_containers(struct buffer *out, const json_t *pod, const char *label,
                                const char *specs_path, const char *statuses_path)
{
    const json_t *specs = field_at(pod, specs_path), *statuses = field_at(pod, statuses_path);
    const json_t *extensions = field_at(pod, "mainstay.containers");
    if (json_array_size(specs) == 0)
        return;
    describe_heading(out, 0, label);
    for (size_t i = 0; i < json_array_size(specs); i++) {
        const json_t *spec = json_array_get(specs, i);
        const char *name = field_text_or_empty(spec, "name");
        describe_container(out, spec, field_named(statuses, name), field_named(extensions, name));
    }
}

static void describe_conditions(struct buffer *out, const json_t *conditions)
{
    describe_heading(out, 0, "Conditions");
    int width = LABEL_WIDTH;
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        size_t length = strlen(field_text_or_empty(json_array_get(conditions, i), "type"));
        width = MAX(width, (int)MIN(length, (size_t)80) + 2);
    }
    buffer_printf(out, "  %-*s%s\n", width, "Type", "Status");
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        const char *message = field_text(condition, "message");
        buffer_printf(out, "  %-*s%s%s%s%s\n", width, field_text_or_empty(condition, "type"),
                      field_text_or_empty(condition, "status"), message ? " (" : "",
                      message ? message : "", message ? ")" : "");
    }
}

static void describe_tail(struct buffer *out, const json_t *pod)
{
    long long grace = field_int(pod, "spec.terminationGracePeriodSeconds");
    describe_line(out, 0, "QoS Class", field_text(pod, "status.qosClass"));
    describe_line(out, 0, "Restart Policy", field_text(pod, "spec.restartPolicy"));
    if (json_is_integer(field_at(pod, "spec.terminationGracePeriodSeconds")))
        describe_linef(out, 0, "Grace Period", "%llds", grace);
    if (json_is_integer(field_at(pod, "spec.activeDeadlineSeconds")))
        describe_linef(out, 0, "Active Deadline", "%llds",
                       field_int(pod, "spec.activeDeadlineSeconds"));
    describe_line(out, 0, "Host Network", field_true(pod, "spec.hostNetwork") ? "true" : "false");
}

static void describe_events(struct buffer *out, const json_t *events)
{
    static const char *const headings[] = {"Type", "Reason", "Age", "Message", NULL};
    const json_t *items = field_at(events, "items");
    _cleanup_table_ struct table *table = table_new(headings);
    walltime now = walltime_now();
    if (json_array_size(items) == 0) {
        describe_line(out, 0, "Events", NULL);
        return;
    }
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *event = json_array_get(items, i);
        bool warning = str_equal(field_text(event, "type"), "Warning");
        char text[AGE_SIZE];
        table_row(table);
        table_cell_styled(table, field_text(event, "type"), warning ? TERM_YELLOW : TERM_PLAIN);
        table_cell(table, field_text(event, "reason"));
        table_cell(table, interval_format(field_int(event, "count"),
                                          walltime_from_json(field_at(event, "firstTimestamp")),
                                          walltime_from_json(field_at(event, "lastTimestamp")), now,
                                          text));
        table_cell(table, field_text(event, "message"));
    }
    describe_heading(out, 0, "Events");
    _cleanup_buffer_ struct buffer rows = BUFFER_EMPTY;
    table_render(table, true, term_has_color(stdout), &rows);
    for (char *line = rows.data, *save; (line = strtok_r(line, "\n", &save)); line = NULL)
        buffer_printf(out, "  %s\n", line);
}

static int fetch_events(struct client *client, const json_t *pod, json_t **ret, struct error *err)
{
    _cleanup_free_ char *name = client_escape(field_text_or_empty(pod, "metadata.name"));
    _cleanup_free_ char *ns = client_escape(field_text_or_empty(pod, "metadata.namespace"));
    _cleanup_free_ char *path = xasprintf("/mainstay/v1/events?pod=%s&namespace=%s", name, ns);
    return client_get(client, path, ret, err);
}

// What its containers use stands beside what else the agent knows of them. Without it the rest is
// told all the same.
static void add_usage(struct client *client, const json_t *pod)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *name = client_escape(field_text_or_empty(pod, "metadata.name"));
    _cleanup_free_ char *ns = client_escape(field_text_or_empty(pod, "metadata.namespace"));
    _cleanup_free_ char *path = xasprintf("/stats/summary?pod=%s&namespace=%s", name, ns);
    const json_t *extensions = field_at(pod, "mainstay.containers");
    json_t *summary = NULL;
    if (client_get(client, path, &summary, &err) < 0)
        return;
    const json_t *pods = field_at(summary, "pods");
    for (size_t i = 0; i < json_array_size(extensions); i++) {
        json_t *extension = json_array_get(extensions, i);
        json_t *used = field_named(field_at(json_array_get(pods, 0), "containers"),
                                   field_text_or_empty(extension, "name"));
        if (used)
            json_object_set(extension, "usage", used);
    }
    json_decref(summary);
}

static int describe_pod(struct client *client, const char *namespace_, const char *name,
                        struct error *err)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_free_ char *path = client_pod_path(namespace_, name, "");
    json_t *pod = NULL, *events = NULL;
    int r = client_get(client, path, &pod, err);
    if (r == 0)
        r = fetch_events(client, pod, &events, err);
    if (r == 0) {
        add_usage(client, pod);
        describe_head(&out, pod);
        describe_containers(&out, pod, "Init Containers", "spec.initContainers",
                            "status.initContainerStatuses");
        describe_containers(&out, pod, "Containers", "spec.containers", "status.containerStatuses");
        describe_conditions(&out, field_at(pod, "status.conditions"));
        describe_volumes(&out, field_at(pod, "spec.volumes"));
        describe_tail(&out, pod);
        describe_events(&out, events);
        fwrite(buffer_str(&out), 1, out.len, stdout);
    }
    json_decref(pod);
    json_decref(events);
    return r;
}

static int cmd_describe(int argc, char **argv)
{
    struct describe_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_describe, argc, argv, &options, &rest, &status))
        return status;
    bool slash = rest.n > 0 && str_starts_with(rest.arguments[0], "pod/");
    const struct resource *kind = rest.n > 0 && !slash ? resource_find(rest.arguments[0]) : NULL;
    size_t first = slash ? 0 : 1;
    if (!slash && (!kind || !str_equal(kind->kind, "pod")))
        return command_usage_error(&command_describe,
                                   "say what to describe: mainstay describe pod NAME");
    if (rest.n <= first)
        return command_usage_error(&command_describe, "say which pod: mainstay describe pod NAME");
    _cleanup_client_ struct client *client = client_new(options.common.socket);
    status = CLI_DONE;
    for (size_t i = first; i < rest.n && status != CLI_UNREACHABLE; i++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        const char *name = rest.arguments[i];
        if (str_starts_with(name, "pod/"))
            name += strlen("pod/");
        if (i > first)
            printf("\n\n");
        int one = client_failed(describe_pod(client, options.namespace_, name, &err), &err);
        status = MAX(status, one);
    }
    return status;
}

const struct command command_describe = {
    .name = "describe",
    .group = "Look",
    .summary = "Tell the whole story of a pod: spec, state, mounts, probes, events",
    .usage = "pod NAME…",
    .examples = "  mainstay describe pod etcd",
    .options = describe_options,
    .n_options = ARRAY_SIZE(describe_options),
    .argument = ARGUMENT_RESOURCE,
    .words = (const char *const[]){"pod", NULL},
    .run = cmd_describe,
};
