// Requests and limits as numbers of the kernel, and what is written where: on hosts with v2 and
// with v1 that are played by plain files.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/podspec.h"
#include "supervisor/cgroup-internal.h"

static void cpu_is_converted_as_by_the_kubelet(void **state)
{
    static const struct {
        int64_t milli;
        uint64_t shares;
        int64_t quota;
    } cases[] = {
        {-1, 2, 0},
        {0, 2, 0},
        {1, 2, 1000},
        {5, 5, 1000},
        {10, 10, 1000},
        {11, 11, 1100},
        {100, 102, 10000},
        {250, 256, 25000},
        {200, 204, 20000},
        {1000, 1024, 100000},
        {1500, 1536, 150000},
        {64000, 65536, 6400000},
        {300000, 262144, 30000000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(cgroup_cpu_shares(cases[i].milli), cases[i].shares);
        assert_int_equal(cgroup_cpu_quota(cases[i].milli, CGROUP_CPU_PERIOD), cases[i].quota);
    }
    assert_int_equal(cgroup_cpu_shares(INT64_MAX), 262144);
    assert_int_equal(cgroup_cpu_quota(INT64_MAX, 1000000), INT64_MAX);
    assert_int_equal(cgroup_cpu_quota(200, 10000), 2000);
}

// The numbers of kubelet-semantics: what both formulas make of the same requests.
static void weights_have_two_formulas(void **state)
{
    static const struct {
        uint64_t shares, linear, logarithmic;
    } cases[] = {{0, 1, 1},       {2, 1, 1},       {102, 4, 17},           {256, 10, 35},
                 {1024, 39, 100}, {2048, 79, 174}, {262144, 10000, 10000}, {300000, 10000, 10000}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(cgroup_cpu_weight(cases[i].shares, CGROUP_WEIGHT_LINEAR), cases[i].linear);
        assert_int_equal(cgroup_cpu_weight(cases[i].shares, CGROUP_WEIGHT_LOGARITHMIC),
                         cases[i].logarithmic);
    }
    enum cgroup_weight_formula formula = CGROUP_WEIGHT_LINEAR;
    assert_int_equal(cgroup_weight_formula_parse("logarithmic", &formula), 0);
    assert_int_equal(formula, CGROUP_WEIGHT_LOGARITHMIC);
    assert_int_equal(cgroup_weight_formula_parse("Linear", &formula), -EINVAL);
    assert_string_equal(cgroup_weight_formula_name(CGROUP_WEIGHT_LINEAR), "linear");
}

// ---- pods ----

static void set(struct resource_list *list, const char *name, const char *amount)
{
    list->items = xreallocarray(list->items, list->n + 1, sizeof(*list->items));
    list->items[list->n].name = xstrdup(name);
    assert_int_equal(quantity_parse(amount, &list->items[list->n].value), 0);
    list->n++;
}

static struct pod *new_pod(void)
{
    struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->metadata.uid = xstrdup("0123456789abcdef");
    return pod;
}

static struct container *add(struct pod *pod, const char *name)
{
    struct container *c = LIST_APPEND(&pod->spec.containers);
    c->name = xstrdup(name);
    return c;
}

static struct pod *burstable_pod(void)
{
    struct pod *pod = new_pod();
    struct container *c = add(pod, "etcd");
    set(&c->resources.requests, "cpu", "250m");
    set(&c->resources.limits, "cpu", "500m");
    set(&c->resources.limits, "memory", "100Mi");
    return pod;
}

static void a_pod_gets_the_sum_where_every_container_is_limited(void **state)
{
    struct cgroup_policy policy = CGROUP_POLICY_DEFAULT;
    _cleanup_pod_ struct pod *pod = burstable_pod();
    struct cgroup_numbers n = cgroup_numbers_of_pod(pod, &policy);
    assert_int_equal(n.cpu_shares, 256);
    assert_int_equal(n.cpu_quota, 50000);
    assert_int_equal(n.cpu_period, 100000);
    assert_int_equal(n.memory_limit, 104857600);
    set(&pod->spec.overhead, "memory", "1Mi");
    set(&pod->spec.overhead, "cpu", "10m");
    n = cgroup_numbers_of_pod(pod, &policy);
    assert_int_equal(n.memory_limit, 104857600 + 1048576);
    assert_int_equal(n.cpu_quota, 51000);
    assert_int_equal(n.cpu_shares, 266);
    set(&add(pod, "free")->resources.limits, "cpu", "1");
    n = cgroup_numbers_of_pod(pod, &policy);
    assert_int_equal(n.cpu_quota, 151000);
    assert_int_equal(n.memory_limit, 0);
    policy = (struct cgroup_policy){.pids_limit = 64};
    n = cgroup_numbers_of_pod(pod, &policy);
    assert_int_equal(n.cpu_quota, 0); // cpuCFSQuota: false
    assert_int_equal(n.pids_limit, 64);
}

static void a_pod_without_requests_gets_two_shares(void **state)
{
    struct cgroup_policy policy = CGROUP_POLICY_DEFAULT;
    _cleanup_pod_ struct pod *pod = new_pod();
    add(pod, "c");
    struct cgroup_numbers n = cgroup_numbers_of_pod(pod, &policy);
    assert_int_equal(n.cpu_shares, 2);
    assert_int_equal(n.cpu_quota + n.memory_limit + n.pids_limit, 0);
}

static void amounts_of_the_pod_itself_win(void **state)
{
    struct cgroup_policy policy = CGROUP_POLICY_DEFAULT;
    _cleanup_pod_ struct pod *pod = new_pod();
    struct container *c = add(pod, "c");
    set(&c->resources.requests, "cpu", "100m");
    add(pod, "d");
    c = &pod->spec.containers.items[0];
    pod->spec.resources = xcalloc(1, sizeof(*pod->spec.resources));
    set(&pod->spec.resources->limits, "cpu", "1");
    set(&pod->spec.resources->limits, "memory", "64Mi");
    struct cgroup_numbers n = cgroup_numbers_of_pod(pod, &policy);
    assert_int_equal(n.cpu_shares, 102); // requests default to the containers' sum
    assert_int_equal(n.cpu_quota, 100000);
    assert_int_equal(n.memory_limit, 67108864);
    n = cgroup_numbers_of_container(c, &policy);
    assert_int_equal(n.memory_limit, 0);
    set(&pod->spec.resources->requests, "cpu", "1");
    n = cgroup_numbers_of_pod(pod, &policy);
    assert_int_equal(n.cpu_shares, 1024);
}

static void a_request_defaults_to_the_limit(void **state)
{
    struct cgroup_policy policy = CGROUP_POLICY_DEFAULT;
    _cleanup_pod_ struct pod *pod = new_pod();
    struct container *c = add(pod, "c");
    set(&c->resources.limits, "cpu", "2");
    assert_int_equal(cgroup_numbers_of_container(c, &policy).cpu_shares, 2048);
    set(&c->resources.requests, "cpu", "0");
    assert_int_equal(cgroup_numbers_of_container(c, &policy).cpu_shares, 2048);
}

// ---- hosts played by plain files ----

struct host {
    char dir[64];
    struct cgroup_tree *tree;
    struct shim_spec spec;
    struct string_list notes;
};

// What is written goes over the start of a plain file, so those that are written start empty.
static void put(const struct host *h, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(h->dir, name);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0), 0);
}

static void put_empty(const struct host *h, const char *dir, const char *const *names)
{
    for (; *names; names++) {
        _cleanup_free_ char *path = path_join(dir, *names);
        put(h, path, "");
    }
}

static void assert_file(const struct host *h, const char *name, const char *expected)
{
    _cleanup_free_ char *path = path_join(h->dir, name);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (fs_read_file(AT_FDCWD, path, 4096, &text) < 0)
        fail_msg("%s is not there", name);
    if (strcmp(buffer_str(&text), expected) != 0)
        fail_msg("%s has \"%s\", not \"%s\"", name, buffer_str(&text), expected);
}

static const char *limit(const struct host *h, const char *file)
{
    LIST_EACH (item, &h->spec.limits)
        if (strcmp(path_base(item->path), file) == 0)
            return item->value;
    return NULL;
}

static void prepare(struct host *h, const struct pod *pod)
{
    assert_int_equal(
        cgroup_prepare(h->tree, pod, &pod->spec.containers.items[0], &h->spec, &h->notes, NULL), 0);
}

static void open_host(struct host *h, const char *mounts, const char *membership)
{
    assert_int_equal(cgroup_tree_open_from(mounts, membership, "base/agent", &h->tree, NULL), 0);
}

static void begin(struct host *h)
{
    *h = (struct host){.dir = "/tmp/test-cgroup-XXXXXX"};
    assert_non_null(mkdtemp(h->dir));
}

static void end(struct host *h)
{
    cgroup_tree_free(h->tree);
    shim_spec_free(&h->spec);
    string_list_free(&h->notes);
    assert_int_equal(fs_remove_tree(AT_FDCWD, h->dir), 0);
}

static const char *const v2_files[] = {"cpu.weight", "cpu.max", "memory.max", "pids.max", NULL};

static void open_v2(struct host *h)
{
    put(h, "base/agent/cgroup.subtree_control", "                 cpu memory pids io\n");
    put(h, "base/agent/cgroup.procs", "");
    put(h, "base/agent/cgroup.kill", "");
    put(h, "base/agent/cgroup.freeze", "");
    put_empty(h, "base/agent/kubepods/burstable", v2_files);
    put_empty(h, "base/agent/kubepods/besteffort", v2_files);
    put_empty(h, "base/agent/kubepods/burstable/pod0123456789abcdef", v2_files);
    put_empty(h, "base/agent/kubepods/besteffort/pod0123456789abcdef", v2_files);
    _cleanup_free_ char *mounts =
        xasprintf("30 20 0:26 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", h->dir);
    open_host(h, mounts, "0::/system.slice/x.service\n");
}

static void everything_is_set_where_v2_has_it(void **state)
{
    struct host h;
    begin(&h);
    open_v2(&h);
    assert_non_null(strstr(cgroup_tree_describe(h.tree), "(kill, freeze, cpu, memory, pids, io)"));
    struct cgroup_policy policy = CGROUP_POLICY_DEFAULT;
    policy.pids_limit = 100;
    cgroup_tree_set_policy(h.tree, &policy);
    _cleanup_pod_ struct pod *pod = burstable_pod();
    set(&pod->spec.containers.items[0].resources.limits, "hugepages-2Mi", "2Mi");
    prepare(&h, pod);
    assert_string_equal(limit(&h, "cpu.weight"), "10");
    assert_string_equal(limit(&h, "cpu.max"), "50000 100000");
    assert_string_equal(limit(&h, "memory.max"), "104857600");
    assert_string_equal(limit(&h, "memory.oom.group"), "1");
    assert_int_equal(h.spec.limits.n, 4); // nothing of MemoryQoS
    assert_int_equal(h.notes.n, 1);
    assert_non_null(strstr(h.notes.items[0], "hugepages-2Mi limit of 2Mi is not enforced"));
    assert_int_equal(h.spec.cgroup_dirs.n, 1);
    assert_true(
        str_ends_with(h.spec.cgroup_dirs.items[0], "/kubepods/burstable/pod0123456789abcdef/etcd"));
    assert_true(str_ends_with(h.spec.shim_cgroup_dirs.items[0], "/etcd.shim"));
    assert_file(&h, "base/agent/kubepods/burstable/pod0123456789abcdef/cpu.weight", "10");
    assert_file(&h, "base/agent/kubepods/burstable/pod0123456789abcdef/cpu.max", "50000 100000");
    assert_file(&h, "base/agent/kubepods/burstable/pod0123456789abcdef/memory.max", "104857600");
    assert_file(&h, "base/agent/kubepods/burstable/pod0123456789abcdef/pids.max", "100");
    cgroup_tree_set_burstable(h.tree, 4000);
    assert_file(&h, "base/agent/kubepods/burstable/cpu.weight", "157");
    end(&h);
}

static void options_change_what_v2_is_given(void **state)
{
    struct host h;
    begin(&h);
    open_v2(&h);
    struct cgroup_policy policy = {
        .cpu_quota = true,
        .cpu_period_usec = 10000,
        .oom_kills_one = true,
        .weight = CGROUP_WEIGHT_LOGARITHMIC,
    };
    cgroup_tree_set_policy(h.tree, &policy);
    assert_true(
        str_ends_with(cgroup_tree_describe(h.tree), "; cpu.weight by the logarithmic formula"));
    _cleanup_pod_ struct pod *pod = burstable_pod();
    prepare(&h, pod);
    assert_string_equal(limit(&h, "cpu.weight"), "35");
    assert_string_equal(limit(&h, "cpu.max"), "5000 10000");
    assert_string_equal(limit(&h, "memory.oom.group"), "0");
    assert_file(&h, "base/agent/kubepods/burstable/pod0123456789abcdef/pids.max", "");
    end(&h);
}

static void the_tier_without_requests_gets_what_is_left(void **state)
{
    struct host h;
    begin(&h);
    open_v2(&h);
    _cleanup_pod_ struct pod *pod = new_pod();
    add(pod, "c");
    prepare(&h, pod);
    assert_string_equal(limit(&h, "cpu.weight"), "1");
    assert_string_equal(limit(&h, "cpu.max"), "max 100000");
    assert_string_equal(limit(&h, "memory.max"), "max");
    assert_file(&h, "base/agent/kubepods/besteffort/cpu.weight", "1");
    assert_file(&h, "base/agent/kubepods/besteffort/pod0123456789abcdef/cpu.weight", "1");
    assert_file(&h, "base/agent/kubepods/besteffort/pod0123456789abcdef/memory.max", "");
    assert_int_equal(h.notes.n, 0);
    end(&h);
}

static void open_v1(struct host *h, bool memory)
{
    static const char *const cpu_files[] = {"cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us",
                                            NULL};
    static const char *const memory_files[] = {"memory.limit_in_bytes", NULL};
    static const char *const pids_files[] = {"pids.max", NULL};
    put(h, "cpu/base/agent/cgroup.procs", "");
    put(h, "freezer/base/agent/cgroup.procs", "");
    put(h, "pids/base/agent/cgroup.procs", "");
    put_empty(h, "cpu/base/agent/kubepods/burstable", cpu_files);
    put_empty(h, "cpu/base/agent/kubepods/burstable/pod0123456789abcdef", cpu_files);
    put_empty(h, "pids/base/agent/kubepods/burstable/pod0123456789abcdef", pids_files);
    struct buffer mounts = BUFFER_EMPTY;
    buffer_printf(&mounts, "30 20 0:26 / %s/cpu rw - cgroup cgroup rw,cpu,cpuacct\n", h->dir);
    buffer_printf(&mounts, "31 20 0:27 / %s/pids rw - cgroup cgroup rw,pids\n", h->dir);
    buffer_printf(&mounts, "32 20 0:28 / %s/freezer rw - cgroup cgroup rw,freezer\n", h->dir);
    if (memory) {
        put(h, "memory/base/agent/cgroup.procs", "");
        put_empty(h, "memory/base/agent/kubepods/burstable/pod0123456789abcdef", memory_files);
        buffer_printf(&mounts, "33 20 0:29 / %s/memory rw - cgroup cgroup rw,memory\n", h->dir);
    }
    open_host(h, buffer_str(&mounts), "1:cpu,cpuacct:/\n2:pids:/\n3:freezer:/\n4:memory:/\n");
    buffer_free(&mounts);
}

static void everything_is_set_where_v1_has_it(void **state)
{
    struct host h;
    begin(&h);
    open_v1(&h, true);
    assert_string_equal(cgroup_tree_describe(h.tree), "v1 cpu, memory, pids, freezer");
    struct cgroup_policy policy = CGROUP_POLICY_DEFAULT;
    policy.pids_limit = 100;
    cgroup_tree_set_policy(h.tree, &policy);
    _cleanup_pod_ struct pod *pod = burstable_pod();
    prepare(&h, pod);
    assert_string_equal(limit(&h, "cpu.shares"), "256");
    assert_string_equal(limit(&h, "cpu.cfs_period_us"), "100000");
    assert_string_equal(limit(&h, "cpu.cfs_quota_us"), "50000");
    assert_string_equal(limit(&h, "memory.limit_in_bytes"), "104857600");
    assert_int_equal(h.spec.limits.n, 4);
    assert_int_equal(h.spec.cgroup_dirs.n, 4); // the freezer's, and one for each limit
    assert_int_equal(h.notes.n, 0);
    assert_file(&h, "cpu/base/agent/kubepods/burstable/pod0123456789abcdef/cpu.shares", "256");
    assert_file(&h, "cpu/base/agent/kubepods/burstable/pod0123456789abcdef/cpu.cfs_quota_us",
                "50000");
    assert_file(&h, "cpu/base/agent/kubepods/burstable/pod0123456789abcdef/cpu.cfs_period_us",
                "100000");
    assert_file(&h,
                "memory/base/agent/kubepods/burstable/pod0123456789abcdef/memory.limit_in_bytes",
                "104857600");
    assert_file(&h, "pids/base/agent/kubepods/burstable/pod0123456789abcdef/pids.max", "100");
    cgroup_tree_set_burstable(h.tree, 650);
    assert_file(&h, "cpu/base/agent/kubepods/burstable/cpu.shares", "665");
    end(&h);
}

static void what_v1_lacks_is_said(void **state)
{
    struct host h;
    begin(&h);
    open_v1(&h, false);
    _cleanup_pod_ struct pod *pod = burstable_pod();
    prepare(&h, pod);
    assert_int_equal(h.notes.n, 1);
    assert_string_equal(h.notes.items[0],
                        "container etcd: the memory limit of 100Mi is not enforced: this host has "
                        "no writable memory controller");
    assert_null(limit(&h, "memory.limit_in_bytes"));
    assert_string_equal(limit(&h, "cpu.shares"), "256");
    end(&h);
}

// A container without a limit of its own has to be where the pod's limit is.
static void limits_of_the_pod_itself_hold_its_containers(void **state)
{
    struct host h;
    begin(&h);
    open_v1(&h, true);
    _cleanup_pod_ struct pod *pod = new_pod();
    add(pod, "c");
    pod->spec.resources = xcalloc(1, sizeof(*pod->spec.resources));
    set(&pod->spec.resources->limits, "memory", "64Mi");
    prepare(&h, pod);
    assert_null(limit(&h, "memory.limit_in_bytes"));
    assert_int_equal(h.spec.cgroup_dirs.n, 2);
    assert_non_null(strstr(h.spec.cgroup_dirs.items[1], "/memory/"));
    assert_file(&h,
                "memory/base/agent/kubepods/burstable/pod0123456789abcdef/memory.limit_in_bytes",
                "67108864");
    end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_is_converted_as_by_the_kubelet),
        cmocka_unit_test(weights_have_two_formulas),
        cmocka_unit_test(a_pod_gets_the_sum_where_every_container_is_limited),
        cmocka_unit_test(a_pod_without_requests_gets_two_shares),
        cmocka_unit_test(amounts_of_the_pod_itself_win),
        cmocka_unit_test(a_request_defaults_to_the_limit),
        cmocka_unit_test(everything_is_set_where_v2_has_it),
        cmocka_unit_test(options_change_what_v2_is_given),
        cmocka_unit_test(the_tier_without_requests_gets_what_is_left),
        cmocka_unit_test(everything_is_set_where_v1_has_it),
        cmocka_unit_test(what_v1_lacks_is_said),
        cmocka_unit_test(limits_of_the_pod_itself_hold_its_containers),
    };
    return cmocka_run_group_tests_name("cgroup-numbers", tests, NULL, NULL);
}
