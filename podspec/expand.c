// $(VAR) expansion. One pass from left to right; what an expansion puts in is not expanded again.
#include "podspec/expand.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

// Adds what the dollar sign at `s` stands for and returns what follows it. (The original takes the
// byte behind a lone dollar sign for a whole character, which damages "$é"; here it stays.)
static const char *expand_at(const char *s, const struct string_map *vars, struct buffer *out)
{
    if (s[1] == '$') {
        buffer_add_char(out, '$');
        return s + 2;
    }
    const char *close = s[1] == '(' ? strchr(s + 2, ')') : NULL;
    if (!close) {
        buffer_add_char(out, '$');
        if (s[1] == '(')
            buffer_add_char(out, '(');
        return s + 1 + (s[1] == '(');
    }
    _cleanup_free_ char *name = xstrndup(s + 2, (size_t)(close - s) - 2);
    const char *value = string_map_get(vars, name);
    if (value)
        buffer_add_str(out, value);
    else
        buffer_add(out, s, (size_t)(close - s) + 1);
    return close + 1;
}

char *expand_references(const char *text, const struct string_map *vars)
{
    struct buffer out = BUFFER_EMPTY;

    for (;;) {
        size_t n = strcspn(text, "$");
        buffer_add(&out, text, n);
        text += n;
        if (!*text)
            return buffer_take(&out);
        text = expand_at(text, vars, &out);
    }
}
