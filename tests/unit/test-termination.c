// Termination messages: what may be read of a file that a container has written, and of its log.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "supervisor/termination-files.h"
#include "supervisor/termination.h"

static char dir[64], file[80];

static int setup(void **state)
{
    strcpy(dir, "/tmp/termination.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/message", dir);
    return 0;
}

static int teardown(void **state)
{
    return fs_remove_tree(AT_FDCWD, dir);
}

static void write_bytes(const void *data, size_t len)
{
    assert_int_equal(fs_write_atomic(AT_FDCWD, file, data, len, 0644, 0), 0);
}

static void expect_message(const char *expected)
{
    _cleanup_free_ char *message = termination_of_file(file);
    if (!expected) {
        assert_null(message);
        return;
    }
    assert_non_null(message);
    assert_string_equal(message, expected);
}

static void a_file_says_why(void **state)
{
    expect_message(NULL); // there is none
    write_bytes("", 0);
    expect_message(NULL);
    write_bytes("out of luck\n", 12);
    expect_message("out of luck\n");
}

static void only_the_end_of_a_long_file_counts(void **state)
{
    char text[TERMINATION_FILE_BYTES + 100];
    memset(text, 'a', sizeof(text));
    text[99] = '!'; // the last byte that is left out
    text[sizeof(text) - 1] = 'z';
    write_bytes(text, sizeof(text));
    _cleanup_free_ char *message = termination_of_file(file);
    assert_int_equal(strlen(message), TERMINATION_FILE_BYTES);
    assert_null(strchr(message, '!'));
    assert_int_equal(message[TERMINATION_FILE_BYTES - 1], 'z');
}

static void a_gigabyte_is_not_read(void **state)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, 1 << 30), 0);
    expect_message(NULL); // nothing but NULs
    assert_int_equal(pwrite(fd, "bye", 3, 1 << 30), 3);
    close(fd);
    expect_message("bye");
}

static void what_is_no_text_is_replaced(void **state)
{
#define BAD "\xef\xbf\xbd"
    static const struct {
        const char *written, *shown;
    } examples[] = {
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xff", BAD},
        {"a\xc3", "a" BAD}, // cut off at its end
        {"\xbc"
         "b",
         BAD "b"},                     // and at its beginning
        {"\xc0\xaf", BAD BAD},         // an overlong slash
        {"\xed\xa0\x80", BAD BAD BAD}, // a surrogate
        {"\xf5\x80\x80\x80", BAD BAD BAD BAD},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        write_bytes(examples[i].written, strlen(examples[i].written));
        expect_message(examples[i].shown);
    }
    write_bytes("\0a\0b", 4);
    expect_message("ab");
}

// What a container with the directory in a hostPath volume could do.
static void only_a_regular_file_is_read(void **state)
{
    assert_int_equal(mkdir(file, 0755), 0);
    expect_message(NULL);
    assert_int_equal(rmdir(file), 0);
    assert_int_equal(mkfifo(file, 0644), 0); // nobody writes: to open it would be to wait
    expect_message(NULL);
    unlink(file);
    assert_int_equal(symlink("/etc/passwd", file), 0);
    expect_message(NULL);
    unlink(file);
    assert_int_equal(symlink("/dev/zero", file), 0);
    expect_message(NULL);
}

// ---- logs ----

static void expect_log(const char *lines, const char *expected)
{
    write_bytes(lines, strlen(lines));
    _cleanup_free_ char *message = termination_of_log(file);
    if (!expected) {
        assert_null(message);
        return;
    }
    assert_non_null(message);
    assert_string_equal(message, expected);
}

static void the_end_of_a_log_is_its_text(void **state)
{
#define AT "2026-01-02T03:04:05.678901234Z "
    expect_log("", NULL);
    expect_log(AT "stdout F one\n" AT "stderr F \n" AT "stderr F two words\n",
               "one\n\ntwo words\n");
    expect_log(AT "stdout P a long \n" AT "stdout F line\n", "a long line\n");
    expect_log("garbage\n\n" AT "stdout F x", "x\n");
}

static void a_log_is_cut_to_eighty_lines(void **state)
{
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    for (int i = 0; i < 200; i++)
        buffer_printf(&log, AT "stdout F line %d\n", i);
    write_bytes(log.data, log.len);
    _cleanup_free_ char *message = termination_of_log(file);
    assert_non_null(message);
    size_t lines = 0;
    for (const char *p = message; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, TERMINATION_LOG_LINES);
    assert_memory_equal(message, "line 120\n", 9);
}

static void a_log_is_cut_to_two_kilobytes(void **state)
{
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    for (int i = 0; i < 1000; i++)
        buffer_printf(&log, AT "stdout F %0100d\n", i);
    write_bytes(log.data, log.len);
    _cleanup_free_ char *message = termination_of_log(file);
    assert_non_null(message);
    assert_int_equal(strlen(message), TERMINATION_LOG_BYTES);
    assert_string_equal(message + TERMINATION_LOG_BYTES - 5, "0999\n");
}

static void one_line_longer_than_all_that_is_read(void **state)
{
    char *text = xmalloc(100000);
    memset(text, 'x', 100000);
    write_bytes(text, 100000);
    free(text);
    assert_null(termination_of_log(file));
}

// ---- what is shown ----

static void a_pods_containers_share_twelve_kilobytes(void **state)
{
    assert_int_equal(termination_share(1), 12288);
    assert_int_equal(termination_share(4), 3072);
    assert_int_equal(termination_share(100), 122);
    char message[2000];
    memset(message, 'm', sizeof(message));
    message[sizeof(message) - 1] = '\0';
    _cleanup_free_ char *cut = termination_cut(message, termination_share(100));
    assert_int_equal(strlen(cut), 122);
    _cleanup_free_ char *whole = termination_cut("short", 122);
    assert_string_equal(whole, "short");
    _cleanup_free_ char *letters = termination_cut("\xc3\xbc\xc3\xbc", 3);
    assert_string_equal(letters, "\xc3\xbc"); // no half letter
}

static char *make_file(const char *uid, const char *container)
{
    char *path = termination_file_path(dir, uid, container, 3);
    int fd = fs_open_empty(path, 0600, 0700);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void the_files_of_a_pod_are_found_by_their_names(void **state)
{
    _cleanup_string_list_ struct string_list uids = {0};
    assert_int_equal(termination_files_list(dir, &uids, NULL), 0); // no directory yet
    assert_int_equal(uids.n, 0);
    _cleanup_free_ char *a1 = make_file("a", "one"), *a2 = make_file("a", "two"),
                        *dotted = make_file("a.b", "one");
    assert_int_equal(termination_files_list(dir, &uids, NULL), 0);
    assert_int_equal(uids.n, 2);
    assert_true(string_list_contains(&uids, "a") && string_list_contains(&uids, "a.b"));
    assert_int_equal(termination_files_remove(dir, "a", NULL), 0);
    assert_int_equal(access(a1, F_OK), -1);
    assert_int_equal(access(a2, F_OK), -1);
    assert_int_equal(access(dotted, F_OK), 0);
    assert_int_equal(termination_files_remove(dir, "a", NULL), 0); // nothing is no error
}

static void only_a_large_file_is_left_to_the_helper(void **state)
{
    _cleanup_free_ char *small = make_file("a", "small"), *large = make_file("a", "large"),
                        *aside = path_join(dir, "pods/.removed");
    int fd = open(large, O_WRONLY | O_CLOEXEC);
    assert_int_equal(posix_fallocate(fd, 0, 2 << 20), 0);
    close(fd);
    assert_int_equal(termination_file_remove(dir, small, NULL), 0);
    assert_int_equal(access(small, F_OK), -1);
    assert_int_equal(access(aside, F_OK), -1);
    assert_int_equal(termination_file_remove(dir, large, NULL), 0);
    assert_int_equal(access(large, F_OK), -1);
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(termination_file_remove(dir, NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_end_of_a_long_file_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gigabyte_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_text_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(only_a_regular_file_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_log_is_its_text, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_is_cut_to_eighty_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_is_cut_to_two_kilobytes, setup, teardown),
        cmocka_unit_test_setup_teardown(one_line_longer_than_all_that_is_read, setup, teardown),
        cmocka_unit_test(a_pods_containers_share_twelve_kilobytes),
        cmocka_unit_test_setup_teardown(the_files_of_a_pod_are_found_by_their_names, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(only_a_large_file_is_left_to_the_helper, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
