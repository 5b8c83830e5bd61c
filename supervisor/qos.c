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

enum qos_class qos_class_of(const struct pod *pod)
{
    struct demands demands = {.guaranteed = true};
    LIST_EACH (container, &pod->spec.containers)
        add_container(container, &demands);
    LIST_EACH (container, &pod->spec.initContainers)
        add_container(container, &demands);
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

static int64_t pod_sum(const struct pod *pod, const char *name, amount_of of)
{
    int64_t sum = 0;
    LIST_EACH (container, &pod->spec.containers)
        sum = saturating_add(sum, amount(of(container, name), name));
    LIST_EACH (container, &pod->spec.initContainers)
        sum = MAX(sum, amount(of(container, name), name));
    if (sum > 0 || of == qos_request)
        sum = saturating_add(sum, amount(qos_resource(&pod->spec.overhead, name), name));
    return sum;
}

int64_t qos_pod_requests(const struct pod *pod, const char *name)
{
    return pod_sum(pod, name, qos_request);
}

int64_t qos_pod_limits(const struct pod *pod, const char *name, bool all)
{
    if (all) {
        LIST_EACH (container, &pod->spec.containers)
            if (amount(qos_limit(container, name), name) == 0)
                return 0;
    }
    return pod_sum(pod, name, qos_limit);
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
    int64_t request = amount(qos_request(container, "memory"), "memory");
    if (memory_capacity <= 0)
        return 1000 - 1;
    __int128 score = 1000 - (__int128)1000 * request / memory_capacity;
    // Never as safe as a Guaranteed container, never as exposed as a BestEffort one.
    return (int64_t)MAX(MIN(score, (__int128)999), (__int128)(1000 + OOM_GUARANTEED));
}
