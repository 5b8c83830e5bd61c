// See columns.h.
#include "cli/columns.h"

#include <string.h>

#include "base/string-list.h"
#include "cli/duration.h"
#include "cli/field.h"
#include "cli/pod-view.h"

enum { HEADINGS_MAX = 16 };

static struct table *new_table(struct columns columns, const char *const *narrow,
                               const char *const *wide)
{
    const char *headings[HEADINGS_MAX];
    size_t n = 0;
    if (columns.namespaces)
        headings[n++] = "NAMESPACE";
    while (*narrow)
        headings[n++] = *narrow++;
    while (columns.wide && wide && *wide)
        headings[n++] = *wide++;
    if (columns.labels)
        headings[n++] = "LABELS";
    headings[n] = NULL;
    return table_new(headings);
}

static void begin_row(struct table *table, struct columns columns, const json_t *object)
{
    table_row(table);
    if (columns.namespaces)
        table_cell(table, field_text(object, "metadata.namespace"));
}

static void labels_cell(struct table *table, const json_t *object)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    json_t *labels = field_at(object, "metadata.labels");
    const char *key;
    json_t *value;
    json_object_foreach (labels, key, value)
        buffer_printf(&text, "%s%s=%s", text.len ? "," : "", key, json_string_value(value));
    table_cell(table, buffer_str(&text));
}

static struct table *pods_table(struct columns columns)
{
    static const char *const narrow[] = {"NAME", "READY", "STATUS", "RESTARTS", "AGE", NULL};
    static const char *const wide[] = {"IP", "NODE", "PID", "MANIFEST", NULL};
    return new_table(columns, narrow, wide);
}

// The host's process ids of the containers that run, "812,813".
static void pids_cell(struct table *table, const json_t *pod)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const json_t *containers = field_at(pod, "mainstay.containers");
    for (size_t i = 0; i < json_array_size(containers); i++) {
        long long pid = field_int(json_array_get(containers, i), "pid");
        if (pid > 0)
            buffer_printf(&text, "%s%lld", text.len ? "," : "", pid);
    }
    table_cell(table, buffer_str(&text));
}

static void pods_row(struct table *table, struct columns columns, const json_t *pod, walltime now)
{
    struct pod_view view;
    char text[AGE_SIZE];
    pod_view_read(pod, &view);
    begin_row(table, columns, pod);
    table_cell(table, field_text(pod, "metadata.name"));
    table_cellf(table, "%lld/%lld", view.ready, view.total);
    table_cell_styled(table, view.status, view.style);
    table_cell(table, restarts_format(view.restarts, view.last_restart, now, text));
    const char *created = field_text(pod, "metadata.creationTimestamp");
    table_cell(table,
               age_of_text(created ? created : field_text(pod, "status.startTime"), now, text));
    if (columns.wide) {
        table_cell(table, field_text(pod, "status.podIP"));
        table_cell(table, field_text(pod, "spec.nodeName"));
        pids_cell(table, pod);
        table_cell(table, field_text(pod, "mainstay.file"));
    }
    if (columns.labels)
        labels_cell(table, pod);
}

static const json_t *metadata_name(const json_t *object)
{
    return field_at(object, "metadata.name");
}

static struct table *events_table(struct columns columns)
{
    static const char *const narrow[] = {"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE", NULL};
    static const char *const wide[] = {"SOURCE", "FIRST SEEN", "COUNT", "NAME", NULL};
    return new_table(columns, narrow, wide);
}

static void object_cell(struct table *table, const json_t *event)
{
    const char *kind = field_text_or_empty(event, "involvedObject.kind");
    const char *file = field_text(event, "mainstay.file");
    char lower[32];
    size_t n = 0;
    for (; kind[n] && n < sizeof(lower) - 1; n++)
        lower[n] = (char)(kind[n] | 0x20);
    lower[n] = '\0';
    if (file && !str_equal(kind, "Pod"))
        table_cellf(table, "manifest/%s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file);
    else
        table_cellf(table, "%s/%s", lower, field_text_or_empty(event, "involvedObject.name"));
}

static void events_row(struct table *table, struct columns columns, const json_t *event,
                       walltime now)
{
    walltime first = walltime_from_json(field_at(event, "firstTimestamp"));
    walltime last = walltime_from_json(field_at(event, "lastTimestamp"));
    bool warning = str_equal(field_text(event, "type"), "Warning");
    char text[AGE_SIZE];
    begin_row(table, columns, event);
    table_cell(table, interval_format(field_int(event, "count"), first, last, now, text));
    table_cell_styled(table, field_text(event, "type"), warning ? TERM_YELLOW : TERM_PLAIN);
    table_cell(table, field_text(event, "reason"));
    object_cell(table, event);
    table_cell(table, field_text(event, "message"));
    if (columns.wide) {
        table_cell(table, field_text(event, "source.component"));
        table_cell(table, age_since(first, now, text));
        table_cellf(table, "%lld", field_int(event, "count"));
        table_cell(table, field_text(event, "metadata.name"));
    }
    if (columns.labels)
        labels_cell(table, event);
}

static struct table *manifests_table(struct columns columns)
{
    static const char *const narrow[] = {"FILE", "STATE", "PODS", "FINDINGS", "AGE", NULL};
    static const char *const wide[] = {"LAST GOOD", "CONFLICT WITH", "SHA256", NULL};
    columns.namespaces = columns.labels = false;
    return new_table(columns, narrow, wide);
}

static void pods_of_manifest_cell(struct table *table, const json_t *manifest)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const json_t *pods = field_at(manifest, "pods");
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        buffer_printf(&text, "%s%s/%s", i ? "," : "", field_text_or_empty(pod, "namespace"),
                      field_text_or_empty(pod, "name"));
    }
    table_cell(table, buffer_str(&text));
}

// The first finding without the file's name, which stands in its own column, and how many more.
static void findings_cell(struct table *table, const json_t *manifest)
{
    const json_t *findings = field_at(manifest, "findings");
    const json_t *first = json_array_get(findings, 0);
    size_t more = json_array_size(findings);
    const char *path = field_text_or_empty(first, "path");
    char rest[48] = "";
    if (!first) {
        table_cell(table, NULL);
        return;
    }
    if (more > 1)
        snprintf(rest, sizeof(rest), " (and %zu more)", more - 1);
    table_cellf(table, "%lld:%lld: %s%s%s%s", field_int(first, "line"), field_int(first, "column"),
                path, *path ? ": " : "", field_text_or_empty(first, "message"), rest);
}

static void manifests_row(struct table *table, struct columns columns, const json_t *manifest,
                          walltime now)
{
    const char *file = field_text_or_empty(manifest, "file");
    const char *state = field_text_or_empty(manifest, "state");
    const char *base = strrchr(file, '/');
    char text[DURATION_SIZE];
    table_row(table);
    table_cell(table, base && !columns.wide ? base + 1 : file);
    table_cell_styled(table, state, str_equal(state, "Accepted") ? TERM_GREEN : TERM_RED);
    pods_of_manifest_cell(table, manifest);
    findings_cell(table, manifest);
    table_cell(table, age_of_text(field_text(manifest, "changedAt"), now, text));
    if (columns.wide) {
        table_cell(table, field_true(manifest, "lastGood") ? "yes" : "no");
        table_cell(table, field_text(manifest, "conflictWith"));
        table_cell(table, field_text(manifest, "sha256"));
    }
}

static const json_t *manifest_name(const json_t *object)
{
    return field_at(object, "file");
}

static struct table *nodes_table(struct columns columns)
{
    static const char *const narrow[] = {"NAME", "STATUS", "PODS", "AGE", "VERSION", NULL};
    static const char *const wide[] = {"INTERNAL-IP", NULL};
    columns.namespaces = false;
    return new_table(columns, narrow, wide);
}

static void nodes_row(struct table *table, struct columns columns, const json_t *node, walltime now)
{
    const json_t *ready = json_array_get(field_at(node, "status.conditions"), 0);
    const json_t *address = json_array_get(field_at(node, "status.addresses"), 0);
    bool is_ready = str_equal(field_text(ready, "status"), "True");
    char text[DURATION_SIZE];
    table_row(table);
    table_cell(table, field_text(node, "metadata.name"));
    table_cell_styled(table, is_ready ? "Ready" : "NotReady", is_ready ? TERM_GREEN : TERM_RED);
    table_cellf(table, "%lld", field_int(node, "mainstay.pods"));
    table_cell(table, age_of_text(field_text(node, "metadata.creationTimestamp"), now, text));
    table_cell(table, field_text(node, "status.nodeInfo.kubeletVersion"));
    if (columns.wide)
        table_cell(table, field_text(address, "address"));
    if (columns.labels)
        labels_cell(table, node);
}

static json_t *node_conditions(const json_t *status)
{
    bool ready = field_true(status, "ready");
    const json_t *disk = field_named(field_at(status, "health"), "disk");
    bool pressure = field_true(disk, "degraded");
    return json_pack("[{s:s, s:s, s:s, s:s?}, {s:s, s:s, s:s, s:s?}]", "type", "Ready", "status",
                     ready ? "True" : "False", "reason",
                     ready ? "MainstaydReady" : "MainstaydNotReady", "message",
                     field_text(status, "unhealthy"), "type", "DiskPressure", "status",
                     pressure ? "True" : "False", "reason",
                     pressure ? "MainstaydHasDiskPressure" : "MainstaydHasNoDiskPressure",
                     "message", field_text(disk, "message"));
}

json_t *node_from_status(const json_t *status)
{
    json_t *addresses = json_array();
    if (field_text(status, "nodeIP"))
        json_array_append_new(addresses, json_pack("{s:s, s:s}", "type", "InternalIP", "address",
                                                   field_text(status, "nodeIP")));
    return json_pack("{s:s, s:s, s:{s:s, s:s?}, s:{s:o, s:o, s:{s:s}}, s:{s:I}}", //
                     "apiVersion", "v1", "kind", "Node",                          //
                     "metadata", "name", field_text_or_empty(status, "node"), "creationTimestamp",
                     field_text(status, "startedAt"),                                      //
                     "status", "conditions", node_conditions(status),                      //
                     "addresses", addresses,                                               //
                     "nodeInfo", "kubeletVersion", field_text_or_empty(status, "version"), //
                     "mainstay", "pods", (json_int_t)field_int(status, "counts.pods"));
}

static const struct resource resources[] = {
    {
        .kind = "pod",
        .names = (const char *const[]){"pods", "pod", "po", NULL},
        .path = "/mainstay/v1/pods",
        .namespaced = true,
        .watchable = true,
        .wrapped = true,
        .sorted = true,
        .table = pods_table,
        .row = pods_row,
        .name = metadata_name,
    },
    {
        .kind = "event",
        .names = (const char *const[]){"events", "event", "ev", NULL},
        .path = "/mainstay/v1/events",
        .namespaced = true,
        .watchable = true,
        .table = events_table,
        .row = events_row,
        .name = metadata_name,
    },
    {
        .kind = "manifest",
        .names = (const char *const[]){"manifests", "manifest", NULL},
        .path = "/mainstay/v1/manifests",
        .watchable = true,
        .wrapped = true,
        .sorted = true,
        .table = manifests_table,
        .row = manifests_row,
        .name = manifest_name,
    },
    {
        .kind = "node",
        .names = (const char *const[]){"nodes", "node", "no", NULL},
        .table = nodes_table,
        .row = nodes_row,
        .name = metadata_name,
    },
};

const struct resource *resource_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
        for (const char *const *n = resources[i].names; *n; n++)
            if (str_equal(*n, name))
                return &resources[i];
    return NULL;
}

const char *resource_nearest(const char *name)
{
    const char *names[ARRAY_SIZE(resources)];
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
        names[i] = resources[i].names[0];
    return str_nearest(name, names, ARRAY_SIZE(names));
}
