// See trial.h.
#include "supervisor/trial.h"

#include <string.h>

#include "base/process.h"
#include "base/string-list.h"

void trial_begin(struct history_trial *trial, int64_t window_usec, monotime now)
{
    trial->deadline = monotime_add_usec(now, window_usec);
    trial->was_ready = false;
    trial->restarts = 0;
    process_boot_id(trial->boot_id);
}

// Readiness counts from here on; restarts are those after it.
static void note_ready(struct history_trial *trial, const struct trial_look *look,
                       bool *ret_changed)
{
    if (!look->ready || trial->was_ready)
        return;
    trial->was_ready = true;
    trial->restarts = look->restarts;
    *ret_changed = true;
}

static void excuse(struct history_trial *trial, bool *ret_changed)
{
    *ret_changed = *ret_changed || trial->was_ready;
    trial->was_ready = false;
}

enum trial_verdict trial_step(struct history_trial *trial, const struct trial_look *look,
                              monotime now, bool *ret_changed)
{
    if (look->succeeded)
        return TRIAL_PASSED;
    if (look->failed)
        return TRIAL_POD_FAILED;
    if (look->excused)
        excuse(trial, ret_changed);
    if (trial->was_ready && look->restarts > trial->restarts)
        return TRIAL_RESTARTED;
    note_ready(trial, look, ret_changed);
    if (!monotime_reached(trial->deadline, now))
        return TRIAL_GOES_ON;
    return look->ready ? TRIAL_PASSED : TRIAL_NOT_READY;
}

struct trial_look trial_look_at(const struct pod_worker *w)
{
    const char *phase = pod_worker_phase(w);
    struct trial_look look = {.ready = pod_worker_is_ready(w),
                              .succeeded = str_equal(phase, "Succeeded"),
                              .failed = str_equal(phase, "Failed")};
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        if (c->init && !c->sidecar)
            continue;
        look.excused = look.excused || c->restart_requested;
        look.restarts += c->restart_count + (c->state == CONTAINER_BACKOFF);
    }
    return look;
}

// ---- why ----

static void explain_exit(const struct container_exit *exit, struct buffer *out)
{
    char name[16];
    if (exit->signal)
        buffer_printf(out, "it was ended by %s", signal_name(exit->signal, name));
    else
        buffer_printf(out, "it ended with exit status %d", exit->exit_code);
    if (!str_empty(exit->reason) && !str_equal(exit->reason, "Error"))
        buffer_printf(out, " (%s)", exit->reason);
    if (!str_empty(exit->message))
        buffer_printf(out, ": %s", exit->message);
}

static const char *failing_probe(const struct container_worker *c)
{
    if (c->state != CONTAINER_RUNNING)
        return NULL;
    if (c->spec->startupProbe && c->probes[PROBE_STARTUP] != PROBE_SUCCESS)
        return "startup";
    if (c->spec->readinessProbe && c->probes[PROBE_READINESS] != PROBE_SUCCESS)
        return "readiness";
    return NULL;
}

// What is wrong with one container; nothing is added where nothing is.
static void explain_container(const struct container_worker *c, struct buffer *out)
{
    const char *probe = failing_probe(c);
    bool ended = c->last.reason || c->last.message;
    if (c->init ? c->state == CONTAINER_EXITED && !c->last.exit_code && !c->start_failed
                : pod_worker_container_is_ready(c) && !ended)
        return;
    buffer_printf(out, "; %scontainer %s", c->init ? "init " : "", c->spec->name);
    if (probe)
        buffer_printf(out, ": its %s probe does not succeed", probe);
    else if (!str_empty(c->waiting_reason) && !(ended && container_state_is_alive(c->state)))
        buffer_printf(out, " waits: %s%s%s", c->waiting_reason,
                      str_empty(c->waiting_message) ? "" : ": ",
                      str_empty(c->waiting_message) ? "" : c->waiting_message);
    else if (!ended)
        buffer_printf(out, " is %s", container_state_name(c->state));
    if (!ended)
        return;
    buffer_add_str(out, probe || !str_empty(c->waiting_reason) ? "; " : ": ");
    explain_exit(&c->last, out);
}

void trial_explain(enum trial_verdict verdict, const struct pod_worker *w, struct buffer *out)
{
    switch (verdict) {
    case TRIAL_RESTARTED:
        buffer_add_str(out, "a container ended by itself after the pod had been ready");
        break;
    case TRIAL_POD_FAILED:
        buffer_printf(out, "the pod has failed: %s",
                      w->failed_message ? w->failed_message : "its containers are over");
        break;
    default:
        buffer_add_str(out, w->held ? "it was stopped by an operator"
                                    : "it was not ready when its time was up");
        break;
    }
    if (w->waiting_message && !w->held)
        buffer_printf(out, "; %s: %s", w->waiting_reason, w->waiting_message);
    for (size_t i = 0; i < w->n_containers; i++)
        explain_container(&w->containers[i], out);
}
