// Reads the log of one run of a container: the CRI-format file that the shim writes, and the
// rotated ones before it, as one text (K/kuberuntime/logs/logs.go; the kubelet reads only the
// newest file). In slices, so that the loop is never held up; with follow it goes on where it was
// when more has been written, through any number of rotations.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"
#include "base/monotime.h"

struct log_reader;

struct log_reader_options {
    const char *path;    // ".../<container>/<n>.log"; copied
    bool follow;         // wait at the end instead of ending there
    bool timestamps;     // begin each line with its time
    int64_t tail_lines;  // the last so many; -1: all
    walltime since;      // only lines that are not older; 0: all
    int64_t limit_bytes; // end after so many bytes of output; -1: no limit
};

enum log_reader_result {
    LOG_READER_MORE, // call again when convenient
    LOG_READER_WAIT, // everything that is there was read; call again when the directory changes
    LOG_READER_END,
};

// 0, or -ENOENT where that run has no log file.
int log_reader_open(const struct log_reader_options *options, struct log_reader **ret,
                    struct error *err);

// Appends the next piece (at most about 64 KiB) of text. What is not in CRI format is passed on as
// it is. Where files were rotated away before they could be read, a line in brackets says so.
enum log_reader_result log_reader_read(struct log_reader *reader, struct buffer *out);

// The run is over: the end of the file is the end, also with follow.
void log_reader_finish(struct log_reader *reader);

void log_reader_free(struct log_reader *reader);
DEFINE_CLEANUP(struct log_reader *, log_reader_free)
