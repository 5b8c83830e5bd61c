// Everything that monit's control file must know of this node, gathered from the running agent or,
// without one, from its flags; and from the manifests.
#pragma once

#include "base/error.h"
#include "cli/node-manifests.h"
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

// A node that is not this machine: its agent has the defaults, but for what is said here. systemd
// starts it.
struct monit_elsewhere {
    const char *node, *address, *manifests;
    const char *root; // before the agent's directories; "" for none
};
int monit_elsewhere_gather(const struct monit_elsewhere *elsewhere,
                           const struct node_manifests *manifests, struct monit_control *ret,
                           struct error *err);
