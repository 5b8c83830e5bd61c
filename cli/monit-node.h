// Everything that monit's control file must know of this node, gathered from the running agent or,
// without one, from its flags; and from the manifests.
#pragma once

#include "base/error.h"
#include "cli/options.h"
#include "monit/control.h"

struct monit_options {
    struct common_options common;
    const char *out, *manifests, *service, *init, *log;
    int64_t interval_nsec; // 0: monit's own configuration says it
    int64_t patience_nsec, start_timeout_nsec;
    bool offline;
};

// `flags` are the agent's where they were given (`n` > 0: no agent is asked). 0, or a negative
// errno.
int monit_node_gather(const struct monit_options *options, const char *const *flags, size_t n,
                      struct monit_control *ret, struct error *err);
