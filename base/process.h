// Processes by pidfd. A bare PID is never trusted: a stored one is used only together with the
// start time that /proc gives, which tells a reused PID from the process that was meant.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// A pidfd (close-on-exec), or -errno; -ESRCH where there is no such process.
int process_pidfd(pid_t pid);

// pidfd_send_signal(2): 0, or -errno (-ESRCH where it is gone).
int process_signal(int pidfd, int signal_number);

// Field 22 of /proc/PID/stat, in clock ticks since boot: 0, or -errno.
int process_start_ticks(pid_t pid, uint64_t *ret);

// A pidfd for the process only if it is still the one that started at `ticks`; else -ESRCH.
int process_pidfd_if_same(pid_t pid, uint64_t ticks);

// True once the process that the pidfd means has exited (it may still be a zombie).
bool process_exited(int pidfd);

// The kernel's boot id, 36 characters and a NUL; "" where it cannot be read. Returns buf (≥ 37).
char *process_boot_id(char *buf);

// Signal numbers by name ("TERM", "SIGTERM", "15"), or -EINVAL; and back ("SIGTERM", "SIG35").
int signal_from_name(const char *name);
const char *signal_name(int number, char *buf); // buf has 16 bytes
