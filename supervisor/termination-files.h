// Where containers write their termination messages when these are not in a /dev of their own:
// <root>/termination/<uid>.<container>.<n>, one file for each instance, which its shim makes
// (supervisor/shim/mounts.c). On the disk, not in the run directory: that is in memory, which the
// whole node would miss if a container wrote without end. In one flat directory: a directory of
// each pod's own would have to be made on the way to every start, and removed by a helper.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"

// The caller frees.
char *termination_file_path(const char *root_dir, const char *pod_uid, const char *container,
                            uint64_t restart_count);

// Removes it: a small one at once; a large one, which takes the disk its time, is put aside for
// volumes_sweeper_kick(). A missing one, or NULL, is no error.
int termination_file_remove(const char *root_dir, const char *path, struct error *err);

// All of a pod's, found by reading the directory: for pods of which nothing else is known.
int termination_files_remove(const char *root_dir, const char *pod_uid, struct error *err);

// Adds the UIDs of the pods that have such files, as far as they are not in the list.
int termination_files_list(const char *root_dir, struct string_list *uids, struct error *err);
