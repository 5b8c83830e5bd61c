// The cgroups of one container: directories and limits. See cgroup.h.
#include "supervisor/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cgroup-internal.h"
#include "supervisor/qos.h"

// ---- directories ----

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
    const struct container *container;
    struct cgroup_numbers own, pod; // of the container, and of the pod as a whole
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
                          xasprintf("container %s: the %s %s of %s is not enforced: %s",
                                    p->container->name, resource, what, amount->text, why));
}

static void say_no_controller(const struct preparation *p, const char *name)
{
    const struct quantity *limit = qos_limit(p->container, name);
    const struct quantity *request = qos_request(p->container, name);
    _cleanup_free_ char *why = xasprintf("this host has no writable %s controller", name);
    if (limit)
        say_unenforced(p, "limit", name, limit, why);
    else if (request && strcmp(name, "memory") != 0) // that of memory sets nothing in a cgroup
        say_unenforced(p, "request", name, request, why);
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
    for (size_t i = 0; i < dirs->n; i++)
        if (cgroup_is_in_v1(p->tree, controller, dirs->items[i]))
            return dirs->items[i]; // cpu and cpuacct, say, in one hierarchy
    return make_in(base, p->pod_path, p->container->name, dirs, NULL) < 0
               ? NULL
               : dirs->items[dirs->n - 1];
}

// A run that was started with a limit may be followed by one without: the cgroup is the same.
static void set_cpu_v2(const struct preparation *p, const char *dir)
{
    const struct cgroup_policy *policy = &p->tree->policy;
    int64_t period = policy->cpu_period_usec, quota = p->own.cpu_quota;
    uint64_t weight = cgroup_cpu_weight(p->own.cpu_shares, policy->weight);
    add_limit(p->spec, dir, "cpu.weight", xasprintf("%" PRIu64, weight));
    add_limit(p->spec, dir, "cpu.max",
              quota ? xasprintf("%" PRId64 " %" PRId64, quota, period)
                    : xasprintf("max %" PRId64, period));
}

static void set_cpu(const struct preparation *p)
{
    bool v2 = p->tree->v2_controls[CGROUP_CPU];
    bool asks = qos_request(p->container, "cpu") || p->own.cpu_quota || p->pod.cpu_quota;
    if (!asks && !v2)
        return; // nothing is asked for; joining a v1 hierarchy is not worth its milliseconds
    const char *dir = dir_for(p, CGROUP_CPU);
    if (!dir) {
        say_no_controller(p, "cpu");
        return;
    }
    if (v2) {
        set_cpu_v2(p, dir);
        return;
    }
    add_limit(p->spec, dir, "cpu.shares", xasprintf("%" PRIu64, p->own.cpu_shares));
    if (p->own.cpu_quota) {
        add_limit(p->spec, dir, "cpu.cfs_period_us", xasprintf("%" PRId64, p->own.cpu_period));
        add_limit(p->spec, dir, "cpu.cfs_quota_us", xasprintf("%" PRId64, p->own.cpu_quota));
    }
}

static void set_memory(const struct preparation *p)
{
    bool v2 = p->tree->v2_controls[CGROUP_MEMORY];
    int64_t limit = p->own.memory_limit;
    if (!limit && !p->pod.memory_limit && !v2)
        return;
    const char *dir = dir_for(p, CGROUP_MEMORY);
    if (!dir) {
        say_no_controller(p, "memory");
        return;
    }
    if (!v2) {
        if (limit)
            add_limit(p->spec, dir, "memory.limit_in_bytes", xasprintf("%" PRId64, limit));
        return;
    }
    add_limit(p->spec, dir, "memory.max", limit ? xasprintf("%" PRId64, limit) : xstrdup("max"));
    // By default a container dies as a whole.
    add_limit(p->spec, dir, "memory.oom.group", xstrdup(p->tree->policy.oom_kills_one ? "0" : "1"));
}

// The limit itself is the pod's; on v1 a container has to be in that hierarchy to be held by it.
static void set_pids(const struct preparation *p)
{
    if (p->pod.pids_limit <= 0 || dir_for(p, CGROUP_PIDS))
        return;
    string_list_add_owned(p->unenforced,
                          xasprintf("container %s: the limit of %" PRId64
                                    " processes (podPidsLimit) is not enforced: this host has no "
                                    "writable pids controller",
                                    p->container->name, p->pod.pids_limit));
}

static void name_other_limits(const struct preparation *p)
{
    const struct resource_list *limits = &p->container->resources.limits;
    for (size_t i = 0; i < limits->n; i++) {
        const char *name = limits->items[i].name;
        if (strcmp(name, "cpu") != 0 && strcmp(name, "memory") != 0)
            say_unenforced(p, "limit", name, &limits->items[i].value,
                           strchr(name, '/') ? "no device plugin gives this node such a resource"
                                             : "only cpu and memory can be limited");
    }
}

static void name_pod_limits(const struct preparation *p, const struct pod *pod)
{
    static const struct {
        enum cgroup_controller controller;
        const char *name;
    } limited[] = {{CGROUP_CPU, "cpu"}, {CGROUP_MEMORY, "memory"}};
    for (size_t i = 0; pod->spec.resources && i < ARRAY_SIZE(limited); i++) {
        enum cgroup_controller controller = limited[i].controller;
        const struct quantity *limit = qos_resource(&pod->spec.resources->limits, limited[i].name);
        if (limit && !p->tree->v2_controls[controller] && !p->tree->v1[controller])
            string_list_add_owned(p->unenforced,
                                  xasprintf("the pod's %s limit of %s is not enforced: this host "
                                            "has no writable %s controller",
                                            limited[i].name, limit->text, limited[i].name));
    }
}

int cgroup_prepare(struct cgroup_tree *tree, const struct pod *pod,
                   const struct container *container, struct shim_spec *spec,
                   struct string_list *unenforced, struct error *err)
{
    if (!pod->metadata.uid || !path_is_name(pod->metadata.uid) || !path_is_name(container->name))
        return error_set(err, EINVAL, "the pod's uid or the container's name is no file name");
    _cleanup_free_ char *path = cgroup_pod_path(pod);
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
    struct preparation p = {
        .tree = tree,
        .container = container,
        .own = cgroup_numbers_of_container(container, &tree->policy),
        .pod = cgroup_numbers_of_pod(pod, &tree->policy),
        .spec = spec,
        .unenforced = unenforced,
        .pod_path = path,
    };
    set_cpu(&p);
    set_memory(&p);
    set_pids(&p);
    name_other_limits(&p);
    name_pod_limits(&p, pod);
    cgroup_limit_pod(tree, pod, &p.pod, &spec->cgroup_dirs);
    return 0;
}

int cgroup_make_beside(struct cgroup_tree *tree, const char *name, struct string_list *ret_dirs,
                       struct error *err)
{
    char *dir = NULL;
    int code = tree->v2 ? cgroup_make(tree->v2, name, &dir) : 0;
    if (code < 0)
        return error_errno(err, code, "cannot make the cgroup %s/%s", tree->v2, name);
    if (dir)
        string_list_add_owned(ret_dirs, dir);
    return 0;
}

int cgroup_remove_pod(struct cgroup_tree *tree, const struct pod *pod)
{
    if (!pod->metadata.uid || !path_is_name(pod->metadata.uid))
        return -EINVAL;
    _cleanup_free_ char *path = cgroup_pod_path(pod);
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
