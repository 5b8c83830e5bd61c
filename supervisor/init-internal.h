// What the files of process 1 share (see init.h). Nothing in its loop allocates: a process 1 that
// aborts for want of memory takes the machine with it.
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"
#include "base/monotime.h"
#include "supervisor/init-keeper.h"
#include "supervisor/init.h"

enum init_end { INIT_GOES_ON, INIT_POWER_OFF, INIT_REBOOT };

struct init {
    const struct init_options *options;
    char *const *argv;
    char program[PATH_MAX]; // by its path: an upgrade is what the next agent runs
    bool machine;           // it ends by reboot(2)
    bool first_namespace; // the kernel's first PID namespace: the file systems are ours to unmount
    int signals;          // signalfd
    int notify;           // where the agent tells how it is; the address is `address`
    int manager;          // connected to the service manager that started us, or -1
    char address[32];
    struct keeper keeper;
    pid_t agent;       // 0: none
    char trouble[256]; // the agent's STATUS= when it is unhealthy, for the log
    enum init_end end;
    bool hurry;          // asked a second time: nobody's grace is waited for
    unsigned end_starts; // agents that were started to end in order
    int status;          // of the exit
    bool over;           // the agent is done for good
    uint64_t orphans;    // that were reaped
};

// CLOCK_MONOTONIC, unlike monotime_now(): a machine that sleeps hears of nobody.
monotime init_now(void);

// One line to standard error, as base/log.h writes it, without memory and without waiting.
void init_log(char level, const char *format, ...) _printf_(2, 3);

// ---- init-agent.c

// Makes the socket that the agent tells how it is, and connects to our own service manager, if any.
int init_agent_open(struct init *init);

// Starts the agent: 0, or a negative errno (nothing was started).
int init_agent_start(struct init *init);

// Takes in what the agent has told, and passes it on to our own service manager.
void init_agent_hear(struct init *init, monotime now);

// ---- init-machine.c

// Whether this is the kernel's first PID namespace; false also where that cannot be told.
bool init_in_first_namespace(void);

// Mounts /proc where there is none: without it nothing can be found out.
void init_have_proc(void);

// Mounts what is missing and never over something, brings up lo, names the host.
void init_machine_begin(const struct init *init);

// Moves this process out of the way of the cgroups that the agent makes: with processes in it, a
// cgroup of version 2 gives its children no controllers.
void init_leave_cgroup(void);

// Whether /proc shows this very PID namespace.
bool init_proc_is_ours(void);

// ---- init-end.c

// Ends every process that is left: TERM, a while, KILL. Reaps them.
void init_end_processes(struct init *init);

// Unmounts and powers off or reboots; returns where that cannot be had.
void init_end_machine(const struct init *init);
