// First-process mode, `mainstayd --init`: for containers, and for images that boot into it.
//
// Process 1 is a small parent that does nothing risky: it starts the agent as its child, starts it
// anew when it dies or hangs, reaps every orphan, and ends the container or the machine in order.
// It offers its child what a service manager offers (NOTIFY_SOCKET, WATCHDOG_USEC: sd_notify(3)),
// so that death, hang and upgrade of the agent cost the pods nothing here either.
//
//   init.c          process 1: its signals, its loop
//   init-options.c  which flags of the command line are for it
//   init-keeper.c   when the agent is started, aborted, killed: time is passed in, no I/O
//   init-agent.c    the child process, and what it tells
//   init-machine.c  what the machine's first process finds missing: mounts, lo, the host's name
//   init-end.c      the end: processes, file systems, power
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum init_kind {
    INIT_AUTO,      // a machine in the kernel's first PID namespace, a container in any other
    INIT_CONTAINER, // it ends by exiting
    INIT_MACHINE,   // it mounts what is missing, and ends by reboot(2)
};

struct init_options {
    enum init_kind kind;   // --init-as
    int64_t watchdog_usec; // --init-watchdog: an agent that is silent for longer is started anew
};

enum { INIT_WATCHDOG_SEC = 30 };

bool init_kind_from_name(const char *name, enum init_kind *ret);
const char *init_kind_name(enum init_kind kind);

// Whether the command line asks for --init, and how. Looks at the flags of process 1 only and never
// fails: what is wrong with a command line is the agent's to say.
bool init_options_read(int argc, char *const *argv, struct init_options *ret);

// Runs as process 1 until a signal ends it; `argv` is the agent's command line. Returns the exit
// status: 0 after an orderly end, that of the agent where it cannot run at all (in a container).
int init_run(const struct init_options *options, char *const *argv);

// Whether this process is the agent that such a process 1 has started.
bool init_is_parent(void);
