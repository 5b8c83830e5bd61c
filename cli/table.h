// Rows under headings, aligned as kubectl aligns them: every column as wide as its widest cell,
// three spaces between, the last one not padded.
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/macro.h"
#include "cli/term.h"

struct table;

// `headings` is NULL-terminated and copied.
struct table *table_new(const char *const *headings);
void table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free)
#define _cleanup_table_ _cleanup_(cleanup_table_free)

// Starts a row; its cells follow one by one. NULL and "" are shown as "<none>".
void table_row(struct table *table);
void table_cell(struct table *table, const char *text);
void table_cell_styled(struct table *table, const char *text, enum term_style style);
void table_cellf(struct table *table, const char *format, ...) _printf_(2, 3);

size_t table_rows(const struct table *table);

// Sorts by the text of the leading `columns` columns.
void table_sort(struct table *table, size_t columns);

// Appends the whole table. `headings`: with the heading line.
void table_render(const struct table *table, bool headings, bool color, struct buffer *out);

// The same on stdout; afterwards the rows are dropped but the widths are kept, so that what a watch
// prints later stays aligned with what it printed before.
void table_print(struct table *table, bool headings);
