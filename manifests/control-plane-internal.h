// What the files of the control plane's rendering share.
#pragma once

#include "manifests/control-plane.h"
#include "manifests/render.h"

#define FLEX_VOLUME_DIR "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"

// The values that are put together from others, and their parameters. The lists hold what may be
// absent.
struct plane_values {
    struct string_list strings; // owns what the parameters borrow
    struct string_list extra_args, version_args;
    struct string_list allocate_node_cidrs, pod_cidr, node_service_cidr;
    struct string_list etcd_ca_file, etcd_certificate_file, etcd_key_file, flex_volume_flag;
    struct string_list etcd_members, etcd_state, etcd_discovery, shutdown_delay;
    LIST_OF(struct render_parameter) parameters;
};

// extra_args and version_args are there already, with their dashes. `minor`: of Kubernetes.
void plane_values_fill(struct plane_values *values, const struct control_plane *plane,
                       enum control_plane_component component, int minor);
void plane_values_free(struct plane_values *values);
#define _cleanup_plane_values_ _cleanup_(plane_values_free)

// The value that an extra argument gives to the flag; NULL for none. Borrowed.
const char *plane_extra(const struct control_plane *plane, enum control_plane_component component,
                        const char *flag);

// Lines of YAML: "env:" with its items (nothing without any), and the items of volumeMounts and
// volumes.
void plane_env_block(const struct control_plane *plane, enum control_plane_component component,
                     struct buffer *out);
void plane_volume_blocks(const struct control_plane *plane, enum control_plane_component component,
                         struct buffer *mounts, struct buffer *volumes);
