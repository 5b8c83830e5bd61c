// See buffer.h.
#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

char *buffer_reserve(struct buffer *b, size_t more)
{
    if (more > SIZE_MAX / 2 - b->len)
        abort();
    size_t need = b->len + more + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need)
            cap *= 2;
        b->data = xrealloc(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buffer_add(struct buffer *b, const void *data, size_t len)
{
    char *end = buffer_reserve(b, len);
    if (len > 0)
        memcpy(end, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buffer_add_str(struct buffer *b, const char *s)
{
    buffer_add(b, s, strlen(s));
}

void buffer_add_char(struct buffer *b, char c)
{
    buffer_add(b, &c, 1);
}

void buffer_vprintf(struct buffer *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char *end = buffer_reserve(b, 128);
    int n = vsnprintf(end, 129, format, args);
    if (n > 128) {
        end = buffer_reserve(b, (size_t)n);
        n = vsnprintf(end, (size_t)n + 1, format, again);
    }
    va_end(again);
    if (n < 0)
        abort();
    b->len += (size_t)n;
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buffer_vprintf(b, format, args);
    va_end(args);
}

void buffer_consume(struct buffer *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    buffer_truncate(b, b->len - n);
}

void buffer_truncate(struct buffer *b, size_t len)
{
    if (!b->data)
        return;
    b->len = len;
    b->data[len] = '\0';
}

const char *buffer_str(const struct buffer *b)
{
    return b->data ? b->data : "";
}

char *buffer_take(struct buffer *b)
{
    char *s = b->data ? b->data : xstrdup("");
    *b = (struct buffer){0};
    return s;
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}
