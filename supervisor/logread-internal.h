// What the files logread*.c share; nobody else includes it.
#pragma once

#include <sys/types.h>

#include "supervisor/logread.h"

enum { LOG_SLICE = 64 << 10 };

// One file of the log. Names change when it is rotated, the inode does not.
struct log_file_id {
    char *path;
    dev_t device;
    ino_t inode;
    walltime modified;
};

struct log_files { // oldest first, the live one (where it is there) last
    struct log_file_id *items;
    size_t n;
};

void log_files_list(const char *live_path, struct log_files *ret);
void log_files_free(struct log_files *files);
#define _cleanup_log_files_ _cleanup_(log_files_free)

// The index of the file that `fd` is open on; -1 where it is none of them any more.
ssize_t log_files_index(const struct log_files *files, int fd);
// Opens a file of the list, also if it was renamed since. -ENOENT where it is gone.
int log_files_open(const char *live_path, const struct log_file_id *id);

// A record: "2026-11-21T06:48:19.123456789Z stdout F text".
struct log_record {
    const char *time; // not NUL-terminated; time_len bytes
    size_t time_len;
    bool partial;     // tag P: the line goes on in a later record
    const char *text; // text_len bytes, without the newline
    size_t text_len;
};

// False: the line is no record. `len` does not count the newline; the text may be cut short.
bool log_record_parse(const char *line, size_t len, struct log_record *ret);

// Looks for the beginning of the last `wanted` lines, a slice at a time, newest first.
struct log_tail;
struct log_tail *log_tail_new(const char *live_path, int64_t wanted);
// True once it is found: *ret_fd (the caller's) and *ret_offset. *ret_fd is -1 where there is no
// file any more.
bool log_tail_step(struct log_tail *tail, int *ret_fd, off_t *ret_offset);
void log_tail_free(struct log_tail *tail);
