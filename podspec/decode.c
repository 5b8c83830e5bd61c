// Structs from mappings, by the table: unknown and missing fields, fields that this release does
// not honour, and where everything stands. Single values are in decode-value.c, lists and maps in
// decode-list.c. Field names are case-sensitive, as in the kubelet
// (apimachinery/pkg/runtime/serializer/json, CaseSensitiveJSONIterator).
#include "podspec/decode.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/decoder.h"

enum {
    VALUE_SHOWN_MAX = 60, // bytes of a number that a finding shows
    FIELDS_MAX = 96,      // of one struct; the largest has 46
};

bool decoder_is_full(const struct decoder *d)
{
    return d->diags->dropped > 0;
}

// A value is where a finding points, except behind an alias, where the anchor would mislead, and
// for lists and mappings, whose key is what the eye looks for.
static void record(struct decoder *d, unsigned line, unsigned column,
                   const struct yaml_value *value)
{
    bool behind = value->line > line || (value->line == line && value->column >= column);
    if (value->kind == YAML_KIND_SCALAR && behind && !yaml_is_null(value)) {
        line = value->line;
        column = value->column;
    }
    places_add(d->places, buffer_str(&d->path), line, column);
}

size_t decoder_enter_field(struct decoder *d, const struct yaml_pair *pair)
{
    size_t mark = d->path.len;
    if (mark > 0)
        buffer_add_char(&d->path, '.');
    buffer_add_str(&d->path, pair->key);
    record(d, pair->line, pair->column, pair->value);
    return mark;
}

size_t decoder_enter_item(struct decoder *d, size_t index, const struct yaml_value *item)
{
    size_t mark = d->path.len;
    buffer_printf(&d->path, "[%zu]", index);
    record(d, item->line, item->column, item);
    return mark;
}

size_t decoder_enter_entry(struct decoder *d, const struct yaml_pair *pair)
{
    size_t mark = d->path.len;
    buffer_add_char(&d->path, '[');
    buffer_add_str(&d->path, pair->key);
    buffer_add_char(&d->path, ']');
    record(d, pair->line, pair->column, pair->value);
    return mark;
}

void decoder_leave(struct decoder *d, size_t mark)
{
    buffer_truncate(&d->path, mark);
}

void decoder_report(struct decoder *d, enum diag_severity severity, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    diag_add(d->diags, severity, places_find(d->places, buffer_str(&d->path)), "%s", message);
}

void decoder_report_type(struct decoder *d, const char *what, const struct yaml_value *found,
                         const char *hint)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "expected %s, found %s", what, yaml_kind_name(found));
    if (found->kind == YAML_KIND_SCALAR && found->scalar.kind == SCALAR_STRING) {
        buffer_add_char(&text, ' ');
        diag_quote(found->text, &text);
    } else if (found->kind == YAML_KIND_SCALAR) {
        buffer_printf(&text, " (%.*s)", VALUE_SHOWN_MAX, found->text);
    }
    decoder_report(d, DIAG_ERROR, "%s%s", buffer_str(&text), hint);
}

void decoder_suggest(const char *name, const char *const *names, size_t n, struct buffer *out)
{
    const char *nearest = str_nearest(name, names, n);
    if (nearest)
        buffer_printf(out, ", did you mean \"%s\"?", nearest);
}

// The struct around the present one that knows a field: the line is indented too far then.
static const struct type_schema *find_outer_type(const struct decoder *d, const char *name)
{
    for (size_t i = d->n_types; i-- > 1;)
        if (schema_field(d->types[i - 1], name))
            return d->types[i - 1];
    return NULL;
}

static void report_unknown(struct decoder *d, const struct type_schema *type,
                           const struct yaml_pair *pair)
{
    const char *names[FIELDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < type->n_fields && n < FIELDS_MAX; i++)
        names[n++] = type->fields[i].name;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    buffer_add_str(&text, "unknown field ");
    diag_quote(pair->key, &text);
    const struct type_schema *outer = find_outer_type(d, pair->key);
    if (outer)
        buffer_printf(&text, "; it is a field of %s, so it may be indented too far", outer->name);
    else
        decoder_suggest(pair->key, names, n, &text);
    struct diag_place place = places_find(d->places, buffer_str(&d->path));
    place.line = pair->line;
    place.column = pair->column;
    diag_add(d->diags, DIAG_ERROR, place, "%s", buffer_str(&text));
}

// A value that is written but asks for nothing that would not be there anyway.
static bool asks_for_nothing(const struct field_schema *field, const void *object)
{
    if (schema_field_is_zero(field, object))
        return true;
    const char *moot = field->moot ? field->moot : field->default_value;
    const void *member = schema_member_const(field, object);
    if (field->type == FIELD_STRING)
        return moot && str_equal(*(char *const *)member, moot);
    if (field->type == FIELD_BOOL_PTR)
        return **(bool *const *)member == str_equal(moot, "true");
    return false;
}

static void check_support(struct decoder *d, const struct field_schema *field,
                          const struct yaml_value *value, const void *object)
{
    if (field->support != SUPPORT_REFUSED && field->support != SUPPORT_REPORTED)
        return;
    bool empty = value->kind == YAML_KIND_MAPPING    ? value->n_pairs == 0
                 : value->kind == YAML_KIND_SEQUENCE ? value->n_items == 0
                                                     : yaml_is_null(value);
    if (field->type == FIELD_ANY ? empty : asks_for_nothing(field, object))
        return;
    const char *note = field->note ? field->note : "not supported by this release";
    if (field->support == SUPPORT_REFUSED)
        decoder_report(d, DIAG_ERROR, "cannot be used here: %s", note);
    else
        decoder_report(d, DIAG_WARNING, "%s", note);
}

static void check_required(struct decoder *d, const struct type_schema *type, const void *object,
                           const bool *failed)
{
    for (size_t i = 0; i < type->n_fields && i < FIELDS_MAX; i++) {
        const struct field_schema *field = &type->fields[i];
        if (!field->required || failed[i] || !schema_field_is_zero(field, object))
            continue;
        size_t mark = d->path.len;
        buffer_printf(&d->path, "%s%s", mark > 0 ? "." : "", field->name);
        decoder_report(d, DIAG_ERROR, "is required");
        decoder_leave(d, mark);
    }
}

static void decode_pairs(struct decoder *d, const struct type_schema *type,
                         const struct yaml_value *value, void *object)
{
    bool failed[FIELDS_MAX] = {false};
    for (size_t i = 0; i < value->n_pairs && !decoder_is_full(d); i++) {
        const struct yaml_pair *pair = &value->pairs[i];
        const struct field_schema *field = schema_field(type, pair->key);
        size_t errors = d->diags->errors, mark = decoder_enter_field(d, pair);
        if (field && !yaml_is_null(pair->value)) {
            decode_member(d, field, pair->value, schema_member(field, object));
            size_t index = (size_t)(field - type->fields);
            if (d->diags->errors == errors)
                check_support(d, field, pair->value, object);
            else if (index < FIELDS_MAX)
                failed[index] = true;
        } else if (!field) {
            report_unknown(d, type, pair);
        }
        decoder_leave(d, mark);
    }
    check_required(d, type, object, failed);
}

void decode_struct(struct decoder *d, const struct type_schema *type,
                   const struct yaml_value *value, void *object)
{
    if (value->kind != YAML_KIND_MAPPING) {
        decoder_report_type(d, "a mapping", value, "");
        return;
    }
    if (d->n_types == DECODER_TYPES_MAX)
        abort(); // the table has no circles, so its own tests would have seen this
    d->types[d->n_types++] = type;
    decode_pairs(d, type, value, object);
    d->n_types--;
}

int decode_object(const struct type_schema *type, const struct yaml_value *value, void *object,
                  const char *path, struct podspec_places *places, struct diag_list *diags)
{
    struct decoder d = {.places = places, .diags = diags};
    size_t errors = diags->errors;
    buffer_add_str(&d.path, path);
    places_add(places, path, value->line, value->column);
    decode_struct(&d, type, value, object);
    buffer_free(&d.path);
    schema_set_defaults(type, object);
    return diags->errors > errors ? -EINVAL : 0;
}
