// See printers.h.
#include "cli/printers.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"
#include "podspec/podspec.h"

static int parse_column(const char *text, struct output *output, struct string_list *headings,
                        struct error *err)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return error_set(err, EINVAL,
                         "-o custom-columns: \"%s\" is not HEADING:PATH (e.g. "
                         "NAME:.metadata.name)",
                         text);
    string_list_add_owned(headings, xstrndup(text, (size_t)(colon - text)));
    return jsonpath_parse_relaxed(colon + 1, &LIST_APPEND(&output->columns)->path, err);
}

// Splits at the commas that do not stand in brackets or quotes: [0,1] is part of a path.
static int parse_columns(const char *text, struct output *output, struct error *err)
{
    _cleanup_string_list_ struct string_list headings = {0};
    int depth = 0, r = 0;
    const char *begin = text;
    for (const char *at = text; r == 0; at++) {
        depth += (*at == '[') - (*at == ']');
        if (*at && (*at != ',' || depth > 0))
            continue;
        _cleanup_free_ char *column = xstrndup(begin, (size_t)(at - begin));
        r = parse_column(column, output, &headings, err);
        begin = at + 1;
        if (!*at)
            break;
    }
    char **names = string_list_argv(&headings);
    if (r == 0)
        output->table = table_new((const char *const *)names);
    free(names);
    return r;
}

// A path without braces is meant as one, though to kubectl it is plain text.
static int parse_template(const char *text, struct jsonpath **ret, struct error *err)
{
    return *text && strchr(".[$@", *text) ? jsonpath_parse_relaxed(text, ret, err)
                                          : jsonpath_parse(text, ret, err);
}

static int parse_format(const char *text, struct output *ret, struct error *err)
{
    static const struct {
        const char *name;
        enum output_format format;
    } simple[] = {
        {"json", OUTPUT_JSON}, {"yaml", OUTPUT_YAML}, {"wide", OUTPUT_WIDE}, {"name", OUTPUT_NAME}};
    for (size_t i = 0; i < ARRAY_SIZE(simple); i++)
        if (str_equal(text, simple[i].name)) {
            ret->format = simple[i].format;
            return 0;
        }
    if (str_starts_with(text, "jsonpath=")) {
        ret->format = OUTPUT_JSONPATH;
        return parse_template(text + strlen("jsonpath="), &ret->path, err);
    }
    if (str_starts_with(text, "custom-columns=")) {
        ret->format = OUTPUT_COLUMNS;
        return parse_columns(text + strlen("custom-columns="), ret, err);
    }
    const char *known[] = {"json", "yaml", "wide", "name", "jsonpath=", "custom-columns="};
    const char *nearest = str_nearest(text, known, ARRAY_SIZE(known));
    return error_set(err, EINVAL,
                     "-o: unknown format \"%s\"%s%s%s; known are json, yaml, wide, name, "
                     "jsonpath=TEMPLATE, custom-columns=HEADING:PATH,…",
                     text, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

int output_parse(const char *text, struct output *ret, struct error *err)
{
    *ret = (struct output){.format = OUTPUT_TABLE};
    return str_empty(text) ? 0 : parse_format(text, ret, err);
}

void output_free(struct output *output)
{
    jsonpath_free(output->path);
    for (size_t i = 0; i < output->columns.n; i++)
        jsonpath_free(output->columns.items[i].path);
    free(output->columns.items);
    table_free(output->table);
    *output = (struct output){0};
}

static void print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(4) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (text)
        puts(text);
    free(text);
}

// kubectl sorts keys; json_to_yaml() keeps the order that it finds.
static void print_yaml(const json_t *value)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    char *text = json_dumps(value, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    json_t *sorted = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    json_to_yaml(sorted ? sorted : value, &out);
    fputs(buffer_str(&out), stdout);
    json_decref(sorted);
    free(text);
}

static const char *object_name(const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    return name ? name : json_string_value(json_object_get(object, "file"));
}

static void add_custom_row(struct output *output, const json_t *object)
{
    table_row(output->table);
    for (size_t i = 0; i < output->columns.n; i++) {
        _cleanup_buffer_ struct buffer cell = BUFFER_EMPTY;
        const json_t **found;
        size_t n = jsonpath_find(output->columns.items[i].path, object, &found);
        for (size_t j = 0; j < n; j++) {
            char *text = json_is_string(found[j])
                             ? xstrdup(json_string_value(found[j]))
                             : json_dumps(found[j], JSON_ENCODE_ANY | JSON_SORT_KEYS);
            buffer_printf(&cell, "%s%s", j ? "," : "", text ? text : "");
            free(text);
        }
        free(found);
        table_cell(output->table, buffer_str(&cell));
    }
}

static void print_one(struct output *output, const char *kind, const json_t *object)
{
    if (output->format == OUTPUT_COLUMNS)
        add_custom_row(output, object);
    else if (object_name(object))
        printf("%s/%s\n", kind, object_name(object));
}

// name and custom columns go item by item.
static void print_items(struct output *output, const char *kind, const json_t *value)
{
    const json_t *items = json_object_get(value, "items");
    if (!items)
        print_one(output, kind, value);
    for (size_t i = 0; i < json_array_size(items); i++)
        print_one(output, kind, json_array_get(items, i));
    if (output->format == OUTPUT_COLUMNS) {
        table_print(output->table, !output->headings_printed && !output->no_headings);
        output->headings_printed = true;
    }
}

int output_print(struct output *output, const char *kind, const json_t *value, struct error *err)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    int r = 0;
    switch (output->format) {
    case OUTPUT_JSON:
        print_json(value);
        break;
    case OUTPUT_YAML:
        print_yaml(value);
        break;
    case OUTPUT_JSONPATH:
        r = jsonpath_print(output->path, value, &out, err);
        if (r == 0)
            fwrite(buffer_str(&out), 1, out.len, stdout);
        break;
    case OUTPUT_NAME:
    case OUTPUT_COLUMNS:
    case OUTPUT_TABLE:
    case OUTPUT_WIDE:
        print_items(output, kind, value);
        break;
    }
    return r;
}
