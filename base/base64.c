// See base64.h.
#include "base/base64.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

// EVP_EncodeBlock and EVP_DecodeBlock count in int; work goes through them in blocks of this many
// bytes (a multiple of 3 and, encoded, of 4).
enum { BLOCK_BYTES = 3 << 16, BLOCK_CHARS = BLOCK_BYTES / 3 * 4 };

void base64_encode(const void *data, size_t len, struct buffer *out)
{
    const unsigned char *p = data;
    while (len > 0) {
        size_t n = MIN(len, (size_t)BLOCK_BYTES);
        char *to = buffer_reserve(out, (n + 2) / 3 * 4 + 1);
        out->len += (size_t)EVP_EncodeBlock((unsigned char *)to, p, (int)n);
        out->data[out->len] = '\0';
        p += n;
        len -= n;
    }
}

static size_t padding_of(const char *text, size_t len)
{
    if (text[len - 1] != '=')
        return 0;
    return text[len - 2] == '=' ? 2 : 1;
}

int base64_decode(const char *text, size_t len, struct buffer *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (len == 0)
        return 0;
    if (len % 4 != 0)
        return -EINVAL;
    size_t padding = padding_of(text, len);
    for (size_t i = 0; i < len - padding; i++) {
        if (!text[i] || !strchr(alphabet, text[i]))
            return -EINVAL;
    }
    size_t start = out->len;
    for (size_t done = 0; done < len; done += BLOCK_CHARS) {
        size_t n = MIN(len - done, (size_t)BLOCK_CHARS);
        char *to = buffer_reserve(out, n / 4 * 3 + 1);
        int got = EVP_DecodeBlock((unsigned char *)to, (const unsigned char *)text + done, (int)n);
        if (got < 0) {
            buffer_truncate(out, start);
            return -EINVAL;
        }
        out->len += (size_t)got;
    }
    buffer_truncate(out, out->len - padding);
    return 0;
}
