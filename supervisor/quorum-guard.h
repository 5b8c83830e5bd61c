// The agent's end of `mainstay etcd guard`: a child that finds out whether a member of etcd may be
// stopped, holds a turn in etcd meanwhile, and gives it back when the member is well again. The
// child outlives the agent where that ends in between. Nothing here blocks.
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "podspec/podspec.h"

struct quorum_guard;

enum quorum_word {
    QUORUM_WAITS,   // it is another member's turn
    QUORUM_REFUSES, // the quorum would break, or nobody knows
    QUORUM_GOES,    // it may be stopped; the text is empty where nothing had to be asked
    QUORUM_PASSES,  // nobody could be asked for so long that it may be stopped nevertheless
    QUORUM_ENDED,   // the child has ended, for whatever reason; it is to be freed
};

struct quorum_guard_options {
    sd_event *event;
    const char *program;   // `mainstay`; borrowed for the call
    const struct pod *pod; // as it runs; borrowed for the call
    bool probe_failed;     // why it is to be stopped
    int64_t patience_usec; // for members that cannot be asked
    // From the loop. From inside QUORUM_ENDED the guard may be freed, else not.
    void (*says)(void *userdata, enum quorum_word word, const char *text);
    void *userdata;
};

int quorum_guard_start(const struct quorum_guard_options *options, struct quorum_guard **ret,
                       struct error *err);

// After its word: the member is to be stopped once more; another word follows.
void quorum_guard_again(struct quorum_guard *guard);
// Lets go of it, and frees it: before its word, the child ends. After it, where the member was
// started again and is ready, the child holds the turn until it is well; where it stays away, it
// gives the turn back at once. NULL is allowed.
void quorum_guard_ready(struct quorum_guard *guard);
void quorum_guard_gone(struct quorum_guard *guard);
// The same without a word: the child finds out for itself.
void quorum_guard_free(struct quorum_guard *guard);
