// What can be done with any struct that the table describes, without knowing it: free, copy,
// compare with zero, fill in defaults. See schema.h.
#include "podspec/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/pod-common.h"
#include "podspec/quantity.h"

struct any_list { // the layout of every LIST_OF
    void *items;
    size_t n;
};

const struct field_schema *schema_field(const struct type_schema *type, const char *name)
{
    for (size_t i = 0; i < type->n_fields; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

void *schema_member(const struct field_schema *field, void *object)
{
    return (char *)object + field->offset;
}

const void *schema_member_const(const struct field_schema *field, const void *object)
{
    return (const char *)object + field->offset;
}

static void clear_pointer(const struct type_schema *sub, void **member)
{
    if (!*member)
        return;
    schema_clear(sub, *member);
    free(*member);
}

static void clear_list(const struct type_schema *sub, struct any_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        schema_clear(sub, (char *)list->items + i * sub->size);
    free(list->items);
}

static void clear_resources(struct resource_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].name);
        quantity_clear(&list->items[i].value);
    }
    free(list->items);
}

static void clear_quantity(struct quantity *q)
{
    if (q)
        quantity_clear(q);
    free(q);
}

static void clear_field(const struct field_schema *field, void *member)
{
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_BOOL_PTR:
    case FIELD_INT_PTR:
        free(*(void **)member);
        break;
    case FIELD_QUANTITY_PTR:
        clear_quantity(*(struct quantity **)member);
        break;
    case FIELD_INT_OR_STRING:
        free(((struct int_or_string *)member)->string);
        break;
    case FIELD_STRUCT:
        schema_clear(field->sub, member);
        break;
    case FIELD_STRUCT_PTR:
        clear_pointer(field->sub, member);
        break;
    case FIELD_STRING_LIST:
        string_list_free(member);
        break;
    case FIELD_INT_LIST:
        free(((struct int_list *)member)->items);
        break;
    case FIELD_STRUCT_LIST:
        clear_list(field->sub, member);
        break;
    case FIELD_STRING_MAP:
        string_map_free(member);
        break;
    case FIELD_RESOURCES:
        clear_resources(member);
        break;
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_ANY:
        break;
    }
}

void schema_clear(const struct type_schema *type, void *object)
{
    for (size_t i = 0; i < type->n_fields; i++)
        clear_field(&type->fields[i], schema_member(&type->fields[i], object));
    memset(object, 0, type->size);
}

static void *copy_bytes(const void *from, size_t size)
{
    if (!from)
        return NULL;
    return memcpy(xmalloc(size), from, size);
}

static struct quantity *copy_quantity(const struct quantity *from)
{
    struct quantity *to = copy_bytes(from, sizeof(*from));
    if (to)
        to->text = xstrdup_or_null(from->text);
    return to;
}

static void *copy_pointer(const struct type_schema *sub, const void *from)
{
    if (!from)
        return NULL;
    void *to = xcalloc(1, sub->size);
    schema_copy(sub, to, from);
    return to;
}

static void copy_list(const struct type_schema *sub, struct any_list *to,
                      const struct any_list *from)
{
    *to = (struct any_list){from->n ? xcalloc(from->n, sub->size) : NULL, from->n};
    for (size_t i = 0; i < from->n; i++)
        schema_copy(sub, (char *)to->items + i * sub->size,
                    (const char *)from->items + i * sub->size);
}

static void copy_ints(struct int_list *to, const struct int_list *from)
{
    *to = (struct int_list){copy_bytes(from->items, from->n * sizeof(from->items[0])), from->n};
}

static void copy_map(struct string_map *to, const struct string_map *from)
{
    *to = (struct string_map){from->n ? xcalloc(from->n, sizeof(from->items[0])) : NULL, from->n};
    for (size_t i = 0; i < from->n; i++)
        to->items[i] = (struct string_pair){xstrdup(from->items[i].key),
                                            xstrdup_or_null(from->items[i].value)};
}

static void copy_resources(struct resource_list *to, const struct resource_list *from)
{
    *to =
        (struct resource_list){from->n ? xcalloc(from->n, sizeof(from->items[0])) : NULL, from->n};
    for (size_t i = 0; i < from->n; i++) {
        to->items[i] = from->items[i];
        to->items[i].name = xstrdup(from->items[i].name);
        to->items[i].value.text = xstrdup_or_null(from->items[i].value.text);
    }
}

static void copy_field(const struct field_schema *field, void *to, const void *from)
{
    switch (field->type) {
    case FIELD_STRING:
        *(char **)to = xstrdup_or_null(*(char *const *)from);
        break;
    case FIELD_BOOL:
        *(bool *)to = *(const bool *)from;
        break;
    case FIELD_BOOL_PTR:
        *(bool **)to = copy_bytes(*(bool *const *)from, sizeof(bool));
        break;
    case FIELD_INT:
        *(int64_t *)to = *(const int64_t *)from;
        break;
    case FIELD_INT_PTR:
        *(int64_t **)to = copy_bytes(*(int64_t *const *)from, sizeof(int64_t));
        break;
    case FIELD_QUANTITY_PTR:
        *(struct quantity **)to = copy_quantity(*(struct quantity *const *)from);
        break;
    case FIELD_INT_OR_STRING:
        *(struct int_or_string *)to = *(const struct int_or_string *)from;
        ((struct int_or_string *)to)->string =
            xstrdup_or_null(((const struct int_or_string *)from)->string);
        break;
    case FIELD_STRUCT:
        schema_copy(field->sub, to, from);
        break;
    case FIELD_STRUCT_PTR:
        *(void **)to = copy_pointer(field->sub, *(void *const *)from);
        break;
    case FIELD_STRING_LIST:
        string_list_copy(to, from);
        break;
    case FIELD_INT_LIST:
        copy_ints(to, from);
        break;
    case FIELD_STRUCT_LIST:
        copy_list(field->sub, to, from);
        break;
    case FIELD_STRING_MAP:
        copy_map(to, from);
        break;
    case FIELD_RESOURCES:
        copy_resources(to, from);
        break;
    case FIELD_ANY:
        break;
    }
}

void schema_copy(const struct type_schema *type, void *to, const void *from)
{
    memset(to, 0, type->size);
    for (size_t i = 0; i < type->n_fields; i++)
        copy_field(&type->fields[i], schema_member(&type->fields[i], to),
                   schema_member_const(&type->fields[i], from));
}

bool schema_field_is_zero(const struct field_schema *field, const void *object)
{
    const void *member = schema_member_const(field, object);
    switch (field->type) {
    case FIELD_STRING:
        return str_empty(*(char *const *)member);
    case FIELD_BOOL:
        return !*(const bool *)member;
    case FIELD_INT:
        return *(const int64_t *)member == 0;
    case FIELD_BOOL_PTR:
    case FIELD_INT_PTR:
    case FIELD_QUANTITY_PTR:
    case FIELD_STRUCT_PTR:
        return *(void *const *)member == NULL;
    case FIELD_INT_OR_STRING:
        return !((const struct int_or_string *)member)->is_set;
    case FIELD_STRUCT:
        return schema_is_zero(field->sub, member);
    case FIELD_STRING_LIST:
    case FIELD_INT_LIST:
    case FIELD_STRUCT_LIST:
    case FIELD_STRING_MAP:
    case FIELD_RESOURCES:
        return ((const struct any_list *)member)->n == 0;
    case FIELD_ANY:
        return true;
    }
    return true;
}

bool schema_is_zero(const struct type_schema *type, const void *object)
{
    for (size_t i = 0; i < type->n_fields; i++)
        if (!schema_field_is_zero(&type->fields[i], object))
            return false;
    return true;
}

static void set_default(const struct field_schema *field, void *member)
{
    const char *text = field->default_value;
    switch (field->type) {
    case FIELD_STRING:
        free(*(char **)member); // may be the empty string
        *(char **)member = xstrdup(text);
        break;
    case FIELD_BOOL:
        *(bool *)member = str_equal(text, "true");
        break;
    case FIELD_BOOL_PTR:
        *(bool **)member = copy_bytes(&(bool){str_equal(text, "true")}, sizeof(bool));
        break;
    case FIELD_INT:
        *(int64_t *)member = strtoll(text, NULL, 10);
        break;
    case FIELD_INT_PTR:
        *(int64_t **)member = copy_bytes(&(int64_t){strtoll(text, NULL, 10)}, sizeof(int64_t));
        break;
    case FIELD_QUANTITY_PTR: {
        struct quantity q = {0};
        if (quantity_parse(text, &q) == 0)
            *(struct quantity **)member = copy_bytes(&q, sizeof(q));
        break;
    }
    default: // a table that has defaults for anything else is wrong, and its tests say so
        abort();
    }
}

static void set_defaults_below(const struct field_schema *field, void *member)
{
    if (field->type == FIELD_STRUCT)
        schema_set_defaults(field->sub, member);
    if (field->type == FIELD_STRUCT_PTR && *(void **)member)
        schema_set_defaults(field->sub, *(void **)member);
    if (field->type == FIELD_STRUCT_LIST) {
        struct any_list *list = member;
        for (size_t i = 0; i < list->n; i++)
            schema_set_defaults(field->sub, (char *)list->items + i * field->sub->size);
    }
}

void schema_set_defaults(const struct type_schema *type, void *object)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct field_schema *field = &type->fields[i];
        void *member = schema_member(field, object);
        if (field->default_value && schema_field_is_zero(field, object))
            set_default(field, member);
        set_defaults_below(field, member);
    }
}

static int compare_key(const void *key, const void *pair)
{
    return strcmp(key, ((const struct string_pair *)pair)->key);
}

static struct string_pair *map_find(const struct string_map *map, const char *key)
{
    if (map->n == 0)
        return NULL;
    return bsearch(key, map->items, map->n, sizeof(map->items[0]), compare_key);
}

const char *string_map_get(const struct string_map *map, const char *key)
{
    const struct string_pair *pair = map_find(map, key);
    return pair ? pair->value : NULL;
}

void string_map_set(struct string_map *map, const char *key, const char *value)
{
    struct string_pair *pair = map_find(map, key);
    if (pair) {
        char *copy = xstrdup(value);
        free(pair->value);
        pair->value = copy;
        return;
    }
    map->items = xreallocarray(map->items, map->n + 1, sizeof(map->items[0]));
    size_t at = map->n++;
    for (; at > 0 && strcmp(map->items[at - 1].key, key) > 0; at--)
        map->items[at] = map->items[at - 1];
    map->items[at] = (struct string_pair){xstrdup(key), xstrdup(value)};
}

void string_map_free(struct string_map *map)
{
    for (size_t i = 0; i < map->n; i++) {
        free(map->items[i].key);
        free(map->items[i].value);
    }
    free(map->items);
    *map = (struct string_map){0};
}
