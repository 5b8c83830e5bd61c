// supervisor/logread: CRI files and rotated ones as one text; tail, since, limit, follow.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "supervisor/logread.h"

struct fixture {
    char dir[40];
    char *path;
    int rotations;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-logread.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = path_join(f->dir, "0.log");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f->path);
    free(f);
    return 0;
}

static void append(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, len), 0);
    close(fd);
}

static void record(struct fixture *f, int second, const char *tag, const char *text)
{
    _cleanup_free_ char *line = xasprintf("2026-11-21T07:%02d:%02d.000000001Z stdout %s %s\n",
                                          second / 60, second % 60, tag, text);
    append(f->path, line, strlen(line));
}

static char *rotated_name(struct fixture *f, int n)
{
    return n % 2 == 0 ? xasprintf("%s.20261121-07%04d", f->path, n / 2)
                      : xasprintf("%s.20261121-07%04d.001", f->path, n / 2);
}

static void rotate(struct fixture *f)
{
    _cleanup_free_ char *name = rotated_name(f, f->rotations++);
    assert_int_equal(rename(f->path, name), 0);
}

static struct log_reader_options all(struct fixture *f)
{
    return (struct log_reader_options){.path = f->path, .tail_lines = -1, .limit_bytes = -1};
}

// Reads until there is nothing more for now; returns how that was.
static enum log_reader_result drain(struct log_reader *r, struct buffer *out)
{
    enum log_reader_result result;
    while ((result = log_reader_read(r, out)) == LOG_READER_MORE)
        ;
    return result;
}

static char *read_all(const struct log_reader_options *options)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct buffer out = BUFFER_EMPTY;
    struct log_reader *r;
    assert_int_equal(log_reader_open(options, &r, &err), 0);
    assert_int_equal(drain(r, &out), LOG_READER_END);
    log_reader_free(r);
    return buffer_take(&out);
}

static void expect(const struct log_reader_options *options, const char *expected)
{
    _cleanup_free_ char *text = read_all(options);
    assert_string_equal(text, expected);
}

static void records_become_text(void **state)
{
    struct fixture *f = *state;
    struct log_reader_options o = all(f);
    record(f, 1, "F", "one");
    record(f, 2, "P", "tw");
    record(f, 3, "F", "o");
    record(f, 4, "F", "");
    record(f, 5, "F:more", "  three ");
    expect(&o, "one\ntwo\n\n  three \n");
    o.timestamps = true;
    expect(&o, "2026-11-21T07:00:01.000000001Z one\n"
               "2026-11-21T07:00:02.000000001Z two\n"
               "2026-11-21T07:00:04.000000001Z \n"
               "2026-11-21T07:00:05.000000001Z   three \n");
}

static void what_is_no_record_passes_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct log_reader_options o = all(f);
    static const char text[] = "garbage\n"
                               "\n"
                               "2026-11-21T07:00:01Z\n"
                               "2026-11-21T07:00:01Z stdin F x\n"
                               "2026-11-21T07:00:01Z stdout Q x\n"
                               "2026-11-21T07:00:01Z stdout F\n"
                               "2026-11-21T07:00:01Z stderr F ok\n"
                               "cut off";
    append(f->path, text, sizeof(text) - 1);
    expect(&o, "garbage\n\n2026-11-21T07:00:01Z\n2026-11-21T07:00:01Z stdin F x\n"
               "2026-11-21T07:00:01Z stdout Q x\n2026-11-21T07:00:01Z stdout F\nok\ncut off\n");
    o.tail_lines = 2;
    expect(&o, "ok\ncut off\n");
}

static void a_missing_log_is_an_error(void **state)
{
    struct fixture *f = *state;
    _cleanup_error_ struct error err = ERROR_NONE;
    struct log_reader_options o = all(f);
    struct log_reader *r;
    assert_int_equal(log_reader_open(&o, &r, &err), -ENOENT);
    append(f->path, "", 0);
    expect(&o, "");
    o.tail_lines = 5;
    expect(&o, "");
}

static void rotated_files_come_first(void **state)
{
    struct fixture *f = *state;
    struct log_reader_options o = all(f);
    _cleanup_free_ char *compressed = xasprintf("%s.20261121-060000.gz", f->path);
    _cleanup_free_ char *other = xasprintf("%s/10.log", f->dir);
    append(compressed, "binary\n", 7);
    append(other, "another run\n", 12);
    record(f, 1, "F", "one");
    rotate(f);
    record(f, 2, "F", "two");
    rotate(f);
    record(f, 3, "P", "th");
    rotate(f);
    record(f, 4, "F", "ree");
    expect(&o, "one\ntwo\nthree\n");
    o.tail_lines = 2;
    expect(&o, "two\nthree\n");
    o.tail_lines = 1;
    expect(&o, "three\n");
    rotate(f); // the live file is not there for a moment
    o.tail_lines = 3;
    expect(&o, "one\ntwo\nthree\n");
}

static void tail_counts_whole_lines(void **state)
{
    struct fixture *f = *state;
    struct log_reader_options o = all(f);
    record(f, 1, "F", "one");
    record(f, 2, "P", "t");
    record(f, 3, "P", "w");
    record(f, 4, "F", "o");
    record(f, 5, "P", "unfinis");
    record(f, 6, "P", "hed");
    o.tail_lines = 0;
    expect(&o, "");
    o.tail_lines = 1;
    expect(&o, "unfinished");
    o.tail_lines = 2;
    expect(&o, "two\nunfinished");
    o.tail_lines = 3;
    expect(&o, "one\ntwo\nunfinished");
    o.tail_lines = 99;
    expect(&o, "one\ntwo\nunfinished");
}

static void since_and_limit_cut(void **state)
{
    struct fixture *f = *state;
    struct log_reader_options o = all(f);
    for (int i = 0; i < 10; i++) {
        char text[24];
        snprintf(text, sizeof(text), "line %d", i);
        record(f, i, "F", text);
        if (i % 4 == 3)
            rotate(f);
    }
    assert_int_equal(walltime_parse("2026-11-21T07:00:06Z", &o.since), 0);
    // The files were written later than their lines say, so all of them are looked at.
    expect(&o, "line 6\nline 7\nline 8\nline 9\n");
    o.tail_lines = 2;
    expect(&o, "line 8\nline 9\n");
    o.tail_lines = -1;
    o.limit_bytes = 10;
    expect(&o, "line 6\nlin");
    o.limit_bytes = 0;
    expect(&o, "");
    o.limit_bytes = -1;
    o.since = (walltime){walltime_now().nsec + 3600 * NSEC_PER_SEC};
    expect(&o, "");
}

static void follow_goes_through_rotations(void **state)
{
    struct fixture *f = *state;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_(cleanup_log_reader_free) struct log_reader *r = NULL;
    struct log_reader_options o = all(f);
    o.follow = true;
    record(f, 1, "F", "one");
    assert_int_equal(log_reader_open(&o, &r, &err), 0);
    assert_int_equal(drain(r, &out), LOG_READER_WAIT);
    assert_string_equal(out.data, "one\n");
    append(f->path, "2026-11-21T07:00:01Z stdout F t", 31);
    assert_int_equal(drain(r, &out), LOG_READER_WAIT);
    assert_string_equal(out.data, "one\n");
    append(f->path, "wo\n", 3);
    rotate(f);
    assert_int_equal(drain(r, &out), LOG_READER_WAIT);
    record(f, 3, "F", "three");
    rotate(f);
    record(f, 4, "F", "four");
    assert_int_equal(drain(r, &out), LOG_READER_WAIT);
    assert_string_equal(out.data, "one\ntwo\nthree\nfour\n");
    log_reader_finish(r);
    record(f, 5, "F", "five");
    assert_int_equal(drain(r, &out), LOG_READER_END);
    assert_string_equal(out.data, "one\ntwo\nthree\nfour\nfive\n");
}

static void a_reader_that_is_overtaken_says_so(void **state)
{
    struct fixture *f = *state;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_(cleanup_log_reader_free) struct log_reader *r = NULL;
    struct log_reader_options o = all(f);
    o.follow = true;
    record(f, 1, "F", "one");
    assert_int_equal(log_reader_open(&o, &r, &err), 0);
    assert_int_equal(drain(r, &out), LOG_READER_WAIT);
    for (int i = 0; i < 3; i++) {
        rotate(f);
        record(f, 2 + i, "F", i == 0 ? "lost" : "kept");
    }
    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *name = rotated_name(f, i);
        assert_int_equal(unlink(name), 0);
    }
    assert_int_equal(drain(r, &out), LOG_READER_WAIT);
    assert_true(str_starts_with(out.data, "one\n[mainstay: lines are missing here"));
    assert_true(str_ends_with(out.data, "]\nkept\nkept\n"));
    // Everything goes away: nothing more to wait for.
    fs_remove_tree(AT_FDCWD, f->dir);
    log_reader_finish(r);
    assert_int_equal(drain(r, &out), LOG_READER_END);
}

static void a_line_without_end_is_bounded(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *flood = xmalloc(1 << 20);
    memset(flood, 'x', 1 << 20);
    append(f->path, flood, 1 << 20);
    struct log_reader_options o = all(f);
    _cleanup_free_ char *text = read_all(&o);
    assert_true(strlen(text) >= 1 << 20);
    assert_int_equal(strspn(text, "x\n"), strlen(text));
}

// ---- random logs against a simple model ----

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void random_line(struct fixture *f, unsigned *seed, int n, struct string_list *lines)
{
    struct buffer line = BUFFER_EMPTY;
    unsigned pieces = next_random(seed) % 4 == 0 ? 1 + next_random(seed) % 4 : 1;
    for (unsigned p = 0; p < pieces; p++) {
        size_t size = next_random(seed) % (next_random(seed) % 16 == 0 ? 16000 : 200);
        _cleanup_free_ char *piece = xasprintf("%d.%u %0*d", n, p, (int)size, 0);
        record(f, n % 3600, p + 1 < pieces ? "P" : "F", piece);
        buffer_add_str(&line, piece);
        if (next_random(seed) % 40 == 0)
            rotate(f);
    }
    string_list_add_owned(lines, buffer_take(&line));
}

static void expect_tail(struct fixture *f, const struct string_list *lines, size_t wanted)
{
    _cleanup_buffer_ struct buffer expected = BUFFER_EMPTY;
    struct log_reader_options o = all(f);
    o.tail_lines = (int64_t)wanted;
    for (size_t i = lines->n > wanted ? lines->n - wanted : 0; i < lines->n; i++)
        buffer_printf(&expected, "%s\n", lines->items[i]);
    _cleanup_free_ char *text = read_all(&o);
    assert_int_equal(strlen(text), expected.len);
    assert_string_equal(text, buffer_str(&expected));
}

static void random_logs_have_the_right_tails(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 20261121;
    for (int round = 0; round < 4; round++) {
        _cleanup_string_list_ struct string_list lines = {0};
        fs_remove_tree(AT_FDCWD, f->dir);
        fs_mkdir_parents(AT_FDCWD, f->dir, 0700);
        f->rotations = 0;
        for (int n = 0; n < 300; n++)
            random_line(f, &seed, n, &lines);
        for (size_t wanted = 0; wanted < 320; wanted += 1 + next_random(&seed) % 23)
            expect_tail(f, &lines, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_become_text, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_record_passes_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_log_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(rotated_files_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(tail_counts_whole_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(since_and_limit_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(follow_goes_through_rotations, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_that_is_overtaken_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_without_end_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(random_logs_have_the_right_tails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
