// See string-list.h.
#include "base/string-list.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

void string_list_add_owned(struct string_list *list, char *s)
{
    list->items = xreallocarray(list->items, list->n + 1, sizeof(list->items[0]));
    list->items[list->n++] = s;
}

void string_list_add(struct string_list *list, const char *s)
{
    string_list_add_owned(list, xstrdup(s));
}

bool string_list_contains(const struct string_list *list, const char *s)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], s) == 0)
            return true;
    return false;
}

void string_list_copy(struct string_list *to, const struct string_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        string_list_add(to, from->items[i]);
}

void string_list_free(struct string_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){0};
}

char **string_list_argv(const struct string_list *list)
{
    char **argv = xcalloc(list->n + 1, sizeof(char *));
    for (size_t i = 0; i < list->n; i++)
        argv[i] = list->items[i];
    return argv;
}

bool str_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_empty(const char *s)
{
    return !s || !*s;
}

bool str_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

int str_to_int(const char *s, long long min, long long max, long long *ret)
{
    if (str_empty(s) || isspace((unsigned char)*s) || *s == '+')
        return -EINVAL;
    char *end = NULL;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (*end != '\0')
        return -EINVAL;
    if (errno == ERANGE || value < min || value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t str_distance(const char *a, const char *b, size_t most)
{
    enum { LONGEST = 64 };
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST || (n > m ? n - m : m - n) > most)
        return SIZE_MAX;
    size_t rows[3][LONGEST + 1] = {{0}}; // the last three of the matrix, by i % 3
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = above[j - 1] + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
            row[j] = MIN(MIN(above[j], row[j - 1]) + 1, replaced);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]))
                row[j] = MIN(row[j], above2[j - 2] + 1);
        }
    }
    size_t distance = rows[n % 3][m];
    return distance <= most ? distance : SIZE_MAX;
}

const char *str_nearest(const char *s, const char *const *names, size_t n)
{
    size_t limit = MAX(strlen(s) / 3, (size_t)1);
    size_t best = SIZE_MAX;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t distance = str_distance(s, names[i], limit);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

// How many bytes the sequence at s takes (1–4), or 0 where it is not well-formed: overlong forms,
// surrogates and values above U+10FFFF are refused (RFC 3629).
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    static const struct {
        unsigned char mask, lead, length;
        unsigned least;
    } forms[] = {{0x80, 0x00, 1, 0x1},
                 {0xe0, 0xc0, 2, 0x80},
                 {0xf0, 0xe0, 3, 0x800},
                 {0xf8, 0xf0, 4, 0x10000}};

    for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
        if ((s[0] & forms[f].mask) != forms[f].lead)
            continue;
        if (forms[f].length > left)
            return 0;
        unsigned value = s[0] & (unsigned char)~forms[f].mask;
        for (size_t i = 1; i < forms[f].length; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (s[i] & 0x3f);
        }
        bool surrogate = value >= 0xd800 && value <= 0xdfff;
        return value < forms[f].least || value > 0x10ffff || surrogate ? 0 : forms[f].length;
    }
    return 0;
}

bool str_is_utf8(const char *s, size_t len, size_t *ret_offset)
{
    for (size_t i = 0; i < len;) {
        size_t step = utf8_sequence((const unsigned char *)s + i, len - i);
        if (step == 0) {
            if (ret_offset)
                *ret_offset = i;
            return false;
        }
        i += step;
    }
    return true;
}
