// The kubelet's restart back-off for one container: at once, then 10, 20, 40 … 300 s counted from
// the exit; reset after a run of ten minutes
// (K/kuberuntime/kuberuntime_manager.go, client-go/util/flowcontrol/backoff.go).
#pragma once

#include <stdint.h>

#include "base/monotime.h"

struct backoff_curve {
    int64_t initial_usec, max_usec, reset_usec;
};

#define BACKOFF_KUBELET                                                                            \
    ((struct backoff_curve){10 * USEC_PER_SEC, 300 * USEC_PER_SEC, 600 * USEC_PER_SEC})

struct backoff {
    int64_t delay_usec; // that the next restart waits after an exit; 0: none yet
    monotime decided;   // when the newest restart was decided
};

// The container exited at `finished`: when it may start again. The first restart is at once; the
// next ones wait twice as long each, up to the maximum. A container that exited more than
// reset_usec after its last restart begins anew. The caller says by backoff_started() when the
// restart really happens.
monotime backoff_next(struct backoff *b, const struct backoff_curve *curve, monotime finished);
void backoff_started(struct backoff *b, monotime now);
void backoff_reset(struct backoff *b);
