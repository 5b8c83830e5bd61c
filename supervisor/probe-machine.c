// See probe-machine.h.
#include "supervisor/probe-machine.h"

enum { FIRST_USEC = 500000 }; // without initialDelaySeconds

enum probe_result probe_initial_result(enum probe_kind kind)
{
    static const enum probe_result initial[PROBE_KINDS] = {
        [PROBE_STARTUP] = PROBE_UNKNOWN,
        [PROBE_READINESS] = PROBE_FAILURE,
        [PROBE_LIVENESS] = PROBE_SUCCESS,
    };
    return initial[kind];
}

// Numbers of a pod without defaults count as 1.
static int64_t at_least_one(int64_t number)
{
    return number < 1 ? 1 : number;
}

void probe_machine_init(struct probe_machine *m, enum probe_kind kind, const struct probe *spec)
{
    *m = (struct probe_machine){
        .kind = kind,
        .first_usec =
            spec->initialDelaySeconds > 0 ? spec->initialDelaySeconds * USEC_PER_SEC : FIRST_USEC,
        .period_usec = at_least_one(spec->periodSeconds) * USEC_PER_SEC,
        .success_threshold = at_least_one(spec->successThreshold),
        .failure_threshold = at_least_one(spec->failureThreshold),
        .result = probe_initial_result(kind),
        .origin = MONOTIME_NEVER,
        .due = MONOTIME_NEVER,
    };
}

static void begin(struct probe_machine *m, monotime started, bool blocked)
{
    m->origin = m->due = monotime_add_usec(started, m->first_usec);
    m->blocked = blocked && m->kind != PROBE_STARTUP;
    m->asking = m->on_hold = m->any = false;
    m->run = 0;
}

void probe_machine_start(struct probe_machine *m, monotime started, bool blocked)
{
    begin(m, started, blocked);
    m->result = probe_initial_result(m->kind);
}

void probe_machine_take_over(struct probe_machine *m, enum probe_result result, monotime started,
                             bool blocked, int64_t jitter_usec, monotime now)
{
    begin(m, started, blocked);
    m->result = result;
    monotime earliest = monotime_add_usec(now, jitter_usec);
    if (monotime_reached(m->due, earliest))
        m->origin = m->due = earliest;
}

// The first turn that is later than `t`.
static monotime turn_after(const struct probe_machine *m, monotime t)
{
    if (!monotime_reached(m->origin, t))
        return m->origin;
    int64_t turns = monotime_since(t, m->origin) / m->period_usec + 1;
    return monotime_add_usec(m->origin, turns * m->period_usec);
}

void probe_machine_unblock(struct probe_machine *m, monotime now)
{
    if (!m->blocked)
        return;
    m->blocked = false;
    if (m->kind == PROBE_READINESS && monotime_reached(m->origin, now))
        m->due = now;
    else
        m->due = turn_after(m, now);
}

void probe_machine_go_on(struct probe_machine *m, monotime now)
{
    if (!m->on_hold)
        return;
    m->on_hold = false;
    m->due = turn_after(m, now);
}

monotime probe_machine_due(const struct probe_machine *m)
{
    bool started = m->kind == PROBE_STARTUP && m->result == PROBE_SUCCESS;
    return m->asking || m->blocked || m->on_hold || started ? MONOTIME_NEVER : m->due;
}

void probe_machine_ask(struct probe_machine *m, monotime now)
{
    m->asking = true;
    m->tries = 1;
    m->due = turn_after(m, now);
}

static bool set_result(struct probe_machine *m, bool passed)
{
    enum probe_result result = passed ? PROBE_SUCCESS : PROBE_FAILURE;
    bool changed = m->result != result;
    m->result = result;
    if (changed && !passed && m->kind != PROBE_READINESS)
        m->on_hold = true;
    return changed;
}

enum probe_step probe_machine_answer(struct probe_machine *m, enum probe_outcome outcome)
{
    bool passed = outcome == PROBE_PASSED || outcome == PROBE_WARNED;
    if (outcome == PROBE_ERRORED && m->tries < PROBE_TRIES) {
        m->tries++;
        return PROBE_STEP_AGAIN;
    }
    m->asking = false;
    if (outcome == PROBE_ERRORED)
        return PROBE_STEP_NONE;
    m->run = m->any && m->last_passed == passed ? m->run + 1 : 1;
    m->any = true;
    m->last_passed = passed;
    if (m->run < (passed ? m->success_threshold : m->failure_threshold))
        return PROBE_STEP_NONE;
    return set_result(m, passed) ? PROBE_STEP_CHANGED : PROBE_STEP_NONE;
}

const struct probe *container_probe(const struct container *container, enum probe_kind kind)
{
    return kind == PROBE_STARTUP     ? container->startupProbe
           : kind == PROBE_READINESS ? container->readinessProbe
                                     : container->livenessProbe;
}

const char *probe_kind_name(enum probe_kind kind)
{
    static const char *const names[PROBE_KINDS] = {
        [PROBE_STARTUP] = "Startup",
        [PROBE_READINESS] = "Readiness",
        [PROBE_LIVENESS] = "Liveness",
    };
    return names[kind];
}

const char *probe_result_name(enum probe_result result)
{
    return result == PROBE_SUCCESS ? "Success" : result == PROBE_FAILURE ? "Failure" : "Unknown";
}
