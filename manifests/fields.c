// See fields.h.
#include "manifests/fields.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

enum { PORT_MAX = 65535, NAMES_MAX = 64 };

int fields_wrong(const struct fields_reader *reader, const struct yaml_value *value,
                 const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    return error_set(reader->err, EINVAL, "%s:%u:%u: %s: %s", reader->file, value->line,
                     value->column, path, message);
}

void fields_warn(const struct fields_reader *reader, unsigned line, unsigned column,
                 const char *path, const char *format, ...)
{
    va_list args;
    if (!reader->warnings)
        return;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    string_list_add_owned(reader->warnings,
                          xasprintf("%s:%u:%u: %s: %s", reader->file, line, column, path, message));
}

// ---- values ----

int fields_text(const struct fields_reader *reader, const char *path,
                const struct yaml_value *value, const char **ret)
{
    if (value->kind == YAML_KIND_SCALAR && value->scalar.kind != SCALAR_STRING)
        return fields_wrong(reader, value, path, "must be a string, not %s: put it between quotes",
                            yaml_kind_name(value));
    if (value->kind != YAML_KIND_SCALAR)
        return fields_wrong(reader, value, path, "must be a string, not %s", yaml_kind_name(value));
    *ret = *value->text ? value->text : NULL;
    return 0;
}

int fields_texts(const struct fields_reader *reader, const char *path,
                 const struct yaml_value *value, struct string_list *ret)
{
    if (value->kind != YAML_KIND_SEQUENCE)
        return fields_wrong(reader, value, path, "must be a list, not %s", yaml_kind_name(value));
    for (size_t i = 0; i < value->n_items; i++) {
        const char *text = NULL;
        int code = fields_text(reader, path, value->items[i], &text);
        if (code < 0)
            return code;
        if (text)
            string_list_add(ret, text);
    }
    return 0;
}

int fields_port(const struct fields_reader *reader, const char *path,
                const struct yaml_value *value, int64_t *ret)
{
    int64_t number = 0;
    if (value->kind != YAML_KIND_SCALAR || value->scalar.kind == SCALAR_STRING ||
        !scalar_to_int(&value->scalar, &number) || number < 0 || number > PORT_MAX)
        return fields_wrong(reader, value, path, "must be a port between 1 and %d", PORT_MAX);
    *ret = number;
    return 0;
}

int fields_bool(const struct fields_reader *reader, const char *path,
                const struct yaml_value *value, bool *ret)
{
    if (value->kind != YAML_KIND_SCALAR || value->scalar.kind != SCALAR_BOOL)
        return fields_wrong(reader, value, path, "must be true or false");
    *ret = value->scalar.boolean;
    return 0;
}

static int read_value(const struct fields_reader *reader, const struct field *field,
                      const struct yaml_value *value)
{
    void *to = (char *)reader->to + field->offset;
    switch (field->kind) {
    case FIELD_TEXT:
        return fields_text(reader, field->path, value, to);
    case FIELD_TEXTS:
        return fields_texts(reader, field->path, value, to);
    case FIELD_PORT:
        return fields_port(reader, field->path, value, to);
    case FIELD_CUSTOM:
        return field->read(reader, field, value, to);
    case FIELD_NOTED:
        fields_warn(reader, value->line, value->column, field->path, "%s", field->note);
        break;
    case FIELD_PASSED:
    case FIELD_GROUP:
        break;
    }
    return 0;
}

// ---- fields ----

static const struct field *find_field(const struct fields_reader *reader, const char *path)
{
    for (size_t i = 0; i < reader->n; i++)
        if (str_equal(reader->fields[i].path, path))
            return &reader->fields[i];
    return NULL;
}

void fields_unknown(const struct fields_reader *reader, const struct yaml_pair *pair,
                    const char *path, const char *const *names, size_t n)
{
    const char *nearest = str_nearest(pair->key, names, n);
    fields_warn(reader, pair->line, pair->column, path,
                "%s knows no such field, it is passed over%s%s%s", reader->who,
                nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

// The nearest name is looked for among those that may stand in the same mapping.
static void warn_of_unknown(const struct fields_reader *reader, const struct yaml_pair *pair,
                            const char *path)
{
    const char *names[NAMES_MAX];
    size_t stem = strlen(path) - strlen(pair->key), n = 0;
    for (size_t i = 0; i < reader->n && n < ARRAY_SIZE(names); i++) {
        const char *known = reader->fields[i].path;
        if (strncmp(known, path, stem) == 0 && !strchr(known + stem, '.'))
            names[n++] = known + stem;
    }
    fields_unknown(reader, pair, path, names, n);
}

static int read_mapping(const struct fields_reader *reader, const char *above,
                        const struct yaml_value *value);

static int read_pair(const struct fields_reader *reader, const char *above,
                     const struct yaml_pair *pair)
{
    _cleanup_free_ char *path = xasprintf("%s%s%s", above, *above ? "." : "", pair->key);
    const struct field *field = find_field(reader, path);
    if (!field) {
        warn_of_unknown(reader, pair, path);
        return 0;
    }
    if (yaml_is_null(pair->value))
        return 0;
    if (field->kind == FIELD_GROUP)
        return read_mapping(reader, path, pair->value);
    return read_value(reader, field, pair->value);
}

static int read_mapping(const struct fields_reader *reader, const char *above,
                        const struct yaml_value *value)
{
    int code = 0;
    if (value->kind != YAML_KIND_MAPPING)
        return fields_wrong(reader, value, *above ? above : "document", "must be a mapping, not %s",
                            yaml_kind_name(value));
    for (size_t i = 0; i < value->n_pairs && code == 0; i++)
        code = read_pair(reader, above, &value->pairs[i]);
    return code;
}

int fields_read(const struct fields_reader *reader, const struct yaml_value *document)
{
    return read_mapping(reader, "", document);
}
