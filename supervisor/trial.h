// A changed spec on trial (annotation mainstay.dev/confirm): the rules, in virtual time.
//
// The window begins with the new instance, when nothing of the old one is left, and does not pause.
// The spec is confirmed where its pod is ready when the window ends. It has failed where the pod is
// not, and at once where a container ends by itself after the pod was ready, or where the pod has
// failed for good. A pod that has completed is confirmed at once. A restart that an operator (or a
// changed file) asked for is no failure: what counts is readiness after it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/monotime.h"
#include "supervisor/history.h"
#include "supervisor/pod-worker.h"

enum trial_verdict {
    TRIAL_GOES_ON,
    TRIAL_PASSED,
    TRIAL_NOT_READY, // when the time was up
    TRIAL_RESTARTED, // a container ended by itself after the pod had been ready
    TRIAL_POD_FAILED,
};

// What counts of a pod.
struct trial_look {
    bool ready;
    bool succeeded, failed; // its phase: for good
    bool excused;           // a container is being restarted because somebody asked for it
    uint64_t restarts;      // of all its containers
};

// The window begins now.
void trial_begin(struct history_trial *trial, int64_t window_usec, monotime now);

// To be called with every change of the pod and at the deadline. What must be known to the next
// agent is in `trial`; *ret_changed (only ever set) tells that it is to be saved.
enum trial_verdict trial_step(struct history_trial *trial, const struct trial_look *look,
                              monotime now, bool *ret_changed);

struct trial_look trial_look_at(const struct pod_worker *w);

// Why it failed, in one line, as far as the pod tells: last exits, probes, what it waits for.
void trial_explain(enum trial_verdict verdict, const struct pod_worker *w, struct buffer *out);
