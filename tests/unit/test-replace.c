// Files that are replaced together: what is there in between, and what a next one makes of each
// state that a kill can leave. (tests/integration/test_pki_interrupted.py kills at each write.)
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/replace.h"

#define SWAP ".a.key.pki-swap"

struct fixture {
    char dir[64];
    char *key, *certificate;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-replace-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->key = path_join(f->dir, "a.key");
    f->certificate = path_join(f->dir, "a.crt");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f->key);
    free(f->certificate);
    free(f);
    return 0;
}

static void put(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, 0), 0);
}

static void lead(const struct fixture *f, const char *name, const char *target)
{
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static void assert_text(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_buffer_ struct buffer found = BUFFER_EMPTY;
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(fs_read_file(AT_FDCWD, path, 1 << 16, &found), 0);
    assert_string_equal(buffer_str(&found), text);
}

// The names in the directory that match, other than "." and "..".
static size_t count(const struct fixture *f, const char *pattern)
{
    _cleanup_free_ char *path = path_join(f->dir, pattern);
    glob_t found;
    size_t n = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static bool is_plain(const struct fixture *f, const char *name)
{
    struct stat st;
    _cleanup_free_ char *path = path_join(f->dir, name);
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static int replace_pair(const struct fixture *f, const char *key, const char *certificate,
                        unsigned flags, struct error *err)
{
    _cleanup_buffer_ struct buffer a = BUFFER_EMPTY, b = BUFFER_EMPTY;
    buffer_add_str(&a, key);
    buffer_add_str(&b, certificate);
    const struct replacement files[] = {{f->key, &a, true}, {f->certificate, &b, false}};
    return replace_files(files, ARRAY_SIZE(files), flags, err);
}

static void both_are_replaced_and_kept(void **state)
{
    const struct fixture *f = *state;
    put(f, "a.key", "old key");
    put(f, "a.crt", "old certificate");
    assert_int_equal(replace_pair(f, "new key", "new certificate", 0, NULL), 0);
    assert_text(f, "a.key", "new key");
    assert_text(f, "a.crt", "new certificate");
    assert_true(is_plain(f, "a.key") && is_plain(f, "a.crt"));
    assert_int_equal(mode_of(f->key), 0600);
    assert_int_equal(mode_of(f->certificate), 0644);
    assert_int_equal(count(f, "a.key.2*"), 1);
    assert_int_equal(count(f, "*"), 4);
    assert_int_equal(count(f, ".[!.]*"), 0);
}

static void none_may_be_there(void **state)
{
    const struct fixture *f = *state;
    _cleanup_error_ struct error err = ERROR_NONE;
    put(f, "a.crt", "mine");
    assert_int_equal(replace_pair(f, "k", "c", REPLACE_NONE_THERE, &err), -EEXIST);
    assert_non_null(strstr(error_message(&err), "a.crt is there already"));
    assert_int_equal(count(f, "*") + count(f, ".[!.]*"), 1);
    assert_int_equal(unlink(f->certificate), 0);
    assert_int_equal(replace_pair(f, "k", "c", REPLACE_NONE_THERE, NULL), 0);
    assert_text(f, "a.key", "k");
    assert_text(f, "a.crt", "c");
}

// As replace_files() leaves it when it is killed: `now` "old" or "new", the names led through or
// not.
static void leave_swap(const struct fixture *f, const char *now, bool key_led, bool certificate_led)
{
    put(f, SWAP "/old/a.key", "old key");
    put(f, SWAP "/old/a.crt", "old certificate");
    put(f, SWAP "/new/a.key", "new key");
    put(f, SWAP "/new/a.crt", "new certificate");
    lead(f, SWAP "/names/a.key", "a.key");
    lead(f, SWAP "/names/a.crt", "a.crt");
    if (now)
        lead(f, SWAP "/now", now);
    put(f, "a.key", "old key");
    put(f, "a.crt", "old certificate");
    if (key_led)
        lead(f, "a.key", SWAP "/now/a.key");
    if (certificate_led)
        lead(f, "a.crt", SWAP "/now/a.crt");
}

static void assert_settles(const struct fixture *f, const char *age)
{
    _cleanup_free_ char *key = xasprintf("%s key", age);
    _cleanup_free_ char *certificate = xasprintf("%s certificate", age);
    _cleanup_close_ int lock = -1;
    assert_text(f, "a.key", key); // before, for whoever starts then
    assert_text(f, "a.crt", certificate);
    assert_int_equal(replace_lock(f->dir, &lock, NULL), 0);
    assert_text(f, "a.key", key);
    assert_text(f, "a.crt", certificate);
    assert_true(is_plain(f, "a.key") && is_plain(f, "a.crt"));
    assert_int_equal(count(f, "*") + count(f, ".[!.]*"), 2);
}

static void a_swap_that_was_not_turned_is_taken_back(void **state)
{
    const struct fixture *f = *state;
    leave_swap(f, NULL, false, false);
    assert_settles(f, "old");
    leave_swap(f, "old", false, false);
    assert_settles(f, "old");
    leave_swap(f, "old", true, false);
    assert_settles(f, "old");
    leave_swap(f, "old", true, true);
    assert_settles(f, "old");
}

static void a_swap_that_was_turned_is_completed(void **state)
{
    const struct fixture *f = *state;
    leave_swap(f, "new", true, true);
    assert_settles(f, "new");
    leave_swap(f, "new", true, true);
    _cleanup_free_ char *moved = path_join(f->dir, SWAP "/new/a.key");
    assert_int_equal(rename(moved, f->key), 0); // one of them has settled
    assert_settles(f, "new");
}

static void links_of_others_stay(void **state)
{
    const struct fixture *f = *state;
    _cleanup_close_ int lock = -1;
    leave_swap(f, "new", true, true);
    lead(f, "a.crt", "elsewhere");
    assert_int_equal(replace_lock(f->dir, &lock, NULL), 0);
    assert_text(f, "a.key", "new key");
    assert_false(is_plain(f, "a.crt"));
}

// What a link leads to is what is held; its backup is the link.
static void a_link_of_the_users_is_replaced_by_a_file(void **state)
{
    const struct fixture *f = *state;
    put(f, "real/a.crt", "old certificate");
    put(f, "a.key", "old key");
    lead(f, "a.crt", "real/a.crt");
    assert_int_equal(replace_pair(f, "new key", "new certificate", 0, NULL), 0);
    assert_true(is_plain(f, "a.crt"));
    assert_text(f, "real/a.crt", "old certificate");
}

static void what_is_no_ones_is_cleared_away(void **state)
{
    const struct fixture *f = *state;
    _cleanup_close_ int lock = -1;
    _cleanup_free_ char *living = xasprintf(".a.key.tmp-%d-0", (int)getpid());
    put(f, ".a.key.pki-new", "x");
    put(f, ".a.key.tmp-999999999-0", "x"); // no such process
    put(f, living, "x");
    put(f, ".profile.tmp-999999999-0", "x"); // not of ours
    put(f, "a.key.pki-new", "x");
    assert_int_equal(replace_lock(f->dir, &lock, NULL), 0);
    assert_int_equal(count(f, ".[!.]*"), 2);
    assert_text(f, living, "x");
    assert_text(f, ".profile.tmp-999999999-0", "x");
    assert_text(f, "a.key.pki-new", "x");
}

static void one_at_a_time(void **state)
{
    const struct fixture *f = *state;
    _cleanup_error_ struct error err = ERROR_NONE;
    int lock = -1, other = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    put(f, ".a.key.pki-new", "being written");
    replace_tidy(f->dir);
    assert_int_equal(replace_lock_directory_of(f->key, &lock, &err), -EBUSY);
    assert_text(f, ".a.key.pki-new", "being written");
    close(other);
    assert_int_equal(replace_lock_directory_of(f->key, &lock, NULL), 0);
    assert_int_equal(count(f, ".[!.]*"), 0);
    close(lock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_are_replaced_and_kept),
        TEST(none_may_be_there),
        TEST(a_swap_that_was_not_turned_is_taken_back),
        TEST(a_swap_that_was_turned_is_completed),
        TEST(links_of_others_stay),
        TEST(a_link_of_the_users_is_replaced_by_a_file),
        TEST(what_is_no_ones_is_cleared_away),
        TEST(one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
