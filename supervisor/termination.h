// What a container says at its end: the text of its terminationMessagePath, or the end of its log.
// Both were written by the container, so nothing about them is believed: at most so many bytes of
// a regular file are read, and what is no UTF-8 is replaced.
#pragma once

#include <stddef.h>

enum {                             // K/container/runtime.go
    TERMINATION_FILE_BYTES = 4096, // as SHIM_TERMINATION_BYTES
    TERMINATION_LOG_BYTES = 2048,
    TERMINATION_LOG_LINES = 80,
    TERMINATION_POD_BYTES = 12 << 10, // shared out among the pod's containers
};

// The end of the file, at most TERMINATION_FILE_BYTES of it. NULL where it says nothing, or is no
// regular file (any more). The caller frees.
char *termination_of_file(const char *path);

// The same of a text that was read already.
char *termination_of_text(const char *text);

// The last lines of a log in the CRI format, at most TERMINATION_LOG_BYTES of text. NULL where
// there are none. The caller frees.
char *termination_of_log(const char *path);

// How many bytes of its messages each of so many containers may have in the pod's status
// (normalizeStatus() of K/status/status_manager.go).
size_t termination_share(size_t n_containers);

// The message as it may be shown: at most `max` bytes of its beginning, without half a character at
// the end. The caller frees.
char *termination_cut(const char *message, size_t max);
