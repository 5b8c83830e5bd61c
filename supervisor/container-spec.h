// From a pod spec to the shim_spec of one container: image, command, environment, volumes,
// credentials, namespaces, cgroups, log paths. What is needed on disk (volume directories,
// overlay layers, cgroups) is made on the way.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"
#include "supervisor/cgroup.h"
#include "supervisor/pod-dns.h"
#include "supervisor/shim/shim-spec.h"

struct device_filter;
struct seccomp_cache;
struct sandbox_view;

struct container_spec_options {      // all borrowed
    const char *root_dir;            // "/var/lib/mainstay": pods/ and images/ are in it
    const char *run_dir;             // "/run/mainstay"
    const char *log_dir;             // "/var/log/pods"
    const char *container_links_dir; // "/var/log/containers"; NULL: no links are made
    const char *node_name, *node_ip;
    const char *journal_socket;    // "/run/systemd/journal/socket"; NULL: no journal
    struct cgroup_tree *cgroups;   // NULL: no cgroups
    const char *sys_dir;           // NULL: "/sys", where the security modules tell about themselves
    bool unprivileged;             // the agent is an ordinary user: user namespaces
    struct device_filter *devices; // NULL: devices are not confined by a cgroup
    struct seccomp_cache *seccomp; // NULL: every filter is compiled anew
    const char *seccomp_root;      // where profiles of the type Localhost are
    bool seccomp_default;          // RuntimeDefault where a manifest says nothing
    struct pod_dns_options dns;
    const struct sandbox_view *sandbox; // what this pod's containers share; NULL: nothing
    const char *hidden_mount;           // what containers on the host's root are to detach; NULL
    int64_t log_max_bytes, log_max_files;
    int64_t cpu_capacity_milli, memory_capacity_bytes; // 0: asked of the kernel
};

// Fills *ret (the caller frees with shim_spec_free()). `notes` gets a sentence each for what an
// operator should see as an event: which host binary was taken, limits and settings that this host
// cannot enforce. On failure *ret_reason is a literal in the kubelet's words: "ErrImagePull",
// "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "FailedMount",
// "CreateContainerError"; "NetworkNotReady" for a pod that does not set hostNetwork and has no
// sandbox with a network.
int container_spec_build(const struct container_spec_options *options, const struct pod *pod,
                         const struct container *container, bool init, uint64_t restart_count,
                         struct shim_spec *ret, struct string_list *notes, const char **ret_reason,
                         struct error *err);

// The directory of a pod's logs: "<log_dir>/<namespace>_<name>_<uid>". The caller frees.
char *container_spec_log_dir(const struct container_spec_options *options, const struct pod *pod);

// "<log_dir>/<namespace>_<name>_<uid>/<container>/<restart_count>.log". The caller frees.
char *container_spec_log_path(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count);

// The link "<links>/<pod>_<namespace>_<container>-<id>.log" that log shippers follow
// (K/kuberuntime/legacy.go); NULL where no links are made. The caller frees.
char *container_spec_log_link(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count);

// Makes the link to an instance's log, and removes the logs of the instances before the last one.
// For when the instance has been started, which is not to wait for a disk.
void container_spec_tidy_logs(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count);

// Removes what one instance left besides its log: its overlay layers below
// <root>/pods/<uid>/containers, its termination file in <root>/termination.
int container_spec_remove_instance(const struct container_spec_options *options,
                                   const struct pod *pod, const char *container,
                                   uint64_t restart_count, struct error *err);

// Removes the pod's log directory and the links to its logs.
int container_spec_remove_logs(const struct container_spec_options *options, const struct pod *pod,
                               struct error *err);

// The same for earlier pods of this namespace and name. The kubelet removes a pod's logs with the
// pod; here those of the newest one that is gone are kept, since an edit of the manifest is often
// why somebody needs them.
int container_spec_remove_older_logs(const struct container_spec_options *options,
                                     const struct pod *pod, struct error *err);
