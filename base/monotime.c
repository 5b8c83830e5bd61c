// See monotime.h.
#include "base/monotime.h"

#include <errno.h>
#include <sys/timerfd.h>

monotime monotime_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (monotime){(uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC};
}

int monotime_arm(int timerfd, monotime deadline)
{
    struct itimerspec when = {0}; // never: disarmed
    if (!monotime_is_never(deadline)) {
        when.it_value.tv_sec = (time_t)(deadline.usec / USEC_PER_SEC);
        when.it_value.tv_nsec = (long)(deadline.usec % USEC_PER_SEC * NSEC_PER_USEC) + 1;
    }
    return timerfd_settime(timerfd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
}

walltime walltime_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (walltime){(int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec};
}
