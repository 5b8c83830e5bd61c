// What this program makes of manifests, quantities and references: one JSON request a line on
// standard input, one answer a line on standard output, so that test_kubelet.py can hold it against
// the kubelet's own code (oracle/main.go speaks the same).
//
//   {"mode": "pod", "text": "…"}      → {"ok", "yaml": it could be read, "pod",
//                                        "findings": [{severity, path, message, line}],
//                                        "numbers": {qos, oom, shares, quota, memory}}
//   {"mode": "bytes", "text": "…"}    → the same, of a manifest in Base64
//   {"mode": "quantity", "text": "…"} → {"ok", "text", "value", "milli"}
//   {"mode": "compare", "text": "1 2"} → {"ok", "compare"}
//   {"mode": "cpu", "text": "250"}    → {"ok", "shares", "quota"}, of thousandths of a processor
//   {"mode": "expand", "text": "…", "vars": {…}} → {"ok", "text"}
//   {"mode": "table", "text": ""}     → {"TYPE": [{name, kind, …}]}: what manifests can be made of
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/macro.h"
#include "podspec/expand.h"
#include "podspec/podspec.h"
#include "podspec/quantity.h"
#include "podspec/schema.h"
#include "podspec/yaml.h"
#include "supervisor/cgroup-numbers.h"
#include "supervisor/qos.h"

#define MEMORY_CAPACITY ((int64_t)8 << 30) // of the node that oom_score_adj is computed for

static const struct podspec_node node = {.name = "node-1", .source = "file"};

static json_t *findings_to_json(const struct diag_list *diags)
{
    json_t *list = json_array();

    for (size_t i = 0; i < diags->n; i++) {
        const struct diag *d = &diags->items[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i}", "severity",
                                              d->severity == DIAG_ERROR ? "error" : "warning",
                                              "path", d->path ? d->path : "", "message", d->message,
                                              "line", (int)d->line));
    }
    return list;
}

// What its containers get of processors and memory, as far as it follows from the manifest alone.
static json_t *numbers_to_json(const struct pod *pod)
{
    struct cgroup_numbers numbers = cgroup_numbers_of_pod(pod, &CGROUP_POLICY_DEFAULT);
    json_t *scores = json_object();

    LIST_EACH (container, &pod->spec.containers)
        json_object_set_new(
            scores, container->name,
            json_integer((json_int_t)qos_oom_score_adj(pod, container, MEMORY_CAPACITY)));
    return json_pack("{s:s, s:o, s:I, s:I, s:I}", "qos", qos_class_name(qos_class_of(pod)), "oom",
                     scores, "shares", (json_int_t)numbers.cpu_shares, "quota",
                     (json_int_t)numbers.cpu_quota, "memory", (json_int_t)numbers.memory_limit);
}

static bool is_yaml(const char *text, size_t size)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    _cleanup_yaml_tree_ struct yaml_tree *tree = NULL;

    return yaml_tree_parse("case.yaml", text, size, &tree, &diags) == 0;
}

// Only the first document counts, as for the kubelet.
static json_t *answer_pod(const char *text, size_t size)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    _cleanup_pod_list_ struct pod_list pods = {0};
    bool ok = podspec_parse("case.yaml", text, size, &pods, &diags) == 0 &&
              podspec_make_static(pods.items[0], &node, &diags) == 0;

    return json_pack("{s:b, s:b, s:o, s:o*, s:o*}", "ok", ok, "yaml", is_yaml(text, size),
                     "findings", findings_to_json(&diags), "pod",
                     ok ? pod_to_json(pods.items[0]) : NULL, "numbers",
                     ok ? numbers_to_json(pods.items[0]) : NULL);
}

static json_t *answer_bytes(const char *text)
{
    _cleanup_buffer_ struct buffer bytes = BUFFER_EMPTY;

    if (base64_decode(text, strlen(text), &bytes) < 0)
        return NULL;
    return answer_pod(buffer_str(&bytes), bytes.len);
}

static json_t *answer_quantity(const char *text)
{
    struct quantity q = {0};

    if (quantity_parse(text, &q) < 0)
        return json_pack("{s:b}", "ok", 0);
    json_t *answer =
        json_pack("{s:b, s:s, s:I, s:I}", "ok", 1, "text", q.text, "value",
                  (json_int_t)quantity_value(&q), "milli", (json_int_t)quantity_milli_value(&q));
    quantity_clear(&q);
    return answer;
}

// Two quantities with a blank between them.
static json_t *answer_compare(const char *text)
{
    _cleanup_free_ char *first = xstrndup(text, strcspn(text, " "));
    struct quantity a = {0}, b = {0};
    json_t *answer = NULL;

    if (quantity_parse(first, &a) == 0 && quantity_parse(strchr(text, ' ') + 1, &b) == 0)
        answer = json_pack("{s:b, s:i}", "ok", 1, "compare", quantity_compare(&a, &b));
    quantity_clear(&a);
    quantity_clear(&b);
    return answer ? answer : json_pack("{s:b}", "ok", 0);
}

static json_t *answer_cpu(const char *text)
{
    int64_t milli = strtoll(text, NULL, 10);

    return json_pack("{s:b, s:I, s:I}", "ok", 1, "shares", (json_int_t)cgroup_cpu_shares(milli),
                     "quota", (json_int_t)cgroup_cpu_quota(milli, CGROUP_CPU_PERIOD));
}

static json_t *answer_expand(const char *text, json_t *vars)
{
    struct string_map map = {0};
    const char *name;
    json_t *value;

    json_object_foreach (vars, name, value)
        string_map_set(&map, name, json_string_value(value));
    _cleanup_free_ char *expanded = expand_references(text, &map);
    string_map_free(&map);
    return json_pack("{s:b, s:s}", "ok", 1, "text", expanded);
}

static const char *kind_name(enum field_type type)
{
    static const char *const names[] = {
        [FIELD_STRING] = "string",
        [FIELD_BOOL] = "bool",
        [FIELD_BOOL_PTR] = "bool",
        [FIELD_INT] = "int",
        [FIELD_INT_PTR] = "int",
        [FIELD_QUANTITY_PTR] = "quantity",
        [FIELD_INT_OR_STRING] = "port",
        [FIELD_STRUCT] = "struct",
        [FIELD_STRUCT_PTR] = "struct",
        [FIELD_STRING_LIST] = "strings",
        [FIELD_INT_LIST] = "ints",
        [FIELD_STRUCT_LIST] = "structs",
        [FIELD_STRING_MAP] = "map",
        [FIELD_RESOURCES] = "resources",
        [FIELD_ANY] = "any",
    };
    return names[type];
}

static json_t *row_to_json(const struct field_schema *field)
{
    json_t *values = json_array();

    for (size_t i = 0; field->values && field->values[i]; i++)
        json_array_append_new(values, json_string(field->values[i]));
    return json_pack("{s:s, s:s, s:b, s:b, s:o, s:I, s:I, s:s*}", "name", field->name, "kind",
                     kind_name(field->type), "required", field->required, "refused",
                     field->support == SUPPORT_REFUSED, "values", values, "min",
                     (json_int_t)field->min, "max", (json_int_t)field->max, "type",
                     field->sub ? field->sub->name : NULL);
}

static void add_type(json_t *types, const struct type_schema *type)
{
    if (json_object_get(types, type->name))
        return;
    json_t *rows = json_array();
    json_object_set_new(types, type->name, rows);
    for (size_t i = 0; i < type->n_fields; i++) {
        json_array_append_new(rows, row_to_json(&type->fields[i]));
        if (type->fields[i].sub)
            add_type(types, type->fields[i].sub);
    }
}

static json_t *answer_table(void)
{
    json_t *types = json_object();

    add_type(types, &pod_schema);
    return types;
}

static json_t *respond(json_t *request)
{
    const char *mode = json_string_value(json_object_get(request, "mode"));
    const json_t *string = json_object_get(request, "text");
    const char *text = json_string_value(string);

    if (!mode || !text)
        return NULL;
    if (strcmp(mode, "pod") == 0)
        return answer_pod(text, json_string_length(string));
    if (strcmp(mode, "bytes") == 0)
        return answer_bytes(text);
    if (strcmp(mode, "quantity") == 0)
        return answer_quantity(text);
    if (strcmp(mode, "compare") == 0 && strchr(text, ' '))
        return answer_compare(text);
    if (strcmp(mode, "cpu") == 0)
        return answer_cpu(text);
    if (strcmp(mode, "expand") == 0)
        return answer_expand(text, json_object_get(request, "vars"));
    if (strcmp(mode, "table") == 0)
        return answer_table();
    return NULL;
}

int main(void)
{
    _cleanup_free_ char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, stdin) > 0) {
        json_t *request = json_loads(line, JSON_ALLOW_NUL, NULL);
        json_t *answer = respond(request);
        json_decref(request);
        if (!answer) {
            fprintf(stderr, "not a request: %s", line);
            return 2;
        }
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(answer);
    }
    return 0;
}
