// The agent's side of the shims: start one, find the running ones again, talk to them, learn that
// they are over. Everything is event driven on the agent's loop.
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "supervisor/shim/shim-proto.h"
#include "supervisor/shim/shim-spec.h"

struct shim_link; // one shim, started or adopted
struct shim_exec; // a command running inside a container

struct shim_link_ops {
    // The state changed (started, failed to start). Borrowed.
    void (*changed)(void *userdata, struct shim_link *link, const struct shim_state *state);
    // The shim is gone and its exit is known: `state` is the content of `exit`, or NULL where the
    // shim died without writing one. The container's processes may still live in that case: the
    // caller proves its cgroup empty. Called once; the link may be freed from inside.
    void (*over)(void *userdata, struct shim_link *link, const struct shim_state *state);
};

struct shim_link_options {
    sd_event *event;
    const char *shims_dir;    // RUN/shims
    const char *shim_path;    // the program
    struct shim_spare *spare; // of it, or NULL
};

// Makes RUN/shims/<spec->id>/ with socket, lock and spec and starts the shim. Returns at once; what
// happens comes through the callbacks. -EEXIST where that directory is there already.
int shim_link_start(const struct shim_link_options *options, const struct shim_spec *spec,
                    const struct shim_link_ops *ops, void *userdata, struct shim_link **ret,
                    struct error *err);

// Connects to a shim directory that an earlier agent left. Works for living and dead shims alike
// (`over` is called from the loop for a dead one). *ret_spec is what it was started with. The state
// is what the shim last wrote to disk, and is told again by `changed` where it differs by then.
// -ENOENT where there is no such directory, or where an agent died before it started the shim: what
// it left is removed then.
int shim_link_adopt(const struct shim_link_options *options, const char *id,
                    const struct shim_link_ops *ops, void *userdata, struct shim_link **ret,
                    struct shim_spec *ret_spec, struct error *err);

// The ids of all shim directories, sorted.
int shim_link_list(const char *shims_dir, struct string_list *ret, struct error *err);

const char *shim_link_id(const struct shim_link *link);
const struct shim_state *shim_link_state(const struct shim_link *link); // newest known, never NULL

// Asks for a sign of life (SHIM_HELLO, which every shim answers with its state), unless an answer
// is still awaited. The start of a conversation is a question too.
void shim_link_ask(struct shim_link *link);
// The number of the question that has not been answered yet; 0 where none is open.
uint64_t shim_link_unanswered(const struct shim_link *link);
// Whether the shim has ever said something over this link.
bool shim_link_was_heard(const struct shim_link *link);

int shim_link_signal(struct shim_link *link, int signal_number); // the container's first process
int shim_link_kill(struct shim_link *link);                      // everything in the container
// SIGKILL for a shim that does not answer; `over` follows.
int shim_link_kill_shim(struct shim_link *link);

// Once the exit has been recorded by the agent: removes RUN/shims/ID. Only after `over`.
int shim_link_forget(struct shim_link *link);
void shim_link_free(struct shim_link *link); // the shim lives on
DEFINE_CLEANUP(struct shim_link *, shim_link_free)

// Runs a command in the container's namespaces with its credentials and environment. `done` gets
// the wait status (or -errno in `error_code`) and the gathered output; after `timeout_usec` (0:
// none) it is killed and error_code is -ETIMEDOUT. `done` is called exactly once unless
// shim_exec_cancel().
typedef void (*shim_exec_done)(void *userdata, int error_code, int wait_status, const char *output,
                               size_t output_len);
int shim_link_exec(struct shim_link *link, const struct string_list *argv, int64_t timeout_usec,
                   shim_exec_done done, void *userdata, struct shim_exec **ret, struct error *err);
void shim_exec_cancel(struct shim_exec *exec); // kills it; `done` is not called
