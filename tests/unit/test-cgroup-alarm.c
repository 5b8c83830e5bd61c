// Being told that processes were killed or refused: a v2 cgroup that is played by plain files,
// whose changes the kernel tells by inotify as it does those of cgroupfs.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cgroup.h"

struct fixture {
    char dir[64];
    struct string_list leaf;
    sd_event *event;
    struct cgroup_alarm *alarm;
    uint64_t oom_kills, refused;
    int rings;
};

// In place, as a kernel file changes: nothing is renamed.
static void put(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

static void on_ring(void *userdata, uint64_t oom_kills, uint64_t refused)
{
    struct fixture *f = userdata;
    f->oom_kills += oom_kills;
    f->refused += refused;
    f->rings++;
    sd_event_exit(f->event, 0);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-alarm-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_true(sd_event_new(&f->event) >= 0);
    string_list_add_owned(&f->leaf, path_join(f->dir, "pod/c"));
    put(f, "pod/c/cgroup.events", "populated 1\n");
    put(f, "pod/cgroup.events", "populated 1\n");
    put(f, "pod/c/memory.events", "oom 0\noom_kill 2\n");
    put(f, "pod/c/pids.events", "max 0\n");
    put(f, "pod/pids.events", "max 5\n");
    put(f, "pod/pids.max", "40\n");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    cgroup_alarm_free(f->alarm);
    sd_event_unref(f->event);
    string_list_free(&f->leaf);
    int code = fs_remove_tree(AT_FDCWD, f->dir);
    free(f);
    return code;
}

static void watch(struct fixture *f, uint64_t oom_kills, uint64_t refused)
{
    struct error err = ERROR_NONE;
    if (cgroup_alarm_new(f->event, &f->leaf, oom_kills, refused, on_ring, f, &f->alarm, &err) < 0)
        fail_msg("%s", error_message(&err));
}

static void killed_processes_are_told_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(cgroup_oom_kills(&f->leaf), 2);
    watch(f, 2, 5);
    put(f, "pod/c/memory.events", "oom 1\noom_kill 2\n"); // came to its limit: no news for us
    put(f, "pod/c/memory.events", "oom 1\noom_kill 3\n");
    assert_int_equal(sd_event_loop(f->event), 0);
    assert_int_equal(f->oom_kills, 1);
    assert_int_equal(f->refused, 0);
    assert_int_equal(f->rings, 1);
}

static void refused_forks_are_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(cgroup_forks_refused(&f->leaf), 5);
    watch(f, 2, 5);
    put(f, "pod/pids.events", "max 9\n");
    assert_int_equal(sd_event_loop(f->event), 0);
    assert_int_equal(f->refused, 4);
}

// Between the start of the container and the watch.
static void what_was_before_the_watch_is_told(void **state)
{
    struct fixture *f = *state;
    watch(f, 1, 5);
    assert_int_equal(sd_event_loop(f->event), 0);
    assert_int_equal(f->oom_kills, 1);
}

static void a_cgroup_that_is_gone_is_no_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->leaf.items[0]), 0);
    watch(f, 0, 5);
    assert_int_equal(f->rings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_processes_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_forks_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_before_the_watch_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cgroup_that_is_gone_is_no_error, setup, teardown),
    };
    return cmocka_run_group_tests_name("cgroup-alarm", tests, NULL, NULL);
}
