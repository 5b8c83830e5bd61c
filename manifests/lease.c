// See lease.h.
#include "manifests/lease.h"

#include "base/macro.h"

// Three tries to renew fit between one renewal and the fence; after a failure, tries come faster.
enum { RENEWALS = 3, RETRY_MIN_USEC = 100000, RETRY_MAX_USEC = 1000000, KILL_MIN_USEC = 200000 };

// From the request to kill_at.
static int64_t until_kill(int64_t ttl_usec)
{
    return ttl_usec - ttl_usec * 2 / 13 - MAX(ttl_usec / 20, KILL_MIN_USEC);
}

static int64_t interval(const struct lease *lease)
{
    return (until_kill(lease->ttl_usec) - lease->stop_usec) / RENEWALS;
}

int64_t lease_stop_max(int64_t ttl_sec)
{
    int64_t ttl_usec = ttl_sec * USEC_PER_SEC;
    return (until_kill(ttl_usec) - ttl_usec / 4) / USEC_PER_SEC;
}

void lease_begin(struct lease *lease, int64_t ttl_sec, int64_t stop_sec, monotime now)
{
    *lease = (struct lease){
        .ttl_usec = ttl_sec * USEC_PER_SEC,
        .stop_usec = stop_sec * USEC_PER_SEC,
        .state = LEASE_FREE,
        .fence_at = MONOTIME_NEVER,
        .kill_at = {0},
        .ask_at = now,
    };
}

void lease_inherit(struct lease *lease, monotime fence_at, monotime kill_at, monotime now)
{
    lease->kill_at = kill_at;
    if (monotime_is_never(fence_at) || monotime_reached(fence_at, now))
        return;
    lease->state = LEASE_UNSURE;
    lease->fence_at = fence_at;
}

static void set_free(struct lease *lease, monotime ask_at)
{
    lease->state = LEASE_FREE;
    lease->fence_at = MONOTIME_NEVER;
    lease->ask_at = ask_at;
}

bool lease_held(struct lease *lease, int64_t ttl_sec, monotime asked, monotime now)
{
    // etcd may grant more or less than was asked for.
    int64_t alive = MAX(until_kill(ttl_sec * USEC_PER_SEC), 0);
    int64_t usec = MAX(alive - lease->stop_usec, 0);
    monotime fence_at = monotime_add_usec(asked, usec);
    lease->kill_at = monotime_add_usec(asked, alive);
    if (monotime_reached(fence_at, now)) {
        set_free(lease, monotime_add_usec(now, RETRY_MAX_USEC));
        return false;
    }
    lease->state = LEASE_HELD;
    lease->fence_at = fence_at;
    lease->ask_at = monotime_add_usec(asked, usec / RENEWALS);
    return true;
}

void lease_lost(struct lease *lease, int64_t pause_usec, monotime now)
{
    set_free(lease, monotime_add_usec(now, pause_usec));
    lease->kill_at = (monotime){0};
}

void lease_no_answer(struct lease *lease, monotime now)
{
    int64_t retry = interval(lease) / RENEWALS;
    lease->ask_at = monotime_add_usec(now, MIN(MAX(retry, RETRY_MIN_USEC), RETRY_MAX_USEC));
}

void lease_wake(struct lease *lease, monotime now)
{
    lease->ask_at = now;
}

enum lease_step lease_next(struct lease *lease, monotime now, int64_t *ret_usec)
{
    if (lease->state != LEASE_FREE && monotime_reached(lease->fence_at, now)) {
        set_free(lease, now);
        return LEASE_YIELD;
    }
    if (monotime_reached(lease->ask_at, now))
        return lease->state == LEASE_HELD ? LEASE_RENEW : LEASE_CONTEND;
    *ret_usec = monotime_since(monotime_min(lease->ask_at, lease->fence_at), now);
    return LEASE_WAIT;
}

int64_t lease_patience(const struct lease *lease, monotime now)
{
    int64_t most = interval(lease);
    if (lease->state != LEASE_FREE)
        most = MIN(most, monotime_since(lease->fence_at, now));
    return MAX(most, USEC_PER_MSEC);
}
