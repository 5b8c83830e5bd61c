// The log file of a container on disk: appending, rotation, and what happens while the disk takes
// nothing: the newest lines are kept in a bounded memory, the older ones are counted, and a line in
// the log says how many were lost once it can be written again.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/monotime.h"

struct shim_log_file;

struct shim_log_losses {
    uint64_t lines, bytes; // in all; bytes with the time stamps, as they would stand in the file
    int code;              // the newest -errno
    bool failing;          // now
};

// Opens `path` for appending, making its directories; where that fails, lines are kept as with a
// full disk. max_bytes: rotate at that size, 0 never. max_files: kept, the current one included.
struct shim_log_file *shim_log_file_new(const char *path, int64_t max_bytes, int64_t max_files);

// Appends whole lines.
void shim_log_file_write(struct shim_log_file *file, const char *lines, size_t len);

// Opens `path` again (the file was renamed by somebody else).
void shim_log_file_reopen(struct shim_log_file *file);

// When shim_log_file_retry() is to be called next; MONOTIME_NEVER while all is well.
monotime shim_log_file_deadline(const struct shim_log_file *file);
void shim_log_file_retry(struct shim_log_file *file);

const struct shim_log_losses *shim_log_file_losses(const struct shim_log_file *file);

// Tries once more to write what is kept; what cannot be written is counted as lost.
void shim_log_file_close(struct shim_log_file *file);
void shim_log_file_free(struct shim_log_file *file);
