// A program that runs to its end beside the loop: with an input, a bounded output and a time-out.
// What sets up the network and namespaces of pods is run so.
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/error.h"

struct program;

enum {
    PROGRAM_OUTPUT_MAX = 1 << 20, // bytes of standard output; what writes more is killed
    PROGRAM_ERRORS_MAX = 4096,    // bytes of standard error that are kept, the last ones
};

struct program_end {
    int code;                    // 0: exited with status 0; else a negative errno
    int status;                  // as of waitid(2): the exit status where it exited, else -1
    const char *output, *errors; // NUL-terminated, borrowed
    size_t output_size;
    const char *why; // what became of it, where code is not 0: "exited with status 3"
};

struct program_options { // all borrowed, for the time of the call only
    sd_event *event;
    const char *path;
    char *const *argv, *const *environment;
    const char *input; // NULL: none
    size_t input_size;
    int64_t timeout_usec;
};

// Starts it, in a session of its own. `ended` is called once, from the loop; the program is freed
// after it. 0, or a negative errno.
int program_start(const struct program_options *options,
                  void (*ended)(void *userdata, const struct program_end *end), void *userdata,
                  struct program **ret, struct error *err);

// Kills it with its session's process group, and forgets it: `ended` is not called. NULL is
// allowed; not from inside `ended`.
void program_cancel(struct program *program);
