// Rotated log files: their names and which of them are kept.
#pragma once

#include <stdint.h>

#include "base/monotime.h"

// Renames "0.log" to "0.log.20261121-070000", the kubelet's name for it
// (K/logs/container_log_manager.go); the second one of the same second gets ".001" behind that, and
// so on, so that names sort by age. *ret_name is the new path (the caller frees). -EEXIST where a
// second has used up its names.
int shim_log_rename(const char *path, walltime now, char **ret_name);

// Removes the oldest rotated files of `path`, so that with the current one max_files are left.
void shim_log_remove_excess(const char *path, int64_t max_files);
