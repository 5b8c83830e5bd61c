// An owned list of strings, and the string helpers that several rooms need.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

// The same layout as LIST_OF(char *); every item is owned.
struct string_list {
    char **items;
    size_t n;
};

void string_list_add(struct string_list *list, const char *s); // copies
void string_list_add_owned(struct string_list *list, char *s); // takes
bool string_list_contains(const struct string_list *list, const char *s);
void string_list_copy(struct string_list *to, const struct string_list *from); // `to` is empty
void string_list_free(struct string_list *list);

// The items as a NULL-terminated vector that borrows the strings; the caller frees the vector only.
char **string_list_argv(const struct string_list *list);

bool str_equal(const char *a, const char *b); // NULL equals only NULL
bool str_empty(const char *s);                // NULL or ""
bool str_starts_with(const char *s, const char *prefix);
bool str_ends_with(const char *s, const char *suffix);

// A whole string that is a decimal integer in [min, max]: 0 and *ret, or -EINVAL or -ERANGE.
int str_to_int(const char *s, long long min, long long max, long long *ret);

// How many letters were mistyped, whatever their case: one replaced, left out, added, or swapped
// with its neighbour counts one. For "did you mean"; gives up and returns SIZE_MAX above `most`.
size_t str_distance(const char *a, const char *b, size_t most);

// The name among `names` nearest to `s` that is close enough to be suggested, or NULL.
const char *str_nearest(const char *s, const char *const *names, size_t n);

// True for well-formed UTF-8 without NUL bytes. On false, *ret_offset (may be NULL) is where.
bool str_is_utf8(const char *s, size_t len, size_t *ret_offset);

#define _cleanup_string_list_ _cleanup_(string_list_free)
