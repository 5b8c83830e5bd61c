// podmaster-broken: podmaster with deadlines that are too late, for the proof that the checker of
// test_podmaster_torture.py finds what it looks for. Nothing else is different, and podmaster
// itself has no such switch.
#include "manifests/lease.h"

bool lease_held_rightly(struct lease *lease, int64_t ttl_sec, monotime asked, monotime now);
#define lease_held lease_held_rightly
#include "manifests/lease.c" // NOLINT(bugprone-suspicious-include)
#undef lease_held

enum { TOO_LATE = 3 }; // times the TTL

bool lease_held(struct lease *lease, int64_t ttl_sec, monotime asked, monotime now)
{
    if (!lease_held_rightly(lease, ttl_sec, asked, now))
        return false;
    lease->fence_at = monotime_add_usec(lease->fence_at, TOO_LATE * lease->ttl_usec);
    lease->kill_at = monotime_add_usec(lease->kill_at, TOO_LATE * lease->ttl_usec);
    return true;
}
