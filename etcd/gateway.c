// See gateway.h.
#include "etcd/gateway.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/string-list.h"

json_t *gateway_bytes(const void *data, size_t len)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    base64_encode(data, len, &text);
    return json_string(buffer_str(&text));
}

json_t *gateway_int64(int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, number);
    return json_string(text);
}

json_t *gateway_uint64(int64_t id)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)id);
    return json_string(text);
}

char *gateway_dump(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text)
        abort(); // no memory: see base/alloc.h
    return text;
}

int gateway_malformed(struct error *err, const char *what)
{
    return error_set(err, EBADMSG, "etcd's reply is not understood (%s)", what);
}

json_t *gateway_parse(const char *text, size_t len, struct error *err)
{
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    gateway_malformed(err, "no JSON object");
    return NULL;
}

bool gateway_get_int64(const json_t *object, const char *name, int64_t *ret)
{
    const json_t *value = json_object_get(object, name);
    long long number = 0;
    if (json_is_integer(value))
        number = json_integer_value(value);
    else if (value && str_to_int(json_string_value(value) ? json_string_value(value) : "",
                                 INT64_MIN, INT64_MAX, &number) < 0)
        return false;
    *ret = number;
    return true;
}

bool gateway_get_uint64(const json_t *object, const char *name, int64_t *ret)
{
    const char *text = json_string_value(json_object_get(object, name));
    char *end = NULL;
    if (!text)
        return gateway_get_int64(object, name, ret);
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end || text[0] == '-')
        return false;
    *ret = (int64_t)number;
    return true;
}

bool gateway_get_bytes(const json_t *object, const char *name, struct buffer *out)
{
    const json_t *value = json_object_get(object, name);
    if (!value)
        return true;
    return json_is_string(value) &&
           base64_decode(json_string_value(value), json_string_length(value), out) == 0;
}
