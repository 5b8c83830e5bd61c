// Whether etcd keeps its quorum while one of its members is stopped: asked of every member, one by
// one, at the moment of the question. Blocks for as long as the members need to answer, no longer
// than QUORUM_ASK_MSEC for each.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/string-list.h"

enum { QUORUM_ASK_MSEC = 2000 };

// The member that is to be stopped, and how it and the others are reached.
struct quorum_question {
    const char *name;                // as etcd knows it; NULL where that is not known
    const struct string_list *own;   // its client URLs
    const struct string_list *other; // client URLs of others, asked where it does not answer itself
    const char *cacert, *cert, *key; // PEM files; NULL for plain http
    int interrupt_fd;                // ends it when it is readable; -1: nothing does
};

enum quorum_verdict {
    QUORUM_KEPT,    // those that are left are enough
    QUORUM_LOST,    // they are not
    QUORUM_FREE,    // it costs nothing: the member does not serve, does not vote, or is alone
    QUORUM_NONE,    // there is none now: nobody who answers knows a leader
    QUORUM_UNKNOWN, // those who would know cannot be asked, though they may live
};

struct quorum_view {
    enum quorum_verdict verdict;
    char *why;    // for people, "stopping m1 would leave 1 of 3 members, 2 are needed; m3 does not
                  // answer"
    char *name;   // of the member, where it is known
    bool answers; // the member itself does
    bool alone;   // QUORUM_FREE: the only member of its cluster
    size_t voters, left, needed;  // 0 where the members are not known
    struct string_list endpoints; // client URLs of all members, its own first
    struct string_list away;      // names of the voters that do not count
};
void quorum_view_free(struct quorum_view *view);
#define _cleanup_quorum_view_ _cleanup_(quorum_view_free)

// 0, or -ECANCELED. What cannot be learned is part of the view.
int quorum_look(const struct quorum_question *question, struct quorum_view *ret, struct error *err);

// Whether the member is back: it answers, knows a leader, and has what the others have. 0, or a
// negative errno with what is missing.
int quorum_is_back(const struct quorum_question *question, struct error *err);

// Whether nothing listens on any of its client URLs.
bool quorum_is_closed(const struct quorum_question *question);
