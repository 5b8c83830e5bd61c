// What the files pod-worker*.c share; nobody else includes it.
#pragma once

#include "supervisor/pod-worker.h"

// Steps the container's machine and carries out its action (which may step again).
void container_step(struct container_worker *c, enum container_event event, monotime now);

// True where the container is to be started again after the exit that is on record.
bool container_should_restart(const struct container_worker *c);

// An exited container that may have to be started again: at once, later, or never.
void container_decide(struct container_worker *c, monotime now);

void container_set_waiting(struct container_worker *c, const char *reason, const char *message);
// Before a new run: what counts of its probes until they have asked.
void container_reset_probes(struct container_worker *c);

void container_exit_clear(struct container_exit *exit);

// After any event: lets the pod's machine catch up with its containers, arms the timer and saves.
void pod_worker_settle(struct pod_worker *w, monotime now);

// The pod is on its way down (or down): its containers are not started again.
bool pod_worker_is_stopping(const struct pod_worker *w);

void pod_worker_event(const struct pod_worker *w, const struct container_worker *c,
                      enum event_type type, const char *reason, const char *format, ...)
    _printf_(5, 6);
