// The files of one cgroup's directory, of v2 or of v1, and the end of what lives in it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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

// 1 where something lives in it or below, 0 empty or gone, negative errno.
int cgroup_dir_populated(const char *dir);

// Stops everything in it where it stands, or lets it go on. v2 freezes on its own, soon after; on
// v1 it is in the freezer's hierarchy that this has an effect.
void cgroup_dir_freeze(const char *dir, bool on);

// SIGKILL for everything in it: cgroup.kill, else freeze, kill and thaw. 0 also where it is gone.
int cgroup_dir_kill(const char *dir);
