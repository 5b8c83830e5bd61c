// What differs between the releases of Kubernetes and of etcd: flags that came and went, the etcd
// that goes with a Kubernetes, the paths of its probes.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/string-list.h"
#include "manifests/control-plane.h"

enum { KUBERNETES_MINOR_MIN = 19, KUBERNETES_MINOR_MAX = 34 };

// "v1.20.2", "1.31.0-rc.1": the minor number (20, 31). Newer than KUBERNETES_MINOR_MAX is 0, too,
// and is treated as that. -EINVAL for what is older than KUBERNETES_MINOR_MIN, or no version.
int kubernetes_version_parse(const char *text, int *ret_minor, struct error *err);

// The tag of etcd's image that kubeadm takes for a Kubernetes 1.MINOR.
const char *kubernetes_etcd_tag(int minor);

// Appends "flag=value" for what this release knows and its neighbours do not. `plane` gives the
// values; its etcd_image_tag (NULL: kubernetes_etcd_tag()'s) is the release of etcd.
void version_arguments(const struct control_plane *plane, enum control_plane_component component,
                       int minor, struct string_list *out);

// Paths of etcd's probes on its port for metrics. `readiness` NULL: this release has none.
struct etcd_probe_paths {
    const char *liveness, *startup, *readiness;
};
const struct etcd_probe_paths *version_etcd_probes(const char *etcd_tag, int minor);
