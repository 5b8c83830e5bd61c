// base: strings, times, files, processes.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/rest.h"
#include "base/string-list.h"
#include "base/time-format.h"

static void errors_gather_context(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(error_errno(&err, ENOENT, "open %s", "x.yaml"), -ENOENT);
    assert_int_equal(error_prefix(&err, EIO, "pod etcd"), -ENOENT);
    assert_string_equal(error_message(&err), "pod etcd: open x.yaml: No such file or directory");
    assert_int_equal(error_set(NULL, EINVAL, "nobody reads this"), -EINVAL);
}

static void buffers_grow_and_shrink(void **state)
{
    _cleanup_buffer_ struct buffer b = BUFFER_EMPTY;
    assert_string_equal(buffer_str(&b), "");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&b, "%03d", i);
    assert_int_equal(b.len, 3000);
    buffer_consume(&b, 2997);
    assert_string_equal(buffer_str(&b), "999");
    _cleanup_free_ char *long_text = xasprintf("%0500d", 7);
    buffer_printf(&b, "%s", long_text);
    assert_int_equal(b.len, 503);
}

static void integers_are_whole(void **state)
{
    long long n = 5;
    assert_int_equal(str_to_int("80", 1, 65535, &n), 0);
    assert_int_equal(n, 80);
    assert_int_equal(str_to_int("65536", 1, 65535, &n), -ERANGE);
    assert_int_equal(str_to_int("8x", 1, 65535, &n), -EINVAL);
    assert_int_equal(str_to_int(" 8", 1, 65535, &n), -EINVAL);
    assert_int_equal(str_to_int("", 1, 65535, &n), -EINVAL);
    assert_int_equal(n, 80);
}

static void nearest_names_are_suggested(void **state)
{
    static const char *const names[] = {"livenessProbe", "readinessProbe", "lifecycle"};
    assert_string_equal(str_nearest("livenesProbe", names, 3), "livenessProbe");
    assert_string_equal(str_nearest("LivenessProbe", names, 3), "livenessProbe");
    assert_null(str_nearest("volumes", names, 3));
}

static void utf8_is_checked(void **state)
{
    size_t at = 0;
    assert_true(str_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10, &at));
    assert_false(str_is_utf8("a\xc0\x80", 3, &at)); // overlong
    assert_int_equal(at, 1);
    assert_false(str_is_utf8("ab\xed\xa0\x80", 5, &at)); // surrogate
    assert_int_equal(at, 2);
    assert_false(str_is_utf8("a\0b", 3, &at));
    assert_false(str_is_utf8("\xf4\x90\x80\x80", 4, NULL)); // above U+10FFFF
    assert_false(str_is_utf8("\xe2\x82", 2, NULL));         // cut
}

static void times_round_trip(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"2026-11-21T06:48:19Z", "2026-11-21T06:48:19.000000000Z"},
        {"2026-11-21T06:48:19.5+02:00", "2026-11-21T04:48:19.500000000Z"},
        {"1970-01-01T00:00:00.123456789Z", "1970-01-01T00:00:00.123456789Z"},
    };
    char buf[RFC3339_NANO_SIZE];
    walltime t;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(walltime_parse(cases[i].in, &t), 0);
        assert_string_equal(walltime_format_nano(t, buf), cases[i].out);
    }
    assert_int_equal(walltime_parse("yesterday", &t), -EINVAL);
    assert_int_equal(walltime_parse("2026-11-21T06:48:19", &t), -EINVAL);
}

static void durations_are_those_of_go(void **state)
{
    static const struct {
        const char *in;
        int64_t nsec;
        const char *out;
    } cases[] = {
        {"5m", 300 * NSEC_PER_SEC, "5m0s"},  {"1h30m", 5400 * NSEC_PER_SEC, "1h30m0s"},
        {"1.5s", 1500000000, "1.5s"},        {"250ms", 250000000, "250ms"},
        {"-2s", -2 * NSEC_PER_SEC, "-2s"},   {"0", 0, "0s"},
        {"100us", 100000, "100µs"},          {"1h", 3600 * NSEC_PER_SEC, "1h0m0s"},
        {"1m0.05s", 60050000000, "1m0.05s"},
    };
    char buf[DURATION_SIZE];
    int64_t nsec;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(duration_parse(cases[i].in, &nsec), 0);
        assert_int_equal(nsec, cases[i].nsec);
        assert_string_equal(duration_format_go(nsec, buf), cases[i].out);
    }
    assert_int_equal(duration_parse("5", &nsec), -EINVAL);
    assert_int_equal(duration_parse("s", &nsec), -EINVAL);
    assert_int_equal(duration_parse("", &nsec), -EINVAL);
    assert_int_equal(duration_parse("9999999999h", &nsec), -ERANGE);
}

static void ages_are_those_of_kubectl(void **state)
{
    static const struct {
        int64_t seconds;
        const char *out;
    } cases[] = {
        {0, "0s"},
        {119, "119s"},
        {120, "2m"},
        {150, "2m30s"},
        {600, "10m"},
        {3 * 3600, "3h"},
        {7 * 3600 + 60, "7h1m"},
        {47 * 3600, "47h"},
        {49 * 3600, "2d1h"},
        {10 * 86400, "10d"},
        {800LL * 86400, "2y70d"},
        {-5, "<invalid>"},
    };
    char buf[DURATION_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(duration_format_human(cases[i].seconds, buf), cases[i].out);
}

static int make_directory(void **state)
{
    char *dir = xstrdup("/tmp/mainstay-test-base-XXXXXX");
    *state = mkdtemp(dir);
    return *state ? 0 : -1;
}

static int remove_directory(void **state)
{
    int code = fs_remove_tree(AT_FDCWD, *state);
    free(*state);
    return code;
}

static void files_are_replaced_atomically(void **state)
{
    _cleanup_free_ char *path = path_join(*state, "a/b/file");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, "one", 3, 0600, FS_WRITE_SYNC), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, "two", 3, 0600, FS_WRITE_EXCLUSIVE), -EEXIST);
    assert_int_equal(fs_read_file(AT_FDCWD, path, 3, &text), 0);
    assert_string_equal(buffer_str(&text), "one");
    assert_int_equal(fs_read_file(AT_FDCWD, path, 2, &text), -EFBIG);
    assert_int_equal(text.len, 3);
    assert_int_equal(fs_read_file(AT_FDCWD, *state, 10, &text), -EISDIR);
}

// What a killed writer has left goes with the next write; what a living one writes into stays.
static void what_killed_writers_left_is_removed(void **state)
{
    _cleanup_free_ char *path = path_join(*state, "file");
    _cleanup_free_ char *dead = path_join(*state, ".file.tmp-4194304-0");
    _cleanup_free_ char *alive = path_join(*state, ".file.tmp-4194304-1");
    _cleanup_free_ char *other = path_join(*state, ".file2.tmp-4194304-0");
    assert_int_equal(fs_write_atomic(AT_FDCWD, dead, "x", 1, 0600, 0), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, alive, "x", 1, 0600, 0), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, other, "x", 1, 0600, 0), 0);
    _cleanup_close_ int writer = open(alive, O_WRONLY | O_CLOEXEC);
    assert_int_equal(flock(writer, LOCK_EX), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, "one", 3, 0600, FS_WRITE_SYNC), 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(dead, F_OK), -1);
    assert_int_equal(access(alive, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
}

static void trees_are_removed_without_following_links(void **state)
{
    _cleanup_free_ char *kept = path_join(*state, "kept/file");
    _cleanup_free_ char *tree = path_join(*state, "tree");
    _cleanup_free_ char *deep = path_join(tree, "x/y/z");
    _cleanup_free_ char *target = path_join(*state, "kept");
    _cleanup_free_ char *link = path_join(tree, "x/link");
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, kept), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, kept, "", 0, 0644, 0), 0);
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, deep, 0755), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, tree), 0);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(fs_remove_tree(AT_FDCWD, tree), 0);
}

static void opening_beneath_cannot_escape(void **state)
{
    _cleanup_close_ int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(symlinkat("/etc", dir, "out"), 0);
    assert_int_equal(fs_open_beneath(dir, "../x", O_RDONLY, 0), -EXDEV);
    assert_int_equal(fs_open_beneath(dir, "out/passwd", O_RDONLY, 0), -EXDEV);
}

static void paths_are_judged(void **state)
{
    assert_true(path_is_clean_absolute("/var/lib/etcd"));
    assert_false(path_is_clean_absolute("/var/../etc"));
    assert_false(path_is_clean_absolute("var"));
    assert_true(path_is_clean_absolute("/a/..b"));
    _cleanup_free_ char *joined = path_join("/", "x");
    assert_string_equal(joined, "/x");
}

static void processes_are_known_by_start_time(void **state)
{
    uint64_t ticks = 0;
    assert_int_equal(process_start_ticks(getpid(), &ticks), 0);
    _cleanup_close_ int self = process_pidfd_if_same(getpid(), ticks);
    assert_true(self >= 0);
    assert_int_equal(process_pidfd_if_same(getpid(), ticks + 1), -ESRCH);
    assert_false(process_exited(self));
}

static void signals_have_names(void **state)
{
    char buf[16];
    assert_int_equal(signal_from_name("TERM"), SIGTERM);
    assert_int_equal(signal_from_name("SIGHUP"), SIGHUP);
    assert_int_equal(signal_from_name("9"), SIGKILL);
    assert_int_equal(signal_from_name("NONSENSE"), -EINVAL);
    assert_string_equal(signal_name(SIGKILL, buf), "SIGKILL");
}

static void digests_are_sha256(void **state)
{
    char hex[DIGEST_HEX_SIZE];
    assert_string_equal(digest_sha256_hex("abc", 3, hex),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// In kilobytes: what is mapped of files.
static long mapped(void)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, "/proc/self/status", 65536, &text), 0);
    const char *line = strstr(buffer_str(&text), "RssFile:");
    assert_non_null(line);
    return strtol(line + strlen("RssFile:"), NULL, 10);
}

static void what_a_process_needs_no_more_is_unmapped(void **state)
{
    long before = mapped();
    process_rest(true);
    assert_true(mapped() < before);
    assert_string_equal(signal_name(SIGTERM, (char[16]){0}),
                        "SIGTERM"); // what is needed comes again
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_gather_context),
        cmocka_unit_test(buffers_grow_and_shrink),
        cmocka_unit_test(integers_are_whole),
        cmocka_unit_test(nearest_names_are_suggested),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(times_round_trip),
        cmocka_unit_test(durations_are_those_of_go),
        cmocka_unit_test(ages_are_those_of_kubectl),
        cmocka_unit_test_setup_teardown(files_are_replaced_atomically, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(what_killed_writers_left_is_removed, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(trees_are_removed_without_following_links, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(opening_beneath_cannot_escape, make_directory,
                                        remove_directory),
        cmocka_unit_test(paths_are_judged),
        cmocka_unit_test(processes_are_known_by_start_time),
        cmocka_unit_test(signals_have_names),
        cmocka_unit_test(digests_are_sha256),
        cmocka_unit_test(what_a_process_needs_no_more_is_unmapped),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
