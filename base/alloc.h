// Allocation that does not fail: a process that cannot get memory says so and aborts. That is safe
// here because the death of the agent or the command stops nothing (the shims live on and are
// adopted), and because every input is bounded before it is read into memory.
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/macro.h"

// All of these return memory that the caller frees with free(); none returns NULL.
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrdup_or_null(const char *s); // NULL in, NULL out
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *format, ...) _printf_(1, 2);
char *xvasprintf(const char *format, va_list args) _printf_(1, 0);
