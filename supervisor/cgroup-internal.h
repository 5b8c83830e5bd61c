// What the files cgroup*.c share; nobody else includes it.
#pragma once

#include <stdint.h>

#include "base/cgroup-dir.h"
#include "supervisor/cgroup.h"

// Those before the freezer are enabled in the v2 hierarchy (where freezing is no controller's).
enum cgroup_controller {
    CGROUP_CPU,
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_IO, // v2 alone, for what it counts
    CGROUP_FREEZER,
    CGROUP_CONTROLLERS
};

struct cgroup_tree {
    char *v2;                             // the base directory in the v2 hierarchy, or NULL
    bool v2_controls[CGROUP_CONTROLLERS]; // this controller is enabled below `v2`
    char *v1[CGROUP_CONTROLLERS];         // base directories, NULL where v2 has the controller
    bool v2_kill, v2_freeze;
    char *mount_v2; // where v2 is mounted, for messages
    char *description;
    struct cgroup_policy policy;
    int lock_fd; // the base directory, flock()ed: two agents in one would kill each other's pods
};

// The kernel's name ("cpu").
const char *cgroup_controller_name(enum cgroup_controller controller);

// As cgroup_tree_open(), from the texts of /proc/self/mountinfo and /proc/self/cgroup.
int cgroup_tree_open_from(const char *mountinfo, const char *membership, const char *name,
                          struct cgroup_tree **ret, struct error *err);

// Where pods may have their cgroups: the directory of our own cgroup below the mount without the
// systemd units at its end ("/a/b/c.slice/d.service" → "/a/b"), for a unit's own directory is
// systemd's, and is asked to be empty of anything else when the unit starts again.
char *cgroup_above_units(const char *path);

// "kubepods[/burstable|/besteffort]/pod<uid>" below a base directory. The caller frees.
char *cgroup_pod_path(const struct pod *pod);

// Gives the pod's own cgroup its numbers in every hierarchy in which `leaves` (a container's) are,
// and its tier what it gets whoever is in it. What cannot be written is left: the container's own
// limits are what counts.
void cgroup_limit_pod(const struct cgroup_tree *tree, const struct pod *pod,
                      const struct cgroup_numbers *numbers, const struct string_list *leaves);

// True where `dir` is in the tree's hierarchy of that v1 controller.
bool cgroup_is_in_v1(const struct cgroup_tree *tree, enum cgroup_controller controller,
                     const char *dir);
