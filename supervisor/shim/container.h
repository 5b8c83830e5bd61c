// From a shim_spec to a running process: everything between clone3() and execve(), and commands
// that join a running container. Synchronous: both functions return once execve() has happened or
// failed. The shim is single-threaded when it calls them. No other descriptor than the three of
// stdio reaches the container, whatever the shim has open.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "supervisor/shim/shim-spec.h"

struct shim_stdio {
    int fds[3]; // become 0, 1 and 2; borrowed; -1: /dev/null
    bool tty;   // fds[0] is a terminal (the slave side): make it the controlling one
};

struct shim_child {
    pid_t pid; // as the shim sees it; the caller reaps it
    int pidfd; // close-on-exec; the caller closes it
    // Its termination file, where that is in its own /dev, to be read; -1 where it is elsewhere.
    // Close-on-exec; the caller closes it.
    int termination;
};

// Writes the cgroup limits, makes the namespaces, mounts the volumes, takes on the credentials and
// executes the command. The new process has SIGKILL as its parent-death signal. On success fills
// *ret; *ret_command is the file that was executed, as found in PATH inside the root (the caller
// frees); `warnings` gets what could not be had but is not fatal, one sentence a line. On failure
// nothing is left running; *ret_reason is a literal in the kubelet's words ("FailedMount",
// "CreateContainerConfigError", "CreateContainerError", "StartError").
int shim_container_start(const struct shim_spec *spec, const struct shim_stdio *stdio,
                         struct shim_child *ret, char **ret_command, struct buffer *warnings,
                         const char **ret_reason, struct error *err);

// Executes argv (NULL-terminated, argv[0] looked up in PATH) in the namespaces and cgroup of the
// running container `child`, with its credentials, environment and working directory. `fds` become
// 0, 1, 2 (-1: /dev/null). `flags`: SHIM_EXEC_TTY. *ret is a child of the caller, who reaps it; it
// dies with the shim. -ESRCH where the container is gone, -ENOENT where the command is not found.
int shim_container_exec(const struct shim_spec *spec, const struct shim_child *child,
                        const char *const *argv, const int fds[3], unsigned flags, pid_t *ret,
                        struct error *err);
