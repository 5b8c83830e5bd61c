// A growing byte buffer that is always NUL-terminated, so `data` can be used as a C string.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

struct buffer {
    char *data; // NULL until something is added; use buffer_str() for a string that is never NULL
    size_t len; // without the terminating NUL
    size_t cap;
};

#define BUFFER_EMPTY                                                                               \
    {                                                                                              \
        0                                                                                          \
    }

void buffer_add(struct buffer *b, const void *data, size_t len);
void buffer_add_str(struct buffer *b, const char *s);
void buffer_add_char(struct buffer *b, char c);
void buffer_printf(struct buffer *b, const char *format, ...) _printf_(2, 3);
void buffer_vprintf(struct buffer *b, const char *format, va_list args) _printf_(2, 0);

// Makes room for `more` bytes and returns where they go; the caller then adds to len itself.
char *buffer_reserve(struct buffer *b, size_t more);

// Drops the first n bytes (n ≤ len).
void buffer_consume(struct buffer *b, size_t n);

void buffer_truncate(struct buffer *b, size_t len);
const char *buffer_str(const struct buffer *b);

// The string, now owned by the caller (free()); the buffer is empty again. Never NULL.
char *buffer_take(struct buffer *b);

void buffer_free(struct buffer *b);

#define _cleanup_buffer_ _cleanup_(buffer_free)
