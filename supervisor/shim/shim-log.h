// What a container writes to stdout and stderr, cut into lines for its log file (CRI format) and
// the journal.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/monotime.h"
#include "supervisor/shim/shim-journal.h"
#include "supervisor/shim/shim-log-file.h"

struct shim_log;
enum shim_stream { SHIM_STDOUT, SHIM_STDERR };

enum {
    // A longer line is written in parts, tagged "P" all but the last, as containerd does it.
    SHIM_LOG_LINE_MAX = 16 << 10,
    SHIM_LOG_BATCH = 64 << 10, // bytes read at a time
};

struct shim_log_counts {
    uint64_t lines, bytes; // that were read, without time stamps
};

// Borrows both; `journal` may be NULL.
struct shim_log *shim_log_new(struct shim_log_file *file, struct shim_journal *journal);

// Reads once from the non-blocking fd, at most `max` bytes, and logs the whole lines among them.
// The number of bytes; 0 at the end of the stream, whose last line is logged then; or -errno.
ssize_t shim_log_read(struct shim_log *log, enum shim_stream stream, int fd, size_t max);

// The stream is over: logs what was no whole line yet, tagged "P" as containerd does it.
void shim_log_finish(struct shim_log *log, enum shim_stream stream);

// Gives the memory of the last batches back to the kernel; nothing is lost. True where there was
// any to give back, so that a quiet shim need not be woken for it.
bool shim_log_wants_rest(const struct shim_log *log);
void shim_log_rest(struct shim_log *log);

struct shim_log_counts shim_log_counts(const struct shim_log *log);
void shim_log_free(struct shim_log *log);
