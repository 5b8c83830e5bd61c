// What the tiers of the QoS classes get depends on the pods that are in them
// (K/cm/qos_container_manager_linux.go): the CPU that the Burstable ones ask for together.
#include "supervisor/qos.h"
#include "supervisor/runtime-internal.h"

static bool counts(const struct pod_worker *w)
{
    return w->state == POD_INITIALIZING || w->state == POD_RUNNING || w->state == POD_ENDING ||
           w->state == POD_STOPPING;
}

void runtime_count_tier(struct runtime *rt, struct pod_worker *w, bool leaves)
{
    struct keep *keep = keep_of(w);
    bool in_tier = !leaves && counts(w);
    if (in_tier == keep->in_tier)
        return;
    keep->in_tier = in_tier;
    if (qos_class_of(w->pod) != QOS_BURSTABLE)
        return;
    int64_t milli = MIN(qos_pod_requests(w->pod, "cpu"), (int64_t)INT32_MAX);
    rt->burstable_milli += in_tier ? milli : -milli;
    if (rt->options.containers.cgroups)
        cgroup_tree_set_burstable(rt->options.containers.cgroups, rt->burstable_milli);
}
