// The quorum guard at work: waits until a member of etcd may be stopped, holds the turn meanwhile,
// and gives it back when the member is well again. What it has to say it tells a function that is
// passed in; who it works for (the agent, a command that is run) is decided in etcd-guard.c.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/monotime.h"
#include "cli/etcd-access.h"
#include "etcd/quorum.h"
#include "etcd/turns.h"

#define GUARD_PREFIX "/mainstay/etcd/guard"

enum {
    GUARD_TTL_SEC = 15,     // of the lease: so long a guard that was killed holds the others up
    GUARD_KEEP_MSEC = 4000, // how often the lease is kept alive
};

// What it says, each time with a text for people.
enum guard_word {
    GUARD_WAIT,   // it is another one's turn
    GUARD_REFUSE, // stopping it now would cost the quorum, or that cannot be learned yet
    GUARD_GO,     // it may be stopped
    GUARD_PASS,   // nobody can be asked: after all this time it may be stopped nevertheless
    GUARD_BACK,   // the member is well again; the turn is given back
    GUARD_LATE,   // it is not, after all this time; the turn is given back
};

struct guard_options {
    const struct etcd_access *access;
    const char *name;      // the member; NULL: as its manifest says
    bool probe_failed;     // it is to be restarted because a probe says that it is not well
    int64_t election_msec; // as etcd's --election-timeout
    int64_t patience_usec; // how long it is refused where nobody can be asked
    int64_t back_usec;     // how long its way back may take
    monotime deadline;     // when to give up waiting
    int interrupt_fd;      // readable: the caller has something to do
    void (*say)(void *userdata, enum guard_word word, const char *text);
    void *userdata;
};

struct guard {
    struct guard_options options;
    struct string_list own; // the member's client URLs
    struct etcd_client *client;
    struct etcd_turn turn;
    monotime kept;    // when the lease was kept alive
    monotime none;    // since when there is no quorum
    monotime lost;    // since when it would break
    monotime unknown; // since when nobody can be asked
    enum guard_word said;
    char *said_text;
};

void guard_init(struct guard *guard, const struct guard_options *options);
void guard_free(struct guard *guard); // gives the turn back

// Waits for GUARD_GO or GUARD_PASS: 0; -ECANCELED where the interrupt came first, -ETIMEDOUT.
int guard_ask(struct guard *guard, struct error *err);
// True while the turn is ours.
bool guard_holds(const struct guard *guard);
// To be called at least every GUARD_KEEP_MSEC while it is.
void guard_keep(struct guard *guard);
// Waits until the member is well again, for `steady_usec` without a break. As guard_ask().
int guard_wait_back(struct guard *guard, int64_t steady_usec, struct error *err);
void guard_leave(struct guard *guard);
