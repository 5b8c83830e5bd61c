// The end of the machine under systemd: logind is asked to hold it up (a "delay" inhibitor lock,
// systemd.io/INHIBITOR_LOCKS) while the pods are stopped in order. The kubelet does the same
// (K/nodeshutdown/nodeshutdown_manager_linux.go). Nothing waits for D-Bus, and without it (or
// without logind) the agent works as ever: the unit stops the pods when its turn comes.
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/macro.h"
#include "supervisor/events.h"

struct shutdown;

struct shutdown_options {
    sd_event *event;
    struct event_log *events;
    int64_t budget_usec; // how long the pods may take; more than logind grants is warned about
    // The machine goes down: stop the pods, then call shutdown_pods_stopped().
    void (*begins)(void *userdata);
    // It does not, after all.
    void (*cancelled)(void *userdata);
    void *userdata;
};

// Never fails: what cannot be had now is tried again by shutdown_tick().
struct shutdown *shutdown_new(const struct shutdown_options *options);
void shutdown_free(struct shutdown *s);

// To be called now and then: connects where there is no connection.
void shutdown_tick(struct shutdown *s);

// All pods are stopped: the machine need not wait any longer.
void shutdown_pods_stopped(struct shutdown *s);
