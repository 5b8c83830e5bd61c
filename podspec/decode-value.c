// Single values of the table: strings, numbers, booleans, quantities. See decoder.h.
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/decode-list.h"
#include "podspec/decoder.h"
#include "podspec/quantity.h"

static bool is_scalar(const struct yaml_value *value, enum scalar_kind kind)
{
    return value->kind == YAML_KIND_SCALAR && value->scalar.kind == kind;
}

// The value as an allowed one would look in a list: "Always, OnFailure or Never".
static void list_values(const char *const *values, size_t n, struct buffer *out)
{
    for (size_t i = 0; i < n; i++)
        buffer_printf(out, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", values[i]);
}

static void check_allowed(struct decoder *d, const char *const *values, const char *text)
{
    size_t n = 0;
    for (; values[n]; n++)
        if (strcmp(values[n], text) == 0)
            return;
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    buffer_add_str(&message, "must be ");
    list_values(values, n, &message);
    buffer_add_str(&message, ", not ");
    diag_quote(text, &message);
    decoder_suggest(text, values, n, &message);
    decoder_report(d, DIAG_ERROR, "%s", buffer_str(&message));
}

void decode_check_string(struct decoder *d, const struct field_schema *field, const char *text)
{
    const char *wrong = field->check ? field->check(text) : NULL;
    if (wrong)
        decoder_report(d, DIAG_ERROR, "%s", wrong);
    else if (field->values)
        check_allowed(d, field->values, text);
}

char *decode_string(struct decoder *d, const struct yaml_value *value)
{
    if (yaml_is_null(value))
        return xstrdup("");
    if (is_scalar(value, SCALAR_STRING))
        return xstrdup(value->text);
    bool scalar = value->kind == YAML_KIND_SCALAR;
    decoder_report_type(d, "a string", value, scalar ? "; put it in quotes" : "");
    return NULL;
}

static void decode_text(struct decoder *d, const struct field_schema *field,
                        const struct yaml_value *value, char **member)
{
    char *text = decode_string(d, value);
    if (!text)
        return;
    free(*member);
    *member = text;
    if (*text)
        decode_check_string(d, field, text);
}

static bool decode_bool(struct decoder *d, const struct yaml_value *value, bool *ret)
{
    if (is_scalar(value, SCALAR_BOOL)) {
        *ret = value->scalar.boolean;
        return true;
    }
    struct scalar plain;
    bool quoted = is_scalar(value, SCALAR_STRING) &&
                  scalar_resolve(value->text, SCALAR_PLAIN, NULL, &plain) == 0 &&
                  plain.kind == SCALAR_BOOL;
    decoder_report_type(d, "true or false", value, quoted ? "; leave the quotes out" : "");
    return false;
}

static void report_range(struct decoder *d, int64_t min, int64_t max)
{
    if (max == INT32_MAX || max == INT64_MAX)
        decoder_report(d, DIAG_ERROR, "must be at least %lld%s", (long long)min,
                       max == INT32_MAX ? " and fit 32 bits" : "");
    else if (min == 0 && max == 0777)
        decoder_report(d, DIAG_ERROR, "must be a file mode between 0 and 0777");
    else
        decoder_report(d, DIAG_ERROR, "must be between %lld and %lld", (long long)min,
                       (long long)max);
}

bool decode_int(struct decoder *d, const struct field_schema *field, const struct yaml_value *value,
                int64_t *ret)
{
    int64_t number = 0;
    if (value->kind != YAML_KIND_SCALAR || !scalar_to_int(&value->scalar, &number)) {
        struct scalar plain;
        bool quoted = is_scalar(value, SCALAR_STRING) &&
                      scalar_resolve(value->text, SCALAR_PLAIN, NULL, &plain) == 0 &&
                      scalar_to_int(&plain, &number);
        decoder_report_type(d, "a whole number", value, quoted ? "; leave the quotes out" : "");
        return false;
    }
    bool any = field->min == 0 && field->max == 0;
    int64_t min = any ? INT32_MIN : field->min, max = any ? INT32_MAX : field->max;
    if (number < min || number > max) {
        report_range(d, min, max);
        return false;
    }
    *ret = number;
    return true;
}

// K's Quantity.UnmarshalJSON: a number or a string, blanks around it ignored.
bool decode_quantity(struct decoder *d, const struct yaml_value *value, struct quantity *ret)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (yaml_is_null(value))
        buffer_add_char(&text, '0');
    else if (is_scalar(value, SCALAR_STRING))
        buffer_add_str(&text, value->text);
    else if (value->kind == YAML_KIND_SCALAR && value->scalar.kind != SCALAR_BOOL &&
             !(value->scalar.kind == SCALAR_FLOAT && !isfinite(value->scalar.number)))
        scalar_to_json(&value->scalar, &text);
    else {
        decoder_report_type(d, "a quantity such as 250m, 2 or 100Mi", value, "");
        return false;
    }
    static const char blanks[] = " \t\r\n\v\f";
    while (text.len > 0 && strchr(blanks, text.data[text.len - 1]))
        buffer_truncate(&text, text.len - 1);
    const char *trimmed = buffer_str(&text);
    int r = quantity_parse(trimmed + strspn(trimmed, blanks), ret);
    if (r == -ERANGE)
        decoder_report(d, DIAG_ERROR, "is out of the range of quantities");
    else if (r < 0)
        decoder_report_type(d, "a quantity such as 250m, 2 or 100Mi", value, "");
    return r == 0;
}

static void decode_int_or_string(struct decoder *d, const struct yaml_value *value,
                                 struct int_or_string *member)
{
    int64_t number = 0;
    if (is_scalar(value, SCALAR_STRING)) {
        free(member->string);
        *member = (struct int_or_string){
            .is_set = true, .is_string = true, .string = xstrdup(value->text)};
    } else if (value->kind == YAML_KIND_SCALAR && scalar_to_int(&value->scalar, &number)) {
        if (number < INT32_MIN || number > INT32_MAX)
            decoder_report(d, DIAG_ERROR, "must fit 32 bits");
        else
            *member = (struct int_or_string){.is_set = true, .number = number};
    } else {
        decoder_report_type(d, "a whole number or a string", value, "");
    }
}

static void decode_quantity_pointer(struct decoder *d, const struct yaml_value *value,
                                    struct quantity **member)
{
    struct quantity quantity = {0};
    if (!decode_quantity(d, value, &quantity))
        return;
    *member = xmalloc(sizeof(**member));
    **member = quantity;
}

// The pointer is set for an empty mapping too: `emptyDir: {}` means something.
static void decode_struct_pointer(struct decoder *d, const struct type_schema *type,
                                  const struct yaml_value *value, void **member)
{
    if (value->kind == YAML_KIND_MAPPING)
        *member = xcalloc(1, type->size);
    decode_struct(d, type, value, *member);
}

static void decode_number(struct decoder *d, const struct field_schema *field,
                          const struct yaml_value *value, void *member)
{
    int64_t number = 0;
    if (!decode_int(d, field, value, &number))
        return;
    if (field->type == FIELD_INT) {
        *(int64_t *)member = number;
        return;
    }
    int64_t *copy = xmalloc(sizeof(*copy));
    *copy = number;
    *(int64_t **)member = copy;
}

static void decode_boolean(struct decoder *d, const struct field_schema *field,
                           const struct yaml_value *value, void *member)
{
    bool boolean = false;
    if (!decode_bool(d, value, &boolean))
        return;
    if (field->type == FIELD_BOOL) {
        *(bool *)member = boolean;
        return;
    }
    bool *copy = xmalloc(sizeof(*copy));
    *copy = boolean;
    *(bool **)member = copy;
}

void decode_member(struct decoder *d, const struct field_schema *field,
                   const struct yaml_value *value, void *member)
{
    switch (field->type) {
    case FIELD_STRING:
        decode_text(d, field, value, member);
        break;
    case FIELD_BOOL:
    case FIELD_BOOL_PTR:
        decode_boolean(d, field, value, member);
        break;
    case FIELD_INT:
    case FIELD_INT_PTR:
        decode_number(d, field, value, member);
        break;
    case FIELD_QUANTITY_PTR:
        decode_quantity_pointer(d, value, member);
        break;
    case FIELD_INT_OR_STRING:
        decode_int_or_string(d, value, member);
        break;
    case FIELD_STRUCT:
        decode_struct(d, field->sub, value, member);
        break;
    case FIELD_STRUCT_PTR:
        decode_struct_pointer(d, field->sub, value, member);
        break;
    case FIELD_STRING_LIST:
    case FIELD_INT_LIST:
    case FIELD_STRUCT_LIST:
        decode_list(d, field, value, member);
        break;
    case FIELD_STRING_MAP:
    case FIELD_RESOURCES:
        decode_map(d, field, value, member);
        break;
    case FIELD_ANY:
        break;
    }
}
