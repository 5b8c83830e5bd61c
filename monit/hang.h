// An observer in a thread of its own, which tells when the main thread hangs inside a part of the
// agent: a call that blocks, or a loop without an end. The agent has no threads otherwise. This one
// is needed because a loop that is stuck can say nothing, also not in a signal handler where it
// sleeps in the kernel uninterruptibly, and the service manager would kill it without a word.
//
// It shares nothing with the main thread but atomics (base/work.h and its own struct), allocates
// nothing once it runs, blocks in no call but the read of its timer, and has every signal blocked.
// The timer is armed while the main thread works and disarmed while it waits, so that an idle agent
// is not woken.
//
// It tells by STATUS= to the service manager ("Unhealthy: pods hangs for 10s: pod default/etcd-n1")
// and by a journal entry (or a line on stderr) with HANG_MESSAGE_ID and MAINSTAY_PART, and again
// every 30 s while it lasts.
//
// No alarm without a hang: what counts is time in which the main thread could run. After the limit
// has passed on the clock (of which a frozen machine or a stopped process knows nothing) the thread
// looks on for another three tenths of the limit, in steps, during which it runs itself, and from
// which it takes off the time that the main thread has waited for a CPU.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/work.h"

// An id never changes and is never used for anything else. (That it is over is an event, PartHung.)
#define HANG_MESSAGE_ID "441d4b90eae2492e958aa2ab0b301f79"

struct hang;

struct hang_options {
    int64_t limit_usec;        // how long a part may take for one thing
    const char *identifier;    // SYSLOG_IDENTIFIER; a literal
    const char *notify_socket; // NOTIFY_SOCKET; NULL: nobody
};

// To be called by the main thread, which counts as working from here on. Fails for want of
// descriptors or memory only.
int hang_new(const struct hang_options *options, struct hang **ret, struct error *err);
// Ends the thread.
void hang_free(struct hang *hang);
DEFINE_CLEANUP(struct hang *, hang_free)

// The main thread begins to work, and goes to wait. Each costs a system call. `hang` may be NULL.
void hang_work(struct hang *hang);
void hang_rest(struct hang *hang);

// Whether a hang has been told that is over by now, and what it was. Once for each.
struct hang_report {
    char part[32];
    char what[WORK_WHAT_SIZE];
    int64_t usec; // how long it took, about
};
bool hang_is_over(struct hang *hang, struct hang_report *ret);
