// The directory source against a real directory and the real event loop: no sleeps, the loop runs
// until the source says that nothing is under way.
#include "source-fixture.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buffer.h"

// ---- what a drop does

static void a_drop_is_a_deed(void **state)
{
    struct fixture *f = running(state);
    assert_int_equal(f->syncs, 1);
    assert_true(f->present);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    turn_once(f); // no settle time
    assert_runs(f, "etcd", "v1");
    write_pod(f, "api.json", "api", "v1");
    turn_once(f);
    assert_runs(f, "api", "v1");
    assert_state(f, "api.json", MANIFEST_ACCEPTED);
    drop_pod(f, "etcd.yaml", "etcd", "v2");
    turn_once(f);
    assert_runs(f, "etcd", "v2");
    assert_true(manifest_source_idle(f->source));
    assert_int_equal(f->sets, 3);
    remove_file(f, "etcd.yaml");
    settle(f);
    assert_runs_not(f, "etcd");
    assert_int_equal(f->removals, 1);
    assert_int_equal(f->file_removals, 1);
}

static void what_is_there_at_the_start_runs(void **state)
{
    struct fixture *f = *state;
    drop_pod(f, "a.yaml", "a", "v1");
    drop_pod(f, "b.yml", "b", "v1");
    running(state);
    assert_int_equal(f->pods.n, 2);
    assert_string_equal(f->log.items[f->log.n - 1], "synced"); // after the pods
}

static void comments_change_nothing(void **state)
{
    struct fixture *f = running(state);
    _cleanup_free_ char *one = manifest_text("etcd", "v1", "one");
    _cleanup_free_ char *two = manifest_text("etcd", "v1", "two");
    drop_text(f, "etcd.yaml", one);
    settle(f);
    assert_int_equal(f->changes, 1);
    drop_text(f, "etcd.yaml", two);
    settle(f);
    write_text(f, "etcd.yaml", two);
    settle(f);
    assert_int_equal(f->sets, 1);
    assert_int_equal(f->changes, 2); // another content, once
}

static void names_decide_what_is_a_manifest(void **state)
{
    static const char *const passed[] = {
        ".etcd.yaml",         "etcd.yaml~",     "#etcd.yaml#",   "etcd.yaml.bak", "etcd.yaml.orig",
        ".#etcd.yaml",        ".etcd.yaml.swp", "etcd.yaml.swp", "etcd.yaml.swo", "etcd.yaml.tmp",
        "etcd.yaml.dpkg-old", "etcd.rpmsave",   "etcd.rpmnew",   "etcd.rpmorig",  "etcd.yaml.old"};
    struct fixture *f = running(state);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
        write_pod(f, passed[i], "etcd", "v1");
    settle(f);
    assert_int_equal(f->log.n, 1); // synced
    write_pod(f, "etcd.manifest", "etcd", "v1");
    settle(f);
    assert_int_equal(f->sets, 0);
    assert_state(f, "etcd.manifest", MANIFEST_REFUSED);
    remove_file(f, "etcd.manifest");
    settle(f);
    assert_int_equal(f->file_removals, 1);
}

// ---- what is wrong

static void a_bad_edit_keeps_the_good_pod(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    static const char *const wrong[] = {
        "apiVersion: v1\nkind: Pod\nmetadata: {name: etcd}\nspec: [\n", "", "kind: Pod\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: etcd}\nspec: {containers: []}\n", "\xff\xfe"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        drop_text(f, "etcd.yaml", wrong[i]);
        settle(f);
        assert_runs(f, "etcd", "v1");
        struct manifest_status status = status_of(f, "etcd.yaml");
        assert_int_equal(status.state, MANIFEST_REFUSED);
        assert_true(status.diags->errors > 0);
        assert_int_equal(status.n_pods, 1);
        assert_true(status.has_last_good);
    }
    assert_int_equal(f->removals, 0);
    assert_int_equal(f->changes, 1 + ARRAY_SIZE(wrong));
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    assert_state(f, "etcd.yaml", MANIFEST_ACCEPTED);
    assert_int_equal(f->sets, 1);
}

static void a_torn_write_is_no_refusal(void **state)
{
    struct fixture *f = running(state);
    write_text(f, "etcd.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {na");
    turn_once(f);
    assert_false(manifest_source_idle(f->source)); // waits
    write_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    assert_runs(f, "etcd", "v1");
    assert_int_equal(f->changes, 1);
}

// The first half of a manifest can be a whole one.
static void a_file_open_for_writing_is_not_read(void **state)
{
    struct fixture *f = running(state);
    f->settle_usec = 0;
    stop_source(f);
    f->settle_usec = 3600 * USEC_PER_SEC; // only closing it counts here
    start_source_at(f, f->dir);
    turn_once(f);
    _cleanup_free_ char *first = manifest_text("a", "v1", "one");
    _cleanup_free_ char *second = manifest_text("b", "v1", "two");
    _cleanup_free_ char *path = in_dir(f, "both.yaml");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, first, strlen(first)), 0);
    manifest_source_rescan(f->source);
    turn_once(f);
    assert_int_equal(f->sets, 0);
    assert_int_equal(f->syncs, 1);
    assert_int_equal(fs_write_all(fd, "---\n", 4), 0);
    assert_int_equal(fs_write_all(fd, second, strlen(second)), 0);
    close(fd);
    turn_once(f);
    assert_int_equal(f->sets, 2);
    assert_true(manifest_source_idle(f->source));
}

// A writer that has the file open for good, and dates that say nothing.
static void what_is_left_alone_is_read(void **state)
{
    struct fixture *f = running(state);
    write_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    _cleanup_free_ char *path = in_dir(f, "etcd.yaml");
    _cleanup_free_ char *text = manifest_text("etcd", "v2", "two");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    struct timespec future[2] = {{.tv_sec = INT32_MAX}, {.tv_sec = INT32_MAX}};
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(futimens(fd, future), 0); // also the event that it is looked at for
    turn_once(f);
    assert_runs(f, "etcd", "v1");
    settle(f);
    assert_runs(f, "etcd", "v2");
    assert_int_equal(f->changes, 2);
}

static void two_pods_of_one_name_in_a_file_are_refused(void **state)
{
    struct fixture *f = running(state);
    _cleanup_free_ char *one = manifest_text("etcd", "v1", "one");
    _cleanup_free_ char *two = manifest_text("etcd", "v2", "two");
    _cleanup_free_ char *both = xasprintf("%s---\n%s", one, two);
    drop_text(f, "etcd.yaml", both);
    settle(f);
    assert_int_equal(f->sets, 0);
    struct manifest_status status = status_of(f, "etcd.yaml");
    assert_int_equal(status.state, MANIFEST_REFUSED);
    assert_non_null(strstr(status.diags->items[0].message, "twice"));
    assert_int_equal(status.diags->items[0].line, 17);
}

static void assert_refused_but_running(struct fixture *f, const char *word)
{
    settle(f);
    struct manifest_status status = status_of(f, "etcd.yaml");
    assert_int_equal(status.state, MANIFEST_REFUSED);
    if (!strstr(status.diags->items[0].message, word))
        fail_msg("\"%s\" does not say \"%s\"", status.diags->items[0].message, word);
    assert_int_equal(f->removals, 0);
    assert_runs(f, "etcd", "v1");
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void what_is_no_file_is_refused(void **state)
{
    struct fixture *f = running(state);
    _cleanup_free_ char *path = in_dir(f, "etcd.yaml");
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);

    remove_file(f, "etcd.yaml");
    assert_int_equal(mkdir(path, 0755), 0);
    assert_refused_but_running(f, "directory");
    assert_int_equal(rmdir(path), 0);

    assert_int_equal(mkfifo(path, 0644), 0);
    assert_refused_but_running(f, "FIFO");
    remove_file(f, "etcd.yaml");

    make_socket(path);
    assert_refused_but_running(f, "socket");
    remove_file(f, "etcd.yaml");

    make_link(f, "/dev/zero", "etcd.yaml");
    assert_refused_but_running(f, "character device");
    remove_file(f, "etcd.yaml");

    make_link(f, "nowhere", "etcd.yaml");
    assert_refused_but_running(f, "does not exist");
    remove_file(f, "etcd.yaml");

    make_link(f, "etcd.yaml", "etcd.yaml");
    assert_refused_but_running(f, "symlinks");
    remove_file(f, "etcd.yaml");

    write_text(f, "etcd.yaml", "");
    assert_int_equal(truncate(path, PODSPEC_SIZE_MAX + 1), 0);
    assert_refused_but_running(f, "MiB");
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    assert_state(f, "etcd.yaml", MANIFEST_ACCEPTED);
    assert_int_equal(f->sets, 1);
}

static void directories_beside_manifests_are_passed_over(void **state)
{
    struct fixture *f = running(state);
    _cleanup_free_ char *path = in_dir(f, "backup");
    assert_int_equal(mkdir(path, 0755), 0);
    write_pod(f, "backup/etcd.yaml", "etcd", "v1");
    settle(f);
    assert_int_equal(f->log.n, 1);
}

static void a_bomb_of_aliases_is_refused(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    _cleanup_buffer_ struct buffer bomb = BUFFER_EMPTY;
    buffer_add_str(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++)
        buffer_printf(&bomb, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
                      i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    drop_text(f, "etcd.yaml", buffer_str(&bomb));
    settle(f);
    assert_state(f, "etcd.yaml", MANIFEST_REFUSED);

    buffer_truncate(&bomb, 0);
    buffer_add_str(&bomb, "a: &a [x, x]\nb: [");
    while (bomb.len < PODSPEC_SIZE_MAX - 16)
        buffer_add_str(&bomb, "*a,*a,");
    buffer_add_str(&bomb, "*a]\n");
    drop_text(f, "etcd.yaml", buffer_str(&bomb));
    settle(f);
    assert_state(f, "etcd.yaml", MANIFEST_REFUSED);

    while (bomb.len < 20 << 20)
        buffer_add_str(&bomb, "*a,*a,");
    drop_text(f, "etcd.yaml", buffer_str(&bomb));
    assert_refused_but_running(f, "MiB");
}

static void running_out_of_descriptors_removes_nothing(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    struct rlimit limit, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    drop_pod(f, "etcd.yaml", "etcd", "v2");
    low = limit;
    low.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    settle(f);
    manifest_source_rescan(f->source);
    settle(f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_refused_but_running(f, "open files");
    struct manifest_status status = status_of(f, "manifests"); // the directory itself
    assert_int_equal(status.state, MANIFEST_REFUSED);
    manifest_source_rescan(f->source);
    settle(f);
    assert_runs(f, "etcd", "v2");
    assert_state(f, "etcd.yaml", MANIFEST_ACCEPTED);
    assert_string_equal(f->log.items[f->log.n - 1], "manifests gone");
}

static void what_may_not_be_read_stays(void **state)
{
    if (geteuid() == 0) {
        print_message("skipped: root may read everything\n");
        skip();
    }
    struct fixture *f = running(state);
    _cleanup_free_ char *path = in_dir(f, "etcd.yaml");
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    assert_int_equal(chmod(path, 0), 0);
    assert_refused_but_running(f, "chmod");
    assert_int_equal(chmod(path, 0644), 0);
    settle(f);
    assert_state(f, "etcd.yaml", MANIFEST_ACCEPTED);
    assert_int_equal(chmod(f->dir, 0), 0);
    settle(f);
    assert_runs(f, "etcd", "v1");
    assert_int_equal(chmod(f->dir, 0755), 0);
    settle(f);
    assert_int_equal(f->removals, 0);
}

// ---- moving about

static void a_rename_does_not_touch_the_pod(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "a.yaml", "etcd", "v1");
    settle(f);
    move_file(f, "a.yaml", "b.yaml");
    settle(f);
    assert_int_equal(f->sets + f->removals, 1);
    assert_string_equal(seen_pod(f, "etcd")->file, "b.yaml");
    assert_state(f, "b.yaml", MANIFEST_ACCEPTED);
    move_file(f, "b.yaml", "c.yaml");
    move_file(f, "c.yaml", "b.yaml");
    settle(f);
    assert_int_equal(f->sets + f->removals, 1);
    for (size_t i = 0; i < f->log.n; i++)
        assert_null(strstr(f->log.items[i], "conflict"));
    remove_file(f, "b.yaml"); // and an editor that writes it anew
    turn_once(f);
    write_pod(f, "b.yaml", "etcd", "v1");
    settle(f);
    assert_int_equal(f->sets + f->removals, 1);
}

static void files_can_be_swapped(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "a.yaml", "a", "v1");
    drop_pod(f, "b.yaml", "b", "v1");
    settle(f);
    _cleanup_free_ char *a = in_dir(f, "a.yaml"), *b = in_dir(f, "b.yaml");
    assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
    settle(f);
    assert_int_equal(f->sets, 2);
    assert_int_equal(f->removals, 0);
    remove_file(f, "a.yaml");
    settle(f);
    assert_runs_not(f, "b");
    assert_runs(f, "a", "v1");
}

static void another_name_is_another_pod(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "a.yaml", "old", "v1");
    settle(f);
    drop_pod(f, "a.yaml", "new", "v1");
    settle(f);
    assert_string_equal(f->log.items[f->log.n - 2], "removed old");
    assert_string_equal(f->log.items[f->log.n - 1], "set new v1");
}

static void a_second_file_for_a_pod_is_a_conflict(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "b.yaml", "etcd", "v1");
    settle(f);
    drop_pod(f, "a.yaml", "etcd", "v2");
    settle(f);
    assert_runs(f, "etcd", "v1");
    struct manifest_status status = status_of(f, "a.yaml");
    assert_int_equal(status.state, MANIFEST_CONFLICT);
    assert_string_equal(path_base(status.conflict_with), "b.yaml");
    assert_int_equal(status.n_pods, 0);
    restart(f); // a.yaml comes first by name, b.yaml was first in time
    assert_runs(f, "etcd", "v1");
    assert_state(f, "a.yaml", MANIFEST_CONFLICT);
    drop_pod(f, "b.yaml", "etcd", "v3"); // the one that runs can be edited
    settle(f);
    assert_runs(f, "etcd", "v3");
    remove_file(f, "b.yaml");
    settle(f);
    assert_runs(f, "etcd", "v2");
    assert_state(f, "a.yaml", MANIFEST_ACCEPTED);
    assert_int_equal(f->removals, 0);
}

static void what_ran_before_comes_before_what_is_new(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "b.yaml", "etcd", "v1");
    settle(f);
    stop_source(f);
    drop_pod(f, "a.yaml", "etcd", "v2"); // while the agent is away
    start_source_at(f, f->dir);
    settle(f);
    assert_runs(f, "etcd", "v1");
    assert_state(f, "a.yaml", MANIFEST_CONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_drop_is_a_deed),
        TEST(what_is_there_at_the_start_runs),
        TEST(comments_change_nothing),
        TEST(names_decide_what_is_a_manifest),
        TEST(a_bad_edit_keeps_the_good_pod),
        TEST(a_torn_write_is_no_refusal),
        TEST(a_file_open_for_writing_is_not_read),
        TEST(what_is_left_alone_is_read),
        TEST(two_pods_of_one_name_in_a_file_are_refused),
        TEST(what_is_no_file_is_refused),
        TEST(directories_beside_manifests_are_passed_over),
        TEST(a_bomb_of_aliases_is_refused),
        TEST(running_out_of_descriptors_removes_nothing),
        TEST(what_may_not_be_read_stays),
        TEST(a_rename_does_not_touch_the_pod),
        TEST(files_can_be_swapped),
        TEST(another_name_is_another_pod),
        TEST(a_second_file_for_a_pod_is_a_conflict),
        TEST(what_ran_before_comes_before_what_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
