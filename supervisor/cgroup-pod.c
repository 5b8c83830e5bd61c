// The cgroups above a container's: its pod's, and the tiers of the QoS classes. See cgroup.h.
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cgroup-internal.h"
#include "supervisor/qos.h"

static const char *const tiers[] = {
    [QOS_GUARANTEED] = "kubepods",
    [QOS_BURSTABLE] = "kubepods/burstable",
    [QOS_BEST_EFFORT] = "kubepods/besteffort",
};

char *cgroup_pod_path(const struct pod *pod)
{
    return xasprintf("%s/pod%s", tiers[qos_class_of(pod)], pod->metadata.uid);
}

bool cgroup_is_in_v1(const struct cgroup_tree *tree, enum cgroup_controller controller,
                     const char *dir)
{
    const char *base = tree->v1[controller];
    size_t length = base ? strlen(base) : 0;
    return base && strncmp(dir, base, length) == 0 && dir[length] == '/';
}

static void write_number(const char *dir, const char *file, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, number);
    (void)cgroup_write(dir, file, text);
}

static void limit_in_v2(const struct cgroup_tree *tree, const char *dir,
                        const struct cgroup_numbers *n)
{
    char quota[64];
    if (tree->v2_controls[CGROUP_CPU]) {
        write_number(dir, "cpu.weight",
                     (int64_t)cgroup_cpu_weight(n->cpu_shares, tree->policy.weight));
        snprintf(quota, sizeof(quota), "%" PRId64 " %" PRId64, n->cpu_quota, n->cpu_period);
        if (n->cpu_quota > 0)
            (void)cgroup_write(dir, "cpu.max", quota);
    }
    if (tree->v2_controls[CGROUP_MEMORY] && n->memory_limit > 0)
        write_number(dir, "memory.max", n->memory_limit);
    if (tree->v2_controls[CGROUP_PIDS] && n->pids_limit > 0)
        write_number(dir, "pids.max", n->pids_limit);
}

static void limit_in_v1(const struct cgroup_tree *tree, const char *dir,
                        const struct cgroup_numbers *n)
{
    if (cgroup_is_in_v1(tree, CGROUP_CPU, dir)) {
        write_number(dir, "cpu.shares", (int64_t)n->cpu_shares);
        if (n->cpu_quota > 0) {
            write_number(dir, "cpu.cfs_period_us", n->cpu_period);
            write_number(dir, "cpu.cfs_quota_us", n->cpu_quota);
        }
    }
    if (cgroup_is_in_v1(tree, CGROUP_MEMORY, dir) && n->memory_limit > 0)
        write_number(dir, "memory.limit_in_bytes", n->memory_limit);
    if (cgroup_is_in_v1(tree, CGROUP_PIDS, dir) && n->pids_limit > 0)
        write_number(dir, "pids.max", n->pids_limit);
}

static void set_tier(const struct cgroup_tree *tree, enum qos_class class_, uint64_t shares)
{
    if (tree->v2 && tree->v2_controls[CGROUP_CPU]) {
        _cleanup_free_ char *dir = path_join(tree->v2, tiers[class_]);
        write_number(dir, "cpu.weight", (int64_t)cgroup_cpu_weight(shares, tree->policy.weight));
    } else if (tree->v1[CGROUP_CPU]) {
        _cleanup_free_ char *dir = path_join(tree->v1[CGROUP_CPU], tiers[class_]);
        write_number(dir, "cpu.shares", (int64_t)shares);
    }
}

void cgroup_tree_set_burstable(const struct cgroup_tree *tree, int64_t milli)
{
    set_tier(tree, QOS_BURSTABLE, cgroup_cpu_shares(milli));
}

void cgroup_limit_pod(const struct cgroup_tree *tree, const struct pod *pod,
                      const struct cgroup_numbers *numbers, const struct string_list *leaves)
{
    for (size_t i = 0; i < leaves->n; i++) {
        const char *leaf = leaves->items[i];
        _cleanup_free_ char *dir = xstrndup(leaf, (size_t)(path_base(leaf) - leaf - 1));
        if (i == 0 && tree->v2)
            limit_in_v2(tree, dir, numbers);
        else
            limit_in_v1(tree, dir, numbers);
    }
    if (qos_class_of(pod) == QOS_BEST_EFFORT)
        set_tier(tree, QOS_BEST_EFFORT, CGROUP_CPU_SHARES_BEST_EFFORT);
}
