// See json-text.h.
#include "supervisor/json-text.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"
#include "base/time-format.h"

static json_t *repaired_text(const char *s)
{
    _cleanup_buffer_ struct buffer b = BUFFER_EMPTY;
    size_t bad;
    while (!str_is_utf8(s, strlen(s), &bad)) {
        buffer_add(&b, s, bad);
        buffer_add_str(&b, "\xef\xbf\xbd");
        s += bad + 1;
    }
    buffer_add_str(&b, s);
    return json_string(buffer_str(&b));
}

json_t *json_text(const char *s)
{
    if (!s)
        return json_null();
    json_t *text = json_string(s);
    return text ? text : repaired_text(s);
}

json_t *json_time(walltime t)
{
    char text[RFC3339_NANO_SIZE];
    return walltime_is_set(t) ? json_string(walltime_format(t, text)) : json_null();
}

void json_set_text(json_t *object, const char *key, const char *s)
{
    if (!str_empty(s))
        json_object_set_new(object, key, json_text(s));
}

void json_set_time(json_t *object, const char *key, walltime t)
{
    if (walltime_is_set(t))
        json_object_set_new(object, key, json_time(t));
}
