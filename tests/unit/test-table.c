// podspec: the table is complete and consistent: every member of every struct has one row, and
// every row says what `mainstay explain` and the findings need.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "podspec/pod.h"
#include "podspec/quantity.h"
#include "podspec/schema.h"

enum { DEPTH_MAX = 20 };

typedef void row_test(const struct type_schema *type, const struct field_schema *field);
typedef void type_test(const struct type_schema *type);

static void walk(const struct type_schema *type, type_test *on_type, row_test *on_row, int depth)
{
    assert_true(depth < DEPTH_MAX);
    if (on_type)
        on_type(type);
    for (size_t i = 0; i < type->n_fields; i++) {
        if (on_row)
            on_row(type, &type->fields[i]);
        if (type->fields[i].sub)
            walk(type->fields[i].sub, on_type, on_row, depth + 1);
    }
}

static size_t member_size(const struct field_schema *field)
{
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_BOOL_PTR:
    case FIELD_INT_PTR:
    case FIELD_QUANTITY_PTR:
    case FIELD_STRUCT_PTR:
        return sizeof(void *);
    case FIELD_BOOL:
        return sizeof(bool);
    case FIELD_INT:
        return sizeof(int64_t);
    case FIELD_INT_OR_STRING:
        return sizeof(struct int_or_string);
    case FIELD_STRUCT:
        return field->sub->size;
    case FIELD_STRING_LIST:
    case FIELD_INT_LIST:
    case FIELD_STRUCT_LIST:
    case FIELD_STRING_MAP:
    case FIELD_RESOURCES:
        return sizeof(struct string_list);
    case FIELD_ANY:
        return 0;
    }
    return 0;
}

// What no row covers may only be padding: fewer bytes in a row than the smallest pointer.
static void check_coverage(const struct type_schema *type)
{
    _cleanup_free_ char *covered = xcalloc(1, type->size);
    size_t gap = 0;

    if (type == &pod_schema)
        memset(covered + offsetof(struct pod, places), 1, sizeof(void *));
    for (size_t i = 0; i < type->n_fields; i++)
        for (size_t k = 0; k < member_size(&type->fields[i]); k++) {
            char *byte = covered + type->fields[i].offset + k;
            if (*byte)
                fail_msg("%s.%s overlaps another row", type->name, type->fields[i].name);
            *byte = 1;
        }
    for (size_t i = 0; i < type->size; i++) {
        gap = covered[i] ? 0 : gap + 1;
        if (gap >= sizeof(void *))
            fail_msg("%s has a member without a row, at %zu", type->name, i - gap + 1);
    }
}

static void check_names(const struct type_schema *type)
{
    assert_non_null(type->doc);
    for (size_t i = 0; i < type->n_fields; i++)
        if (schema_field(type, type->fields[i].name) != &type->fields[i])
            fail_msg("%s has two rows named %s", type->name, type->fields[i].name);
}

static void check_words(const struct type_schema *type, const struct field_schema *field)
{
    bool needs_note = field->support == SUPPORT_REPORTED || field->support == SUPPORT_REFUSED;

    if (!field->doc || !*field->doc || field->doc[strlen(field->doc) - 1] != '.')
        fail_msg("%s.%s has no sentence", type->name, field->name);
    if (needs_note != !!field->note)
        fail_msg("%s.%s: a note belongs to what is reported or refused", type->name, field->name);
    if (field->note && !strstr(field->note, "; "))
        fail_msg("%s.%s: the note says why, and behind a semicolon what to do instead", type->name,
                 field->name);
}

static void check_default(const struct type_schema *type, const struct field_schema *field)
{
    bool listed = !field->values;

    if (!field->default_value)
        return;
    for (size_t i = 0; field->values && field->values[i]; i++)
        listed = listed || strcmp(field->values[i], field->default_value) == 0;
    if (!listed)
        fail_msg("%s.%s: the default is not allowed", type->name, field->name);
    if (field->check && field->check(field->default_value))
        fail_msg("%s.%s: the default is wrong", type->name, field->name);
    assert_true(field->type == FIELD_STRING || field->type == FIELD_INT ||
                field->type == FIELD_INT_PTR || field->type == FIELD_BOOL_PTR);
    if (field->type == FIELD_INT || field->type == FIELD_INT_PTR) {
        int64_t number = strtoll(field->default_value, NULL, 10);
        assert_true(number >= field->min && (number <= field->max || !field->max));
    }
}

static void check_kind(const struct type_schema *type, const struct field_schema *field)
{
    bool has_struct = field->type == FIELD_STRUCT || field->type == FIELD_STRUCT_PTR ||
                      field->type == FIELD_STRUCT_LIST;

    if (has_struct != !!field->sub)
        fail_msg("%s.%s: a struct needs its type", type->name, field->name);
    if (field->patch_key &&
        (field->type != FIELD_STRUCT_LIST || !schema_field(field->sub, field->patch_key)))
        fail_msg("%s.%s: items have no field %s", type->name, field->name, field->patch_key);
    if (field->min > field->max)
        fail_msg("%s.%s: the range is empty", type->name, field->name);
}

static void every_member_has_one_row(void **state)
{
    walk(&pod_schema, check_coverage, NULL, 0);
}

static void names_are_unique(void **state)
{
    walk(&pod_schema, check_names, NULL, 0);
}

static void every_row_says_what_it_is(void **state)
{
    walk(&pod_schema, NULL, check_words, 0);
    walk(&pod_schema, NULL, check_kind, 0);
}

static void defaults_are_allowed_values(void **state)
{
    walk(&pod_schema, NULL, check_default, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_has_one_row),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(every_row_says_what_it_is),
        cmocka_unit_test(defaults_are_allowed_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
