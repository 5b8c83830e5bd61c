// cli: tables, and texts made safe for a terminal.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "cli/table.h"
#include "cli/term.h"

static void columns_are_aligned(void **state)
{
    static const char *const headings[] = {"NAME", "READY", "STATUS", NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    table_row(table);
    table_cell(table, "kube-apiserver-n1");
    table_cellf(table, "%d/%d", 1, 1);
    table_cell_styled(table, "Running", TERM_GREEN);
    table_row(table);
    table_cell(table, "etcd");
    table_cell(table, NULL);
    table_cell(table, "");
    table_render(table, true, false, &out);
    assert_string_equal(buffer_str(&out), "NAME                READY    STATUS\n"
                                          "kube-apiserver-n1   1/1      Running\n"
                                          "etcd                <none>   <none>\n");
}

static void colour_takes_no_room(void **state)
{
    static const char *const headings[] = {"A", "B", NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    table_row(table);
    table_cell_styled(table, "x", TERM_RED);
    table_cell(table, "y");
    table_render(table, false, true, &out);
    assert_string_equal(buffer_str(&out), "\033[31mx\033[0m   y\n");
}

static void cells_stay_on_their_line(void **state)
{
    static const char *const headings[] = {"MESSAGE", NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    table_row(table);
    table_cell(table, "two\nlines\tand \033[2Jclear");
    table_cell(table, "too many");
    table_render(table, false, false, &out);
    assert_string_equal(buffer_str(&out), "two lines and \\x1b[2Jclear\n");
}

static void wide_characters_count_once(void **state)
{
    static const char *const headings[] = {"A", "B", NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    table_row(table);
    table_cell(table, "é");
    table_cell(table, "b");
    table_render(table, true, false, &out);
    assert_string_equal(buffer_str(&out), "A   B\né   b\n");
}

static void rows_are_sorted(void **state)
{
    static const char *const headings[] = {"A", NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    for (const char *c = "cab"; *c; c++) {
        table_row(table);
        table_cellf(table, "%c", *c);
    }
    table_sort(table, 1);
    assert_int_equal(table_rows(table), 3);
    table_render(table, false, false, &out);
    assert_string_equal(buffer_str(&out), "a\nb\nc\n");
}

static void control_characters_are_shown(void **state)
{
    _cleanup_free_ char *safe = term_safe("a\033]0;x\007b\x7f \xc2\x9b tab\t\xc3\xa9");
    assert_string_equal(safe, "a\\x1b]0;x\\x07b\\x7f \\x9b tab\t\xc3\xa9");
    _cleanup_free_ char *cut = term_safe("end\xc2");
    assert_string_equal(cut, "end\xc2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned),      cmocka_unit_test(colour_takes_no_room),
        cmocka_unit_test(cells_stay_on_their_line), cmocka_unit_test(wide_characters_count_once),
        cmocka_unit_test(rows_are_sorted),          cmocka_unit_test(control_characters_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
