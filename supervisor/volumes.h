// The volumes of a pod as directories on the host and as mounts of its containers
// (pkg/volume/hostpath, pkg/volume/emptydir, K/kubelet_pods.go makeMounts).
#pragma once

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"
#include "supervisor/shim/shim-spec.h"

struct volumes_options {  // borrowed
    const char *root_dir; // pods/<uid>/volumes is below it
    const char *run_dir;  // memory-backed volumes of an unprivileged agent, termination messages
    bool unprivileged;
};

// Makes the directories that the container's mounts need (emptyDir:
// <root>/pods/<uid>/volumes/kubernetes.io~empty-dir/<name>, mode 0777; medium Memory: a tmpfs
// mounted there, in the agent's own mount namespace as the kubelet does it, so that all containers
// of the pod and the next agent see the same one) and adds the mounts to spec->mounts. `vars` is
// the container's environment, for subPathExpr. hostPath types are checked by the shim at start.
int volumes_prepare(const struct volumes_options *options, const struct pod *pod,
                    const struct container *container, const struct string_map *vars,
                    struct shim_spec *spec, struct string_list *notes, struct error *err);

// Whether what is mounted below this mount is read-only, too: asked for, and (IfPossible) had from
// this kernel. Enabled is always tried, so that the container does not start where it cannot be
// had.
bool volumes_is_recursively_read_only(const struct volume_mount *mount);

// Removes <root>/pods/<uid> with everything in it, after unmounting its memory-backed volumes, and
// <run>/termination/<uid>.
// Nothing is deleted through a mount: what is still mounted there is -EBUSY with its path. Call it
// only when the pod is proven gone.
int volumes_remove(const struct volumes_options *options, const char *pod_uid, struct error *err);
