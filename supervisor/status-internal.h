// What the files status*.c share; nobody else includes it.
#pragma once

#include "supervisor/status.h"

// v1 ContainerStatus (status-container.c).
json_t *status_container(const struct container_worker *c);
// True where the container counts as ready: an init container that succeeded, another
// that runs and whose probes say so.
bool status_container_is_ready(const struct container_worker *c);

// v1 VolumeMountStatus, one for each of volumeMounts (status-volumes.c).
json_t *status_volume_mounts(const struct container *container);

// v1 PodConditions (status-conditions.c): the kubelet's four, and these two where they are False.
#define CONDITION_RESOURCES_ENFORCED "mainstay.dev/ResourcesEnforced"
#define CONDITION_MAY_BE_STOPPED     "mainstay.dev/MayBeStopped"
json_t *status_conditions(const struct pod_worker *w);
