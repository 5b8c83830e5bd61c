// See wait-budget.h.
#include "base/wait-budget.h"

#include <poll.h>

#include "base/macro.h"

bool wait_budget_poll(struct wait_budget *budget, int fd)
{
    monotime now = monotime_now();
    if (budget->stuck)
        return false;
    if (monotime_since(now, budget->second) >= USEC_PER_SEC) {
        budget->second = now;
        budget->waited_usec = 0;
    }
    int64_t left = budget->usec_per_second - budget->waited_usec;
    if (left <= 0)
        return false;
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    int n = poll(&room, 1, (int)(left / USEC_PER_MSEC) + 1);
    budget->waited_usec += monotime_since(monotime_now(), now);
    budget->stuck = n <= 0;
    return n > 0;
}

void wait_budget_progress(struct wait_budget *budget)
{
    budget->stuck = false;
}
