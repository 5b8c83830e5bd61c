// See cgroup-numbers.h.
#include "supervisor/cgroup-numbers.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/macro.h"
#include "base/string-list.h"
#include "supervisor/qos.h"

enum {
    SHARES_PER_CPU = 1024,
    SHARES_MIN = 2,
    SHARES_MAX = 262144,
    QUOTA_MIN = 1000, // microseconds
    MILLI = 1000,
    WEIGHT_MAX = 10000,
};

static const char *const formula_names[] = {
    [CGROUP_WEIGHT_LINEAR] = "linear",
    [CGROUP_WEIGHT_LOGARITHMIC] = "logarithmic",
};

const char *cgroup_weight_formula_name(enum cgroup_weight_formula formula)
{
    return formula_names[formula];
}

int cgroup_weight_formula_parse(const char *name, enum cgroup_weight_formula *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(formula_names); i++)
        if (str_equal(name, formula_names[i])) {
            *ret = (enum cgroup_weight_formula)i;
            return 0;
        }
    return -EINVAL;
}

uint64_t cgroup_cpu_shares(int64_t milli)
{
    if (milli <= 0)
        return SHARES_MIN;
    __int128 shares = (__int128)milli * SHARES_PER_CPU / MILLI;
    return (uint64_t)MAX(MIN(shares, (__int128)SHARES_MAX), (__int128)SHARES_MIN);
}

int64_t cgroup_cpu_quota(int64_t milli, int64_t period_usec)
{
    if (milli <= 0)
        return 0;
    __int128 quota = (__int128)milli * period_usec / MILLI;
    return (int64_t)MAX(MIN(quota, (__int128)INT64_MAX), (__int128)QUOTA_MIN);
}

static uint64_t logarithmic_weight(uint64_t shares)
{
    double l = log2((double)shares);
    return (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

uint64_t cgroup_cpu_weight(uint64_t shares, enum cgroup_weight_formula formula)
{
    if (shares <= SHARES_MIN)
        return 1;
    if (shares >= SHARES_MAX)
        return WEIGHT_MAX;
    if (formula == CGROUP_WEIGHT_LOGARITHMIC)
        return logarithmic_weight(shares);
    return 1 + (shares - SHARES_MIN) * (WEIGHT_MAX - 1) / (SHARES_MAX - SHARES_MIN);
}

static void set_quota(struct cgroup_numbers *numbers, int64_t milli,
                      const struct cgroup_policy *policy)
{
    if (!policy->cpu_quota || milli <= 0)
        return;
    numbers->cpu_quota = cgroup_cpu_quota(milli, policy->cpu_period_usec);
    numbers->cpu_period = policy->cpu_period_usec;
}

struct cgroup_numbers cgroup_numbers_of_container(const struct container *container,
                                                  const struct cgroup_policy *policy)
{
    struct cgroup_numbers numbers = {0};
    const struct quantity *request = qos_resource(&container->resources.requests, "cpu");
    const struct quantity *limit = qos_limit(container, "cpu");
    const struct quantity *memory = qos_limit(container, "memory");
    int64_t requested = request ? quantity_milli_value(request) : 0;
    int64_t limited = limit ? quantity_milli_value(limit) : 0;
    numbers.cpu_shares = cgroup_cpu_shares(requested > 0 ? requested : limited);
    set_quota(&numbers, limited, policy);
    numbers.memory_limit = memory ? MAX(quantity_value(memory), (int64_t)0) : 0;
    return numbers;
}

struct cgroup_numbers cgroup_numbers_of_pod(const struct pod *pod,
                                            const struct cgroup_policy *policy)
{
    struct cgroup_numbers numbers = {0};
    enum qos_class class_ = qos_class_of(pod);
    if (policy->pids_limit > 0)
        numbers.pids_limit = policy->pids_limit;
    if (class_ == QOS_BEST_EFFORT) {
        numbers.cpu_shares = CGROUP_CPU_SHARES_BEST_EFFORT;
        return numbers;
    }
    bool all = class_ == QOS_BURSTABLE;
    numbers.cpu_shares = cgroup_cpu_shares(qos_pod_requests(pod, "cpu"));
    set_quota(&numbers, qos_pod_limits(pod, "cpu", all), policy);
    numbers.memory_limit = qos_pod_limits(pod, "memory", all);
    return numbers;
}
