// Which container of a pod a command means.
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "base/string-list.h"

// The names of all containers, init containers first.
void pod_container_names(const json_t *pod, struct string_list *ret);

// `wanted` (-c), or where that is NULL the one that the annotation
// kubectl.kubernetes.io/default-container names, or the first; where there are several it says on
// stderr which one was taken, as kubectl does. *ret is borrowed from the pod or from `wanted`. 0,
// or -ENOENT with the names that there are.
int pod_choose_container(const json_t *pod, const char *wanted, const char **ret,
                         struct error *err);
