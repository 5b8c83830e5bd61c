// Requests and limits as numbers of the kernel: pure functions of a pod and what the node's
// configuration says (K/cm/helpers_linux.go, K/kuberuntime/kuberuntime_container_linux.go,
// K/cm/qos_container_manager_linux.go; KEP-2837 for amounts of the pod as a whole).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "podspec/pod.h"

// From v1 cpu.shares (2 to 262144) to v2 cpu.weight (1 to 10000).
enum cgroup_weight_formula {
    // 1 + (shares − 2) · 9999 / 262142: the kubelet's, runc's before 1.3.2, crun's before 1.23.
    CGROUP_WEIGHT_LINEAR,
    // ceil(10^((l² + 125 l) / 612 − 7/34)), l = log2(shares): runc's and crun's since. It keeps
    // 1024 shares at weight 100, which is what processes outside of pods have.
    CGROUP_WEIGHT_LOGARITHMIC,
};

// "linear" or "logarithmic".
const char *cgroup_weight_formula_name(enum cgroup_weight_formula formula);
int cgroup_weight_formula_parse(const char *name, enum cgroup_weight_formula *ret); // 0 or -EINVAL

enum {
    CGROUP_CPU_PERIOD = 100000,        // microseconds; cpuCFSQuotaPeriod's default
    CGROUP_CPU_SHARES_BEST_EFFORT = 2, // of the tier and of each pod in it
};

struct cgroup_policy {       // what the configuration says about limits
    bool cpu_quota;          // cpuCFSQuota
    int64_t cpu_period_usec; // cpuCFSQuotaPeriod
    int pids_limit;          // podPidsLimit, of a pod as a whole; ≤ 0: none
    bool oom_kills_one;      // singleProcessOOMKill: v2 kills one process, not the container
    enum cgroup_weight_formula weight;
};

#define CGROUP_POLICY_DEFAULT                                                                      \
    ((struct cgroup_policy){                                                                       \
        .cpu_quota = true, .cpu_period_usec = CGROUP_CPU_PERIOD, .pids_limit = -1})

// Milli-CPUs to v1 cpu.shares, and to microseconds of CPU time in a period (0: no limit).
uint64_t cgroup_cpu_shares(int64_t milli);
int64_t cgroup_cpu_quota(int64_t milli, int64_t period_usec);
uint64_t cgroup_cpu_weight(uint64_t shares, enum cgroup_weight_formula formula);

// What one cgroup is given. 0 stands for "no limit" in every limit.
struct cgroup_numbers {
    uint64_t cpu_shares;
    int64_t cpu_quota, cpu_period; // microseconds
    int64_t memory_limit;          // bytes
    int64_t pids_limit;
};

// Of a container. Its CPU request defaults to its limit.
struct cgroup_numbers cgroup_numbers_of_container(const struct container *container,
                                                  const struct cgroup_policy *policy);

// Of a pod as a whole, all its containers and its overhead: a Guaranteed pod gets every limit, a
// Burstable one those that every container sets (or the pod itself does), a BestEffort one none.
struct cgroup_numbers cgroup_numbers_of_pod(const struct pod *pod,
                                            const struct cgroup_policy *policy);
