// Has what was put aside (volumes_remove(), volumes_set_aside()) unmounted and removed by a helper
// process, one at a time. What an earlier agent put aside is found again.
#pragma once

#include <systemd/sd-event.h>

#include "supervisor/events.h"
#include "supervisor/volumes.h"

struct volumes_sweeper;

// `program` is mainstay-shim. All strings are borrowed. A failure of a helper is told by an event,
// FailedCleanup.
struct volumes_sweeper *volumes_sweeper_new(sd_event *event, const char *program,
                                            const struct volumes_options *options,
                                            struct event_log *events);
void volumes_sweeper_free(struct volumes_sweeper *sweeper); // a helper that runs goes on

// Something was, or may have been, put aside: a helper is started, or the one that runs is followed
// by another.
void volumes_sweeper_kick(struct volumes_sweeper *sweeper);
