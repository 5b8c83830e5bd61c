// See envelope.h.
#include "supervisor/envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

void envelope_write(const char *kind, int version, const json_t *json, struct buffer *out)
{
    char hex[DIGEST_HEX_SIZE];
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
    if (!text)
        abort(); // out of memory, as in base/alloc.h: the value is a tree of valid UTF-8
    buffer_printf(out, "mainstay-%s %d %s\n", kind, version,
                  digest_sha256_hex(text, strlen(text), hex));
    buffer_add_str(out, text);
}

json_t *envelope_open(const char *kind, int version, const void *data, size_t size)
{
    char hex[DIGEST_HEX_SIZE], header[128];
    const char *text = data, *newline = memchr(text, '\n', size);
    if (!newline)
        return NULL;
    const char *body = newline + 1;
    size_t len = size - (size_t)(body - text);
    int n = snprintf(header, sizeof(header), "mainstay-%s %d %s\n", kind, version,
                     digest_sha256_hex(body, len, hex));
    if ((size_t)n != size - len || memcmp(header, text, (size_t)n) != 0)
        return NULL;
    return json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
}
