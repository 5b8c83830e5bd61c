// `mainstay explain`: the table as documentation, in the shape that kubectl explain prints.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/podspec.h"
#include "podspec/schema.h"

enum {
    LINE_MAX_COLUMNS = 80,
    TEXT_INDENT = 5,
    FIELD_INDENT = 3,
    FIELDS_MAX = 96, // of one struct; the largest has 46
};

const char *podspec_type_name(enum field_type type)
{
    switch (type) {
    case FIELD_STRING:
        return "string";
    case FIELD_BOOL:
    case FIELD_BOOL_PTR:
        return "boolean";
    case FIELD_INT:
    case FIELD_INT_PTR:
        return "integer";
    case FIELD_QUANTITY_PTR:
        return "Quantity";
    case FIELD_INT_OR_STRING:
        return "IntOrString";
    case FIELD_STRUCT:
    case FIELD_STRUCT_PTR:
    case FIELD_ANY:
        return "Object";
    case FIELD_STRING_LIST:
        return "[]string";
    case FIELD_INT_LIST:
        return "[]integer";
    case FIELD_STRUCT_LIST:
        return "[]Object";
    case FIELD_STRING_MAP:
        return "map[string]string";
    case FIELD_RESOURCES:
        return "map[string]Quantity";
    }
    return "Object";
}

static void indent(struct buffer *out, size_t columns)
{
    for (size_t i = 0; i < columns; i++)
        buffer_add_char(out, ' ');
}

// Words, wrapped at the width that kubectl uses.
static void add_text(struct buffer *out, size_t columns, const char *text)
{
    size_t column = 0;
    if (!text)
        return;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column == 0 || column + 1 + word > LINE_MAX_COLUMNS) {
            if (column > 0)
                buffer_add_char(out, '\n');
            indent(out, columns);
            column = columns;
        } else {
            buffer_add_char(out, ' ');
            column++;
        }
        buffer_add(out, text, word);
        column += word;
        text += word;
        while (*text == ' ')
            text++;
    }
    buffer_add_char(out, '\n');
}

static bool is_mode(const struct field_schema *field)
{
    return field->min == 0 && field->max == 0777;
}

static void add_default(struct buffer *text, const struct field_schema *field)
{
    if (is_mode(field))
        buffer_printf(text, " Default: 0%llo.", strtoull(field->default_value, NULL, 10));
    else
        buffer_printf(text, " Default: %s.", field->default_value);
}

static void add_range(struct buffer *text, const struct field_schema *field)
{
    if (field->min == 0 && field->max == 0)
        return;
    if (is_mode(field)) {
        buffer_add_str(text, " Between 0 and 0777, in octal.");
        return;
    }
    if (field->min > INT64_MIN && field->max < INT32_MAX)
        buffer_printf(text, " Between %lld and %lld.", (long long)field->min,
                      (long long)field->max);
    else if (field->min > INT32_MIN)
        buffer_printf(text, " At least %lld.", (long long)field->min);
}

void podspec_field_facts(const struct field_schema *field, struct buffer *out)
{
    for (size_t i = 0; field->values && field->values[i]; i++)
        buffer_printf(out, "%s%s", i == 0 ? " One of: " : ", ", field->values[i]);
    if (field->values)
        buffer_add_char(out, '.');
    if (field->type == FIELD_INT || field->type == FIELD_INT_PTR)
        add_range(out, field);
    if (field->default_value)
        add_default(out, field);
    if (field->patch_key)
        buffer_printf(out, " Each with a %s of its own.", field->patch_key);
    if (field->support == SUPPORT_IGNORED)
        buffer_add_str(out, " Means nothing to a static pod on this node.");
    const char *note = field->note ? field->note : "not supported by this release";
    if (field->support == SUPPORT_REPORTED)
        buffer_printf(out, " Accepted with a warning: %s.", note);
    if (field->support == SUPPORT_REFUSED)
        buffer_printf(out, " Refused: %s.", note);
}

static void add_facts(struct buffer *out, size_t columns, const struct field_schema *field)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    podspec_field_facts(field, &text);
    if (text.len > 0)
        add_text(out, columns, buffer_str(&text) + 1);
}

static void add_field_line(struct buffer *out, size_t columns, const struct field_schema *field,
                           const char *mark)
{
    indent(out, columns);
    buffer_printf(out, "%s\t<%s>%s%s\n", field->name, podspec_type_name(field->type),
                  field->required ? " -required-" : "", mark);
}

static void add_fields(struct buffer *out, const struct type_schema *type)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct field_schema *field = &type->fields[i];
        add_field_line(out, FIELD_INDENT, field, "");
        add_text(out, TEXT_INDENT, field->doc);
        add_facts(out, TEXT_INDENT, field);
        buffer_add_char(out, '\n');
    }
}

// In a listing of names there is room for one word on how far a field is honoured.
static const char *support_mark(const struct field_schema *field)
{
    switch (field->support) {
    case SUPPORT_IGNORED:
        return " -ignored-";
    case SUPPORT_REPORTED:
        return " -warned-";
    case SUPPORT_REFUSED:
        return " -refused-";
    case SUPPORT_FULL:
        break;
    }
    return "";
}

static void add_fields_recursive(struct buffer *out, const struct type_schema *type, size_t columns)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        add_field_line(out, columns, &type->fields[i], support_mark(&type->fields[i]));
        if (type->fields[i].sub)
            add_fields_recursive(out, type->fields[i].sub, columns + FIELD_INDENT);
    }
}

static int report_unknown(const struct type_schema *type, const char *name, const char *parent,
                          struct error *err)
{
    const char *names[FIELDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < type->n_fields && n < FIELDS_MAX; i++)
        names[n++] = type->fields[i].name;
    const char *nearest = str_nearest(name, names, n);
    if (nearest)
        return error_set(err, ENOENT, "%s has no field \"%s\", did you mean \"%s\"?", parent, name,
                         nearest);
    return error_set(err, ENOENT, "%s has no field \"%s\"", parent, name);
}

static bool is_pod_name(const char *name)
{
    return str_equal(name, "pod") || str_equal(name, "pods") || str_equal(name, "po");
}

// The next name of a path ("containers[0].image": "containers"); *path moves on. The caller frees.
static char *take_name(const char **path)
{
    size_t n = strcspn(*path, ".[");
    char *name = xstrndup(*path, n);
    const char *rest = *path + n;
    if (*rest == '[') // as findings write it; an index says nothing here
        rest += strcspn(rest, ".");
    *path = *rest == '.' ? rest + 1 : rest;
    return name;
}

struct target {
    const struct type_schema *type;   // of the pod or the field; NULL where it is no struct
    const struct field_schema *field; // NULL for the pod itself
};

static int find_target(const char *path, struct target *ret, struct error *err)
{
    _cleanup_free_ char *first = take_name(&path);
    if (!is_pod_name(first))
        return error_set(err, ENOENT, "only pods are known here: start with \"pod\", not \"%s\"",
                         first);
    struct target at = {.type = &pod_schema};
    _cleanup_free_ char *parent = xstrdup("pod");
    while (*path) {
        _cleanup_free_ char *name = take_name(&path);
        if (!at.type)
            return error_set(err, ENOENT, "%s has no fields", parent);
        at.field = schema_field(at.type, name);
        if (!at.field)
            return report_unknown(at.type, name, parent, err);
        at.type = at.field->sub;
        char *longer = xasprintf("%s.%s", parent, name);
        free(parent);
        parent = longer;
    }
    *ret = at;
    return 0;
}

static void add_description(struct buffer *out, const struct target *at)
{
    buffer_add_str(out, "DESCRIPTION:\n");
    if (at->type)
        add_text(out, TEXT_INDENT, at->type->doc);
    if (!at->field)
        return;
    if (at->type)
        buffer_add_char(out, '\n');
    add_text(out, TEXT_INDENT, at->field->doc);
    add_facts(out, TEXT_INDENT, at->field);
}

int podspec_explain(const char *path, bool recursive, struct buffer *out, struct error *err)
{
    struct target at = {0};
    int r = find_target(path, &at, err);
    if (r < 0)
        return r;
    buffer_add_str(out, "KIND:     Pod\nVERSION:  v1\n\n");
    if (at.field)
        buffer_printf(out, "%s%s <%s>\n\n", at.type ? "RESOURCE: " : "FIELD:    ", at.field->name,
                      podspec_type_name(at.field->type));
    add_description(out, &at);
    if (!at.type)
        return 0;
    buffer_add_str(out, "\nFIELDS:\n");
    if (recursive)
        add_fields_recursive(out, at.type, FIELD_INDENT);
    else
        add_fields(out, at.type);
    return 0;
}

void podspec_explain_names(const char *path, struct string_list *ret)
{
    struct target at = {0};
    const char *dot = strrchr(path, '.');
    if (!dot) {
        if (str_starts_with("pod", path))
            string_list_add(ret, "pod");
        return;
    }
    _cleanup_free_ char *parent = xstrndup(path, (size_t)(dot - path));
    if (find_target(parent, &at, NULL) < 0 || !at.type)
        return;
    for (size_t i = 0; i < at.type->n_fields; i++)
        if (str_starts_with(at.type->fields[i].name, dot + 1))
            string_list_add_owned(ret, xasprintf("%s.%s", parent, at.type->fields[i].name));
}
