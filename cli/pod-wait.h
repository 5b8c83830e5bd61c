// Waiting for pods by the agent's watch, and saying exactly why when it is in vain.
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/monotime.h"
#include "cli/client.h"

enum pod_goal {
    POD_GOAL_READY,     // ready, or over with success
    POD_GOAL_GONE,      // not there any more
    POD_GOAL_CONFIRMED, // ready, and no longer on trial (mainstay.dev/confirm)
    POD_GOAL_APPLIED,   // what runs is what its manifest says
};

struct pod_target {
    const char *namespace_; // NULL: any
    const char *name;       // with or without "-<node>"
    const char *uid;        // NULL: any
};

// Waits until all targets have reached the goal and have stayed there for `settle_usec` without a
// restart (a container that dies at once is running, too, for a moment), showing progress on stderr
// where that is a terminal. 0; -ETIMEDOUT at the deadline or -ECANCELED as soon as it is certain
// that the goal is not reached (both with an explanation of several lines); or what client_run()
// returns.
int pods_wait(struct client *client, const struct pod_target *targets, size_t n, enum pod_goal goal,
              int64_t settle_usec, monotime deadline, struct error *err);

// "ready", "gone" (also "delete"), "applied", "condition=Ready": 0, or -EINVAL.
int pod_goal_parse(const char *text, enum pod_goal *ret);
