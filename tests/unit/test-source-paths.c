// The directory source where its files and directories are: behind links, moved, missing, many.
#include "source-fixture.h"

#include "base/buffer.h"

static void swap_data(const struct fixture *f, const char *to)
{
    _cleanup_free_ char *temporary = in_dir(f, "..data_tmp"), *data = in_dir(f, "..data");
    assert_int_equal(symlink(to, temporary), 0);
    assert_int_equal(rename(temporary, data), 0);
}

static void config_map_directories_are_followed(void **state)
{
    struct fixture *f = running(state);
    _cleanup_free_ char *one = in_dir(f, "..one"), *two = in_dir(f, "..two");
    assert_int_equal(mkdir(one, 0755), 0);
    write_pod(f, "..one/etcd.yaml", "etcd", "v1");
    swap_data(f, "..one");
    make_link(f, "..data/etcd.yaml", "etcd.yaml");
    settle(f);
    assert_runs(f, "etcd", "v1");
    assert_int_equal(mkdir(two, 0755), 0);
    write_pod(f, "..two/etcd.yaml", "etcd", "v2");
    swap_data(f, "..two");
    settle(f);
    assert_runs(f, "etcd", "v2");
    write_pod(f, "..two/etcd.yaml", "etcd", "v3"); // behind the links
    settle(f);
    assert_runs(f, "etcd", "v3");
    assert_int_equal(f->sets, 3);
    assert_int_equal(f->removals, 0);
}

static void a_linked_manifest_is_watched_where_it_is(void **state)
{
    struct fixture *f = running(state);
    _cleanup_free_ char *elsewhere = path_join(f->root, "elsewhere");
    assert_int_equal(mkdir(elsewhere, 0755), 0);
    _cleanup_free_ char *target = path_join(elsewhere, "etcd.yaml");
    make_link(f, target, "etcd.yaml");
    settle(f);
    assert_state(f, "etcd.yaml", MANIFEST_REFUSED);
    write_pod(f, "../elsewhere/etcd.yaml", "etcd", "v1"); // the target appears
    settle(f);
    assert_runs(f, "etcd", "v1");
    drop_pod(f, "../elsewhere/etcd.yaml", "etcd", "v2");
    settle(f);
    assert_runs(f, "etcd", "v2");
    assert_int_equal(unlink(target), 0); // and vanishes: the link is still there
    settle(f);
    assert_runs(f, "etcd", "v2");
    assert_state(f, "etcd.yaml", MANIFEST_REFUSED);
    remove_file(f, "etcd.yaml");
    settle(f);
    assert_runs_not(f, "etcd");
}

static void a_hard_link_is_a_drop(void **state)
{
    struct fixture *f = running(state);
    write_pod(f, "../outside.yaml", "etcd", "v1");
    _cleanup_free_ char *from = path_join(f->root, "outside.yaml"), *to = in_dir(f, "etcd.yaml");
    assert_int_equal(link(from, to), 0);
    turn_once(f);
    assert_runs(f, "etcd", "v1");
    write_pod(f, "../outside.yaml", "etcd", "v2"); // by its other name: the rescan sees it
    manifest_source_rescan(f->source);
    settle(f);
    assert_runs(f, "etcd", "v2");
}

static void the_directory_may_come_and_go(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(rmdir(f->dir), 0);
    _cleanup_free_ char *deep = path_join(f->dir, "deep/deeper");
    start_source_at(f, deep);
    settle(f);
    assert_int_equal(f->syncs, 1);
    assert_false(f->present);
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, deep, 0755), 0);
    write_pod(f, "deep/deeper/etcd.yaml", "etcd", "v1");
    settle(f);
    assert_runs(f, "etcd", "v1");
    assert_int_equal(f->syncs, 2); // told again, once
    assert_true(f->present);

    _cleanup_free_ char *aside = path_join(f->root, "aside");
    assert_int_equal(rename(f->dir, aside), 0); // an ancestor is moved away
    settle(f);
    assert_runs_not(f, "etcd");
    assert_int_equal(rename(aside, f->dir), 0);
    settle(f);
    assert_runs(f, "etcd", "v1");

    assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir), 0);
    settle(f);
    assert_runs_not(f, "etcd");
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, deep, 0755), 0);
    write_pod(f, "deep/deeper/etcd.yaml", "etcd", "v2");
    settle(f);
    assert_runs(f, "etcd", "v2");
    assert_int_equal(f->syncs, 2);
}

static void a_directory_swapped_by_a_link_bounces_nothing(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *current = path_join(f->root, "current");
    _cleanup_free_ char *next = path_join(f->root, "next");
    _cleanup_free_ char *other = path_join(f->root, "other");
    assert_int_equal(symlink("manifests", current), 0);
    assert_int_equal(mkdir(other, 0755), 0);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    drop_pod(f, "api.yaml", "api", "v1");
    drop_pod(f, "../other/etcd.yaml", "etcd", "v1");
    start_source_at(f, current);
    settle(f);
    assert_int_equal(f->sets, 2);
    assert_int_equal(symlink("other", next), 0);
    assert_int_equal(rename(next, current), 0);
    settle(f);
    assert_int_equal(f->sets, 2);
    assert_runs_not(f, "api");
    drop_pod(f, "../other/etcd.yaml", "etcd", "v2");
    settle(f);
    assert_runs(f, "etcd", "v2");
}

static void one_file_may_be_the_whole_source(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = in_dir(f, "pod"); // whatever its name
    write_pod(f, "other.yaml", "other", "v1");
    start_source_at(f, path);
    settle(f);
    assert_int_equal(f->pods.n, 0);
    write_pod(f, "pod", "etcd", "v1");
    settle(f);
    assert_runs(f, "etcd", "v1");
    drop_pod(f, "pod", "etcd", "v2");
    settle(f);
    assert_runs(f, "etcd", "v2");
    assert_int_equal(f->pods.n, 1);
    remove_file(f, "pod");
    settle(f);
    assert_int_equal(f->pods.n, 0);
}

static void an_overflown_queue_loses_nothing(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events", 64, &text),
                     0);
    long most = strtol(buffer_str(&text), NULL, 10);
    if (most > 100000) {
        print_message("skipped: the queue holds %ld events\n", most);
        skip();
    }
    write_text(f, "filler.yaml", "");
    _cleanup_free_ char *filler = in_dir(f, "filler.yaml");
    _cleanup_free_ char *second = in_dir(f, "second.yaml");
    write_text(f, "second.yaml", "");
    for (long i = 0; i <= most; i++) // in turns: equal events in a row are merged
        assert_int_equal(chmod(i % 2 ? filler : second, i % 4 < 2 ? 0600 : 0644), 0);
    drop_pod(f, "late.yaml", "late", "v1");
    drop_pod(f, "etcd.yaml", "etcd", "v2");
    remove_file(f, "filler.yaml");
    settle(f);
    assert_runs(f, "late", "v1");
    assert_runs(f, "etcd", "v2");
    assert_int_equal(f->removals, 0);
}

static void a_thousand_files_at_once(void **state)
{
    struct fixture *f = running(state);
    enum { MANY = 1000 };
    for (int i = 0; i < MANY; i++) {
        char file[32], pod[32];
        snprintf(file, sizeof(file), "p%d.yaml", i);
        snprintf(pod, sizeof(pod), "p%d", i);
        drop_pod(f, file, pod, "v1");
    }
    settle(f);
    assert_int_equal(f->sets, MANY);
    struct manifest_status *all;
    assert_int_equal(manifest_source_list(f->source, &all), MANY);
    for (int i = 1; i < MANY; i++)
        assert_true(strcmp(all[i - 1].file, all[i].file) < 0);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(config_map_directories_are_followed),
        TEST(a_linked_manifest_is_watched_where_it_is),
        TEST(a_hard_link_is_a_drop),
        TEST(the_directory_may_come_and_go),
        TEST(a_directory_swapped_by_a_link_bounces_nothing),
        TEST(one_file_may_be_the_whole_source),
        TEST(an_overflown_queue_loses_nothing),
        TEST(a_thousand_files_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
