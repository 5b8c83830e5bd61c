// The cgroup tree of the agent: v2 first, v1 hierarchies beside it or instead, or none at all.
//
//   <base>/kubepods[/burstable|/besteffort]/pod<uid>/<container>   the container's processes
//   <base>/kubepods[/burstable|/besteffort]/pod<uid>/<container>.shim  its shim (no container's
//   name has a dot in it)
// in the v2 hierarchy (for kill, freeze and the proof of emptiness, and the limits of its
// controllers) and in each v1 controller hierarchy that a limit needs. Sources:
// K/cm/helpers_linux.go, K/cm/cgroup_manager_linux.go, cgroups(7),
// Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"
#include "supervisor/cgroup-numbers.h"
#include "supervisor/shim/shim-spec.h"

struct cgroup_tree; // what this host has and where the agent's subtree is

// Finds the hierarchies and makes <own cgroup or root>/<name>.slice-less base directory `name`
// ("mainstay" by default, so that several agents live side by side; may have parts, "a/b"). Never
// fails for want of cgroups: cgroup_tree_describe() says what is there. The base directory is
// locked as long as the tree is open: -EBUSY where another agent has it. 0 or another negative
// errno.
int cgroup_tree_open(const char *name, struct cgroup_tree **ret, struct error *err);
void cgroup_tree_free(struct cgroup_tree *tree);

// What the configuration says about limits; CGROUP_POLICY_DEFAULT before the first call. For runs
// that are prepared afterwards.
void cgroup_tree_set_policy(struct cgroup_tree *tree, const struct cgroup_policy *policy);
const struct cgroup_policy *cgroup_tree_policy(const struct cgroup_tree *tree);

// The CPU that all Burstable pods that live ask for, in thousandths: the shares of their tier
// (K/cm/qos_container_manager_linux.go). BestEffort pods have two shares together.
void cgroup_tree_set_burstable(const struct cgroup_tree *tree, int64_t milli);

// Removes the agent's whole subtree as far as nothing lives in it: for an agent that leaves with no
// pod running. Before cgroup_tree_free().
void cgroup_tree_remove(struct cgroup_tree *tree);

// For status and events: "v2 at /sys/fs/cgroup/unified (kill, freeze); v1 cpu, memory, pids" or
// "none: no writable cgroup (run as root, or delegate one)".
const char *cgroup_tree_describe(const struct cgroup_tree *tree);
bool cgroup_tree_can_kill(
    const struct cgroup_tree *tree); // processes can be tracked and killed by cgroup
// Containers have a cgroup in the hierarchy of v2.
bool cgroup_tree_has_v2(const struct cgroup_tree *tree);

// Makes the pod's and container's directories, enables controllers, and fills cgroup_dirs,
// shim_cgroup_dirs and limits of the spec from requests and limits. Each limit that this host
// cannot enforce is added to `unenforced` as one sentence.
int cgroup_prepare(struct cgroup_tree *tree, const struct pod *pod,
                   const struct container *container, struct shim_spec *spec,
                   struct string_list *unenforced, struct error *err);

// Makes <base>/<name> in the v2 hierarchy, beside kubepods, for processes that belong to no
// container; nothing where there is no v2. Goes with cgroup_tree_remove() once it is empty.
int cgroup_make_beside(struct cgroup_tree *tree, const char *name, struct string_list *ret_dirs,
                       struct error *err);

// SIGKILL for everything in the container's cgroup: cgroup.kill, else freeze + kill + thaw. The
// shim is not in it. 0 also where it is empty or gone.
int cgroup_kill(const struct string_list *cgroup_dirs);

// 1 populated (also below), 0 empty or gone, negative errno.
int cgroup_populated(const struct string_list *cgroup_dirs);

// The PIDs in it, for messages; at most `most`. Returns how many.
size_t cgroup_pids(const struct string_list *cgroup_dirs, pid_t *ret, size_t most);

// Calls back from the loop once the cgroup is empty (cgroup.events by inotify on v2; on v1 a
// pidfd of what is left, re-read until empty). At once where it is empty already.
struct cgroup_watch;
int cgroup_watch_empty(sd_event *event, const struct string_list *cgroup_dirs,
                       void (*empty)(void *userdata), void *userdata, struct cgroup_watch **ret,
                       struct error *err);
void cgroup_watch_free(struct cgroup_watch *watch);

// Calls back from the loop when processes of the container were killed for want of memory (its main
// process or any other), and when its pod's limit of processes refused new ones: how many since the
// last call, at most a few calls in ten seconds. The alarm must not be freed from inside.
struct cgroup_alarm;
typedef void (*cgroup_alarm_fn)(void *userdata, uint64_t oom_kills, uint64_t refused);
// `oom_kills` and `refused` are what was counted when the container began.
int cgroup_alarm_new(sd_event *event, const struct string_list *cgroup_dirs, uint64_t oom_kills,
                     uint64_t refused, cgroup_alarm_fn rings, void *userdata,
                     struct cgroup_alarm **ret, struct error *err);
void cgroup_alarm_free(struct cgroup_alarm *alarm);

// Removes the container's directories, and the pod's once its last container is gone. -EBUSY where
// something still lives there.
int cgroup_remove_container(const struct string_list *cgroup_dirs,
                            const struct string_list *shim_cgroup_dirs);
int cgroup_remove_pod(struct cgroup_tree *tree, const struct pod *pod);
// oom_kill count of the container's cgroup so far, for OOMKilled; 0 where unknown.
uint64_t cgroup_oom_kills(const struct string_list *cgroup_dirs);
// How many forks were refused there, or in the pod, so far; 0 where unknown.
uint64_t cgroup_forks_refused(const struct string_list *cgroup_dirs);
