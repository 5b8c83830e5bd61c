// The agent as monit has to know it: where it tells its PID and its health, and how it is started.
#pragma once

#include "base/error.h"
#include "base/string-list.h"
#include "cli/monit-node.h"

struct agent_facts {
    char *program; // mainstayd
    struct string_list flags;
    char *directory; // what relative paths among them start from
    char *manifests, *root_dir, *pod_log_dir, *socket, *pid_file;
    char *healthz_host; // NULL: there is no health port
    int healthz_port;
    char *node, *node_ip; // node_ip NULL: not known
};

// From the agent that answers, else (and where flags are given) from its flags and defaults.
int agent_facts_gather(const struct monit_options *options, const char *const *flags, size_t n,
                       struct agent_facts *ret, struct error *err);
void agent_facts_free(struct agent_facts *facts);
#define _cleanup_agent_facts_ _cleanup_(agent_facts_free)

// Fills in ret->start, stop and what goes with them, for this machine's init. -EINVAL where the
// agent has no PID file.
int agent_facts_methods(const struct agent_facts *facts, const struct monit_options *options,
                        struct monit_agent *ret, struct error *err);

// This program's own path. The caller frees.
char *own_program(void);
