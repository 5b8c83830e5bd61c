// Children that this process has from before: an agent that executed itself anew (SIGUSR2, an
// upgrade) is still the parent of what its earlier program has started, shims and quorum guards
// among them. Nobody else can reap them.
#pragma once

#include <systemd/sd-event.h>

// Reaps those that are there now when they end. To be called before any child is started. What
// cannot be watched stays a zombie until this process ends, and does no other harm.
void inherited_watch(sd_event *event);
