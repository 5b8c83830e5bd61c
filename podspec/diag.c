// See diag.h.
#include "podspec/diag.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum {
    QUOTED_MAX = 60, // bytes of a value that a finding shows
    PATH_MAX_KEPT = 1000,
};

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

// Keys and values of the input must not end a line of the log that shows them.
static void blot_control_characters(char *text)
{
    for (; *text; text++)
        if (is_control(*text))
            *text = '?';
}

// Keys can be as long as the file, and there is a finding for each.
static char *copy_path(const char *path)
{
    size_t n = strnlen(path, PATH_MAX_KEPT + 1);

    if (n > PATH_MAX_KEPT)
        for (n = PATH_MAX_KEPT; n > 0 && ((unsigned char)path[n] & 0xc0) == 0x80;)
            n--;
    char *copy = xstrndup(path, n);
    blot_control_characters(copy);
    return copy;
}

void diag_add(struct diag_list *list, enum diag_severity severity, struct diag_place place,
              const char *format, ...)
{
    if (severity == DIAG_ERROR)
        list->errors++;
    else
        list->warnings++;
    if (list->n >= DIAG_MOST) {
        list->dropped++;
        return;
    }
    struct diag *d = LIST_APPEND(list);
    d->severity = severity;
    d->file = xstrdup(place.file ? place.file : "");
    d->line = place.line;
    d->column = place.column;
    d->path = place.path ? copy_path(place.path) : NULL;
    va_list args;
    va_start(args, format);
    d->message = xvasprintf(format, args);
    va_end(args);
    blot_control_characters(d->message);
}

void diag_format(const struct diag *d, struct buffer *out)
{
    if (*d->file)
        buffer_printf(out, "%s:", d->file);
    if (d->line > 0)
        buffer_printf(out, "%u:%u:", d->line, d->column);
    if (*d->file || d->line > 0)
        buffer_add_char(out, ' ');
    if (d->path && *d->path)
        buffer_printf(out, "%s: ", d->path);
    if (d->severity == DIAG_WARNING)
        buffer_add_str(out, "warning: ");
    buffer_add_str(out, d->message);
}

void diag_quote(const char *text, struct buffer *out)
{
    size_t n = strnlen(text, QUOTED_MAX + 1), shown = MIN(n, (size_t)QUOTED_MAX);
    while (shown < n && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    buffer_add_char(out, '"');
    for (size_t i = 0; i < shown; i++)
        buffer_add(out, is_control(text[i]) ? "?" : &text[i], 1);
    buffer_add_str(out, shown < n ? "…\"" : "\"");
}

struct ordered {
    struct diag diag;
    size_t order;
};

static int compare_places(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    if (x->diag.line != y->diag.line)
        return x->diag.line < y->diag.line ? -1 : 1;
    if (x->diag.column != y->diag.column)
        return x->diag.column < y->diag.column ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

void diag_list_sort(struct diag_list *list, size_t from)
{
    if (list->n <= from + 1)
        return;
    size_t n = list->n - from;
    struct ordered *ordered = xcalloc(n, sizeof(ordered[0]));
    for (size_t i = 0; i < n; i++)
        ordered[i] = (struct ordered){list->items[from + i], i};
    qsort(ordered, n, sizeof(ordered[0]), compare_places);
    for (size_t i = 0; i < n; i++)
        list->items[from + i] = ordered[i].diag;
    free(ordered);
}

void diag_list_free(struct diag_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].file);
        free(list->items[i].path);
        free(list->items[i].message);
    }
    free(list->items);
    *list = (struct diag_list){0};
}
