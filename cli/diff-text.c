// See diff-text.h: the greedy algorithm of E. Myers, "An O(ND) Difference Algorithm and Its
// Variations" (1986), on lines, after the equal head and tail are set aside.
#include "cli/diff-text.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/macro.h"
#include "base/string-list.h"
#include "cli/term.h"

struct lines {
    char *copy; // owns the text, newlines replaced by NULs
    char **items;
    size_t n;
};

struct edits {
    bool *deleted;  // of the old lines
    bool *inserted; // of the new ones
};

static struct lines split(const char *text)
{
    struct lines lines = {.copy = xstrdup(text)};
    size_t most = 1;
    for (const char *c = text; *c; c++)
        most += *c == '\n';
    lines.items = xcalloc(most + 1, sizeof(*lines.items));
    for (char *at = lines.copy; *at;) {
        char *end = at + strcspn(at, "\n");
        lines.items[lines.n++] = at;
        at = *end ? end + 1 : end;
        *end = '\0';
    }
    return lines;
}

static void lines_free(struct lines *lines)
{
    free(lines->copy);
    free(lines->items);
}

// The part that differs: items [begin, begin + n) of each side.
struct window {
    char **a, **b;
    long n, m;
};

// How far the furthest path reaches on diagonal k with d edits, from the row before it.
static long start_of(const long *previous, long d, long k)
{
    if (d == 0)
        return 0;
    bool down = k == -d || (k != d && previous[k - 1] < previous[k + 1]);
    return down ? previous[k + 1] : previous[k - 1] + 1;
}

// Row d holds x for the diagonals -d … d; it is returned shifted so that it can be indexed by k.
static long *new_row(long d)
{
    long *row = xcalloc((size_t)(2 * d + 3), sizeof(*row));
    return row + d + 1;
}

static void free_rows(long **rows, long n)
{
    for (long d = 0; d < n; d++)
        free(rows[d] - d - 1);
    free(rows);
}

// Fills rows until the end is reached and returns the number of edits, or -1 above the bound.
static long search(const struct window *w, long **rows)
{
    for (long d = 0; d <= DIFF_EDITS_MAX; d++) {
        rows[d] = new_row(d);
        for (long k = -d; k <= d; k += 2) {
            long x = start_of(d > 0 ? rows[d - 1] : NULL, d, k);
            while (x < w->n && x - k < w->m && x - k >= 0 && strcmp(w->a[x], w->b[x - k]) == 0)
                x++;
            rows[d][k] = x;
            if (x >= w->n && x - k >= w->m)
                return d;
        }
    }
    return -1;
}

// Walks back from the end and marks each edit.
static void mark(const struct window *w, long **rows, long edits, struct edits *e)
{
    long x = w->n, y = w->m;
    for (long d = edits; d > 0; d--) {
        const long *previous = rows[d - 1];
        long k = x - y;
        bool down = k == -d || (k != d && previous[k - 1] < previous[k + 1]);
        long from_k = down ? k + 1 : k - 1;
        x = previous[from_k];
        y = x - from_k;
        if (down)
            e->inserted[y] = true;
        else
            e->deleted[x] = true;
    }
}

static void find_edits(const struct lines *a, const struct lines *b, struct edits *e)
{
    size_t head = 0, tail = 0, shorter = MIN(a->n, b->n);
    while (head < shorter && strcmp(a->items[head], b->items[head]) == 0)
        head++;
    while (tail < shorter - head &&
           strcmp(a->items[a->n - 1 - tail], b->items[b->n - 1 - tail]) == 0)
        tail++;
    const struct window w = {a->items + head, b->items + head, (long)(a->n - head - tail),
                             (long)(b->n - head - tail)};
    struct edits inner = {e->deleted + head, e->inserted + head};
    long **rows = xcalloc(DIFF_EDITS_MAX + 1, sizeof(*rows));
    long edits = search(&w, rows);
    if (edits >= 0) {
        mark(&w, rows, edits, &inner);
    } else {
        memset(inner.deleted, true, (size_t)w.n * sizeof(bool));
        memset(inner.inserted, true, (size_t)w.m * sizeof(bool));
    }
    free_rows(rows, edits >= 0 ? edits + 1 : DIFF_EDITS_MAX + 1);
}

struct printer {
    const struct lines *a, *b;
    const struct edits *edits;
    bool color;
    struct buffer *out;
};

static void print_line(const struct printer *p, char sign, const char *text)
{
    enum term_style style = sign == '-' ? TERM_RED : sign == '+' ? TERM_GREEN : TERM_PLAIN;
    buffer_printf(p->out, "%s%c%s%s\n", term_begin(style, p->color), sign, text,
                  term_end(style, p->color));
}

// From (x, y) on: how many steps (equal pairs, deletions, insertions) belong to this hunk, which
// ends where more than twice the context is equal. Prints them when `print` is set.
static void walk_hunk(const struct printer *p, size_t *x, size_t *y, bool print)
{
    size_t equal = 0;
    while (*x < p->a->n || *y < p->b->n) {
        if (*x < p->a->n && p->edits->deleted[*x]) {
            if (print)
                print_line(p, '-', p->a->items[*x]);
            ++*x;
            equal = 0;
        } else if (*y < p->b->n && p->edits->inserted[*y]) {
            if (print)
                print_line(p, '+', p->b->items[*y]);
            ++*y;
            equal = 0;
        } else {
            if (equal == DIFF_CONTEXT) {
                // Goes on only where the next change is near enough to share its context.
                size_t ahead = 0;
                while (*x + ahead < p->a->n && ahead < DIFF_CONTEXT &&
                       !p->edits->deleted[*x + ahead] && !p->edits->inserted[*y + ahead])
                    ahead++;
                if (!p->edits->deleted[*x + ahead] && !p->edits->inserted[*y + ahead])
                    return;
                equal = 0;
            }
            if (print)
                print_line(p, ' ', p->a->items[*x]);
            ++*x;
            ++*y;
            equal++;
        }
    }
}

// "12,5": where a hunk begins and how many lines it has; an empty one is named by the line before
// it.
static void print_range(struct buffer *out, size_t from, size_t n)
{
    if (n == 1)
        buffer_printf(out, "%zu", from + 1);
    else
        buffer_printf(out, "%zu,%zu", n == 0 ? from : from + 1, n);
}

static void print_hunks(const struct printer *p)
{
    size_t x = 0, y = 0;
    while (x < p->a->n || y < p->b->n) {
        bool change =
            (x < p->a->n && p->edits->deleted[x]) || (y < p->b->n && p->edits->inserted[y]);
        if (!change) {
            x++;
            y++;
            continue;
        }
        size_t context = MIN((size_t)DIFF_CONTEXT, MIN(x, y));
        size_t end_x = x, end_y = y;
        walk_hunk(p, &end_x, &end_y, false);
        buffer_printf(p->out, "%s@@ -", term_begin(TERM_CYAN, p->color));
        print_range(p->out, x - context, end_x - x + context);
        buffer_add_str(p->out, " +");
        print_range(p->out, y - context, end_y - y + context);
        buffer_printf(p->out, " @@%s\n", term_end(TERM_CYAN, p->color));
        for (size_t i = context; i > 0; i--)
            print_line(p, ' ', p->a->items[x - i]);
        walk_hunk(p, &x, &y, true);
    }
}

bool diff_text(const char *old_name, const char *old_text, const char *new_name,
               const char *new_text, bool color, struct buffer *out)
{
    if (str_equal(old_text, new_text))
        return false;
    struct lines a = split(old_text), b = split(new_text);
    // One more than the lines, so that looking at the end is in bounds.
    struct edits edits = {xcalloc(a.n + 1, sizeof(bool)), xcalloc(b.n + 1, sizeof(bool))};
    find_edits(&a, &b, &edits);
    buffer_printf(out, "%s--- %s%s\n", term_begin(TERM_BOLD, color), old_name,
                  term_end(TERM_BOLD, color));
    buffer_printf(out, "%s+++ %s%s\n", term_begin(TERM_BOLD, color), new_name,
                  term_end(TERM_BOLD, color));
    const struct printer p = {&a, &b, &edits, color, out};
    print_hunks(&p);
    free(edits.deleted);
    free(edits.inserted);
    lines_free(&a);
    lines_free(&b);
    return true;
}
