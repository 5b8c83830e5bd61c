// The quality-of-service class of a pod, and what follows from it
// (pkg/apis/core/v1/helper/qos/qos.go, K/qos/policy.go).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "podspec/pod.h"

enum qos_class { QOS_GUARANTEED, QOS_BURSTABLE, QOS_BEST_EFFORT };

enum qos_class qos_class_of(const struct pod *pod);

// "Guaranteed", "Burstable", "BestEffort", as in a pod's status.
const char *qos_class_name(enum qos_class class_);

// The amount of one resource in a list, or NULL.
const struct quantity *qos_resource(const struct resource_list *list, const char *name);

// What a container asks for: its request, else its limit, else NULL.
const struct quantity *qos_request(const struct container *container, const char *name);
const struct quantity *qos_limit(const struct container *container, const char *name);

// True where spec.resources sets cpu or memory of the pod as a whole (KEP-2837).
bool qos_pod_has_own(const struct pod *pod);

// What spec.resources sets, else a sum over the pod (containers together with sidecars, or the
// greediest init container beside the sidecars before it); plus the overhead. In thousandths for
// "cpu" and in units for everything else. With `all`, limits are 0 unless every container sets one
// of its own or spec.resources does (K/cm/helpers_linux.go).
int64_t qos_pod_requests(const struct pod *pod, const char *name);
int64_t qos_pod_limits(const struct pod *pod, const char *name, bool all);

// The two system classes by name (pkg/apis/scheduling/types.go: SystemCriticalPriority), as they
// resolve where there is no API server; else spec.priority, else 0. In a stop of all pods those of
// a lower priority stop first.
enum { PRIORITY_CLUSTER_CRITICAL = 2000000000, PRIORITY_NODE_CRITICAL = 2000001000 };
int64_t pod_priority(const struct pod *pod);

// oom_score_adj of a container: -997 for system-node-critical and Guaranteed pods, 1000 for
// BestEffort ones, in between by the share of the node's memory that is asked for. Kubernetes 1.20
// gives -997 to every static pod; later releases, and this program, only to those whose priority
// class is system-node-critical, for here every pod is a static one.
int64_t qos_oom_score_adj(const struct pod *pod, const struct container *container,
                          int64_t memory_capacity);
