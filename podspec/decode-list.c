// Lists and maps of the table. See decode-list.h. Their items are counted before they are decoded,
// so every array is allocated once, and maps are sorted once; and they are bounded, so that whoever
// compares each item with each other (ports, mounts and their volumes) may do so.
#include "podspec/decode-list.h"

#include <string.h>

#include "base/alloc.h"
#include "podspec/pod-common.h"
#include "podspec/quantity.h"

enum {
    STRUCTS_MAX = 1000,   // items of one list of structs
    RESOURCES_MAX = 1000, // amounts of one container
};

struct struct_list { // the layout of every LIST_OF
    void *items;
    size_t n;
};

static void decode_strings(struct decoder *d, const struct field_schema *field,
                           const struct yaml_value *value, struct string_list *list)
{
    list->items = xcalloc(value->n_items, sizeof(list->items[0]));
    for (size_t i = 0; i < value->n_items && !decoder_is_full(d); i++) {
        size_t mark = decoder_enter_item(d, i, value->items[i]);
        char *text = decode_string(d, value->items[i]);
        if (text) {
            list->items[list->n++] = text;
            decode_check_string(d, field, text);
        }
        decoder_leave(d, mark);
    }
}

static void decode_ints(struct decoder *d, const struct field_schema *field,
                        const struct yaml_value *value, struct int_list *list)
{
    list->items = xcalloc(value->n_items, sizeof(list->items[0]));
    for (size_t i = 0; i < value->n_items && !decoder_is_full(d); i++) {
        size_t mark = decoder_enter_item(d, i, value->items[i]);
        int64_t number = 0;
        if (yaml_is_null(value->items[i]) || decode_int(d, field, value->items[i], &number))
            list->items[list->n++] = number;
        decoder_leave(d, mark);
    }
}

struct keyed { // an item by the field that must be unique
    const char *key;
    size_t index;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int r = strcmp(x->key, y->key);
    return r ? r : (x->index > y->index) - (x->index < y->index);
}

static void report_duplicate(struct decoder *d, const char *key, size_t index, size_t first)
{
    size_t mark = d->path.len;
    buffer_printf(&d->path, "[%zu].%s", index, key);
    decoder_report(d, DIAG_ERROR, "the same as in [%zu]; it must be unique", first);
    decoder_leave(d, mark);
}

static void check_unique(struct decoder *d, const struct field_schema *field,
                         const struct struct_list *list)
{
    const struct field_schema *key = schema_field(field->sub, field->patch_key);
    if (!key || key->type != FIELD_STRING || list->n < 2)
        return;
    struct keyed *keyed = xcalloc(list->n, sizeof(keyed[0]));
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const char *text = *(char *const *)schema_member_const(key, (const char *)list->items +
                                                                        i * field->sub->size);
        if (text && *text)
            keyed[n++] = (struct keyed){text, i};
    }
    qsort(keyed, n, sizeof(keyed[0]), compare_keyed);
    for (size_t i = 1, first = 0; i < n && !decoder_is_full(d); i++) {
        if (strcmp(keyed[i].key, keyed[first].key) == 0)
            report_duplicate(d, key->name, keyed[i].index, keyed[first].index);
        else
            first = i;
    }
    free(keyed);
}

static void decode_structs(struct decoder *d, const struct field_schema *field,
                           const struct yaml_value *value, struct struct_list *list)
{
    static const struct yaml_value nothing = {.kind = YAML_KIND_MAPPING};

    list->items = xcalloc(value->n_items, field->sub->size);
    list->n = value->n_items;
    for (size_t i = 0; i < value->n_items && !decoder_is_full(d); i++) {
        const struct yaml_value *item = value->items[i];
        size_t mark = decoder_enter_item(d, i, item);
        decode_struct(d, field->sub, yaml_is_null(item) ? &nothing : item,
                      (char *)list->items + i * field->sub->size);
        decoder_leave(d, mark);
    }
    if (field->patch_key)
        check_unique(d, field, list);
}

void decode_list(struct decoder *d, const struct field_schema *field,
                 const struct yaml_value *value, void *member)
{
    if (value->kind != YAML_KIND_SEQUENCE) {
        bool structs = field->type == FIELD_STRUCT_LIST && value->kind == YAML_KIND_MAPPING;
        decoder_report_type(d, "a list", value,
                            structs ? "; each item of a list starts with \"- \"" : "");
        return;
    }
    if (field->type == FIELD_STRUCT_LIST && value->n_items > STRUCTS_MAX) {
        decoder_report(d, DIAG_ERROR, "has more than %d items", STRUCTS_MAX);
        return;
    }
    if (value->n_items == 0)
        return;
    if (field->type == FIELD_STRING_LIST)
        decode_strings(d, field, value, member);
    else if (field->type == FIELD_INT_LIST)
        decode_ints(d, field, value, member);
    else
        decode_structs(d, field, value, member);
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct string_pair *)a)->key, ((const struct string_pair *)b)->key);
}

static void decode_string_map(struct decoder *d, const struct yaml_value *value,
                              struct string_map *map)
{
    map->items = xcalloc(value->n_pairs, sizeof(map->items[0]));
    for (size_t i = 0; i < value->n_pairs && !decoder_is_full(d); i++) {
        size_t mark = decoder_enter_entry(d, &value->pairs[i]);
        char *text = decode_string(d, value->pairs[i].value);
        if (text)
            map->items[map->n++] = (struct string_pair){xstrdup(value->pairs[i].key), text};
        decoder_leave(d, mark);
    }
    qsort(map->items, map->n, sizeof(map->items[0]), compare_pairs);
}

static int compare_resources(const void *a, const void *b)
{
    return strcmp(((const struct resource_quantity *)a)->name,
                  ((const struct resource_quantity *)b)->name);
}

static void decode_resources(struct decoder *d, const struct yaml_value *value,
                             struct resource_list *list)
{
    list->items = xcalloc(value->n_pairs, sizeof(list->items[0]));
    for (size_t i = 0; i < value->n_pairs && !decoder_is_full(d); i++) {
        size_t mark = decoder_enter_entry(d, &value->pairs[i]);
        struct quantity quantity = {0};
        if (decode_quantity(d, value->pairs[i].value, &quantity))
            list->items[list->n++] =
                (struct resource_quantity){xstrdup(value->pairs[i].key), quantity};
        decoder_leave(d, mark);
    }
    qsort(list->items, list->n, sizeof(list->items[0]), compare_resources);
}

void decode_map(struct decoder *d, const struct field_schema *field, const struct yaml_value *value,
                void *member)
{
    if (value->kind != YAML_KIND_MAPPING) {
        decoder_report_type(d, "a mapping", value, "");
        return;
    }
    if (field->type == FIELD_RESOURCES && value->n_pairs > RESOURCES_MAX) {
        decoder_report(d, DIAG_ERROR, "has more than %d amounts", RESOURCES_MAX);
        return;
    }
    if (value->n_pairs == 0)
        return;
    if (field->type == FIELD_STRING_MAP)
        decode_string_map(d, value, member);
    else
        decode_resources(d, value, member);
}
