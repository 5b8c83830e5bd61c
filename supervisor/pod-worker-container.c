// The containers' half of the pod worker: carries out the actions of container-machine.c and turns
// what the runtime reports into its events.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/time-format.h"
#include "supervisor/pod-worker-internal.h"

enum {
    GRACE_FLOOR_USEC =
        2000000, // K/kuberuntime/kuberuntime_container.go: minimumGracePeriodInSeconds
    GRACE_DEFAULT_SECONDS = 30,  // terminationGracePeriodSeconds of a pod without defaults
    KILL_RETRY_USEC = 2000000,   // SIGKILL takes effect at once; later the shim is the problem
    STILL_ALIVE_USEC = 10000000, // how often an unkillable process is killed and told again
};

void container_set_waiting(struct container_worker *c, const char *reason, const char *message)
{
    char *new_reason = xstrdup_or_null(reason), *new_message = xstrdup_or_null(message);
    free(c->waiting_reason);
    free(c->waiting_message);
    c->waiting_reason = new_reason;
    c->waiting_message = new_message;
}

void container_reset_probes(struct container_worker *c)
{
    for (enum probe_kind kind = 0; kind < PROBE_KINDS; kind++)
        c->probes[kind] = probe_initial_result(kind);
}

int64_t container_grace_usec(const struct container_worker *c)
{
    const int64_t *seconds = c->pod->pod->spec.terminationGracePeriodSeconds;
    return (seconds ? *seconds : GRACE_DEFAULT_SECONDS) * USEC_PER_SEC;
}

static const struct lifecycle_handler *hook_of(const struct container_worker *c, bool post_start)
{
    const struct lifecycle *lifecycle = c->spec->lifecycle;
    if (!lifecycle)
        return NULL;
    return post_start ? lifecycle->postStart : lifecycle->preStop;
}

const char *container_restart_policy(const struct container_worker *c)
{
    const char *of_pod = c->pod->pod->spec.restartPolicy;
    return c->spec->restartPolicy ? c->spec->restartPolicy : of_pod ? of_pod : "Always";
}

static bool rule_fits(const struct container_restart_rule *rule, int exit_code)
{
    bool named = false;
    if (!rule->exitCodes)
        return false;
    for (size_t i = 0; i < rule->exitCodes->values.n; i++)
        named |= rule->exitCodes->values.items[i] == exit_code;
    return named == str_equal(rule->exitCodes->operator, "In");
}

// restartPolicyRules, KEP-5307.
static bool a_rule_restarts(const struct container_worker *c)
{
    if (c->start_failed || !c->last.known)
        return false;
    LIST_EACH (rule, &c->spec->restartPolicyRules)
        if (rule_fits(rule, c->last.exit_code))
            return true;
    return false;
}

bool container_should_restart(const struct container_worker *c)
{
    const char *policy = container_restart_policy(c);
    bool failed =
        c->start_failed || !c->last.known || c->last.exit_code != 0 || c->last.signal != 0;
    if (c->init && !c->sidecar && c->initialized) // whatever is thought of its end
        return false;
    if (c->sidecar || a_rule_restarts(c))
        return true;
    if (c->init)
        return failed && strcmp(policy, "Never") != 0;
    if (strcmp(policy, "Always") == 0)
        return true;
    if (c->unhealthy) // also where it then ended with status 0
        return strcmp(policy, "Never") != 0;
    return strcmp(policy, "OnFailure") == 0 && failed;
}

// ---- actions ----

static void do_nothing(struct container_worker *c, monotime now)
{
}

static void do_start(struct container_worker *c, monotime now)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *reason = "CreateContainerError";
    bool again = c->ever_started || c->start_failed;
    uint64_t before = c->restart_count;

    if (again)
        backoff_started(&c->backoff, now);
    if (c->ever_started)
        c->restart_count++;
    c->grace_end = (monotime){0};
    c->stop_requested = c->start_failed = c->unhealthy = false;
    container_reset_probes(c);
    if (c->pod->ops->start(c->pod->runtime, c, &reason, &err) < 0) {
        c->restart_count = before;
        c->start_failed = true;
        c->over_at = now;
        container_set_waiting(c, reason, error_message(&err));
        pod_worker_event(c->pod, c, EVENT_WARNING, "Failed", "%s: %s", reason, error_message(&err));
        container_step(c, CONTAINER_EV_OVER, now);
        return;
    }
    c->ever_started = true;
    container_set_waiting(c, "ContainerCreating", NULL);
}

static void run_hook(struct container_worker *c, const struct lifecycle_handler *hook,
                     int64_t timeout_usec, const char *failed_reason, monotime now)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (!hook) {
        container_step(c, CONTAINER_EV_HOOK_DONE, now);
        return;
    }
    if (c->pod->ops->hook(c->pod->runtime, c, hook, timeout_usec, &err) < 0) {
        pod_worker_event(c->pod, c, EVENT_WARNING, failed_reason, "%s", error_message(&err));
        container_step(c, CONTAINER_EV_HOOK_FAILED, now);
    }
}

static void do_post_start(struct container_worker *c, monotime now)
{
    container_set_waiting(c, NULL, NULL);
    run_hook(c, hook_of(c, true), 0, "FailedPostStartHook", now);
}

static void do_pre_stop(struct container_worker *c, monotime now)
{
    c->pod->ops->cancel_hook(c->pod->runtime, c); // a postStart that still runs
    if (c->grace_end.usec == 0)
        c->grace_end = monotime_add_usec(now, container_grace_usec(c));
    c->deadline = c->grace_end;
    int64_t left = monotime_since(c->grace_end, now);
    const struct lifecycle_handler *hook = c->ever_started && left > 0 ? hook_of(c, false) : NULL;
    run_hook(c, hook, left, "FailedPreStopHook", now);
}

static void do_await_turn(struct container_worker *c, monotime now)
{
    if (!c->sidecar || !pod_worker_is_stopping(c->pod))
        container_step(c, CONTAINER_EV_TURN, now);
    else
        c->deadline = c->grace_end; // pod_worker_settle() looks whether its turn has come
}

static void do_terminate(struct container_worker *c, monotime now)
{
    c->pod->ops->cancel_hook(c->pod->runtime, c); // a preStop that used up the grace period
    if (c->grace_end.usec == 0)
        c->grace_end = monotime_add_usec(now, container_grace_usec(c));
    int64_t left = MAX(monotime_since(c->grace_end, now), (int64_t)GRACE_FLOOR_USEC);
    c->deadline = monotime_add_usec(now, left);
    c->pod->ops->signal(c->pod->runtime, c);
}

static void do_kill(struct container_worker *c, monotime now)
{
    pod_worker_event(c->pod, c, EVENT_WARNING, "Killing",
                     "container %s did not end within its grace period: SIGKILL", c->spec->name);
    c->deadline = monotime_add_usec(now, KILL_RETRY_USEC);
    c->pod->ops->kill(c->pod->runtime, c, false);
}

static void do_kill_again(struct container_worker *c, monotime now)
{
    pod_worker_event(c->pod, c, EVENT_WARNING, "StillAlive",
                     "container %s is not gone after SIGKILL; nothing new starts in its place "
                     "until it is (see `mainstay describe pod %s`)",
                     c->spec->name, c->pod->pod->metadata.name);
    c->deadline = monotime_add_usec(now, STILL_ALIVE_USEC);
    c->pod->ops->kill(c->pod->runtime, c, true);
}

static void do_prove(struct container_worker *c, monotime now)
{
    if (!c->run) {
        container_step(c, CONTAINER_EV_PROVEN, now);
        return;
    }
    c->pod->ops->cancel_hook(c->pod->runtime, c);
    c->deadline = monotime_add_usec(now, STILL_ALIVE_USEC);
    c->pod->ops->prove(c->pod->runtime, c);
}

static void set_back_off(struct container_worker *c, monotime at, monotime now)
{
    char wait[DURATION_SIZE];
    int64_t seconds = (monotime_since(at, now) + USEC_PER_SEC - 1) / USEC_PER_SEC;
    duration_format_go(seconds * NSEC_PER_SEC, wait);
    container_step(c, CONTAINER_EV_BACK_OFF, now);
    c->deadline = at;
    if (c->start_failed) {
        pod_worker_event(c->pod, c, EVENT_WARNING, "BackOff", "next attempt to start %s in %s: %s",
                         c->spec->name, wait, c->waiting_message ? c->waiting_message : "");
        return;
    }
    _cleanup_free_ char *message = xasprintf(
        "back-off %s before restart %" PRIu64 " of container %s; `mainstay retry %s` starts it now",
        wait, c->restart_count + 1, c->spec->name, c->pod->pod->metadata.name);
    container_set_waiting(c, "CrashLoopBackOff", message);
    pod_worker_event(c->pod, c, EVENT_WARNING, "BackOff", "%s", message);
}

void container_decide(struct container_worker *c, monotime now)
{
    if (c->run)
        c->pod->ops->forget(c->pod->runtime, c);
    if (pod_worker_is_stopping(c->pod))
        return;
    if (c->restart_requested) {
        c->restart_requested = false;
        backoff_reset(&c->backoff);
        container_step(c, CONTAINER_EV_START, now);
        return;
    }
    if (!container_should_restart(c))
        return;
    monotime at = backoff_next(&c->backoff, &c->pod->curve, c->over_at);
    if (monotime_reached(at, now))
        container_step(c, CONTAINER_EV_START, now);
    else
        set_back_off(c, at, now);
}

static void (*const actions[])(struct container_worker *c, monotime now) = {
    [CONTAINER_DO_NOTHING] = do_nothing,
    [CONTAINER_DO_START] = do_start,
    [CONTAINER_DO_POST_START] = do_post_start,
    [CONTAINER_DO_PRE_STOP] = do_pre_stop,
    [CONTAINER_DO_AWAIT_TURN] = do_await_turn,
    [CONTAINER_DO_TERMINATE] = do_terminate,
    [CONTAINER_DO_KILL] = do_kill,
    [CONTAINER_DO_KILL_AGAIN] = do_kill_again,
    [CONTAINER_DO_PROVE] = do_prove,
    [CONTAINER_DO_DECIDE] = container_decide,
};

void container_act(struct container_worker *c, enum container_action action, monotime now)
{
    actions[action](c, now);
}

void container_step(struct container_worker *c, enum container_event event, monotime now)
{
    struct container_transition t = container_machine_step(c->state, event);
    log_debug("pod %s container %s: %s in %s%s%s", c->pod->pod->metadata.name, c->spec->name,
              container_event_name(event), container_state_name(c->state),
              t.valid ? " → " : " means nothing", t.valid ? container_state_name(t.to) : "");
    if (!t.valid)
        return;
    c->state = t.to;
    c->deadline = MONOTIME_NEVER;
    actions[t.action](c, now);
}

// ---- what the runtime reports ----

static bool has_line(const char *text, const char *line, size_t len)
{
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        if (n == len && strncmp(text, line, len) == 0)
            return true;
        text += n + (text[n] == '\n');
    }
    return false;
}

void pod_worker_container_warned(struct container_worker *c, const char *lines)
{
    for (const char *line = lines; line && *line;) {
        size_t len = strcspn(line, "\n");
        if (len > 0 && !has_line(c->warnings, line, len))
            pod_worker_event(c->pod, c, EVENT_WARNING, "Degraded", "%.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    free(c->warnings);
    c->warnings = xstrdup_or_null(lines);
}

void pod_worker_container_started(struct container_worker *c, const struct shim_state *state,
                                  monotime now)
{
    bool known = c->pid == state->pid && c->pid != 0;
    c->pid = state->pid;
    c->started_at = state->started_at;
    if (!known)
        c->process_at = now;
    free(c->command);
    c->command = xstrdup_or_null(state->command);
    if (!known && c->state == CONTAINER_STARTING)
        pod_worker_event(c->pod, c, EVENT_NORMAL, "Started", "started container %s, pid %d%s",
                         c->spec->name, (int)c->pid, c->restart_count > 0 ? " (restarted)" : "");
    pod_worker_container_warned(c, state->message);
    if (c->state == CONTAINER_STARTING || !known)
        container_step(c, CONTAINER_EV_STARTED, now);
    pod_worker_settle(c->pod, now);
}

// When the run ended on the loop's clock: earlier than now where no agent was there to see it.
static monotime exit_time(const struct container_worker *c, const struct shim_state *exit,
                          monotime now)
{
    if (!exit || !walltime_is_set(exit->finished_at))
        return now;
    int64_t ago = (pod_worker_wall(c->pod).nsec - exit->finished_at.nsec) / NSEC_PER_USEC;
    if (ago <= 0 || ago > monotime_since(now, c->process_at)) // the clock on the wall was set
        return now;
    return (monotime){now.usec - (uint64_t)ago};
}

void pod_worker_container_over(struct container_worker *c, const struct shim_state *exit,
                               monotime now)
{
    container_shift_history(c);
    container_record(c, &c->last, c->restart_count, exit);
    c->start_failed = exit && exit->phase == SHIM_PHASE_FAILED;
    if (c->start_failed)
        container_set_waiting(c, c->last.reason, c->last.message);
    c->pid = 0;
    c->over_at = exit_time(c, exit, now);
    container_step(c, CONTAINER_EV_OVER, now);
    pod_worker_settle(c->pod, now);
}

void pod_worker_container_proven(struct container_worker *c, monotime now)
{
    container_step(c, CONTAINER_EV_PROVEN, now);
    pod_worker_settle(c->pod, now);
}

void pod_worker_hook_done(struct container_worker *c, bool ok, const char *why, monotime now)
{
    bool post_start = c->state == CONTAINER_POST_START;
    if (!ok)
        pod_worker_event(c->pod, c, EVENT_WARNING,
                         post_start ? "FailedPostStartHook" : "FailedPreStopHook",
                         "%s hook of container %s: %s", post_start ? "postStart" : "preStop",
                         c->spec->name, why ? why : "failed");
    container_step(c, ok ? CONTAINER_EV_HOOK_DONE : CONTAINER_EV_HOOK_FAILED, now);
    pod_worker_settle(c->pod, now);
}

// ---- probes ----

// K/kuberuntime/kuberuntime_manager.go, computePodActions(): the words, and that OnFailure restarts
// it whatever its exit status.
void container_stop_unhealthy(struct container_worker *c, enum probe_kind kind, monotime now)
{
    const struct probe *probe = container_probe(c->spec, kind);
    bool restart = c->sidecar || strcmp(container_restart_policy(c), "Never") != 0;
    if (c->state != CONTAINER_RUNNING)
        return;
    pod_worker_event(c->pod, c, EVENT_NORMAL, "Killing", "Container %s failed %s probe%s",
                     c->spec->name, kind == PROBE_STARTUP ? "startup" : "liveness",
                     restart ? ", will be restarted" : "");
    c->unhealthy = c->stop_requested = true;
    if (probe->terminationGracePeriodSeconds)
        c->grace_end = monotime_add_usec(now, *probe->terminationGracePeriodSeconds * USEC_PER_SEC);
    container_step(c, CONTAINER_EV_STOP, now);
}

void pod_worker_probed(struct container_worker *c, enum probe_kind kind, enum probe_result result,
                       monotime now)
{
    bool stops = result == PROBE_FAILURE && kind != PROBE_READINESS;
    c->probes[kind] = result;
    if (stops && pod_worker_may_stop(c->pod, POD_ORDER_PROBE))
        container_stop_unhealthy(c, kind, now);
    else
        container_ask_probe(c, kind, stops);
    pod_worker_settle(c->pod, now);
}
