// Lines into CRI log files: cutting, parts, rotation, and a disk that takes nothing.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "supervisor/shim/shim-log-rotate.h"
#include "supervisor/shim/shim-log.h"
#include "supervisor/shim/shim-stamp.h"

enum { STAMP = 30, TAG = 40 };

struct fixture {
    char *dir, *path;
    struct shim_log_file *file;
    struct shim_log *log;
    int pipe[2];
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char pattern[] = "/tmp/test-shim-log-XXXXXX";
    assert_non_null(mkdtemp(pattern));
    f->dir = xstrdup(pattern);
    f->path = path_join(pattern, "pods/c/0.log");
    assert_int_equal(pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(f->pipe[0], F_SETPIPE_SZ, 1 << 20) > 0);
    *state = f;
    return 0;
}

static void open_log(struct fixture *f, int64_t max_bytes, int64_t max_files)
{
    f->file = shim_log_file_new(f->path, max_bytes, max_files);
    f->log = shim_log_new(f->file, NULL);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    shim_log_free(f->log);
    shim_log_file_free(f->file);
    close(f->pipe[0]);
    close(f->pipe[1]);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir), 0);
    free(f->dir);
    free(f->path);
    free(f);
    return 0;
}

// Through the pipe, as the shim would read it.
static void feed(struct fixture *f, enum shim_stream stream, const char *data, size_t len)
{
    while (len > 0) {
        size_t part = MIN(len, (size_t)SHIM_LOG_BATCH);
        assert_int_equal(write(f->pipe[1], data, part), part);
        assert_int_equal(shim_log_read(f->log, stream, f->pipe[0], SHIM_LOG_BATCH), part);
        data += part;
        len -= part;
    }
}

static void feed_str(struct fixture *f, enum shim_stream stream, const char *s)
{
    feed(f, stream, s, strlen(s));
}

static char *read_log(struct fixture *f)
{
    struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, f->path, 64 << 20, &text), 0);
    return buffer_take(&text);
}

// The log without its time stamps, which are checked to be some.
static char *read_unstamped(struct fixture *f)
{
    _cleanup_free_ char *text = read_log(f);
    struct buffer out = BUFFER_EMPTY;
    for (char *line = text, *end; *line; line = end + 1) {
        walltime t;
        end = strchr(line, '\n');
        assert_non_null(end);
        char *stamp = xstrndup(line, STAMP);
        assert_int_equal(walltime_parse(stamp, &t), 0);
        free(stamp);
        buffer_add(&out, line + STAMP + 1, (size_t)(end - line - STAMP));
    }
    return buffer_take(&out);
}

static void lines_get_stamp_stream_and_tag(void **state)
{
    struct fixture *f = *state;
    open_log(f, 0, 0);
    feed_str(f, SHIM_STDOUT, "one\n\ntw");
    feed_str(f, SHIM_STDERR, "err\n");
    feed_str(f, SHIM_STDOUT, "o\nthree");
    shim_log_finish(f->log, SHIM_STDOUT);
    _cleanup_free_ char *log = read_unstamped(f);
    assert_string_equal(log, "stdout F one\nstdout F \nstderr F err\nstdout F two\n"
                             "stdout P three\n");
    struct shim_log_counts counts = shim_log_counts(f->log);
    assert_int_equal(counts.lines, 4);
    assert_int_equal(counts.bytes, 7 + 4 + 7);
}

static void the_end_of_a_stream_ends_its_line(void **state)
{
    struct fixture *f = *state;
    open_log(f, 0, 0);
    feed_str(f, SHIM_STDERR, "x");
    assert_int_equal(shim_log_read(f->log, SHIM_STDERR, f->pipe[0], 10), -EAGAIN);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(shim_log_read(f->log, SHIM_STDERR, nothing, 10), 0);
    close(nothing);
    _cleanup_free_ char *log = read_unstamped(f);
    assert_string_equal(log, "stderr P x\n");
}

// For lines of every length around the limit, in pieces of several sizes: what comes out is what
// went in, in parts of the limit and one shorter or equal rest.
static void long_lines_come_in_parts(void **state)
{
    const size_t limit = SHIM_LOG_LINE_MAX;
    const size_t lengths[] = {0, 1, limit - 1, limit, limit + 1, 2 * limit, 2 * limit + 1, 100000};
    static const size_t pieces[] = {1000, 4096, SHIM_LOG_LINE_MAX, SHIM_LOG_LINE_MAX + 1, 65536};
    struct fixture *f = *state;
    open_log(f, 0, 0);
    for (size_t l = 0; l < ARRAY_SIZE(lengths); l++)
        for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
            size_t len = lengths[l];
            _cleanup_free_ char *line = xmalloc(len + 1);
            memset(line, 'a' + (int)(l + p) % 26, len);
            line[len] = '\n';
            for (size_t at = 0; at < len + 1; at += pieces[p])
                feed(f, SHIM_STDOUT, line + at, MIN(pieces[p], len + 1 - at));
        }
    _cleanup_free_ char *log = read_log(f);
    char *at = log;
    for (size_t l = 0; l < ARRAY_SIZE(lengths); l++)
        for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
            size_t left = lengths[l];
            for (bool last = false; !last;) {
                size_t part = MIN(left, (size_t)SHIM_LOG_LINE_MAX);
                last = part == left;
                assert_int_equal(at[TAG - 2], last ? 'F' : 'P');
                for (size_t i = 0; i < part; i++)
                    assert_int_equal(at[TAG + i], 'a' + (int)(l + p) % 26);
                assert_int_equal(at[TAG + part], '\n');
                at += TAG + part + 1;
                left -= part;
            }
        }
    assert_int_equal(*at, '\0');
}

static void stamps_agree_with_the_calendar(void **state)
{
    struct shim_stamp stamp = {0};
    char expected[RFC3339_NANO_SIZE], suffix[16];
    for (int64_t day = 0; day < 40000; day += 1) {
        walltime t = {(day * 86400 + day % 86400) * NSEC_PER_SEC + day};
        shim_stamp_set(&stamp, t);
        assert_string_equal(stamp.text, walltime_format_nano(t, expected));
    }
    walltime t;
    assert_int_equal(walltime_parse("2026-11-21T07:08:09Z", &t), 0);
    assert_string_equal(shim_stamp_suffix(t, suffix), "20261121-070809");
}

static void files_are_rotated_and_the_oldest_removed(void **state)
{
    struct fixture *f = *state;
    open_log(f, 1000, 3);
    for (int i = 0; i < 100; i++) {
        char line[64];
        snprintf(line, sizeof(line), "%049d\n", i);
        feed_str(f, SHIM_STDOUT, line);
    }
    // 90 bytes a line: a file is full with 12, so the last four lines are in the current one.
    _cleanup_free_ char *log = read_log(f);
    assert_int_equal(strlen(log), 4 * 90);
    assert_int_equal(atoi(log + TAG), 96);
    _cleanup_free_ char *dir = path_join(f->dir, "pods/c");
    _cleanup_string_list_ struct string_list names = {0};
    DIR *entries = opendir(dir);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            string_list_add(&names, entry->d_name);
    closedir(entries);
    assert_int_equal(names.n, 3);
}

static void names_of_one_second_sort_by_age(void **state)
{
    struct fixture *f = *state;
    char *previous = NULL;
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, f->path), 0);
    for (int i = 0; i < 1001; i++) {
        char *name = NULL;
        assert_int_equal(fs_write_atomic(AT_FDCWD, f->path, "x", 1, 0600, 0), 0);
        int code = shim_log_rename(f->path, (walltime){NSEC_PER_SEC}, &name);
        assert_int_equal(code, i < 1000 ? 0 : -EEXIST);
        assert_true(!previous || !name || strcmp(previous, name) < 0);
        free(previous);
        previous = name;
    }
    free(previous);
}

static void a_renamed_file_is_opened_again(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *moved = path_join(f->dir, "moved");
    open_log(f, 0, 0);
    feed_str(f, SHIM_STDOUT, "old\n");
    assert_int_equal(rename(f->path, moved), 0);
    shim_log_file_reopen(f->file);
    feed_str(f, SHIM_STDOUT, "new\n");
    _cleanup_free_ char *log = read_unstamped(f);
    assert_string_equal(log, "stdout F new\n");
}

static void a_removed_file_is_made_again(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *dir = path_join(f->dir, "pods");
    open_log(f, 0, 0);
    feed_str(f, SHIM_STDOUT, "old\n");
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir), 0);
    feed_str(f, SHIM_STDOUT, "new\n");
    _cleanup_free_ char *log = read_unstamped(f);
    assert_string_equal(log, "stdout F new\n");
}

static void limit_file_size(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = MIN(size, limit.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// A limit on the size of files stands for the full disk: it also cuts a write in the middle.
static void lines_wait_for_a_full_disk(void **state)
{
    struct fixture *f = *state;
    signal(SIGXFSZ, SIG_IGN);
    open_log(f, 0, 0);
    limit_file_size(100);
    feed_str(f, SHIM_STDOUT, "first line\nsecond line\nthird line\n");
    assert_true(shim_log_file_losses(f->file)->failing);
    assert_false(monotime_is_never(shim_log_file_deadline(f->file)));
    _cleanup_free_ char *torn = read_unstamped(f);
    assert_string_equal(torn, "stdout F first line\n"); // no half of a line
    feed_str(f, SHIM_STDOUT, "fourth line\n");
    shim_log_file_retry(f->file);
    assert_true(shim_log_file_losses(f->file)->failing);
    limit_file_size(RLIM_INFINITY);
    shim_log_file_retry(f->file);
    assert_false(shim_log_file_losses(f->file)->failing);
    assert_true(monotime_is_never(shim_log_file_deadline(f->file)));
    feed_str(f, SHIM_STDOUT, "fifth line\n");
    _cleanup_free_ char *whole = read_unstamped(f);
    assert_string_equal(whole, "stdout F first line\nstdout F second line\nstdout F third line\n"
                               "stdout F fourth line\nstdout F fifth line\n");
    assert_int_equal(shim_log_file_losses(f->file)->lines, 0);
}

static void a_flood_onto_a_full_disk_is_counted(void **state)
{
    struct fixture *f = *state;
    enum { LINES = 100000 };
    signal(SIGXFSZ, SIG_IGN);
    open_log(f, 0, 0);
    limit_file_size(100);
    struct buffer flood = BUFFER_EMPTY;
    for (int i = 0; i < LINES; i++)
        buffer_printf(&flood, "%d\n", i);
    feed(f, SHIM_STDOUT, flood.data, flood.len);
    buffer_free(&flood);
    const struct shim_log_losses *losses = shim_log_file_losses(f->file);
    assert_true(losses->lines > 0 && losses->lines < LINES);
    assert_int_equal(losses->code, -EFBIG);
    limit_file_size(RLIM_INFINITY);
    shim_log_file_retry(f->file);
    _cleanup_free_ char *log = read_log(f);
    // The lines from before, one line that says what is missing, then the newest without a gap.
    uint64_t said = 0, bytes = 0, before = 0, after = 0;
    for (char *line = log, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        if (sscanf(line + TAG, "mainstay: %" SCNu64 " lines (%" SCNu64 " bytes)", &said, &bytes) ==
            2)
            continue;
        assert_int_equal(atoll(line + TAG), said ? before + said + after : before);
        said ? after++ : before++;
    }
    assert_int_equal(said, losses->lines);
    assert_int_equal(bytes, losses->bytes);
    assert_int_equal(before + said + after, LINES);
}

static void what_is_never_written_is_lost_and_counted(void **state)
{
    struct fixture *f = *state;
    free(f->path);
    f->path = xstrdup("/dev/full");
    open_log(f, 0, 0);
    feed_str(f, SHIM_STDOUT, "a\nb\n");
    shim_log_file_close(f->file);
    assert_int_equal(shim_log_file_losses(f->file)->lines, 2);
    assert_int_equal(shim_log_file_losses(f->file)->code, -ENOSPC);
}

static void memory_is_given_back_after_a_burst(void **state)
{
    struct fixture *f = *state;
    open_log(f, 0, 0);
    feed_str(f, SHIM_STDOUT, "quiet\nunfini");
    assert_false(shim_log_wants_rest(f->log));
    _cleanup_free_ char *burst = xmalloc(SHIM_LOG_BATCH);
    memset(burst, '\n', SHIM_LOG_BATCH);
    feed(f, SHIM_STDERR, burst, SHIM_LOG_BATCH);
    assert_true(shim_log_wants_rest(f->log));
    shim_log_rest(f->log);
    feed_str(f, SHIM_STDOUT, "shed\n");
    _cleanup_free_ char *log = read_unstamped(f);
    assert_true(str_ends_with(log, "stdout F unfinished\n"));
}

#define log_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(lines_get_stamp_stream_and_tag),
        log_test(the_end_of_a_stream_ends_its_line),
        log_test(long_lines_come_in_parts),
        cmocka_unit_test(stamps_agree_with_the_calendar),
        log_test(files_are_rotated_and_the_oldest_removed),
        log_test(names_of_one_second_sort_by_age),
        log_test(a_renamed_file_is_opened_again),
        log_test(a_removed_file_is_made_again),
        log_test(lines_wait_for_a_full_disk),
        log_test(a_flood_onto_a_full_disk_is_counted),
        log_test(what_is_never_written_is_lost_and_counted),
        log_test(memory_is_given_back_after_a_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
