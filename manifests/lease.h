// When a holder of an etcd lease asks, renews and gives up. No clock, no network: time is passed
// in, and what was answered is told. podmaster-pair.c does the rest.
//
// The rule that keeps two nodes from running the same pod. etcd counts a lease's time from when it
// answers, we count from before we asked, so with equal clocks the lease still stands at etcd at
// asked + TTL, never the other way round; that a new leader of etcd gives every lease its whole
// time again only helps. From asked + TTL backwards:
//
//   asked + TTL
//     − 2/13 of the TTL   the clocks may differ in rate: chrony, which turns clocks faster than
//                         anything else in use, slews by a twelfth at most (maxslewrate). While
//                         etcd's clock, a twelfth fast, counts the TTL, 12/13 of it pass, of which
//                         ours, a twelfth slow, counts 11/13.
//     − 1/20 of the TTL   (200 ms at least) for the fence to wake up, kill and see that all is dead
//   = kill_at             nothing of the pod may be alive from here on
//     − stop              the pod's own time to stop
//   = fence_at            the manifest goes; no process of the pod may begin from here on
//
// Who may win: only who finds two keys absent, in the transaction that puts both: the key that the
// user has named, and its twin, "mainstay.dev/lease:KEY", both bound to the lease. The key says who
// has it, and may be deleted by hand, to move the pod. The twin then stands as long as the lease
// does, so that the others (one that was started just now as well, or was cut off when the key was
// deleted) wait until the lease is gone: because the holder has seen that its key is gone, has
// killed what ran and has released the lease, or because it has run out, after kill_at. A holder
// that does not find both under its lease has lost. (A lease that is revoked by hand, both keys
// deleted by hand, an etcd put back to an earlier snapshot: these say to everybody that the holder
// is dead. Who does that waits for a TTL first, with podmaster or etcd stopped.)
//
// What counts as an answer: keys are read and written through etcd's consensus. A renewal is not; a
// member that was the leader, and has not heard that there is another one, renews a lease that has
// been running out elsewhere. So a renewal counts only where it tells a term of the consensus no
// older than that of the reading before it, within the same request; if yet another leader was
// elected since, it has given the lease its whole time later than we asked.
//
// The clock is CLOCK_BOOTTIME: time in which the machine slept has passed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"

enum lease_state {
    LEASE_FREE,   // not ours: the manifest must not be there
    LEASE_UNSURE, // perhaps ours, from an earlier life of this process: until the fence, what is
                  // there may stay
    LEASE_HELD,   // ours until the fence
};

enum lease_step {
    LEASE_WAIT,    // nothing to do for a while
    LEASE_CONTEND, // try to win the key
    LEASE_RENEW,   // keep the lease alive
    LEASE_YIELD,   // the fence is reached: take the manifest away (the state is LEASE_FREE now)
};

struct lease {
    int64_t ttl_usec, stop_usec;
    enum lease_state state;
    monotime fence_at; // not in LEASE_FREE
    monotime kill_at;  // stands also in LEASE_FREE, for what is being stopped; 0: nothing may live
    monotime ask_at;   // when to contend or to renew
};

// The longest time to stop that leaves enough of the lease (a quarter) for holding it; in seconds.
int64_t lease_stop_max(int64_t ttl_sec);

// stop_sec ≤ lease_stop_max(). The first step is to contend, at once.
void lease_begin(struct lease *lease, int64_t ttl_sec, int64_t stop_sec, monotime now);

// An earlier life of this process held the lease up to this fence.
void lease_inherit(struct lease *lease, monotime fence_at, monotime kill_at, monotime now);

// etcd granted or renewed the lease for ttl_sec, on a request that was sent at `asked`. False where
// the answer took so long that the fence has passed: the state is then LEASE_FREE.
bool lease_held(struct lease *lease, int64_t ttl_sec, monotime asked, monotime now);

// etcd says that the lease or the key is not ours: another node may have it, so nothing may live
// any more. Contend again after `pause_usec`.
void lease_lost(struct lease *lease, int64_t pause_usec, monotime now);

// No answer: the state stays, and it is soon tried again.
void lease_no_answer(struct lease *lease, monotime now);

// Something has changed: try to win the key now.
void lease_wake(struct lease *lease, monotime now);

// What to do now. For LEASE_WAIT, *ret_usec is for how long there is nothing to do.
enum lease_step lease_next(struct lease *lease, monotime now, int64_t *ret_usec);

// How long a request may take that is sent now.
int64_t lease_patience(const struct lease *lease, monotime now);
