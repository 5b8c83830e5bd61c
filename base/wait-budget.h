// Waiting for room in somebody else's queue, within bounds: a journal that is only busy gets
// everything, and one that hangs holds nobody up.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"

struct wait_budget {
    int64_t usec_per_second; // how long all waits of one second may take together
    monotime second;         // when the current one began
    int64_t waited_usec;
    bool stuck; // the last wait was in vain: none before wait_budget_progress()
};

// Waits until `fd` is writable: true when it is, false when the budget is used up.
bool wait_budget_poll(struct wait_budget *budget, int fd);
// Something got through.
void wait_budget_progress(struct wait_budget *budget);
