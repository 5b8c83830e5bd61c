// A template and a value, with a NUL between them: whatever they are, what is filled in between
// quotes can be told apart again.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "manifests/render.h"

enum { INPUT_MAX = 16 << 10 };

// No quote, no line break and no backslash of the value's own is left in the quoted text.
static void check_quoted(const char *value)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    if (render_quoted(value, &out) < 0)
        return;
    for (const char *p = buffer_str(&out); *p; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"' || (unsigned char)*p < 0x20)
            abort();
        if (!*p)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    size_t len = strlen(text);
    _cleanup_free_ char *value =
        len < size ? xstrndup((const char *)data + len + 1, size - len - 1) : xstrdup("");
    _cleanup_string_list_ struct string_list list = {0};
    string_list_add(&list, value);
    string_list_add(&list, "b");
    const struct render_parameter parameters[] = {{.name = "A", .value = value},
                                                  {.name = "L", .list = &list}};
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    render_template("t", text, parameters, ARRAY_SIZE(parameters), &out, &err);
    check_quoted(value);
    return 0;
}
