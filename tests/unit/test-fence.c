// The watch over podmaster's deadline: real processes, and the removal of a real file awaited by
// inotify.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/cgroup-dir.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string-list.h"
#include "manifests/fence.h"

enum { WAIT_MSEC = 60000 };

struct fixture {
    char dir[64];
    char *state, *manifests, *manifest;
    int inotify_fd;
};

static const monotime never_begun = {0};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-fence-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->state = path_join(f->dir, "run/pod.lease");
    f->manifests = path_join(f->dir, "manifests");
    f->manifest = path_join(f->manifests, "pod.yaml");
    f->inotify_fd = inotify_init1(IN_CLOEXEC);
    *state = f;
    return fs_mkdir_parents(AT_FDCWD, f->manifests, 0755) < 0 ||
                   inotify_add_watch(f->inotify_fd, f->manifests, IN_DELETE) < 0 ||
                   fs_write_atomic(AT_FDCWD, f->manifest, "x", 1, 0600, 0) < 0
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(AT_FDCWD, f->dir);
    close(f->inotify_fd);
    free(f->state);
    free(f->manifests);
    free(f->manifest);
    free(f);
    return 0;
}

static monotime in_msec(int64_t msec)
{
    return monotime_add_ms(monotime_now(), msec);
}

static struct fence *begin(const struct fixture *f, struct fence_state *inherited)
{
    struct fence *fence = NULL;
    struct fence_state unused;
    assert_int_equal(
        fence_new(f->state, f->manifest, &fence, inherited ? inherited : &unused, NULL), 0);
    return fence;
}

static void await_removal(const struct fixture *f)
{
    struct pollfd fd = {.fd = f->inotify_fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, WAIT_MSEC), 1);
    assert_int_equal(access(f->manifest, F_OK), -1);
}

// A process that holds the fence with the deadline and is then killed; its watch lives on.
static void die_holding(const struct fixture *f, monotime deadline)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct fence *fence = NULL;
        struct fence_state inherited;
        if (fence_new(f->state, f->manifest, &fence, &inherited, NULL) == 0 &&
            fence_set(fence, deadline, monotime_add_ms(deadline, 100), NULL) == 0)
            raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void the_manifest_goes_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    _cleanup_fence_ struct fence *fence = begin(f, NULL);
    monotime deadline = in_msec(50);
    assert_int_equal(fence_set(fence, deadline, deadline, NULL), 0);
    await_removal(f);
    assert_true(monotime_reached(deadline, monotime_now()));
}

static void a_deadline_that_moves_counts_as_it_is_last(void **state)
{
    struct fixture *f = *state;
    _cleanup_fence_ struct fence *fence = begin(f, NULL);
    assert_int_equal(fence_set(fence, in_msec(3600000), in_msec(3600000), NULL), 0);
    assert_int_equal(fence_set(fence, in_msec(0), in_msec(0), NULL), 0);
    await_removal(f);
}

static void without_a_deadline_the_manifest_goes_at_once(void **state)
{
    struct fixture *f = *state;
    _cleanup_fence_ struct fence *fence = begin(f, NULL);
    assert_int_equal(access(f->manifest, F_OK), 0); // as long as nobody has said anything
    assert_int_equal(fence_set(fence, never_begun, never_begun, NULL), 0);
    await_removal(f);
}

static void the_watch_outlives_its_podmaster(void **state)
{
    struct fixture *f = *state;
    die_holding(f, in_msec(100));
    await_removal(f);
}

static void a_podmaster_that_comes_back_inherits_the_deadline(void **state)
{
    struct fixture *f = *state;
    monotime deadline = in_msec(200);
    struct fence_state inherited;
    die_holding(f, deadline);
    _cleanup_fence_ struct fence *fence = begin(f, &inherited);
    assert_int_equal(inherited.start_until.usec, deadline.usec);
    assert_int_equal(inherited.kill_at.usec, monotime_add_ms(deadline, 100).usec);
    // Its own watch is told another deadline; that of the dead one then does nothing. When a third
    // file goes at a later time, the first deadline has passed.
    _cleanup_free_ char *later = path_join(f->manifests, "later.yaml");
    _cleanup_free_ char *later_state = path_join(f->dir, "run/later.lease");
    assert_int_equal(fs_write_atomic(AT_FDCWD, later, "x", 1, 0600, 0), 0);
    assert_int_equal(fence_set(fence, in_msec(3600000), in_msec(3600000), NULL), 0);
    _cleanup_fence_ struct fence *clock = NULL;
    assert_int_equal(fence_new(later_state, later, &clock, &inherited, NULL), 0);
    assert_int_equal(fence_set(clock, monotime_add_ms(deadline, 300), MONOTIME_NEVER, NULL), 0);
    struct pollfd fd = {.fd = f->inotify_fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, WAIT_MSEC), 1);
    assert_int_equal(access(later, F_OK), -1);
    assert_int_equal(access(f->manifest, F_OK), 0);
}

// A cgroup of its own, as an agent would name it, in the first of the hierarchies that this host
// has, with a process in it that hangs; or NULL.
static char *make_cgroup(const char *const *roots, const char *file, pid_t *ret_pid)
{
    for (size_t i = 0; roots[i]; i++) {
        _cleanup_free_ char *dir =
            xasprintf("%s/test-fence-%d/kubepods/pod/main", roots[i], (int)getpid());
        _cleanup_free_ char *path = path_join(dir, file);
        if (access(roots[i], W_OK) < 0 || fs_mkdir_parents(AT_FDCWD, dir, 0755) < 0 ||
            access(path, F_OK) < 0)
            continue;
        *ret_pid = fork();
        if (*ret_pid == 0) {
            if (cgroup_write(dir, "cgroup.procs", "0") < 0)
                _exit(1);
            raise(SIGSTOP);
            _exit(1);
        }
        int status = 0;
        assert_int_equal(waitpid(*ret_pid, &status, WUNTRACED), *ret_pid);
        assert_true(WIFSTOPPED(status));
        return TAKE_PTR(dir);
    }
    return NULL;
}

static const char *const roots_v2[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup", NULL};
static const char *const roots_v1[] = {"/sys/fs/cgroup/freezer", NULL};

static void remove_cgroup(const char *dir)
{
    _cleanup_free_ char *top = xstrndup(dir, strlen(dir) - strlen("/kubepods/pod/main"));
    assert_int_equal(cgroup_remove(top), 0);
}

static void name_cgroup(const struct fixture *f, const char *name, const char *cgroup)
{
    _cleanup_free_ char *dir = fence_state_cgroups(f->state);
    _cleanup_free_ char *path = path_join(dir, name);
    assert_int_equal(symlink(cgroup, path), 0);
}

static void kill_at_the_deadline(const struct fixture *f, const char *const *roots,
                                 const char *file)
{
    _cleanup_fence_ struct fence *fence = begin(f, NULL);
    pid_t pid = 0;
    _cleanup_free_ char *cgroup = make_cgroup(roots, file, &pid);
    assert_int_equal(fence_await_dead(fence, in_msec(0), -1), -ENOENT);
    if (!cgroup)
        skip();
    name_cgroup(f, "pod_main", cgroup);
    name_cgroup(f, "pod_gone", "/sys/fs/cgroup/no/such");
    monotime deadline = in_msec(150);
    assert_int_equal(fence_set(fence, in_msec(50), deadline, NULL), 0);
    assert_int_equal(fence_await_dead(fence, in_msec(0), -1), 0);
    await_removal(f);
    assert_int_equal(fence_await_dead(fence, in_msec(WAIT_MSEC), -1), 1);
    assert_true(monotime_reached(deadline, monotime_now()));
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    // It is thawed again, for the next one there.
    for (bool thawed = false; !thawed; sched_yield()) {
        _cleanup_free_ char *frozen = cgroup_read(cgroup, file);
        assert_non_null(frozen);
        thawed = str_starts_with(frozen, "0") || str_starts_with(frozen, "THAWED");
    }
    remove_cgroup(cgroup);
}

static void what_a_dead_fence_froze_is_let_go(void **state)
{
    struct fixture *f = *state;
    _cleanup_fence_ struct fence *fence = begin(f, NULL);
    pid_t pid = 0;
    _cleanup_free_ char *cgroup = make_cgroup(roots_v2, "cgroup.freeze", &pid);
    if (!cgroup)
        skip();
    name_cgroup(f, "pod_main", cgroup);
    cgroup_dir_freeze(cgroup, true);
    assert_int_equal(fence_set(fence, in_msec(3600000), MONOTIME_NEVER, NULL), 0);
    _cleanup_free_ char *frozen = cgroup_read(cgroup, "cgroup.freeze");
    assert_true(str_starts_with(frozen, "0"));
    assert_int_equal(fence_set(fence, never_begun, never_begun, NULL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(fence_await_dead(fence, in_msec(WAIT_MSEC), -1), 1);
    remove_cgroup(cgroup);
}

static void what_is_named_is_killed_at_the_deadline(void **state)
{
    kill_at_the_deadline(*state, roots_v2, "cgroup.freeze");
}

static void so_it_is_where_cgroups_are_v1(void **state)
{
    kill_at_the_deadline(*state, roots_v1, "freezer.state");
}

static void a_wait_for_death_can_be_interrupted(void **state)
{
    struct fixture *f = *state;
    _cleanup_fence_ struct fence *fence = begin(f, NULL);
    pid_t pid = 0;
    int ends[2];
    _cleanup_free_ char *cgroup = make_cgroup(roots_v2, "cgroup.freeze", &pid);
    if (!cgroup)
        skip();
    name_cgroup(f, "pod_main", cgroup);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(fence_await_dead(fence, in_msec(WAIT_MSEC), ends[0]), 0);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(fence_set(fence, never_begun, never_begun, NULL), 0); // at once, then
    assert_int_equal(fence_await_dead(fence, in_msec(WAIT_MSEC), -1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    remove_cgroup(cgroup);
}

static void the_state_is_read_as_it_was_written_or_has_passed(void **state)
{
    struct fixture *f = *state;
    struct fence_state wrote = {7, {UINT64_MAX}, {12345}}, got;
    _cleanup_free_ char *path = path_join(f->dir, "s");
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fence_state_read_path(path, &got), -EBADMSG); // nothing yet
    assert_int_equal(fence_state_write(fd, &wrote), 0);
    assert_int_equal(fence_state_read_path(path, &got), 0);
    assert_memory_equal(&got, &wrote, sizeof(got));
    for (off_t at = 0; at < FENCE_STATE_SIZE; at++) { // a read that met a write halfway
        char was, other;
        assert_int_equal(pread(fd, &was, 1, at), 1);
        other = was == '1' ? '2' : '1';
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        assert_true(fence_state_read(fd, &got) < 0);
        assert_true(got.start_until.usec == 0 && got.kill_at.usec == 0);
        assert_int_equal(pwrite(fd, &was, 1, at), 1);
    }
    assert_int_equal(fence_state_read(fd, &got), 0);
    assert_int_equal(fence_state_read_path("/no/such", &got), -ENOENT);
}

static void two_are_refused(void **state)
{
    struct fixture *f = *state;
    struct fence *fence = begin(f, NULL);
    _cleanup_error_ struct error err = ERROR_NONE;
    struct fence *second = NULL;
    struct fence_state inherited;
    assert_int_equal(fence_new(f->state, f->manifest, &second, &inherited, &err), -EBUSY);
    assert_null(second);
    assert_non_null(strstr(error_message(&err), "another podmaster"));
    fence_free(fence);
}

static void damaged_state_inherits_nothing(void **state)
{
    struct fixture *f = *state;
    const char *const rows[] = {"", "garbage",
                                "00000000-0000-0000-0000-000000000000 00000000000000000001\n"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fence_state inherited = {1, {1}, {1}};
        assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, f->state), 0);
        assert_int_equal(fs_write_atomic(AT_FDCWD, f->state, rows[i], strlen(rows[i]), 0600, 0), 0);
        fence_free(begin(f, &inherited));
        assert_true(inherited.start_until.usec == 0 && inherited.kill_at.usec == 0);
    }
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(the_manifest_goes_at_the_deadline),
        WITH_DIRECTORY(a_deadline_that_moves_counts_as_it_is_last),
        WITH_DIRECTORY(without_a_deadline_the_manifest_goes_at_once),
        WITH_DIRECTORY(the_watch_outlives_its_podmaster),
        WITH_DIRECTORY(a_podmaster_that_comes_back_inherits_the_deadline),
        WITH_DIRECTORY(what_is_named_is_killed_at_the_deadline),
        WITH_DIRECTORY(what_a_dead_fence_froze_is_let_go),
        WITH_DIRECTORY(so_it_is_where_cgroups_are_v1),
        WITH_DIRECTORY(a_wait_for_death_can_be_interrupted),
        WITH_DIRECTORY(the_state_is_read_as_it_was_written_or_has_passed),
        WITH_DIRECTORY(two_are_refused),
        WITH_DIRECTORY(damaged_state_inherits_nothing),
    };
    log_open("test-fence", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("fence", tests, NULL, NULL);
}
