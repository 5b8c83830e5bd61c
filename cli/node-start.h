// Waiting for what init and join have put into the agent's directory, a line for each component as
// it becomes ready; and where it does not get on, what waits for what and why.
#pragma once

#include "cli/node-plan.h"

struct node_start_options {
    bool wait;
    int64_t timeout_nsec;
};
#define NODE_START_DEFAULTS                                                                        \
    {                                                                                              \
        .wait = true, .timeout_nsec = 240 * NSEC_PER_SEC                                           \
    }

// Rows for a struct `tag` with a member `struct node_start_options start`.
#define NODE_START_OPTIONS(tag)                                                                    \
    OPT_BOOL(tag, start.wait, .name = "wait",                                                      \
             .help = "Wait until all of it is ready (default true, where the agent runs)"),        \
        OPT_DURATION(tag, start.timeout_nsec, .name = "timeout", .argument = "DURATION",           \
                     .help = "How long to wait for all of it (default 4m)")

// Waits for all components of the plan, what others need first. 0, or a negative errno
// with all that is known about why.
int node_start_wait(const struct node_plan *plan, const struct node_start_options *options,
                    const char *socket, struct error *err);
// The same for one component, or with COMPONENTS the balancer's pods. `since` is when the waiting
// began.
int node_start_wait_for(const struct node_plan *plan, enum control_plane_component component,
                        const char *socket, monotime since, monotime deadline, struct error *err);
