// A pod's history: what becomes a revision, what a trial goes back to, and files that are damaged.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/history.h"

static int64_t clock_nsec;

static walltime tick(void)
{
    return (walltime){++clock_nsec};
}

// "a" is a spec of its own, with a hash that is made of it.
static bool accept(struct history *h, const char *word)
{
    char hash[33];
    _cleanup_free_ char *text = xasprintf("# %s\n", word);
    snprintf(hash, sizeof(hash), "%032x", (unsigned)word[0]);
    const struct history_spec spec = {hash, "uid", "/m/etcd.yaml", text, false};
    return history_accept(h, &spec, tick());
}

static void make_ready(const struct history *h)
{
    history_current(h)->ready = tick();
}

static void put_on_trial(struct history *h)
{
    history_current(h)->tried = true;
    h->trial.number = h->current;
}

static const char *outcome(const struct history *h, uint64_t number)
{
    static char buf[HISTORY_OUTCOME_SIZE];
    return history_outcome(h, history_find(h, number), buf);
}

static void test_revisions(void **state)
{
    _cleanup_history_ struct history h;
    history_init(&h, "default", "etcd-n1");
    assert_true(accept(&h, "a"));
    assert_string_equal(outcome(&h, 1), "NotReady");
    make_ready(&h);
    assert_string_equal(outcome(&h, 1), "Running");
    assert_false(accept(&h, "a")); // the agent was restarted
    assert_int_equal(h.revisions.n, 1);
    assert_true(accept(&h, "b"));
    assert_string_equal(outcome(&h, 1), "Replaced");
    assert_true(accept(&h, "c"));
    assert_string_equal(outcome(&h, 2), "NeverReady");
    assert_true(accept(&h, "a"));
    assert_int_equal(h.current, 4);
    assert_string_equal(history_current(&h)->origin, "rollback to 1");
    history_removed(&h, tick());
    assert_string_equal(outcome(&h, 4), "Removed");
    assert_false(accept(&h, "a")); // it comes back unchanged
    assert_int_equal(h.current, 4);
    assert_int_equal(h.revisions.n, 4);
    history_removed(&h, tick());
    assert_true(accept(&h, "d"));
    assert_int_equal(h.current, 5);
}

static void test_a_renamed_file(void **state)
{
    _cleanup_history_ struct history h;
    history_init(&h, "default", "etcd-n1");
    accept(&h, "a");
    const struct history_spec renamed = {history_current(&h)->hash, "uid", "/m/new.yaml", "",
                                         false};
    assert_false(history_accept(&h, &renamed, tick()));
    assert_string_equal(history_current(&h)->file, "/m/new.yaml");
}

static void test_what_a_trial_goes_back_to(void **state)
{
    _cleanup_history_ struct history h;
    history_init(&h, "default", "etcd-n1");
    accept(&h, "a");
    make_ready(&h);
    assert_null(history_good(&h)); // the first one has nothing to go back to
    accept(&h, "b");
    put_on_trial(&h);
    make_ready(&h); // replaced before its trial was over
    accept(&h, "c");
    put_on_trial(&h);
    assert_int_equal(history_good(&h)->number, 1); // was ready without a trial
    history_find(&h, 1)->ready = (walltime){0};
    assert_int_equal(history_good(&h)->number, 2); // better than nothing
    history_find(&h, 2)->verdict = HISTORY_CONFIRMED;
    history_find(&h, 1)->ready = tick();
    assert_int_equal(history_good(&h)->number, 2);
    history_failed(&h, history_good(&h), "it broke", tick());
    assert_int_equal(h.current, 2);
    assert_int_equal(h.failed, 3);
    assert_string_equal(outcome(&h, 3), "FailedTrial");
    assert_string_equal(outcome(&h, 2), "Running,Confirmed");
    accept(&h, "b"); // the manifest says again what runs
    assert_int_equal(h.failed, 0);
    assert_int_equal(h.current, 2);
    accept(&h, "c"); // and is changed to the failed one: a new revision, a new trial
    assert_int_equal(h.current, 4);
}

static void test_a_failed_one_without_a_better(void **state)
{
    _cleanup_history_ struct history h;
    history_init(&h, "default", "etcd-n1");
    accept(&h, "a");
    put_on_trial(&h);
    assert_string_equal(outcome(&h, 1), "NotReady,OnTrial");
    history_failed(&h, NULL, "it broke", tick());
    assert_int_equal(h.current, 1);
    assert_int_equal(h.failed, 0);
    history_removed(&h, tick());
    assert_true(accept(&h, "a")); // put back by somebody: tried again
    assert_int_equal(h.current, 1);
    assert_int_equal(history_current(&h)->verdict, HISTORY_UNJUDGED);
}

static void test_it_is_bounded(void **state)
{
    _cleanup_history_ struct history h;
    history_init(&h, "default", "etcd-n1");
    accept(&h, "!");
    make_ready(&h);
    for (char c = 'A'; c <= 'Z'; c++)
        accept(&h, (char[]){c, '\0'});
    assert_int_equal(h.revisions.n, HISTORY_REVISIONS_MOST);
    assert_int_equal(h.current, 27);
    assert_int_equal(history_good(&h)->number, 1); // what is needed stays
    _cleanup_free_ char *big = xcalloc(1, HISTORY_BYTES_MOST);
    memset(big, '#', HISTORY_BYTES_MOST - 1);
    const struct history_spec spec = {"0123456789abcdef0123456789abcdef", "u", NULL, big, false};
    assert_true(history_accept(&h, &spec, tick()));
    assert_int_equal(h.revisions.n, 2);
    assert_int_equal(history_good(&h)->number, 1);
}

static void fill(struct history *h)
{
    history_init(h, "kube-system", "etcd-n1");
    accept(h, "a");
    make_ready(h);
    history_confirmed(h);
    accept(h, "b");
    put_on_trial(h);
    h->trial = (struct history_trial){h->current, "boot", {12345678}, true, 3};
}

static void test_it_comes_back_as_it_was(void **state)
{
    _cleanup_history_ struct history h, back;
    _cleanup_buffer_ struct buffer first = BUFFER_EMPTY, second = BUFFER_EMPTY;
    fill(&h);
    history_encode(&h, &first);
    assert_int_equal(history_decode(first.data, first.len, &back), 0);
    history_encode(&back, &second);
    assert_string_equal(first.data, second.data);
    assert_int_equal(back.trial.deadline.usec, 12345678);
    assert_true(back.trial.was_ready);
    assert_int_equal(back.trial.restarts, 3);
    assert_string_equal(back.revisions.items[1].text, "# b\n");
}

// Every byte that is lost or changed is found.
static void test_damage_is_found(void **state)
{
    _cleanup_history_ struct history h;
    _cleanup_buffer_ struct buffer good = BUFFER_EMPTY;
    struct history back;
    fill(&h);
    history_encode(&h, &good);
    for (size_t i = 0; i < good.len; i++) {
        assert_int_equal(history_decode(good.data, i, &back), -EBADMSG);
        good.data[i] ^= 1;
        assert_int_equal(history_decode(good.data, good.len, &back), -EBADMSG);
        good.data[i] ^= 1;
    }
}

static char directory[64];

static int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "/tmp/test-history-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    return fs_remove_tree(AT_FDCWD, directory);
}

static void save(const char *namespace_, const char *name)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_history_ struct history h;
    history_init(&h, namespace_, name);
    accept(&h, "a");
    assert_int_equal(history_save(directory, &h, &err), 0);
}

static int look_up(const char *node, const char *namespace_, const char *name)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_history_ struct history h = {0};
    return history_look_up(directory, node, namespace_, name, &h, &err);
}

static void test_looking_up(void **state)
{
    char longest[254];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    save("default", "etcd-n1");
    save("default", "etcd-n1-n1");
    save("kube-system", "web-n1");
    save("default", "web-n1");
    save("default", longest);
    assert_int_equal(look_up("n1", NULL, "etcd"), 0);
    assert_int_equal(look_up("n1", NULL, "nothing"), -ENOENT);
    assert_int_equal(look_up("n1", NULL, "web"), -ENOTUNIQ);
    assert_int_equal(look_up("n1", "kube-system", "web"), 0);
    assert_int_equal(look_up("n2", "kube-system", "web"), -ENOENT);
    assert_int_equal(look_up(NULL, "kube-system", "web"), 0);
    assert_int_equal(look_up("n1", "other", "web"), -ENOENT);
    assert_int_equal(look_up("n1", NULL, longest), 0);
}

static void test_a_damaged_file_is_moved_aside(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *path = path_join(directory, "default_etcd-n1.history");
    _cleanup_free_ char *aside = xasprintf("%s.damaged", path);
    struct history h;
    save("default", "etcd-n1");
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(history_load(directory, "default", "etcd-n1", &h, &err), -EBADMSG);
    assert_non_null(strstr(error_message(&err), aside));
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(history_load(directory, "default", "etcd-n1", &h, &err), -ENOENT);
}

// A file that was copied over another pod's is none of that pod's.
static void test_another_pods_file(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *from = path_join(directory, "default_a-n1.history");
    _cleanup_free_ char *to = path_join(directory, "default_b-n1.history");
    struct history h;
    save("default", "a-n1");
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(history_load(directory, "default", "b-n1", &h, &err), -EBADMSG);
}

static bool is_kept(void *userdata, const char *file)
{
    return strcmp(file, "default_kept-n1.history") == 0;
}

static void test_old_ones_go(void **state)
{
    save("default", "kept-n1");
    for (int i = 0; i < 5; i++) {
        _cleanup_free_ char *name = xasprintf("gone%d-n1", i);
        _cleanup_free_ char *path = xasprintf("%s/default_%s.history", directory, name);
        const struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        save("default", name);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    history_sweep(directory, 2, is_kept, NULL);
    assert_int_equal(look_up("n1", NULL, "kept"), 0);
    assert_int_equal(look_up("n1", NULL, "gone2"), -ENOENT);
    assert_int_equal(look_up("n1", NULL, "gone3"), 0);
    assert_int_equal(look_up("n1", NULL, "gone4"), 0);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revisions),
        cmocka_unit_test(test_a_renamed_file),
        cmocka_unit_test(test_what_a_trial_goes_back_to),
        cmocka_unit_test(test_a_failed_one_without_a_better),
        cmocka_unit_test(test_it_is_bounded),
        cmocka_unit_test(test_it_comes_back_as_it_was),
        cmocka_unit_test(test_damage_is_found),
        ON_DISK(test_looking_up),
        ON_DISK(test_a_damaged_file_is_moved_aside),
        ON_DISK(test_another_pods_file),
        ON_DISK(test_old_ones_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
