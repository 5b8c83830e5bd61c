// The agent: the one object that holds the parts together. Everything in it is used from the event
// loop only.
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/monotime.h"
#include "manifests/source.h"
#include "monit/health.h"
#include "supervisor/cgroup.h"
#include "supervisor/config.h"
#include "supervisor/events.h"
#include "supervisor/pods.h"

struct api;

struct agent {
    sd_event *loop;
    struct config *config;
    struct health *health;
    size_t health_loop, health_source, health_pods;
    struct event_log *events;
    struct cgroup_tree *cgroups;
    struct manifest_source *source;
    struct pods *pods;
    struct api *api;
    walltime started_at;
    bool synced;      // the directory was read once and what ran was adopted
    bool stop_pods;   // stop the pods before leaving (mainstay stop --all, --stop-pods-on-exit)
    uint64_t adopted; // containers that were found running at start
    struct string_list limitations; // what this host or user cannot do, one sentence each
};

// Stops every pod; when all are gone the agent exits (where `exit_after`) or goes on with nothing
// running.
void agent_stop_all(struct agent *agent, bool exit_after);
