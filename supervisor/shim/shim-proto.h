// What agent (and command) and shim say to each other, over the shim's SOCK_SEQPACKET socket
// RUN/shims/ID/socket. The agent makes the shim's directory, the listening socket and a flock()ed
// lock file before it forks, and the shim inherits both: so a directory whose lock is free belongs
// to a dead shim, one whose lock is held to a shim that lives or is just being born, and it can be
// connected to from the first moment. That is what makes adoption free of races.
//
// Files in RUN/shims/ID/:
//   lock    held (flock) by the shim as long as it lives
//   socket  the control socket
//   spec    the encoded shim_spec, for a new agent
//   state   written by the shim once the container started: struct shim_state as text
//   exit    written (atomically, before the shim exits) when the container is over
// The shim's death is the signal that the container is over: `exit` then says how, and where there
// is no `exit`, the shim itself was killed and the cgroup must be proven empty first.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/monotime.h"

// Descriptors the shim is started with.
enum {
    SHIM_FD_SPEC = 3,   // sealed memfd: the encoded shim_spec
    SHIM_FD_LOCK = 4,   // RUN/shims/ID/lock, flock()ed
    SHIM_FD_SOCKET = 5, // listening SOCK_SEQPACKET socket
    SHIM_FD_DIR = 6,    // RUN/shims/ID, O_PATH|O_DIRECTORY
};

enum shim_message_type {
    // to the shim
    SHIM_HELLO = 1, // → SHIM_STATE now and on every change, until the connection closes. It may be
                    //   said again: the agent does so to see that the shim is still at work.
    SHIM_SIGNAL,    // number: signal for the container's first process
    SHIM_KILL,      // SIGKILL for everything in the container
    SHIM_EXEC, // text: NUL-separated argv; flags; with up to 3 descriptors (stdin, stdout, stderr)
               //   by SCM_RIGHTS, or none: output is gathered and returned. → SHIM_EXEC_STARTED,
               //   SHIM_EXEC_EXITED. Closing the connection kills what was started.
    SHIM_ROTATE, // reopen the log file (it was renamed by somebody else)
    SHIM_BEGIN,  // to one that waits (shim-wait.h): text: its title; the descriptors above
    // from the shim
    SHIM_STATE = 64,   // text: the content of `state` (and `exit` when it is over)
    SHIM_EXEC_STARTED, // number: pid
    SHIM_EXEC_EXITED,  // number: wait status as waitpid() gives it; text: gathered output
    SHIM_ERROR,        // number: errno; text: message
};

enum { SHIM_EXEC_TTY = 1 << 0 }; // descriptor 0 is a terminal: make it the controlling one

enum { SHIM_MESSAGE_MAX = 64 << 10, SHIM_FDS_MOST = 4 };

struct shim_message { // followed by `length` bytes of text
    uint32_t type;
    uint32_t length;
    int64_t number;
    uint32_t flags;
    uint32_t reserved;
};

// Sends one message with up to SHIM_FDS_MOST descriptors, never blocking: 0, -EAGAIN where the peer
// does not read, -EMSGSIZE where the text is too long, or sendmsg()'s errno.
int shim_message_send(int fd, const struct shim_message *message, const void *text, const int *fds,
                      size_t n_fds);

struct shim_received {
    struct shim_message head;
    struct buffer text;     // NUL-terminated
    int fds[SHIM_FDS_MOST]; // -1 where none came; close-on-exec
};
#define SHIM_RECEIVED_NONE                                                                         \
    {                                                                                              \
        .fds = { -1, -1, -1, -1 }                                                                  \
    }

// Receives one message into *ret, which is cleared first. -EAGAIN where there is none, -ECONNRESET
// at the end of the connection, -EBADMSG where it is malformed, or recvmsg()'s errno.
int shim_message_receive(int fd, struct shim_received *ret);
void shim_received_clear(struct shim_received *received); // closes what fds are left

// A close-on-exec, non-blocking SOCK_SEQPACKET socket at `path` below dirfd: made and listening, or
// connected. Paths may be longer than a socket address is. A descriptor or -errno.
int shim_socket_listen(int dirfd, const char *path);
int shim_socket_connect(int dirfd, const char *path);

enum shim_phase { SHIM_PHASE_STARTING, SHIM_PHASE_RUNNING, SHIM_PHASE_EXITED, SHIM_PHASE_FAILED };

// The `state` and `exit` files and the SHIM_STATE message: lines of "key=value", unknown keys are
// passed over.
struct shim_state {
    enum shim_phase phase;
    pid_t shim_pid, pid; // as the host sees them; pid 0 until started
    uint64_t shim_start_ticks, start_ticks;
    walltime started_at, finished_at;
    bool signaled; // killed by a signal: `exit_code` is its number
    int exit_code; // or the exit status
    bool oom_killed;
    int error_code;     // SHIM_PHASE_FAILED: errno
    char *error_reason; // SHIM_PHASE_FAILED: "CreateContainerError", "StartError", "FailedMount", …
    char *message;      // SHIM_PHASE_FAILED: why. SHIM_PHASE_RUNNING: warnings, one a line, or NULL
    char *command;      // the file that was executed, as resolved in PATH
    uint64_t log_lines, log_bytes, journal_dropped;
    // SHIM_PHASE_EXITED: the end of the termination file in the container's own /dev, without its
    // NULs; NULL where that is empty, or elsewhere.
    char *termination;
};
enum { SHIM_TERMINATION_BYTES = 4096 }; // of it

void shim_state_clear(struct shim_state *state);
void shim_state_format(const struct shim_state *state, struct buffer *out);
int shim_state_parse(const char *text, struct shim_state *ret, struct error *err);
