// See field.h.
#include "cli/field.h"

#include <string.h>

#include "base/string-list.h"

json_t *field_at(const json_t *value, const char *path)
{
    while (value) {
        size_t len = strcspn(path, ".");
        json_t *next = json_object_getn(value, path, len);
        if (path[len] == '\0')
            return next;
        value = next;
        path += len + 1;
    }
    return NULL;
}

const char *field_text(const json_t *value, const char *path)
{
    return json_string_value(field_at(value, path));
}

const char *field_text_or_empty(const json_t *value, const char *path)
{
    const char *text = field_text(value, path);
    return text ? text : "";
}

long long field_int(const json_t *value, const char *path)
{
    return json_integer_value(field_at(value, path));
}

bool field_true(const json_t *value, const char *path)
{
    return json_is_true(field_at(value, path));
}

json_t *field_named(const json_t *array, const char *name)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        if (str_equal(field_text(item, "name"), name))
            return item;
    }
    return NULL;
}
