// What the files of shim-link share.
#pragma once

#include "supervisor/shim-link.h"

struct shim_link {
    sd_event *event;
    char *shims_dir, *id;
    const struct shim_link_ops *ops;
    void *userdata;
    int dir;     // RUN/shims/ID, O_PATH
    int socket;  // connected, or -1
    int pidfd;   // of the shim; -1 where it is not known yet, or gone
    pid_t child; // the shim, where this agent started it and has to reap it
    sd_event_source *socket_source, *pidfd_source, *look_again;
    struct shim_state state;
    bool told_running, over;
    uint64_t asked, answered; // questions so far, and the newest one that was answered
    struct shim_exec *execs;  // that run over this link, as a list
    int callbacks;            // on the stack
    bool freed;               // from inside one of them
};

// shim-spawn.c: starts the shim program with the descriptors of shim-proto.h, which stay the
// caller's. Its pid, or -errno.
struct shim_spawn {
    const char *program;
    const char *title; // its argument
    int spec, lock, socket, dir;
};
int shim_spawn(const struct shim_spawn *spawn, pid_t *ret, struct error *err);
// One that waits at the other end of the socket, which stays the caller's.
int shim_spawn_waiting(const char *program, int socket, pid_t *ret, struct error *err);
// A sealed memfd with the spec, as SHIM_FD_SPEC takes it.
int shim_spawn_spec_memfd(const void *data, size_t len);

// shim-link-state.c: the conversation and the end.
// Connects and says hello; 0 or -errno. Not fatal for a shim that is just being born or dying.
int shim_link_converse(struct shim_link *link);
// Watches the pidfd, which becomes the link's in any case.
int shim_link_watch(struct shim_link *link, int pidfd);
// From the loop: finds out whether the shim lives, and either talks to it or ends the link.
int shim_link_look_again(struct shim_link *link);
// Reads a file of the shim's directory into a state: 0, -ENOENT, -EBADMSG, …
int shim_link_read_state(int dir, const char *name, struct shim_state *ret);
// The pid and start time in the lock file give a pidfd, or -errno.
int shim_link_lock_pidfd(int dir);
// True where no process holds the lock.
bool shim_link_lock_is_free(int dir);

// shim-link-exec.c: the link is over; each is told, with its answer where it came in time.
void shim_link_end_execs(struct shim_link *link);

void shim_link_destroy(struct shim_link *link);
