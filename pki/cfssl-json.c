// See cfssl-json.h.
#include "pki/cfssl-json.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "pki/cfssl.h"

enum { TEXT_MAX = 4096, ITEMS_MAX = 1000 };

int cfssl_json_load(const struct cfssl_reader *reader, const void *data, size_t size, json_t **ret)
{
    json_error_t where;
    if (size > CFSSL_FILE_MAX)
        return error_set(reader->err, EFBIG, "%s: is larger than %d bytes", reader->file,
                         CFSSL_FILE_MAX);
    json_t *top = json_loadb(size ? data : "", size, JSON_REJECT_DUPLICATES, &where);
    if (!top)
        return error_set(reader->err, EINVAL, "%s:%d:%d: %s", reader->file, where.line,
                         where.column, where.text);
    if (!json_is_object(top)) {
        json_decref(top);
        return error_set(reader->err, EINVAL, "%s: must be a JSON object", reader->file);
    }
    *ret = top;
    return 0;
}

int cfssl_json_error(const struct cfssl_reader *reader, const char *path, const char *key,
                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    return error_set(reader->err, EINVAL, "%s: %s%s%s: %s", reader->file, path,
                     *path && *key ? "." : "", key, message);
}

void cfssl_json_check_names(const struct cfssl_reader *reader, const json_t *object,
                            const char *path, const char *const *known)
{
    const char *key;
    json_t *value;
    size_t n = 0;
    while (known[n])
        n++;
    json_object_foreach ((json_t *)object, key, value) {
        bool is_known = false;
        for (size_t i = 0; i < n && !is_known; i++)
            is_known = str_equal(key, known[i]);
        if (is_known || !reader->warnings || reader->warnings->n >= ITEMS_MAX)
            continue;
        const char *nearest = str_nearest(key, known, n);
        string_list_add_owned(reader->warnings,
                              xasprintf("%s: %s%s%.100s: unknown field, passed over%s%s%s",
                                        reader->file, path, *path ? "." : "", key,
                                        nearest ? " (did you mean " : "", nearest ? nearest : "",
                                        nearest ? "?)" : ""));
    }
}

static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static int check_text(const struct cfssl_reader *reader, const char *path, const char *key,
                      const json_t *value)
{
    if (!json_is_string(value))
        return cfssl_json_error(reader, path, key, "must be a string");
    size_t length = json_string_length(value);
    if (length > TEXT_MAX || strlen(json_string_value(value)) != length)
        return cfssl_json_error(reader, path, key, "is too long, or holds a NUL character");
    return 0;
}

int cfssl_json_text(const struct cfssl_reader *reader, const json_t *object, const char *path,
                    const char *key, char **ret)
{
    const json_t *value = member(object, key);
    int code = value ? check_text(reader, path, key, value) : 0;
    if (code < 0 || !value || !*json_string_value(value))
        return code;
    free(*ret);
    *ret = xstrdup(json_string_value(value));
    return 0;
}

int cfssl_json_bool(const struct cfssl_reader *reader, const json_t *object, const char *path,
                    const char *key, bool *ret)
{
    const json_t *value = member(object, key);
    if (value && !json_is_boolean(value))
        return cfssl_json_error(reader, path, key, "must be true or false");
    if (value)
        *ret = json_is_true(value);
    return 0;
}

int cfssl_json_number(const struct cfssl_reader *reader, const json_t *object, const char *path,
                      const char *key, int64_t min, int64_t max, int64_t *ret)
{
    const json_t *value = member(object, key);
    if (!value)
        return 0;
    int64_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (!json_is_integer(value) || number < min || number > max)
        return cfssl_json_error(reader, path, key, "must be a whole number from %lld to %lld",
                                (long long)min, (long long)max);
    *ret = number;
    return 0;
}

int cfssl_json_texts(const struct cfssl_reader *reader, const json_t *object, const char *path,
                     const char *key, struct string_list *ret)
{
    const json_t *value = member(object, key);
    if (!value)
        return 0;
    if (!json_is_array(value))
        return cfssl_json_error(reader, path, key, "must be a list of strings");
    if (json_array_size(value) > ITEMS_MAX)
        return cfssl_json_error(reader, path, key, "has more than %d items", ITEMS_MAX);
    for (size_t i = 0; i < json_array_size(value); i++) {
        int code = check_text(reader, path, key, json_array_get(value, i));
        if (code < 0)
            return code;
        string_list_add(ret, json_string_value(json_array_get(value, i)));
    }
    return 0;
}

int cfssl_json_duration(const struct cfssl_reader *reader, const json_t *object, const char *path,
                        const char *key, int64_t *ret)
{
    _cleanup_free_ char *text = NULL;
    int64_t nsec = 0;
    int code = cfssl_json_text(reader, object, path, key, &text);
    if (code < 0 || !text)
        return code;
    if (duration_parse(text, &nsec) < 0 || nsec < NSEC_PER_SEC)
        return cfssl_json_error(reader, path, key,
                                "must be a duration of hours, minutes and seconds, such as 8760h");
    *ret = nsec / NSEC_PER_SEC;
    return 0;
}

int cfssl_json_object(const struct cfssl_reader *reader, const json_t *object, const char *path,
                      const char *key, const json_t **ret)
{
    const json_t *value = member(object, key);
    if (value && !json_is_object(value))
        return cfssl_json_error(reader, path, key, "must be an object");
    *ret = value;
    return 0;
}
