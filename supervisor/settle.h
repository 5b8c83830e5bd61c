// When a burst of news is over: after a quiet second, but ten seconds after its beginning at the
// latest.
#pragma once

#include "base/monotime.h"

enum { SETTLE_QUIET_USEC = 1000000, SETTLE_MOST_USEC = 10000000 };

struct settle {
    monotime first, last; // of the burst; 0: there is none
};

static inline void settle_news(struct settle *settle, monotime now)
{
    if (!settle->first.usec)
        settle->first = now;
    settle->last = now;
}

// When what happened is to be looked at; MONOTIME_NEVER where nothing did.
static inline monotime settle_due(const struct settle *settle)
{
    if (!settle->first.usec)
        return MONOTIME_NEVER;
    return monotime_min(monotime_add_usec(settle->last, SETTLE_QUIET_USEC),
                        monotime_add_usec(settle->first, SETTLE_MOST_USEC));
}

// It waited for long enough: what is known now counts, though there may be more to come.
static inline bool settle_is_over(const struct settle *settle, monotime now)
{
    return settle->first.usec &&
           monotime_reached(monotime_add_usec(settle->first, SETTLE_MOST_USEC), now);
}
