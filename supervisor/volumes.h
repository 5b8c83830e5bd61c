// The volumes of a pod as directories on the host and as mounts of its containers
// (pkg/volume/hostpath, pkg/volume/emptydir, K/kubelet_pods.go makeMounts).
#pragma once

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"
#include "supervisor/shim/shim-spec.h"

struct volumes_options {  // borrowed
    const char *root_dir; // pods/<uid>/volumes is below it
    const char *run_dir;  // memory-backed volumes of an unprivileged agent
    bool unprivileged;
    int64_t memory_capacity_bytes; // of the node; 0: asked of the kernel
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

// Puts <root>/pods/<uid> aside, into <root>/pods/.removed (and an ordinary user's memory-backed
// volumes likewise), where volumes_sweeper_kick() has it unmounted and removed. What is mounted
// elsewhere than in the pod's volumes is not ours: then nothing happens, and it is -EBUSY with the
// path. Call it only when the pod is proven gone.
int volumes_remove(const struct volumes_options *options, const char *pod_uid, struct error *err);

// Puts one directory below <root>/pods aside in the same way. A missing one is no error.
int volumes_set_aside(const char *root_dir, const char *path, struct error *err);

// The UIDs of the pods that have a directory in <root>/pods (or among the memory-backed
// volumes). One may come twice.
int volumes_list_pods(const struct volumes_options *options, struct string_list *ret,
                      struct error *err);
