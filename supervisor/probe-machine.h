// One probe of one container under a clock that is passed in: when it asks, and what the answers
// add up to. Pure: no I/O, no clock; prober.c asks and feeds the answers. The rules are those of
// K/prober/worker.go. Chosen differences:
//
// - Periods are counted from the container's start plus initialDelaySeconds (the kubelet's from
//   the pod's, so that a probe comes up to a period late there). Without a delay the first probe
//   comes half a second after the start, which is what the kubelet's look at its containers once a
//   second makes of it on average: at the start itself nobody listens yet.
// - The random part of the first period is for containers only that an earlier agent started: it
//   keeps a new agent from asking all of them at once, and delays nothing that starts.
// - Answers in a row are counted anew for a new container.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"
#include "podspec/pod-container.h"

enum probe_kind { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_KINDS };

// What counts for the container. The initial ones: startup unknown, readiness failure, liveness
// success.
enum probe_result { PROBE_UNKNOWN, PROBE_FAILURE, PROBE_SUCCESS };

// The answer to one question.
enum probe_outcome {
    PROBE_PASSED,
    PROBE_WARNED, // passed, and there is something to say about it
    PROBE_FAILED,
    PROBE_ERRORED, // the question could not be put; says nothing about the container
};

// The answers that are counted for /metrics/probes.
enum probe_counted { PROBE_COUNTED_SUCCESS, PROBE_COUNTED_FAILURE, PROBE_COUNTED };

enum probe_step {
    PROBE_STEP_NONE,
    PROBE_STEP_AGAIN,   // ask again at once
    PROBE_STEP_CHANGED, // `result` is another one
};

// Read by all, written by probe_machine_*() only.
struct probe_machine {
    enum probe_kind kind;
    int64_t first_usec, period_usec; // from the container's start; from one question to the next
    int64_t success_threshold, failure_threshold;
    enum probe_result result;
    bool asking;  // a question is put, and not answered
    bool blocked; // the startup probe has not succeeded
    bool on_hold; // liveness and startup after their failure, until there is a new container
    int tries;    // of the question that is put
    bool any;     // `last` is one
    bool last_passed;
    int64_t run;          // answers in a row like the last one
    monotime origin, due; // what the periods are counted from; NEVER: no container runs
};

enum { PROBE_TRIES = 3 }; // K/prober/prober.go: maxProbeRetries

void probe_machine_init(struct probe_machine *m, enum probe_kind kind, const struct probe *spec);
enum probe_result probe_initial_result(enum probe_kind kind);

// A new container runs since `started`. `blocked`: its startup probe has to succeed first.
void probe_machine_start(struct probe_machine *m, monotime started, bool blocked);

// A container of an earlier agent: its result stands, and the next question comes `jitter_usec`
// (random, below the period) from now, or when the first one is due.
void probe_machine_take_over(struct probe_machine *m, enum probe_result result, monotime started,
                             bool blocked, int64_t jitter_usec, monotime now);

// The startup probe has succeeded: readiness is asked for at once (K/prober of 1.23 and later),
// liveness at its next turn.
void probe_machine_unblock(struct probe_machine *m, monotime now);

// The container is not stopped although its liveness or startup probe has failed: asked on.
void probe_machine_go_on(struct probe_machine *m, monotime now);

// When the next question is to be put; MONOTIME_NEVER while none is.
monotime probe_machine_due(const struct probe_machine *m);
// The question is put.
void probe_machine_ask(struct probe_machine *m, monotime now);
// It is answered. A question that took longer than the period is followed by the next one at once.
enum probe_step probe_machine_answer(struct probe_machine *m, enum probe_outcome outcome);

// The container's probe of that kind, or NULL.
const struct probe *container_probe(const struct container *container, enum probe_kind kind);

const char *probe_kind_name(enum probe_kind kind);       // "Liveness", as in events
const char *probe_result_name(enum probe_result result); // "Success", "Failure", "Unknown"
