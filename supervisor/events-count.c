// How many events of each reason there were since the agent started, for its metrics. The reasons
// are those of event-ids.c, so their number is bounded.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/events-internal.h"

void event_counts_add(struct event_counts *counts, const char *reason, enum event_type type)
{
    LIST_EACH (count, counts)
        if (strcmp(count->reason, reason) == 0) {
            count->n[type]++;
            return;
        }
    if (counts->n == EVENT_REASONS_MOST)
        return;
    struct event_count *count = LIST_APPEND(counts);
    count->reason = xstrdup(reason);
    count->n[type] = 1;
}

static int by_reason(const void *a, const void *b)
{
    return strcmp(((const struct event_count *)a)->reason, ((const struct event_count *)b)->reason);
}

void event_counts_each(struct event_counts *counts, event_count_fn each, void *userdata)
{
    if (counts->n > 0)
        qsort(counts->items, counts->n, sizeof(counts->items[0]), by_reason);
    LIST_EACH (count, counts)
        for (enum event_type type = EVENT_NORMAL; type <= EVENT_WARNING; type++)
            if (count->n[type] > 0)
                each(userdata, count->reason, type, count->n[type]);
}

void event_counts_free(struct event_counts *counts)
{
    LIST_EACH (count, counts)
        free(count->reason);
    free(counts->items);
}
