// Two kinds of time that must never be mixed. Monotonic time (what timers, back-off and grace
// periods are computed from) is a type of its own; wall-clock time is for people and files only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

// Microseconds of CLOCK_BOOTTIME: it goes on while the machine sleeps and never jumps.
typedef struct monotime {
    uint64_t usec;
} monotime;

#define MONOTIME_NEVER ((monotime){UINT64_MAX})
#define MSEC_PER_SEC   ((int64_t)1000)
#define USEC_PER_MSEC  ((int64_t)1000)
#define USEC_PER_SEC   ((int64_t)1000000)
#define NSEC_PER_USEC  ((int64_t)1000)
#define NSEC_PER_SEC   ((int64_t)1000000000)

monotime monotime_now(void);

// Sets a timerfd of CLOCK_BOOTTIME: to the deadline (a past one fires at once), or to never.
int monotime_arm(int timerfd, monotime deadline);

static inline bool monotime_is_never(monotime t)
{
    return t.usec == UINT64_MAX;
}

static inline bool monotime_reached(monotime deadline, monotime now)
{
    return !monotime_is_never(deadline) && deadline.usec <= now.usec;
}

static inline monotime monotime_min(monotime a, monotime b)
{
    return a.usec < b.usec ? a : b;
}

// Saturates at 0 and below MONOTIME_NEVER.
static inline monotime monotime_add_usec(monotime t, int64_t usec)
{
    if (monotime_is_never(t))
        return t;
    if (usec < 0)
        return (monotime){t.usec > (uint64_t)-usec ? t.usec - (uint64_t)-usec : 0};
    return (monotime){UINT64_MAX - 1 - t.usec > (uint64_t)usec ? t.usec + (uint64_t)usec
                                                               : UINT64_MAX - 1};
}

static inline monotime monotime_add_ms(monotime t, int64_t ms)
{
    return monotime_add_usec(t, ms * USEC_PER_MSEC);
}

// later − earlier in microseconds; 0 where later is before earlier.
static inline int64_t monotime_since(monotime later, monotime earlier)
{
    return later.usec > earlier.usec ? (int64_t)(later.usec - earlier.usec) : 0;
}

// Wall-clock time in nanoseconds since 1970; 0 means "not set".
typedef struct walltime {
    int64_t nsec;
} walltime;

walltime walltime_now(void);

static inline bool walltime_is_set(walltime t)
{
    return t.nsec != 0;
}
