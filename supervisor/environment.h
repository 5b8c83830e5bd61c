// The environment of a container, and the values that a pod may ask for about itself
// (K/kubelet_pods.go makeEnvironmentVariables, pkg/fieldpath, pkg/api/v1/resource).
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"

struct environment { // all borrowed
    const struct pod *pod;
    const struct container *container;
    const char *node_name, *node_ip, *hostname; // may be NULL
    const struct string_list *pod_ips;          // of a network of its own; NULL: the node's address
    int64_t cpu_capacity_milli, memory_capacity_bytes; // 0: asked of the kernel
};

// "NAME=value" in the order of the manifest, HOSTNAME first and PATH behind where the manifest has
// none; a name that comes twice has its last value. *vars gets the same for $(NAME) references.
// -EINVAL with a sentence where a value cannot be had (Secrets and ConfigMaps need an API server).
int environment_build(const struct environment *env, struct string_list *ret,
                      struct string_map *vars, struct error *err);

// The value of a fieldRef. The caller frees *ret.
int environment_field(const struct environment *env, const struct object_field_selector *field,
                      char **ret, struct error *err);

// The value of a resourceFieldRef, rounded up to whole divisors; a missing limit is what the node
// has. The caller frees *ret.
int environment_resource(const struct environment *env, const struct resource_field_selector *field,
                         char **ret, struct error *err);

// What runtimes give to a container that names no PATH.
extern const char environment_default_path[];
