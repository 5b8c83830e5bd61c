// See table.h.
#include "cli/table.h"

#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"

enum { GAP = 3 }; // spaces between columns, as kubectl's

struct cell {
    char *text;
    enum term_style style;
};

struct row {
    struct cell *cells;
    size_t n;
};

struct table {
    struct string_list headings;
    size_t *widths;
    LIST_OF(struct row) rows;
};

struct table *table_new(const char *const *headings)
{
    struct table *table = xcalloc(1, sizeof(*table));
    for (; *headings; headings++)
        string_list_add(&table->headings, *headings);
    table->widths = xcalloc(table->headings.n + 1, sizeof(*table->widths));
    for (size_t i = 0; i < table->headings.n; i++)
        table->widths[i] = term_width(table->headings.items[i]);
    return table;
}

static void drop_rows(struct table *table)
{
    LIST_EACH (row, &table->rows) {
        for (size_t i = 0; i < row->n; i++)
            free(row->cells[i].text);
        free(row->cells);
    }
    free(table->rows.items);
    table->rows.items = NULL;
    table->rows.n = 0;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    drop_rows(table);
    string_list_free(&table->headings);
    free(table->widths);
    free(table);
}

void table_row(struct table *table)
{
    struct row *row = LIST_APPEND(&table->rows);
    row->cells = xcalloc(table->headings.n + 1, sizeof(*row->cells));
}

// A cell is one line: what would break the table is shown as a space.
static char *cell_text(const char *text)
{
    char *safe = term_safe(str_empty(text) ? "<none>" : text);
    for (char *c = safe; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    return safe;
}

void table_cell_styled(struct table *table, const char *text, enum term_style style)
{
    struct row *row = &table->rows.items[table->rows.n - 1];
    if (row->n >= table->headings.n)
        return;
    struct cell *cell = &row->cells[row->n];
    cell->text = cell_text(text);
    cell->style = style;
    table->widths[row->n] = MAX(table->widths[row->n], term_width(cell->text));
    row->n++;
}

void table_cell(struct table *table, const char *text)
{
    table_cell_styled(table, text, TERM_PLAIN);
}

void table_cellf(struct table *table, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    table_cell(table, text);
    free(text);
}

size_t table_rows(const struct table *table)
{
    return table->rows.n;
}

static int compare_rows(const void *a, const void *b, void *userdata)
{
    const struct row *x = a, *y = b;
    size_t columns = *(const size_t *)userdata;
    for (size_t i = 0; i < columns && i < x->n && i < y->n; i++) {
        int order = strcmp(x->cells[i].text, y->cells[i].text);
        if (order != 0)
            return order;
    }
    return 0;
}

void table_sort(struct table *table, size_t columns)
{
    if (table->rows.n > 1)
        qsort_r(table->rows.items, table->rows.n, sizeof(struct row), compare_rows, &columns);
}

static void pad(struct buffer *out, size_t n)
{
    while (n-- > 0)
        buffer_add_char(out, ' ');
}

static void render_cell(const struct table *table, size_t column, struct cell cell, bool last,
                        bool color, struct buffer *out)
{
    buffer_add_str(out, term_begin(cell.style, color));
    buffer_add_str(out, cell.text);
    buffer_add_str(out, term_end(cell.style, color));
    if (!last)
        pad(out, table->widths[column] - term_width(cell.text) + GAP);
}

void table_render(const struct table *table, bool headings, bool color, struct buffer *out)
{
    if (headings) {
        for (size_t i = 0; i < table->headings.n; i++)
            render_cell(table, i, (struct cell){table->headings.items[i], TERM_BOLD},
                        i + 1 == table->headings.n, color, out);
        buffer_add_char(out, '\n');
    }
    LIST_EACH (row, &table->rows) {
        for (size_t i = 0; i < row->n; i++)
            render_cell(table, i, row->cells[i], i + 1 == row->n, color, out);
        buffer_add_char(out, '\n');
    }
}

void table_print(struct table *table, bool headings)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    table_render(table, headings, term_has_color(stdout), &out);
    fwrite(buffer_str(&out), 1, out.len, stdout);
    fflush(stdout);
    drop_rows(table);
}
