// What the files fence*.c share.
#pragma once

#include <stdbool.h>

#include "base/string-list.h"
#include "manifests/fence.h"

// ---- fence-cgroups.c: the cgroups that are named in a directory (STATE.d) ----

void fence_cgroups_list(const char *dir, struct string_list *ret);

// Those of the list in which something lives.
size_t fence_cgroups_populated(const struct string_list *cgroups);

// Freezes all of them, then kills what is in them and thaws what is left of them. Returns in how
// many something was alive.
size_t fence_cgroups_kill(const struct string_list *cgroups);

// Lets go of what a fence froze that did not live to thaw it.
void fence_cgroups_thaw(const struct string_list *cgroups);

// Until nothing lives in them: true; false where `until` came first or the descriptor (-1: none)
// became readable.
bool fence_cgroups_await_empty(const struct string_list *cgroups, monotime until, int interrupt_fd);

// ---- fence-watch.c: the process ----

// What the process does from its birth to its end. `socket`: wakes it (one byte: the state file has
// changed), and is closed when its podmaster is gone.
void fence_watch_main(int socket, uint64_t owner, const char *state_path, const char *manifest);
