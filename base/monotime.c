// See monotime.h.
#include "base/monotime.h"

monotime monotime_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (monotime){(uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC};
}

walltime walltime_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (walltime){(int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec};
}
