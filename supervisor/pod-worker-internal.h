// What the files pod-worker*.c share; nobody else includes it.
#pragma once

#include "supervisor/pod-worker.h"

// Steps the container's machine and carries out its action (which may step again).
void container_step(struct container_worker *c, enum container_event event, monotime now);

// Carries out one of the machine's actions without a transition (once more, for a new agent).
void container_act(struct container_worker *c, enum container_action action, monotime now);

// The pod stops, or an operator restarts the container: tells it, and stops what runs.
void container_stop(struct container_worker *c, monotime now);

// What becomes of it when it ends: its own policy, or else the pod's ("Always" where none is set).
const char *container_restart_policy(const struct container_worker *c);

// The pod's terminationGracePeriodSeconds.
int64_t container_grace_usec(const struct container_worker *c);

// True where the container is to be started again after the exit that is on record.
bool container_should_restart(const struct container_worker *c);

// An exited container that may have to be started again: at once, later, or never.
void container_decide(struct container_worker *c, monotime now);

void container_set_waiting(struct container_worker *c, const char *reason, const char *message);
// Before a new run: what counts of its probes until they have asked.
void container_reset_probes(struct container_worker *c);

void container_exit_clear(struct container_exit *exit);
// Makes room in the history for the end of the newest run.
void container_shift_history(struct container_worker *c);
// Fills the record of a run and writes its event. exit: NULL where the shim died without saying.
void container_record(struct container_worker *c, struct container_exit *to, uint64_t restart_count,
                      const struct shim_state *exit);

// Steps the pod's machine and carries out its action. False: the event means nothing in its state.
bool pod_worker_step(struct pod_worker *w, enum pod_event event, monotime now);
// Counts activeDeadlineSeconds from started_at on.
void pod_worker_set_active_until(struct pod_worker *w, monotime now);

// Three of the pod's actions, which come outside of a transition, too.
void pod_worker_do_prepare(struct pod_worker *w, monotime now);
void pod_worker_do_dismantle(struct pod_worker *w, monotime now);
void pod_worker_do_start(struct pod_worker *w, monotime now);
void pod_worker_do_stop(struct pod_worker *w, monotime now);
void pod_worker_do_rest(struct pod_worker *w, monotime now);

// In pod-worker-guard.c: false where the order has to wait for the guard's word.
bool pod_worker_may_stop(struct pod_worker *w, enum pod_order order);
// Nothing waits for it any more.
void pod_worker_forget_orders(struct pod_worker *w, int orders);
// What waited for the word of an earlier agent's guard (w->asked_before) is asked anew.
void pod_worker_ask_again(struct pod_worker *w, monotime now);
// An order that the guard has nothing (more) to say about.
void pod_worker_do_remove(struct pod_worker *w, monotime now);
void pod_worker_do_hold(struct pod_worker *w, monotime now);
// Whether the probe's failure waits for the guard's word.
void container_ask_probe(struct container_worker *c, enum probe_kind kind, bool waits);
void container_do_restart(struct container_worker *c, monotime now);
void container_stop_unhealthy(struct container_worker *c, enum probe_kind kind, monotime now);

// After any event: lets the pod's machine catch up with its containers, arms the timer and saves.
void pod_worker_settle(struct pod_worker *w, monotime now);

// The pod is on its way down (or down): its containers are not started again.
bool pod_worker_is_stopping(const struct pod_worker *w);

walltime pod_worker_wall(const struct pod_worker *w);

void pod_worker_event(const struct pod_worker *w, const struct container_worker *c,
                      enum event_type type, const char *reason, const char *format, ...)
    _printf_(5, 6);
