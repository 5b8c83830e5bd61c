// Requests and limits as numbers of the kernel. See cgroup-internal.h.
#include "supervisor/cgroup-internal.h"

enum {
    SHARES_PER_CPU = 1024,
    SHARES_MIN = 2,
    SHARES_MAX = 262144,
    QUOTA_MIN = 1000, // microseconds
    MILLI = 1000,
    WEIGHT_MAX = 10000,
};

uint64_t cgroup_cpu_shares(int64_t milli)
{
    if (milli <= 0)
        return SHARES_MIN;
    __int128 shares = (__int128)milli * SHARES_PER_CPU / MILLI;
    return (uint64_t)MAX(MIN(shares, (__int128)SHARES_MAX), (__int128)SHARES_MIN);
}

int64_t cgroup_cpu_quota(int64_t milli)
{
    if (milli <= 0)
        return 0;
    __int128 quota = (__int128)milli * CGROUP_CPU_PERIOD / MILLI;
    return (int64_t)MAX(MIN(quota, (__int128)INT64_MAX), (__int128)QUOTA_MIN);
}

uint64_t cgroup_cpu_weight(uint64_t shares)
{
    if (shares < SHARES_MIN)
        shares = SHARES_MIN;
    if (shares > SHARES_MAX)
        shares = SHARES_MAX;
    return 1 + (shares - SHARES_MIN) * (WEIGHT_MAX - 1) / (SHARES_MAX - SHARES_MIN);
}
