// What the main thread is at work on, for an observer in another thread (monit/hang.h): only that
// thread can tell when the main thread hangs inside a part. Marks are made at the few entrances of
// a part and cost some nanoseconds; like the log's, this state belongs to the process.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum { WORK_WHAT_SIZE = 160 }; // bytes of a description; a longer one is cut

// From here to the end of the block the main thread works for `part` (a literal: "source", "pods",
// …) on `kind` and "parent/name" ("pod", "default", "etcd-n1"), parent and name copied; each may be
// NULL. May be nested: the innermost one counts.
#define WORK_SCOPE(part, kind, parent, name)          WORK_SCOPE_NAMED(part, kind, parent, name, __COUNTER__)
#define WORK_SCOPE_NAMED(part, kind, parent, name, n) WORK_SCOPE_OF(part, kind, parent, name, n)
#define WORK_SCOPE_OF(part, kind, parent, name, n)                                                 \
    _cleanup_(work_leave) _unused_ const int work_scope##n = work_enter(part, kind, parent, name)

int work_enter(const char *part, const char *kind, const char *parent, const char *name);
void work_leave(const int *scope);

// The main thread got on, whatever it works on.
void work_step(void);

struct work {
    uint64_t step;    // differs from an earlier one's: the main thread has got on meanwhile
    int64_t since;    // work_clock() at that step
    const char *part; // NULL: none has said that it works
    char what[WORK_WHAT_SIZE];
};

// Microseconds of CLOCK_MONOTONIC: the time in which the machine sleeps does not count.
int64_t work_clock(void);

// From any thread. False where the main thread gets on just now.
bool work_read(struct work *ret);

// ---- for the tests of hangs: only the program that tests/tools/hang-inject.c is part of has it
// ----

#ifdef MAINSTAY_HANGS
void hang_inject(const char *part);      // hangs here, where this part is to hang
bool work_is_silenced(const char *part); // the part is to do nothing here
int64_t work_scaled_usec(int64_t usec);  // how long a limit of `usec` is in that program
#else
static inline bool work_is_silenced(const char *part)
{
    return false;
}
static inline int64_t work_scaled_usec(int64_t usec)
{
    return usec;
}
#endif
