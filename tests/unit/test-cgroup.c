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

static void cpu_is_converted_as_by_the_kubelet(void **state)
{
    assert_int_equal(cgroup_cpu_shares(0), 2);
    assert_int_equal(cgroup_cpu_shares(1), 2);
    assert_int_equal(cgroup_cpu_shares(250), 256);
    assert_int_equal(cgroup_cpu_shares(1000), 1024);
    assert_int_equal(cgroup_cpu_shares(INT64_MAX), 262144);
    assert_int_equal(cgroup_cpu_quota(0), 0);
    assert_int_equal(cgroup_cpu_quota(5), 1000);
    assert_int_equal(cgroup_cpu_quota(200), 20000);
    assert_int_equal(cgroup_cpu_quota(1500), 150000);
    assert_int_equal(cgroup_cpu_weight(2), 1);
    assert_int_equal(cgroup_cpu_weight(102), 4);
    assert_int_equal(cgroup_cpu_weight(256), 10);
    assert_int_equal(cgroup_cpu_weight(1024), 39);
    assert_int_equal(cgroup_cpu_weight(262144), 10000);
}

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

// ---- a host with all controllers in v2, played by plain files ----

static void put(const char *dir, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(dir, name);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0), 0);
}

static void everything_is_set_where_v2_has_it(void **state)
{
    char dir[] = "/tmp/test-cgroup-XXXXXX";
    struct cgroup_tree *tree;
    struct shim_spec spec = {0};
    struct string_list notes = {0};
    struct fixture f = {0};
    assert_non_null(mkdtemp(dir));
    // What is written goes over the start of a plain file, hence the room.
    put(dir, "base/agent/cgroup.subtree_control", "          cpu memory\n");
    put(dir, "base/agent/cgroup.procs", "");
    put(dir, "base/agent/cgroup.kill", "");
    put(dir, "base/agent/cgroup.freeze", "");
    _cleanup_free_ char *mounts =
        xasprintf("30 20 0:26 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", dir);
    assert_int_equal(
        cgroup_tree_open_from(mounts, "0::/system.slice/x.service\n", "base/agent", &tree, NULL),
        0);
    assert_non_null(strstr(cgroup_tree_describe(tree), "(kill, freeze, cpu, memory)"));

    struct pod *pod = make_pod();
    struct container *c = &pod->spec.containers.items[0];
    set(&c->resources.limits, "cpu", "500m");
    set(&c->resources.limits, "hugepages-2Mi", "2Mi");
    assert_int_equal(cgroup_prepare(tree, pod, c, &spec, &notes, NULL), 0);
    f.spec = spec;
    assert_string_equal(limit(&f, "cpu.weight"), "10");
    assert_string_equal(limit(&f, "cpu.max"), "50000 100000");
    assert_string_equal(limit(&f, "memory.max"), "104857600");
    assert_string_equal(limit(&f, "memory.oom.group"), "1");
    assert_int_equal(notes.n, 1);
    assert_non_null(strstr(notes.items[0], "hugepages-2Mi limit of 2Mi is not enforced"));
    assert_int_equal(spec.cgroup_dirs.n, 1);
    assert_true(str_ends_with(spec.cgroup_dirs.items[0],
                              "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/etcd"));
    assert_true(str_ends_with(spec.shim_cgroup_dirs.items[0], "/etcd.shim"));
    pod_free(pod);
    cgroup_tree_free(tree);
    shim_spec_free(&spec);
    string_list_free(&notes);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_is_converted_as_by_the_kubelet),
        cmocka_unit_test(units_are_left_to_systemd),
        cmocka_unit_test(hosts_without_cgroups_say_so),
        cmocka_unit_test(everything_is_set_where_v2_has_it),
        cmocka_unit_test_setup_teardown(containers_are_killed_and_proven_gone, open_v2, clean_up),
        cmocka_unit_test_setup_teardown(empty_cgroups_are_told_from_the_loop, open_v2, clean_up),
        cmocka_unit_test_setup_teardown(limits_are_the_kubelets, open_v2, clean_up),
        {"containers_are_killed_with_v1_alone", containers_are_killed_and_proven_gone, open_v1,
         clean_up, NULL},
        {"limits_with_v1_alone", limits_are_the_kubelets, open_v1, clean_up, NULL},
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
