// Watches the disk usage of emptyDir volumes that have a sizeLimit and no file system of their own
// that would enforce it. The kubelet evicts a pod for it, but never a static one
// (K/eviction/eviction_manager.go, emptyDirLimitEviction and evictPod): it is told, by the event
// EmptyDirOverLimit, when a volume grows beyond its limit, and again when it does so anew.
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "supervisor/pod-worker.h"
#include "supervisor/volumes.h"

struct volumes_limits;

// `program` is mainstay-shim, which measures. All strings are borrowed. While no pod has such a
// volume, nothing wakes up.
struct volumes_limits *volumes_limits_new(sd_event *event, const char *program,
                                          const struct volumes_options *options,
                                          uint64_t period_usec);
void volumes_limits_free(struct volumes_limits *limits);

// From the pod's first start to its end; to add it twice is fine.
void volumes_limits_add(struct volumes_limits *limits, struct pod_worker *w);
void volumes_limits_remove(struct volumes_limits *limits, const struct pod_worker *w);
