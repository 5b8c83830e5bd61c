// What the files cgroup*.c share; nobody else includes it.
#pragma once

#include <stdint.h>

#include "supervisor/cgroup.h"

enum cgroup_controller { CGROUP_CPU, CGROUP_MEMORY, CGROUP_FREEZER, CGROUP_CONTROLLERS };

struct cgroup_tree {
    char *v2;                             // the base directory in the v2 hierarchy, or NULL
    bool v2_controls[CGROUP_CONTROLLERS]; // this controller is enabled below `v2`
    char *v1[CGROUP_CONTROLLERS];         // base directories, NULL where v2 has the controller
    bool v2_kill, v2_freeze;
    char *mount_v2; // where v2 is mounted, for messages
    char *description;
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

// Milli-CPUs to v1 cpu.shares, to microseconds of CPU time in a period of 100 ms, and v1 cpu.shares
// to v2 cpu.weight (K/cm/helpers_linux.go, runc's conversion).
enum { CGROUP_CPU_PERIOD = 100000 };
uint64_t cgroup_cpu_shares(int64_t milli);
int64_t cgroup_cpu_quota(int64_t milli);
uint64_t cgroup_cpu_weight(uint64_t shares);

// ---- files of a cgroup ----

char *cgroup_read(const char *dir, const char *file); // NULL where it cannot be read
int cgroup_write(const char *dir, const char *file, const char *value);
bool cgroup_is_v2(const char *dir);

// mkdir -p below an existing directory: 0 or a negative errno.
int cgroup_make(const char *base, const char *below, char **ret_dir);

// Removes a cgroup and those below it: 0, -EBUSY where something lives there.
int cgroup_remove(const char *dir);

// The number after `key` in a file of "key number" lines; 0 where there is none.
uint64_t cgroup_read_key(const char *dir, const char *file, const char *key);

// Calls back for every process in the cgroup and those below it. Stops at a non-zero return, which
// it returns.
int cgroup_each_pid(const char *dir, int (*each)(pid_t pid, void *userdata), void *userdata);
