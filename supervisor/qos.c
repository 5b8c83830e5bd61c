// See qos.h.
#include "supervisor/qos.h"

#include <string.h>

#include "base/string-list.h"

enum {
    OOM_GUARANTEED = -997,
    OOM_BEST_EFFORT = 1000,
};

static const char *const computed[] = {"cpu", "memory"}; // the resources that make the class

const struct quantity *qos_resource(const struct resource_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i].value;
    return NULL;
}

const struct quantity *qos_limit(const struct container *container, const char *name)
{
    return qos_resource(&container->resources.limits, name);
}

const struct quantity *qos_request(const struct container *container, const char *name)
{
    const struct quantity *request = qos_resource(&container->resources.requests, name);
    return request ? request : qos_limit(container, name);
}

// ---- sums ----

static int64_t amount(const struct quantity *quantity, const char *name)
{
    if (!quantity)
        return 0;
    return strcmp(name, "cpu") == 0 ? quantity_milli_value(quantity) : quantity_value(quantity);
}

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

typedef const struct quantity *(*amount_of)(const struct container *container, const char *name);

static bool is_sidecar(const struct container *container)
{
    return str_equal(container->restartPolicy, "Always");
}

// Sidecars run beside everything that comes after them.
static int64_t sum_of_containers(const struct pod *pod, const char *name, amount_of of)
{
    int64_t sum = 0, sidecars = 0, greatest = 0;
    LIST_EACH (container, &pod->spec.initContainers) {
        int64_t own = amount(of(container, name), name);
        if (is_sidecar(container))
            sidecars = saturating_add(sidecars, own);
        greatest = MAX(greatest, is_sidecar(container) ? sidecars : saturating_add(sidecars, own));
    }
    LIST_EACH (container, &pod->spec.containers)
        sum = saturating_add(sum, amount(of(container, name), name));
    return MAX(saturating_add(sum, sidecars), greatest);
}

static int64_t overhead(const struct pod *pod, const char *name)
{
    return amount(qos_resource(&pod->spec.overhead, name), name);
}

// What the pod as a whole sets, or NULL.
static const struct quantity *own_request(const struct pod *pod, const char *name)
{
    return pod->spec.resources ? qos_resource(&pod->spec.resources->requests, name) : NULL;
}

static const struct quantity *own_limit(const struct pod *pod, const char *name)
{
    return pod->spec.resources ? qos_resource(&pod->spec.resources->limits, name) : NULL;
}

bool qos_pod_has_own(const struct pod *pod)
{
    for (size_t i = 0; i < ARRAY_SIZE(computed); i++)
        if (own_request(pod, computed[i]) || own_limit(pod, computed[i]))
            return true;
    return false;
}

int64_t qos_pod_requests(const struct pod *pod, const char *name)
{
    const struct quantity *own = own_request(pod, name);
    int64_t sum = own ? amount(own, name) : sum_of_containers(pod, name, qos_request);
    if (!own && sum == 0)
        sum = amount(own_limit(pod, name), name);
    return saturating_add(sum, overhead(pod, name));
}

static bool every_container_is_limited(const struct pod *pod, const char *name)
{
    LIST_EACH (container, &pod->spec.containers)
        if (amount(qos_limit(container, name), name) == 0)
            return false;
    return true;
}

int64_t qos_pod_limits(const struct pod *pod, const char *name, bool all)
{
    const struct quantity *own = own_limit(pod, name);
    if (!own && all && !every_container_is_limited(pod, name))
        return 0;
    int64_t sum = own ? amount(own, name) : sum_of_containers(pod, name, qos_limit);
    return sum > 0 ? saturating_add(sum, overhead(pod, name)) : 0;
}

// ---- the class ----

struct demands {
    bool any;        // something is asked for
    bool guaranteed; // and so far every container's limits equal its requests
};

static void add_container(const struct container *container, struct demands *demands)
{
    for (size_t i = 0; i < ARRAY_SIZE(computed); i++) {
        const struct quantity *request = qos_request(container, computed[i]);
        const struct quantity *limit = qos_limit(container, computed[i]);
        bool asks = request && request->nanos > 0, bounded = limit && limit->nanos > 0;
        demands->any |= asks || bounded;
        demands->guaranteed &= asks && bounded && quantity_compare(request, limit) == 0;
    }
}

// Amounts of the pod as a whole decide alone where there are any (KEP-2837).
static void add_pod(const struct pod *pod, struct demands *demands)
{
    for (size_t i = 0; i < ARRAY_SIZE(computed); i++) {
        const struct quantity *limit = qos_resource(&pod->spec.resources->limits, computed[i]);
        int64_t asks = qos_pod_requests(pod, computed[i]) - overhead(pod, computed[i]);
        bool bounded = limit && limit->nanos > 0;
        demands->any |= asks > 0 || bounded;
        demands->guaranteed &= asks > 0 && bounded && asks == amount(limit, computed[i]);
    }
}

enum qos_class qos_class_of(const struct pod *pod)
{
    struct demands demands = {.guaranteed = true};
    if (qos_pod_has_own(pod)) {
        add_pod(pod, &demands);
    } else {
        LIST_EACH (container, &pod->spec.containers)
            add_container(container, &demands);
        LIST_EACH (container, &pod->spec.initContainers)
            add_container(container, &demands);
    }
    if (!demands.any)
        return QOS_BEST_EFFORT;
    return demands.guaranteed ? QOS_GUARANTEED : QOS_BURSTABLE;
}

const char *qos_class_name(enum qos_class class_)
{
    static const char *const names[] = {
        [QOS_GUARANTEED] = "Guaranteed",
        [QOS_BURSTABLE] = "Burstable",
        [QOS_BEST_EFFORT] = "BestEffort",
    };
    return names[class_];
}

// ---- OOM scores ----

// A container's share of what the pod asks for beyond its containers' own requests.
static int64_t share_of_rest(const struct pod *pod)
{
    int64_t n = (int64_t)pod->spec.containers.n, sum = 0;
    if (!own_request(pod, "memory") && !own_limit(pod, "memory"))
        return 0;
    LIST_EACH (container, &pod->spec.initContainers)
        n += is_sidecar(container);
    LIST_EACH (container, &pod->spec.containers)
        sum = saturating_add(sum, amount(qos_request(container, "memory"), "memory"));
    int64_t rest = qos_pod_requests(pod, "memory") - overhead(pod, "memory") - sum;
    return rest > 0 && n > 0 ? rest / n : 0;
}

static int64_t memory_request(const struct container *container)
{
    return amount(qos_request(container, "memory"), "memory");
}

static int64_t least_request(const struct pod *pod)
{
    int64_t least = INT64_MAX;
    LIST_EACH (container, &pod->spec.containers)
        least = MIN(least, memory_request(container));
    return pod->spec.containers.n > 0 ? least : 0;
}

int64_t pod_priority(const struct pod *pod)
{
    if (str_equal(pod->spec.priorityClassName, "system-node-critical"))
        return PRIORITY_NODE_CRITICAL;
    if (str_equal(pod->spec.priorityClassName, "system-cluster-critical"))
        return PRIORITY_CLUSTER_CRITICAL;
    return pod->spec.priority ? *pod->spec.priority : 0;
}

int64_t qos_oom_score_adj(const struct pod *pod, const struct container *container,
                          int64_t memory_capacity)
{
    if (str_equal(pod->spec.priorityClassName, "system-node-critical"))
        return OOM_GUARANTEED;
    switch (qos_class_of(pod)) {
    case QOS_GUARANTEED:
        return OOM_GUARANTEED;
    case QOS_BEST_EFFORT:
        return OOM_BEST_EFFORT;
    case QOS_BURSTABLE:
        break;
    }
    int64_t request = memory_request(container);
    // A sidecar goes no sooner than the containers that it serves.
    if (is_sidecar(container))
        request = MAX(request, least_request(pod));
    request = saturating_add(request, share_of_rest(pod));
    if (memory_capacity <= 0)
        return 1000 - 1;
    __int128 score = 1000 - (__int128)1000 * request / memory_capacity;
    // Never as safe as a Guaranteed container, never as exposed as a BestEffort one.
    return (int64_t)MAX(MIN(score, (__int128)999), (__int128)(1000 + OOM_GUARANTEED));
}
