// Files that are known by their contents, looked at a slice at a time, and when news has settled.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/files-scan.h"
#include "supervisor/settle.h"

// ---- news that settles ----

struct settling {
    const char *name;
    int64_t news_ms[24]; // up to the first 0
    int64_t due_ms;
};

static const struct settling settlings[] = {
    {"one", {100}, 1100},
    {"two close together", {100, 900}, 1900},
    {"a long burst is looked at in the end",
     {1000, 1900, 2800, 3700, 4600, 5500, 6400, 7300, 8200, 9100, 10000, 10900},
     11000},
};

static void test_settling(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(settlings); i++) {
        struct settle settle = {0};
        assert_true(monotime_is_never(settle_due(&settle)));
        for (const int64_t *ms = settlings[i].news_ms; *ms; ms++)
            settle_news(&settle, (monotime){(uint64_t)*ms * 1000});
        if (settle_due(&settle).usec != (uint64_t)settlings[i].due_ms * 1000)
            fail_msg("%s: due at %llu", settlings[i].name,
                     (unsigned long long)settle_due(&settle).usec);
        assert_int_equal(settle_is_over(&settle, settle_due(&settle)), i == 2);
    }
}

// ---- sets of files ----

static void test_comparing(void **state)
{
    struct files then = {.inode = 1}, now = {.inode = 1};
    struct files_difference difference;
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    files_add(&then, "same", "1");
    files_add(&then, "edited", "1");
    files_add(&then, "missing", "1");
    files_add(&now, "new", "1");
    files_add(&now, "same", "1");
    files_add(&now, "edited", "2");
    files_compare(&then, &now, &names, &difference);
    assert_string_equal(names.data, "edited, new");
    assert_int_equal(difference.changed, 2);
    assert_int_equal(difference.missing, 1);
    assert_false(difference.root_replaced);
    files_apply(&then, &now);
    files_compare(&then, &now, &names, &difference);
    assert_int_equal(difference.changed, 0);
    assert_int_equal(difference.missing, 1); // it may come back
    now.inode = 2;
    files_compare(&then, &now, &names, &difference);
    assert_true(difference.root_replaced);
    files_free(&then);
    files_free(&now);
}

static void test_on_disk(void **state)
{
    struct files files = {.device = 3, .inode = 4}, back = {0};
    files_add(&files, "a/b", "0123456789abcdef0123456789abcdef");
    files_add(&files, "\xff", "x");
    json_t *json = files_to_json(&files);
    assert_true(files_from_json(json, &back));
    assert_int_equal(back.items.n, 2);
    assert_int_equal(back.inode, 4);
    assert_string_equal(files_find(&back, "a/b")->digest, "0123456789abcdef0123456789abcdef");
    json_decref(json);
    files_free(&files);
    files_free(&back);
    static const char *const damaged[] = {
        "{}", "{\"files\":7}", "{\"files\":[[1,2]]}", "{\"files\":[[\"a\"]]}",
        "{\"files\":[[\"a\",\"0123456789abcdef0123456789abcdef0\"]]}"};
    for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
        json = json_loads(damaged[i], 0, NULL);
        assert_false(files_from_json(json, &back));
        files_free(&back);
        json_decref(json);
    }
}

// ---- looking ----

static char directory[64];

static int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "/tmp/test-files-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    return fs_remove_tree(AT_FDCWD, directory);
}

static void put(const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(directory, name);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, 0), 0);
}

static void link_to(const char *target, const char *name)
{
    _cleanup_free_ char *path = path_join(directory, name);
    assert_int_equal(symlink(target, path), 0);
}

static void make(const char *name)
{
    _cleanup_free_ char *path = path_join(directory, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

// Returns how many steps it took.
static size_t look(const char *path, struct files *files, struct watch_set *watches,
                   char **ret_complaint)
{
    struct files before = *files;
    struct files_scan *scan = files_scan_new(path, &before, watches);
    size_t steps = 1;
    while (files_scan_step(scan))
        steps++;
    files_scan_take(scan, files, ret_complaint);
    files_scan_free(scan);
    files_free(&before);
    return steps;
}

static void expect_names(const struct files *files, const char *expected)
{
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    LIST_EACH (entry, &files->items)
        buffer_printf(&names, "%s%s", names.len ? " " : "", entry->name);
    assert_string_equal(buffer_str(&names), expected);
}

static void test_a_tree(void **state)
{
    struct watch_set watches = {.fd = -1};
    struct files files = {0};
    _cleanup_free_ char *complaint = NULL;
    assert_int_equal(watch_set_open(&watches), 0);
    make("sub");
    make("..1");
    put("a", "1");
    put("sub/b", "1");
    put("..1/key", "1");
    put(".hidden", "1");
    put("backup~", "1");
    link_to("..1", "..data");
    link_to("..data/key", "key");
    link_to("..", "sub/up");
    link_to("nowhere", "dangling");
    look(directory, &files, &watches, &complaint);
    expect_names(&files, "a key sub/b");
    assert_null(complaint);
    assert_false(watches.failed);
    assert_true(watch_set_quiet(&watches));
    put("sub/b", "2"); // a directory below is watched, too
    assert_false(watch_set_quiet(&watches));
    files_free(&files);
    watch_set_close(&watches);
}

static void test_one_file(void **state)
{
    struct watch_set watches = {.fd = -1};
    struct files files = {0};
    struct watch_news news = {0};
    _cleanup_free_ char *complaint = NULL, *path = path_join(directory, "conf");
    assert_int_equal(watch_set_open(&watches), 0);
    look(path, &files, &watches, &complaint);
    assert_int_equal(files.items.n, 0); // it may come
    put("conf", "1");
    watch_set_read(&watches, &news);
    assert_true(news.everything);
    look(path, &files, &watches, &complaint);
    expect_names(&files, "");
    assert_int_equal(files.items.n, 1);
    put("other", "1");
    news.everything = false;
    watch_set_read(&watches, &news);
    assert_false(news.everything);
    put("conf", "2");
    watch_set_read(&watches, &news);
    assert_true(news.everything);
    watch_news_free(&news);
    files_free(&files);
    watch_set_close(&watches);
}

// A file that was not written since is not read again; one with an old date is.
static void test_what_is_read_again(void **state)
{
    struct watch_set watches = {.fd = -1};
    struct files files = {0};
    _cleanup_free_ char *complaint = NULL, *path = path_join(directory, "a");
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    char first[FILE_DIGEST_SIZE];
    assert_int_equal(watch_set_open(&watches), 0);
    put("a", "1");
    look(directory, &files, &watches, &complaint);
    memcpy(first, files.items.items[0].digest, sizeof(first));
    snprintf(files.items.items[0].digest, FILE_DIGEST_SIZE, "kept");
    look(directory, &files, &watches, &complaint);
    assert_string_equal(files.items.items[0].digest, "kept");
    put("a", "2");
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    look(directory, &files, &watches, &complaint);
    assert_string_not_equal(files.items.items[0].digest, "kept");
    assert_string_not_equal(files.items.items[0].digest, first);
    files_free(&files);
    watch_set_close(&watches);
}

static void test_big_files(void **state)
{
    struct watch_set watches = {.fd = -1};
    struct files files = {0};
    _cleanup_free_ char *complaint = NULL, *big = path_join(directory, "big");
    assert_int_equal(watch_set_open(&watches), 0);
    put("big", "1");
    assert_int_equal(truncate(big, SCAN_FILE_BYTES), 0);
    assert_in_range(look(directory, &files, &watches, &complaint), SCAN_FILE_BYTES / SCAN_SLICE,
                    SCAN_FILE_BYTES / SCAN_SLICE + 3);
    assert_null(complaint);
    assert_int_equal(truncate(big, SCAN_FILE_BYTES + 1), 0);
    assert_in_range(look(directory, &files, &watches, &complaint), 1, 3);
    assert_non_null(strstr(complaint, "is larger than 8 MiB"));
    files_free(&files);
    watch_set_close(&watches);
}

static void test_many_files(void **state)
{
    struct watch_set watches = {.fd = -1};
    struct files files = {0};
    _cleanup_free_ char *complaint = NULL;
    assert_int_equal(watch_set_open(&watches), 0);
    for (int i = 0; i < SCAN_FILES_MOST + 5; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        put(name, "");
    }
    look(directory, &files, &watches, &complaint);
    assert_int_equal(files.items.n, SCAN_FILES_MOST);
    assert_non_null(strstr(complaint, "more than 1000 files"));
    files_free(&files);
    watch_set_close(&watches);
}

// Without inotify the files are looked at all the same, and it is known that nothing watches them.
static void test_without_watches(void **state)
{
    struct watch_set watches = {.fd = -1};
    struct files files = {0};
    _cleanup_free_ char *complaint = NULL;
    put("a", "1");
    look(directory, &files, &watches, &complaint);
    expect_names(&files, "a");
    assert_true(watches.failed);
    files_free(&files);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settling), cmocka_unit_test(test_comparing),
        cmocka_unit_test(test_on_disk),  ON_DISK(test_a_tree),
        ON_DISK(test_one_file),          ON_DISK(test_what_is_read_again),
        ON_DISK(test_big_files),         ON_DISK(test_many_files),
        ON_DISK(test_without_watches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
