// What the files container*.c share. The container's first process is made by clone3(); it tells
// its parent over a close-on-exec socket what went wrong, what could not be had and which file it
// is about to execute. The end of the stream without a failure in it is the success of execve().
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "supervisor/shim/container.h"

enum start_reason { // why a container could not be started, in the kubelet's words
    START_REASON_MOUNT,
    START_REASON_CONFIG,
    START_REASON_CREATE,
    START_REASON_START,
};
const char *start_reason_name(enum start_reason reason);

// ---- container-report.c ----

struct start_report { // what came through the socket
    bool failed;
    int code; // negative errno
    enum start_reason reason;
    char *message;
    char *command;
    int file; // see start_report_file(); -1 for none
    struct buffer warnings;
};
#define START_REPORT_NONE ((struct start_report){.reason = START_REASON_CREATE, .file = -1})

void start_report_warnings(int socket, const struct buffer *warnings);
// A descriptor that the parent gets, of the container's termination file.
void start_report_file(int socket, int fd);
void start_report_command(int socket, const char *command);
void start_report_failure(int socket, enum start_reason reason, int code, const char *message);

// Reads until the other side is closed. -EPROTO where what came is no report.
int start_report_read(int socket, struct start_report *ret);
void start_report_free(struct start_report *report);

// ---- container-command.c ----

struct command {
    char **argv;                  // borrows its strings
    char **environment;           // owns its strings: path_prepend is in PATH
    const char *path;             // the value of PATH, borrowed from `environment`; NULL: none
    const struct shim_spec *spec; // borrowed
};

void command_prepare(const struct shim_spec *spec, char *const *argv, struct command *ret);
void command_free(struct command *command);

// The next file at or after *position in PATH that may be executed (argv[0] itself where it holds a
// slash), or NULL with *ret_code: -ENOENT, or -EACCES where one was found that may not. The caller
// frees.
char *command_next(const struct command *command, const char **position, int *ret_code);

// execve() of the first that works; tells the report socket (where it is not negative) which.
// Returns only on failure.
int command_execute(const struct command *command, int report, struct error *err);

// ---- container-child.c ----

struct child_context {
    const struct shim_spec *spec;
    const struct shim_stdio *stdio;
    int report;       // the socket to the parent
    int report_read;  // the parent's end, to be closed
    bool in_v2_group; // clone3() put it into the first cgroup
    uid_t uid;        // of the caller, outside a new user namespace
    gid_t gid;
};

_Noreturn void container_child(const struct child_context *context);

// The steps that an exec into a running container shares.
void child_reset_signals(void);
int child_set_stdio(const int fds[3], bool tty, struct error *err);
// SIGKILL when the parent dies; ends at once where it is dead already, which the socket tells.
void child_die_with_parent(int report);
// Joins the cgroups from the `first` one on, the deferred ones only if asked to.
int child_join_cgroups(const struct shim_spec *spec, size_t first, bool deferred_too,
                       struct buffer *warnings, struct error *err);
int child_change_directory(const struct shim_spec *spec, struct error *err);

// ---- container.c ----

// clone3() into the container's first cgroup where that is one of v2 (*ret_in_group: joining by
// cgroup.procs costs milliseconds), else without, and the child joins by itself. Returns as fork(),
// or a negative errno. *ret_pidfd is close-on-exec; the caller closes it.
pid_t container_clone(const struct shim_spec *spec, uint64_t flags, int *ret_pidfd,
                      bool *ret_in_group);

// ---- container-fence.c ----

// In a process that is in the container's first cgroup already: names that cgroup to the fence, and
// then asks whether a process of the pod may begin now. The order is what counts: whoever kills
// either finds the name, or has killed before the question, which is then answered with no. 0, also
// for pods without a guard, or why not.
int container_fence_check(const struct shim_spec *spec, struct error *err);

// ---- container-cgroup.c ----

// Joining a cgroup v1 costs milliseconds (the kernel waits for an RCU grace period), so a
// hierarchy in which only a weight is set, and no bound, is joined once the container runs. Only
// where the first cgroup, which tracks the processes, is joined at birth.
bool container_cgroup_is_deferred(const struct shim_spec *spec, size_t i);

// Writes the limits. 0, or an error for a required one.
int container_write_limits(const struct shim_spec *spec, struct buffer *warnings,
                           struct error *err);

// Moves what runs in the container's first cgroup into the deferred ones.
void container_join_deferred(const struct shim_spec *spec, pid_t pid, struct buffer *warnings);
