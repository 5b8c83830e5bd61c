// See backoff.h.
#include "supervisor/backoff.h"

#include "base/macro.h"

monotime backoff_next(struct backoff *b, const struct backoff_curve *curve, monotime finished)
{
    bool fresh = b->delay_usec == 0 || monotime_since(finished, b->decided) > curve->reset_usec;
    if (fresh) {
        b->delay_usec = MIN(curve->initial_usec, curve->max_usec);
        return finished;
    }
    monotime start = monotime_add_usec(finished, b->delay_usec);
    b->delay_usec = MIN(b->delay_usec * 2, curve->max_usec);
    return start;
}

void backoff_started(struct backoff *b, monotime now)
{
    b->decided = now;
}

void backoff_reset(struct backoff *b)
{
    *b = (struct backoff){0};
}
