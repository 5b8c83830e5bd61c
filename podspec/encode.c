// Pods back to JSON, by the table. See encode.h and podspec.h. The order of fields is that of the
// table's rows, which is that of the Go types.
#include "podspec/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/string-list.h"
#include "podspec/pod-common.h"
#include "podspec/podspec.h"
#include "podspec/quantity.h"

// What a NULL text is depends on what it is in: as an item it is the empty string.
static json_t *text_to_json(const char *text)
{
    return json_string(text ? text : "");
}

static json_t *strings_to_json(const struct string_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, text_to_json(list->items[i]));
    return array;
}

static json_t *ints_to_json(const struct int_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, json_integer(list->items[i]));
    return array;
}

struct struct_list { // the layout of every LIST_OF
    const char *items;
    size_t n;
};

static json_t *structs_to_json(const struct type_schema *type, const struct struct_list *list,
                               bool without_defaults)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array,
                              encode_object(type, list->items + i * type->size, without_defaults));
    return array;
}

static json_t *map_to_json(const struct string_map *map)
{
    json_t *object = json_object();
    for (size_t i = 0; i < map->n; i++)
        json_object_set_new(object, map->items[i].key, text_to_json(map->items[i].value));
    return object;
}

static json_t *resources_to_json(const struct resource_list *list)
{
    json_t *object = json_object();
    for (size_t i = 0; i < list->n; i++)
        json_object_set_new(object, list->items[i].name, text_to_json(list->items[i].value.text));
    return object;
}

static json_t *int_or_string_to_json(const struct int_or_string *value)
{
    return value->is_string ? text_to_json(value->string) : json_integer(value->number);
}

static json_t *member_to_json(const struct field_schema *field, const void *member,
                              bool without_defaults)
{
    switch (field->type) {
    case FIELD_STRING:
        return text_to_json(*(char *const *)member);
    case FIELD_BOOL:
        return json_boolean(*(const bool *)member);
    case FIELD_BOOL_PTR:
        return json_boolean(**(bool *const *)member);
    case FIELD_INT:
        return json_integer(*(const int64_t *)member);
    case FIELD_INT_PTR:
        return json_integer(**(int64_t *const *)member);
    case FIELD_QUANTITY_PTR:
        return text_to_json((*(struct quantity *const *)member)->text);
    case FIELD_INT_OR_STRING:
        return int_or_string_to_json(member);
    case FIELD_STRUCT:
        return encode_object(field->sub, member, without_defaults);
    case FIELD_STRUCT_PTR:
        return encode_object(field->sub, *(void *const *)member, without_defaults);
    case FIELD_STRING_LIST:
        return strings_to_json(member);
    case FIELD_INT_LIST:
        return ints_to_json(member);
    case FIELD_STRUCT_LIST:
        return structs_to_json(field->sub, member, without_defaults);
    case FIELD_STRING_MAP:
        return map_to_json(member);
    case FIELD_RESOURCES:
        return resources_to_json(member);
    case FIELD_ANY:
        break;
    }
    return json_null();
}

static bool is_default(const struct field_schema *field, const void *member)
{
    const char *text = field->default_value;
    if (!text)
        return false;
    switch (field->type) {
    case FIELD_STRING:
        return str_equal(*(char *const *)member, text);
    case FIELD_BOOL:
        return *(const bool *)member == str_equal(text, "true");
    case FIELD_BOOL_PTR:
        return **(bool *const *)member == str_equal(text, "true");
    case FIELD_INT:
        return *(const int64_t *)member == strtoll(text, NULL, 10);
    case FIELD_INT_PTR:
        return **(int64_t *const *)member == strtoll(text, NULL, 10);
    default:
        return false;
    }
}

json_t *encode_object(const struct type_schema *type, const void *object, bool without_defaults)
{
    json_t *json = json_object();
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct field_schema *field = &type->fields[i];
        if (schema_field_is_zero(field, object))
            continue;
        const void *member = schema_member_const(field, object);
        if (without_defaults && is_default(field, member))
            continue;
        json_t *value = member_to_json(field, member, without_defaults);
        if (field->type == FIELD_STRUCT && json_object_size(value) == 0)
            json_decref(value); // all that it has are defaults
        else
            json_object_set_new(json, field->name, value);
    }
    return json;
}

json_t *pod_to_json(const struct pod *pod)
{
    return encode_object(&pod_schema, pod, false);
}
