// JSON values as YAML, in the layout that kubectl prints: lists are not indented below their key,
// keys are sorted, strings are quoted only where they must be, several lines become a block. Every
// text that is written here reads back as the same value.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/podspec.h"
#include "podspec/scalar.h"

enum { SIMPLE_KEY_MAX = 1000 }; // bytes; YAML's own limit is 1024 characters on one line

struct writer {
    struct buffer *out;
    bool sorted; // keys; else in the order of the object
};

static void indent(const struct writer *w, int depth)
{
    for (int i = 0; i < depth; i++)
        buffer_add_str(w->out, "  ");
}

// Characters that only a double-quoted string can hold: control characters, and those that YAML
// takes for line breaks or does not print (U+0085, U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF, C1).
static bool is_special(const unsigned char *s)
{
    if (s[0] < 0x20 || s[0] == 0x7f)
        return true;
    if (s[0] == 0xc2 && s[1] < 0xa0)
        return true;
    if (s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9))
        return true;
    return s[0] == 0xef && ((s[1] == 0xbb && s[2] == 0xbf) || (s[1] == 0xbf && s[2] >= 0xbe));
}

// `except`: a character that does not count ('\n' for blocks), or 0.
static bool has_special(const char *s, size_t n, char except)
{
    for (size_t i = 0; i < n; i++)
        if (is_special((const unsigned char *)s + i) && (s[i] != except || s[i] == '\0'))
            return true;
    return false;
}

static bool is_plain(const char *s, size_t n)
{
    if (n == 0 || s[0] == ' ' || s[n - 1] == ' ' || s[n - 1] == ':' || scalar_needs_quotes(s))
        return false;
    if (strchr("-?:,[]{}#&*!|>'\"%@`=<~", s[0])) { // "-x" and ":x" would do; "--flag" is common
        bool flag = s[0] == '-' && n > 1 && s[1] != ' ' && !str_starts_with(s, "---");
        if (!flag)
            return false;
    }
    return !strstr(s, ": ") && !strstr(s, " #") && !str_starts_with(s, "...");
}

static void write_double_quoted(const struct writer *w, const char *s, size_t n)
{
    buffer_add_char(w->out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            buffer_printf(w->out, "\\%c", c);
        else if (c == '\n')
            buffer_add_str(w->out, "\\n");
        else if (c == '\t')
            buffer_add_str(w->out, "\\t");
        else if (c == '\r')
            buffer_add_str(w->out, "\\r");
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(w->out, "\\x%02X", c);
        else if (c == 0xc2 && is_special((const unsigned char *)s + i))
            buffer_printf(w->out, "\\x%02X", (unsigned char)s[++i]);
        else if (c >= 0xe0 && is_special((const unsigned char *)s + i)) {
            unsigned code = (c & 0xfu) << 12 | ((unsigned char)s[i + 1] & 0x3fu) << 6 |
                            ((unsigned char)s[i + 2] & 0x3fu);
            buffer_printf(w->out, "\\u%04X", code);
            i += 2;
        } else
            buffer_add_char(w->out, (char)c);
    }
    buffer_add_char(w->out, '"');
}

static void write_single_quoted(const struct writer *w, const char *s)
{
    buffer_add_char(w->out, '\'');
    for (; *s; s++)
        buffer_add_str(w->out, (char[]){*s, *s == '\'' ? '\'' : '\0', '\0'});
    buffer_add_char(w->out, '\'');
}

// A block can hold several lines as they are, where the first one shows the indentation.
static bool is_block(const char *s, size_t n)
{
    return memchr(s, '\n', n) && s[0] != ' ' && s[0] != '\n' && !has_special(s, n, '\n');
}

static void write_block(const struct writer *w, const char *s, size_t n, int depth)
{
    bool ends = s[n - 1] == '\n', ends_twice = n > 1 && ends && s[n - 2] == '\n';
    buffer_add_str(w->out, ends_twice ? "|+" : ends ? "|" : "|-");
    for (const char *line = s; line < s + n;) {
        const char *stop = memchr(line, '\n', (size_t)(s + n - line));
        size_t length = stop ? (size_t)(stop - line) : (size_t)(s + n - line);
        buffer_add_char(w->out, '\n');
        if (length > 0)
            indent(w, MAX(depth, 1)); // at the root too
        buffer_add(w->out, line, length);
        line += length + 1;
    }
}

static void write_string(const struct writer *w, const char *s, size_t n, int depth)
{
    if (n > 0 && is_block(s, n))
        write_block(w, s, n, depth);
    else if (has_special(s, n, '\0') || scalar_needs_quotes(s))
        write_double_quoted(w, s, n);
    else if (is_plain(s, n))
        buffer_add(w->out, s, n);
    else
        write_single_quoted(w, s);
}

static void write_scalar(const struct writer *w, const json_t *value, int depth)
{
    struct scalar scalar = {SCALAR_NULL};
    switch (json_typeof(value)) {
    case JSON_STRING:
        write_string(w, json_string_value(value), json_string_length(value), depth);
        return;
    case JSON_INTEGER:
        scalar = (struct scalar){SCALAR_INT, .integer = json_integer_value(value)};
        break;
    case JSON_REAL:
        scalar = (struct scalar){SCALAR_FLOAT, .number = json_real_value(value)};
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        scalar = (struct scalar){SCALAR_BOOL, .boolean = json_is_true(value)};
        break;
    case JSON_OBJECT: // only empty ones come here
        buffer_add_str(w->out, "{}");
        return;
    case JSON_ARRAY:
        buffer_add_str(w->out, "[]");
        return;
    case JSON_NULL:
        break;
    }
    scalar_to_json(&scalar, w->out);
}

static void write_value(const struct writer *w, const json_t *value, int depth, bool in_list);

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The keys of an object in the order in which they are written; the caller frees the vector.
static const char **list_keys(const struct writer *w, json_t *object, size_t *ret_n)
{
    const char **keys = xcalloc(json_object_size(object), sizeof(keys[0]));
    size_t n = 0;
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
        keys[n++] = json_object_iter_key(i);
    if (w->sorted)
        qsort(keys, n, sizeof(keys[0]), compare_keys);
    *ret_n = n;
    return keys;
}

static bool is_nested(const json_t *value)
{
    return json_object_size(value) > 0 || json_array_size(value) > 0;
}

// What follows "key:": a nested list stands at the key's own depth.
static void write_member(const struct writer *w, const json_t *value, int depth)
{
    if (!is_nested(value)) {
        buffer_add_char(w->out, ' ');
        write_scalar(w, value, depth + 1);
        buffer_add_char(w->out, '\n');
        return;
    }
    buffer_add_char(w->out, '\n');
    write_value(w, value, json_is_array(value) ? depth : depth + 1, false);
}

static void write_key(const struct writer *w, const char *key, int depth)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const struct writer as_text = {&text, w->sorted};
    size_t n = strlen(key);
    if (has_special(key, n, '\0') || scalar_needs_quotes(key))
        write_double_quoted(&as_text, key, n);
    else if (is_plain(key, n))
        buffer_add_str(&text, key);
    else
        write_single_quoted(&as_text, key);
    bool is_long = text.len > SIMPLE_KEY_MAX;
    if (is_long)
        buffer_add_str(w->out, "? ");
    buffer_add(w->out, text.data, text.len);
    if (is_long) {
        buffer_add_char(w->out, '\n');
        indent(w, depth);
    }
    buffer_add_char(w->out, ':');
}

static void write_object(const struct writer *w, const json_t *object, int depth, bool in_list)
{
    size_t n = 0;
    const char **keys = list_keys(w, (json_t *)object, &n);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 || !in_list)
            indent(w, depth);
        write_key(w, keys[i], depth);
        write_member(w, json_object_get(object, keys[i]), depth);
    }
    free(keys);
}

// `in_list`: "- " was just written, so the first line is indented already.
static void write_value(const struct writer *w, const json_t *value, int depth, bool in_list)
{
    if (!is_nested(value)) {
        write_scalar(w, value, depth);
        buffer_add_char(w->out, '\n');
        return;
    }
    if (json_is_object(value)) {
        write_object(w, value, depth, in_list);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i > 0 || !in_list)
            indent(w, depth);
        buffer_add_str(w->out, "- ");
        write_value(w, json_array_get(value, i), depth + 1, true);
    }
}

void json_to_yaml(const json_t *value, struct buffer *out)
{
    write_value(&(struct writer){out, true}, value, 0, false);
}

void pod_to_yaml(const struct pod *pod, struct buffer *out)
{
    json_t *json = pod_to_json(pod);
    write_value(&(struct writer){out, false}, json, 0, false);
    json_decref(json);
}
