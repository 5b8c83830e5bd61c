// The inside of mainstay-shim: one epoll loop over the container's output, its death, and the
// control socket. Who includes this is part of that program.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "supervisor/shim/container.h"
#include "supervisor/shim/shim-log.h"
#include "supervisor/shim/shim-proto.h"
#include "supervisor/shim/shim-spec.h"

struct shim;

// A descriptor in the loop. Events are fetched one at a time, so `ready` may free its own source
// and any other.
struct shim_source {
    int fd; // -1: not in the loop
    void (*ready)(struct shim_source *source, struct shim *shim);
};

struct shim_output { // one of the container's streams
    struct shim_source source;
    enum shim_stream stream;
};

enum { SHIM_CLIENTS_MAX = 32 };

struct shim_client { // a connection to the control socket
    struct shim_source source;
    bool open, wants_state;
    pid_t exec_pid;                 // 0: none runs
    struct shim_source exec_output; // its gathered stdout and stderr
    struct buffer gathered;
};

struct shim {
    struct shim_spec spec;
    struct shim_state state;
    int dir;       // RUN/shims/ID
    int exit_file; // a file with room reserved for the exit, so that a full disk cannot hide it
    int epoll;
    struct shim_source signals, listener, fence;
    struct shim_output outputs[2];
    monotime output_at; // when the container last wrote something
    int stdin_writer;   // kept open where the container's stdin stays open
    struct shim_child child;
    struct shim_log_file *log_file;
    struct shim_journal *journal;
    struct shim_log *log;
    uint64_t oom_kills_before;
    bool has_rested;   // the memory that only the start needed has gone back
    bool said_failing; // the last state told says that the log cannot be written
    char *warnings;    // of the start
    struct shim_client clients[SHIM_CLIENTS_MAX];
};

// shim.c: the loop.
// Puts fd into the loop: 0, or -errno (the caller still owns fd).
int shim_source_add(struct shim *shim, struct shim_source *source, int fd,
                    void (*ready)(struct shim_source *source, struct shim *shim));
void shim_source_close(struct shim *shim, struct shim_source *source);
// Runs the container of shim->spec from start to end. Returns once `exit` is written.
void shim_run(struct shim *shim);

// shim-report.c: what the agent gets to know.
void shim_report_begin(struct shim *shim); // reserves room for `exit`
void shim_report_state(struct shim *shim); // writes `state` and tells every client
void shim_report_exit(struct shim *shim);  // writes `exit`; where that fails, tells every client
// The text of the state as it is now.
void shim_report_format(struct shim *shim, struct buffer *out);

// shim-control.c: the control socket.
int shim_control_listen(struct shim *shim, int fd);
void shim_control_tell(struct shim *shim); // sends the state to those who asked for it
void shim_control_end(struct shim *shim);  // kills what the clients run
// A child that is not the container's first process was reaped.
void shim_control_reaped(struct shim *shim, pid_t pid, int wait_status);

// shim-fence.c: of a pod that podmaster guards, before it runs: it is killed at the deadline.
// Nothing for other pods. Negative errno where the deadline cannot be watched.
int shim_fence_begin(struct shim *shim);

// shim-kill.c
void shim_kill_container(struct shim *shim); // SIGKILL for everything in it
// After the container's first process: SIGKILL for what it forked away that is below the shim
// still, in whichever cgroup, until nothing is left or two seconds have passed.
void shim_kill_strays(struct shim *shim);
// How many processes of the container the kernel has killed for lack of memory.
uint64_t shim_oom_kills(const struct shim_spec *spec);

// shim-exec.c: commands that join the container.
void shim_exec_start(struct shim *shim, struct shim_client *client, struct shim_received *message);
void shim_exec_kill(struct shim *shim, struct shim_client *client);
void shim_exec_exited(struct shim *shim, struct shim_client *client, int wait_status);
