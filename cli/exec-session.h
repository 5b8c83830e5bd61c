// A command that runs inside a container, asked of the container's shim over its own socket: the
// agent need not be alive.
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct exec_request {
    const char *socket; // the shim's
    const char *const *argv;
    size_t argc;
    bool with_stdin; // hand on standard input; else /dev/null
    bool tty;        // a terminal of its own, joined to ours
};

// Runs it to its end. *ret_status is the exit status as a shell would give it: the command's own,
// or 128 + the number of the signal that killed it. Errors: -ENOENT where the command was not found
// in the container, -ENOTCONN where the shim cannot be reached, or another negative errno.
int exec_session(const struct exec_request *request, int *ret_status, struct error *err);
