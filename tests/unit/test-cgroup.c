// Cgroups: conversions and paths, and on hosts where cgroups may be made, a container's cgroup from
// its making to its end, in the v2 hierarchy and in v1 alone.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/podspec.h"
#include "supervisor/cgroup-internal.h"
#include "supervisor/cgroup.h"

static void assert_above(const char *path, const char *expected)
{
    _cleanup_free_ char *above = cgroup_above_units(path);
    assert_string_equal(above, expected);
}

static void units_are_left_to_systemd(void **state)
{
    assert_above("/", "/");
    assert_above("/system.slice/mainstayd.service", "/");
    assert_above("/docker/abc", "/docker/abc");
    assert_above("/machine.slice/a.scope/payload/system.slice/x.service",
                 "/machine.slice/a.scope/payload");
    assert_above("/user.slice/user-0.slice/session-1.scope", "/");
}

static void hosts_without_cgroups_say_so(void **state)
{
    struct cgroup_tree *tree;
    struct error err = ERROR_NONE;
    assert_int_equal(cgroup_tree_open_from("", "", "test", &tree, &err), 0);
    assert_true(str_starts_with(cgroup_tree_describe(tree), "none"));
    assert_false(cgroup_tree_can_kill(tree));
    struct string_list none = {0};
    assert_int_equal(cgroup_populated(&none), 0);
    assert_int_equal(cgroup_kill(&none), 0);
    cgroup_tree_free(tree);
    assert_int_equal(cgroup_tree_open_from("", "", "a/../b", &tree, &err), -EINVAL);
    error_clear(&err);
}

// ---- with real cgroups ----

struct fixture {
    struct cgroup_tree *tree;
    struct pod *pod;
    struct shim_spec spec;
    struct string_list notes;
};

static char *without_v2(const char *text)
{
    _cleanup_free_ char *copy = xstrdup(text);
    struct buffer out = BUFFER_EMPTY;
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (!strstr(line, " - cgroup2 "))
            buffer_printf(&out, "%s\n", line);
    return buffer_take(&out);
}

static void set(struct resource_list *list, const char *name, const char *amount)
{
    list->items = xreallocarray(list->items, list->n + 1, sizeof(*list->items));
    list->items[list->n].name = xstrdup(name);
    assert_int_equal(quantity_parse(amount, &list->items[list->n].value), 0);
    list->n++;
}

static struct pod *make_pod(void)
{
    struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->metadata.uid = xstrdup("0123456789abcdef0123456789abcdef");
    struct container *c = LIST_APPEND(&pod->spec.containers);
    c->name = xstrdup("etcd");
    set(&c->resources.requests, "cpu", "250m");
    set(&c->resources.limits, "memory", "100Mi");
    return pod;
}

static int open_tree_of(void **state, bool v2)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct buffer mounts = BUFFER_EMPTY, membership = BUFFER_EMPTY;
    char name[64];
    snprintf(name, sizeof(name), "mainstay-test-%d", (int)getpid());
    fs_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &mounts);
    fs_read_file(AT_FDCWD, "/proc/self/cgroup", 1 << 20, &membership);
    _cleanup_free_ char *seen = v2 ? xstrdup(buffer_str(&mounts)) : without_v2(buffer_str(&mounts));
    int code = cgroup_tree_open_from(seen, buffer_str(&membership), name, &f->tree, NULL);
    buffer_free(&mounts);
    buffer_free(&membership);
    f->pod = make_pod();
    *state = f;
    return code;
}

static int open_v2(void **state)
{
    return open_tree_of(state, true);
}

static int open_v1(void **state)
{
    return open_tree_of(state, false);
}

static int clean_up(void **state)
{
    struct fixture *f = *state;
    cgroup_remove_pod(f->tree, f->pod);
    cgroup_tree_remove(f->tree);
    cgroup_tree_free(f->tree);
    pod_free(f->pod);
    shim_spec_free(&f->spec);
    string_list_free(&f->notes);
    free(f);
    return 0;
}

static void prepare(struct fixture *f)
{
    if (!cgroup_tree_can_kill(f->tree)) {
        print_message("skipped: %s\n", cgroup_tree_describe(f->tree));
        skip();
    }
    print_message("%s\n", cgroup_tree_describe(f->tree));
    struct error err = ERROR_NONE;
    int code = cgroup_prepare(f->tree, f->pod, &f->pod->spec.containers.items[0], &f->spec,
                              &f->notes, &err);
    if (code < 0)
        fail_msg("%s", error_message(&err));
    assert_true(f->spec.cgroup_dirs.n >= 1);
}

// A process in the container's first cgroup that has forked another one; both wait for a signal.
static pid_t populate(const struct fixture *f)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (cgroup_write(f->spec.cgroup_dirs.items[0], "cgroup.procs", "0") < 0)
            _exit(1);
        fork();
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void on_empty(void *userdata)
{
    sd_event_exit(userdata, 42);
}

static void containers_are_killed_and_proven_gone(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    const struct string_list *dirs = &f->spec.cgroup_dirs;
    assert_int_equal(cgroup_populated(dirs), 0);
    pid_t pid = populate(f), pids[8];
    assert_int_equal(cgroup_populated(dirs), 1);
    assert_int_equal(cgroup_pids(dirs, pids, 8), 2);
    assert_int_equal(cgroup_remove_container(dirs, &f->spec.shim_cgroup_dirs), -EBUSY);

    sd_event *event;
    struct cgroup_watch *watch;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(cgroup_watch_empty(event, dirs, on_empty, event, &watch, NULL), 0);
    assert_int_equal(cgroup_kill(dirs), 0);
    assert_int_equal(sd_event_loop(event), 42);
    cgroup_watch_free(watch);
    sd_event_unref(event);
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_populated(dirs), 0);
    assert_int_equal(cgroup_kill(dirs), 0);
    assert_int_equal(cgroup_remove_container(dirs, &f->spec.shim_cgroup_dirs), 0);
    assert_int_equal(cgroup_populated(dirs), 0);
    assert_int_equal(cgroup_kill(dirs), 0);
}

static void empty_cgroups_are_told_from_the_loop(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    sd_event *event;
    struct cgroup_watch *watch;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(cgroup_watch_empty(event, &f->spec.cgroup_dirs, on_empty, event, &watch, NULL),
                     0);
    assert_int_equal(sd_event_loop(event), 42);
    cgroup_watch_free(watch);
    sd_event_unref(event);
}

static const char *limit(const struct fixture *f, const char *file)
{
    LIST_EACH (item, &f->spec.limits)
        if (strcmp(path_base(item->path), file) == 0)
            return item->value;
    return NULL;
}

static void limits_are_the_kubelets(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    if (f->tree->v2_controls[CGROUP_CPU])
        assert_string_equal(limit(f, "cpu.weight"), "10");
    else if (f->tree->v1[CGROUP_CPU])
        assert_string_equal(limit(f, "cpu.shares"), "256");
    if (f->tree->v2_controls[CGROUP_MEMORY])
        assert_string_equal(limit(f, "memory.max"), "104857600");
    else if (f->tree->v1[CGROUP_MEMORY])
        assert_string_equal(limit(f, "memory.limit_in_bytes"), "104857600");
    size_t missing = !limit(f, "cpu.weight") && !limit(f, "cpu.shares");
    missing += !limit(f, "memory.max") && !limit(f, "memory.limit_in_bytes");
    assert_int_equal(f->notes.n, missing);
    LIST_EACH (item, &f->spec.limits)
        assert_int_equal(access(item->path, W_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_left_to_systemd),
        cmocka_unit_test(hosts_without_cgroups_say_so),
        cmocka_unit_test_setup_teardown(containers_are_killed_and_proven_gone, open_v2, clean_up),
        cmocka_unit_test_setup_teardown(empty_cgroups_are_told_from_the_loop, open_v2, clean_up),
        cmocka_unit_test_setup_teardown(limits_are_the_kubelets, open_v2, clean_up),
        {"containers_are_killed_with_v1_alone", containers_are_killed_and_proven_gone, open_v1,
         clean_up, NULL},
        {"limits_with_v1_alone", limits_are_the_kubelets, open_v1, clean_up, NULL},
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
