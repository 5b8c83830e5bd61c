// cli: unified diffs. Random texts are patched back by the diff itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/string-list.h"
#include "cli/diff-text.h"

static void equal_texts_have_no_diff(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_false(diff_text("a", "x\ny\n", "b", "x\ny\n", true, &out));
    assert_int_equal(out.len, 0);
}

static void a_change_has_context(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_true(diff_text("old", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "new",
                          "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", false, &out));
    assert_string_equal(buffer_str(&out),
                        "--- old\n+++ new\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n"
                        " 6\n 7\n 8\n");
}

static void far_changes_are_two_hunks(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_true(diff_text("o", "a\n1\n2\n3\n4\n5\n6\n7\nb\n", "n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
                          false, &out));
    assert_string_equal(buffer_str(&out), "--- o\n+++ n\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
                                          "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
}

static void near_changes_are_one_hunk(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_true(
        diff_text("o", "a\n1\n2\n3\n4\n5\n6\nb\n", "n", "1\n2\n3\n4\n5\n6\nb\nc\n", false, &out));
    assert_string_equal(buffer_str(&out), "--- o\n+++ n\n@@ -1,4 +1,3 @@\n-a\n 1\n 2\n 3\n"
                                          "@@ -6,3 +5,4 @@\n 5\n 6\n b\n+c\n");
    buffer_truncate(&out, 0);
    assert_true(
        diff_text("o", "a\n1\n2\n3\n4\n5\n6\nb\n", "n", "A\n1\n2\n3\n4\n5\n6\nB\n", false, &out));
    assert_non_null(strstr(buffer_str(&out), "@@ -1,8 +1,8 @@"));
}

static void something_against_nothing(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_true(diff_text("/dev/null", "", "n", "a\nb\n", false, &out));
    assert_string_equal(buffer_str(&out), "--- /dev/null\n+++ n\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    buffer_truncate(&out, 0);
    assert_true(diff_text("o", "a\n", "/dev/null", "", false, &out));
    assert_string_equal(buffer_str(&out), "--- o\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n");
}

static void lines_are_coloured(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_true(diff_text("o", "a\n", "n", "b\n", true, &out));
    assert_non_null(strstr(buffer_str(&out), "\033[31m-a\033[0m\n\033[32m+b\033[0m\n"));
}

static void add_line(struct buffer *b, unsigned *seed)
{
    buffer_printf(b, "%c\n", 'a' + (int)(rand_r(seed) % 4));
}

// Applies a diff to a text: what a patch program does.
static void patch(const char *old, const char *diff, struct buffer *out)
{
    size_t line = 1;
    const char *at = strstr(diff, "@@ -");
    while (at && *at) {
        size_t from = strtoul(at + 4, NULL, 10);
        const char *comma = strpbrk(at + 4, ", ");
        if (*comma == ',' && strtoul(comma + 1, NULL, 10) == 0)
            from++; // nothing is taken: the hunk stands after that line
        for (; line < from; line++) {
            size_t len = strcspn(old, "\n") + 1;
            buffer_add(out, old, len);
            old += len;
        }
        for (at = strchr(at, '\n') + 1; *at && *at != '@'; at += strcspn(at, "\n") + 1) {
            if (*at != '-')
                buffer_add(out, at + 1, strcspn(at, "\n"));
            if (*at == '+')
                continue;
            assert_memory_equal(old, at + 1, strcspn(at, "\n"));
            old += strcspn(old, "\n") + 1;
            line++;
        }
    }
    buffer_add_str(out, old);
}

static void diffs_patch(void **state)
{
    unsigned seed = 42;
    for (int round = 0; round < 2000; round++) {
        _cleanup_buffer_ struct buffer a = BUFFER_EMPTY, b = BUFFER_EMPTY, diff = BUFFER_EMPTY;
        _cleanup_buffer_ struct buffer patched = BUFFER_EMPTY;
        for (unsigned i = rand_r(&seed) % 40; i > 0; i--) {
            char line[2] = {(char)('a' + rand_r(&seed) % 4), '\n'};
            if (rand_r(&seed) % 8)
                buffer_add(&a, line, 2);
            if (rand_r(&seed) % 8)
                buffer_add(&b, line, 2);
            if (rand_r(&seed) % 10 == 0)
                add_line(rand_r(&seed) % 2 ? &a : &b, &seed);
        }
        bool differs = diff_text("a", buffer_str(&a), "b", buffer_str(&b), false, &diff);
        assert_int_equal(differs, !str_equal(buffer_str(&a), buffer_str(&b)));
        if (!differs)
            continue;
        patch(buffer_str(&a), buffer_str(&diff), &patched);
        if (!str_equal(buffer_str(&patched), buffer_str(&b)))
            fail_msg("round %d:\n%s\ngives\n%s\nnot\n%s", round, buffer_str(&diff),
                     buffer_str(&patched), buffer_str(&b));
    }
}

static void hopeless_texts_are_replaced(void **state)
{
    _cleanup_buffer_ struct buffer a = BUFFER_EMPTY, b = BUFFER_EMPTY, out = BUFFER_EMPTY;
    for (int i = 0; i < 5000; i++) {
        buffer_printf(&a, "a%d\n", i);
        buffer_printf(&b, "b%d\n", i);
    }
    assert_true(diff_text("a", a.data, "b", b.data, false, &out));
    assert_non_null(strstr(out.data, "@@ -1,5000 +1,5000 @@\n-a0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_have_no_diff),
        cmocka_unit_test(a_change_has_context),
        cmocka_unit_test(far_changes_are_two_hunks),
        cmocka_unit_test(near_changes_are_one_hunk),
        cmocka_unit_test(something_against_nothing),
        cmocka_unit_test(lines_are_coloured),
        cmocka_unit_test(diffs_patch),
        cmocka_unit_test(hopeless_texts_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
