// The cgroups of one container: directories and limits. See cgroup.h.
#include "supervisor/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cgroup-internal.h"
#include "supervisor/qos.h"

// ---- paths ----

static char *pod_path(const struct pod *pod)
{
    static const char *const tiers[] = {
        [QOS_GUARANTEED] = "kubepods",
        [QOS_BURSTABLE] = "kubepods/burstable",
        [QOS_BEST_EFFORT] = "kubepods/besteffort",
    };
    return xasprintf("%s/pod%s", tiers[qos_class_of(pod)], pod->metadata.uid);
}

// "+cpu +memory" for every level between the base and the pod, so that the containers' cgroups get
// the controllers.
static void enable_below(const struct cgroup_tree *tree, const char *path)
{
    char value[64] = "";
    for (int i = 0; i < CGROUP_FREEZER; i++)
        if (tree->v2_controls[i])
            snprintf(value + strlen(value), sizeof(value) - strlen(value), "%s+%s",
                     *value ? " " : "", cgroup_controller_name(i));
    if (!*value)
        return;
    _cleanup_free_ char *copy = xstrdup(path);
    for (char *slash = copy; slash; slash = strchr(slash + 1, '/')) {
        char *end = strchr(slash + 1, '/');
        if (end)
            *end = '\0';
        _cleanup_free_ char *dir = path_join(tree->v2, copy);
        (void)cgroup_write(dir, "cgroup.subtree_control", value);
        if (!end)
            break;
        *end = '/';
    }
}

static int make_in(const char *base, const char *pod, const char *name, struct string_list *dirs,
                   struct error *err)
{
    _cleanup_free_ char *below = path_join(pod, name);
    char *dir;
    int code = cgroup_make(base, below, &dir);
    if (code < 0)
        return error_errno(err, code, "cannot make the cgroup %s/%s", base, below);
    string_list_add_owned(dirs, dir);
    return 0;
}

// A run begins in a cgroup that was never killed: the kernel kills what is cloned into one that was
// (it compares the cgroup's count of kills with that of the parent's cgroup). Where something still
// lives in it, it stays, and the caller finds it populated.
static int make_fresh_in(const char *base, const char *pod, const char *name,
                         struct string_list *dirs, struct error *err)
{
    _cleanup_free_ char *dir = xasprintf("%s/%s/%s", base, pod, name);
    (void)cgroup_remove(dir);
    return make_in(base, pod, name, dirs, err);
}

// ---- limits ----

struct preparation {
    const struct cgroup_tree *tree;
    const struct pod *pod;
    const struct container *container;
    struct shim_spec *spec;
    struct string_list *unenforced;
    const char *pod_path;
};

static void add_limit(struct shim_spec *spec, const char *dir, const char *file, char *value)
{
    struct shim_limit *limit = LIST_APPEND(&spec->limits);
    limit->path = path_join(dir, file);
    limit->value = value;
}

static void say_unenforced(const struct preparation *p, const char *what, const char *resource,
                           const struct quantity *amount, const char *why)
{
    string_list_add_owned(p->unenforced,
                          xasprintf("container %s: the %s %s of %s is not enforced: "
                                    "%s",
                                    p->container->name, resource, what, amount->text, why));
}

// The container's directory in the hierarchy that has the controller (made where it is missing), or
// NULL where no hierarchy has it.
static const char *dir_for(const struct preparation *p, enum cgroup_controller controller)
{
    struct string_list *dirs = &p->spec->cgroup_dirs;
    if (p->tree->v2_controls[controller])
        return dirs->items[0];
    const char *base = p->tree->v1[controller];
    if (!base)
        return NULL;
    size_t length = strlen(base);
    for (size_t i = 0; i < dirs->n; i++)
        if (strncmp(dirs->items[i], base, length) == 0 && dirs->items[i][length] == '/')
            return dirs->items[i]; // cpu and cpuacct, say, in one hierarchy
    return make_in(base, p->pod_path, p->container->name, dirs, NULL) < 0
               ? NULL
               : dirs->items[dirs->n - 1];
}

static void set_cpu(const struct preparation *p)
{
    const struct quantity *request = qos_request(p->container, "cpu");
    const struct quantity *limit = qos_limit(p->container, "cpu");
    bool v2 = p->tree->v2_controls[CGROUP_CPU];
    if (!request && !limit && !v2)
        return; // nothing is asked for; joining a v1 hierarchy is not worth its milliseconds
    const char *dir = dir_for(p, CGROUP_CPU);
    if (!dir) {
        if (limit)
            say_unenforced(p, "limit", "cpu", limit, "this host has no writable cpu controller");
        else if (request)
            say_unenforced(p, "request", "cpu", request,
                           "this host has no writable cpu controller");
        return;
    }
    uint64_t shares = cgroup_cpu_shares(request ? quantity_milli_value(request) : 0);
    int64_t quota = limit ? cgroup_cpu_quota(quantity_milli_value(limit)) : 0;
    // A run that was started with a limit may be followed by one without: the cgroup is the same.
    if (v2) {
        add_limit(p->spec, dir, "cpu.weight", xasprintf("%" PRIu64, cgroup_cpu_weight(shares)));
        add_limit(p->spec, dir, "cpu.max",
                  quota ? xasprintf("%" PRId64 " %d", quota, CGROUP_CPU_PERIOD)
                        : xasprintf("max %d", CGROUP_CPU_PERIOD));
        return;
    }
    add_limit(p->spec, dir, "cpu.shares", xasprintf("%" PRIu64, shares));
    if (quota) {
        add_limit(p->spec, dir, "cpu.cfs_period_us", xasprintf("%d", CGROUP_CPU_PERIOD));
        add_limit(p->spec, dir, "cpu.cfs_quota_us", xasprintf("%" PRId64, quota));
    }
}

static void set_memory(const struct preparation *p)
{
    const struct quantity *limit = qos_limit(p->container, "memory");
    bool v2 = p->tree->v2_controls[CGROUP_MEMORY];
    if (!limit && !v2)
        return;
    const char *dir = dir_for(p, CGROUP_MEMORY);
    if (!dir) {
        if (limit)
            say_unenforced(p, "limit", "memory", limit,
                           "this host has no writable memory controller");
        return;
    }
    if (!v2) {
        add_limit(p->spec, dir, "memory.limit_in_bytes",
                  xasprintf("%" PRId64, quantity_value(limit)));
        return;
    }
    add_limit(p->spec, dir, "memory.max",
              limit ? xasprintf("%" PRId64, quantity_value(limit)) : xstrdup("max"));
    add_limit(p->spec, dir, "memory.oom.group", xstrdup("1")); // a container dies as a whole
}

static void name_other_limits(const struct preparation *p)
{
    const struct resource_list *limits = &p->container->resources.limits;
    for (size_t i = 0; i < limits->n; i++) {
        const char *name = limits->items[i].name;
        if (strcmp(name, "cpu") != 0 && strcmp(name, "memory") != 0)
            say_unenforced(p, "limit", name, &limits->items[i].value,
                           "only cpu and memory can be limited");
    }
}

// ---- the pod's own cgroup ----

static void write_number(const char *dir, const char *file, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, number);
    (void)cgroup_write(dir, file, text); // the container's own limit is what counts
}

// The tier of pods that ask for nothing gets what the others leave over.
static void lower_tier(const struct preparation *p, const char *pod_dir)
{
    if (qos_class_of(p->pod) != QOS_BEST_EFFORT)
        return;
    _cleanup_free_ char *tier = xstrndup(pod_dir, (size_t)(path_base(pod_dir) - pod_dir - 1));
    write_number(tier, "cpu.weight", 1);
}

// K/cm/helpers_linux.go ResourceConfigForPod: a bound for the pod as a whole only where every
// container has one.
static void limit_pod(const struct preparation *p)
{
    int64_t cpu_limit = qos_pod_limits(p->pod, "cpu", true);
    int64_t memory_limit = qos_pod_limits(p->pod, "memory", true);
    uint64_t shares = cgroup_cpu_shares(qos_pod_requests(p->pod, "cpu"));
    for (size_t i = 0; i < p->spec->cgroup_dirs.n; i++) {
        const char *leaf = p->spec->cgroup_dirs.items[i];
        _cleanup_free_ char *dir = xstrndup(leaf, (size_t)(path_base(leaf) - leaf - 1));
        if (i == 0 && p->tree->v2) {
            if (p->tree->v2_controls[CGROUP_CPU]) {
                write_number(dir, "cpu.weight", (int64_t)cgroup_cpu_weight(shares));
                lower_tier(p, dir);
            }
            if (p->tree->v2_controls[CGROUP_MEMORY] && memory_limit > 0)
                write_number(dir, "memory.max", memory_limit);
            continue;
        }
        if (str_starts_with(dir, p->tree->v1[CGROUP_CPU] ? p->tree->v1[CGROUP_CPU] : "\n")) {
            write_number(dir, "cpu.shares", (int64_t)shares);
            if (cpu_limit > 0)
                write_number(dir, "cpu.cfs_quota_us", cgroup_cpu_quota(cpu_limit));
        } else if (memory_limit > 0) {
            write_number(dir, "memory.limit_in_bytes", memory_limit);
        }
    }
}

int cgroup_prepare(struct cgroup_tree *tree, const struct pod *pod,
                   const struct container *container, struct shim_spec *spec,
                   struct string_list *unenforced, struct error *err)
{
    if (!pod->metadata.uid || !path_is_name(pod->metadata.uid) || !path_is_name(container->name))
        return error_set(err, EINVAL, "the pod's uid or the container's name is no file name");
    _cleanup_free_ char *path = pod_path(pod);
    _cleanup_free_ char *shim = xasprintf("%s.shim", container->name);
    const char *tracking = tree->v2 ? tree->v2 : tree->v1[CGROUP_FREEZER];
    if (tracking) {
        int code = make_fresh_in(tracking, path, container->name, &spec->cgroup_dirs, err);
        if (code == 0 && tree->v2)
            code = make_in(tracking, path, shim, &spec->shim_cgroup_dirs, err);
        if (code < 0)
            return code;
        if (tree->v2)
            enable_below(tree, path);
    }
    struct preparation p = {tree, pod, container, spec, unenforced, path};
    set_cpu(&p);
    set_memory(&p);
    name_other_limits(&p);
    limit_pod(&p);
    return 0;
}

int cgroup_remove_pod(struct cgroup_tree *tree, const struct pod *pod)
{
    if (!pod->metadata.uid || !path_is_name(pod->metadata.uid))
        return -EINVAL;
    _cleanup_free_ char *path = pod_path(pod);
    const char *bases[CGROUP_CONTROLLERS + 1] = {tree->v2};
    int first = 0;
    memcpy(bases + 1, tree->v1, sizeof(tree->v1));
    for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
        if (!bases[i])
            continue;
        _cleanup_free_ char *dir = path_join(bases[i], path);
        int code = cgroup_remove(dir);
        first = first ? first : code;
    }
    return first;
}

void cgroup_tree_remove(struct cgroup_tree *tree)
{
    if (tree->v2)
        (void)cgroup_remove(tree->v2);
    for (int i = 0; i < CGROUP_CONTROLLERS; i++)
        if (tree->v1[i])
            (void)cgroup_remove(tree->v1[i]);
}
