// See pod-view.h.
#include "cli/pod-view.h"

#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/duration.h"
#include "cli/field.h"

static bool has_condition(const json_t *pod, const char *type)
{
    const json_t *conditions = field_at(pod, "status.conditions");
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        if (str_equal(field_text(condition, "type"), type))
            return str_equal(field_text(condition, "status"), "True");
    }
    return false;
}

bool pod_is_ready(const json_t *pod)
{
    return has_condition(pod, "Ready");
}

bool pod_is_named(const json_t *pod, const char *namespace_, const char *name)
{
    const char *full = field_text_or_empty(pod, "metadata.name");
    const char *node = field_text(pod, "spec.nodeName");
    if (namespace_ && !str_equal(namespace_, field_text(pod, "metadata.namespace")))
        return false;
    if (str_equal(full, name))
        return true;
    size_t len = strlen(name);
    return node && str_starts_with(full, name) && full[len] == '-' &&
           str_equal(full + len + 1, node);
}

static void set_status(struct pod_view *view, const char *text)
{
    snprintf(view->status, sizeof(view->status), "%s", text);
}

static bool is_sidecar(const json_t *pod, const json_t *status)
{
    const json_t *spec =
        field_named(field_at(pod, "spec.initContainers"), field_text_or_empty(status, "name"));
    return str_equal(field_text(spec, "restartPolicy"), "Always");
}

static void set_terminated(struct pod_view *view, const char *prefix, const json_t *terminated)
{
    const char *reason = field_text_or_empty(terminated, "reason");
    if (*reason)
        snprintf(view->status, sizeof(view->status), "%s%s", prefix, reason);
    else if (field_int(terminated, "signal") != 0)
        snprintf(view->status, sizeof(view->status), "%sSignal:%lld", prefix,
                 field_int(terminated, "signal"));
    else
        snprintf(view->status, sizeof(view->status), "%sExitCode:%lld", prefix,
                 field_int(terminated, "exitCode"));
}

static void count_restarts(struct pod_view *view, const json_t *status)
{
    walltime last = walltime_from_json(field_at(status, "lastState.terminated.finishedAt"));
    view->restarts += field_int(status, "restartCount");
    if (last.nsec > view->last_restart.nsec)
        view->last_restart = last;
}

// True where this init container is what the pod waits for; view->status then says so.
static bool init_container_holds(const json_t *pod, struct pod_view *view, size_t index)
{
    const json_t *status = json_array_get(field_at(pod, "status.initContainerStatuses"), index);
    const json_t *terminated = field_at(status, "state.terminated");
    const char *waiting = field_text_or_empty(status, "state.waiting.reason");
    count_restarts(view, status);
    if (json_is_object(terminated) && field_int(terminated, "exitCode") == 0)
        return false;
    if (is_sidecar(pod, status) && field_true(status, "started")) {
        view->ready += field_true(status, "ready");
        return false;
    }
    if (json_is_object(terminated))
        set_terminated(view, "Init:", terminated);
    else if (*waiting && !str_equal(waiting, "PodInitializing"))
        snprintf(view->status, sizeof(view->status), "Init:%s", waiting);
    else
        snprintf(view->status, sizeof(view->status), "Init:%zu/%zu", index,
                 json_array_size(field_at(pod, "spec.initContainers")));
    return true;
}

static void read_containers(const json_t *pod, struct pod_view *view)
{
    const json_t *statuses = field_at(pod, "status.containerStatuses");
    bool has_running = false;
    for (size_t i = json_array_size(statuses); i-- > 0;) {
        const json_t *status = json_array_get(statuses, i);
        const char *waiting = field_text_or_empty(status, "state.waiting.reason");
        const json_t *terminated = field_at(status, "state.terminated");
        count_restarts(view, status);
        if (*waiting)
            set_status(view, waiting);
        else if (json_is_object(terminated))
            set_terminated(view, "", terminated);
        else if (field_true(status, "ready") && json_is_object(field_at(status, "state.running"))) {
            has_running = true;
            view->ready++;
        }
    }
    if (str_equal(view->status, "Completed") && has_running)
        set_status(view, pod_is_ready(pod) ? "Running" : "NotReady");
}

static void append_status(struct pod_view *view, const char *more)
{
    size_t len = strlen(view->status);
    snprintf(view->status + len, sizeof(view->status) - len, ",%s", more);
}

// What only the agent knows: held by the operator, being removed, its manifest refused.
static void read_extension(const json_t *pod, struct pod_view *view)
{
    const char *state = field_text_or_empty(pod, "mainstay.state");
    const char *manifest = field_text_or_empty(pod, "mainstay.manifest.state");
    const char *reason = field_text_or_empty(pod, "mainstay.reason");
    bool stopping = str_equal(state, "Stopping") || field_true(pod, "mainstay.removing");
    if (json_is_string(field_at(pod, "metadata.deletionTimestamp")) || stopping)
        set_status(view, "Terminating");
    else if (str_equal(state, "Held"))
        set_status(view, "Held");
    else if (str_equal(view->status, "Pending") && *reason)
        set_status(view, reason);
    if (str_equal(manifest, "Refused") || str_equal(manifest, "Conflict") ||
        str_equal(manifest, "FailedTrial"))
        append_status(view, manifest);
    if (str_equal(field_text(pod, "mainstay.trial.state"), "OnTrial"))
        append_status(view, "OnTrial");
    if (field_text(pod, "mainstay.guard"))
        append_status(view, "QuorumGuard");
}

static enum term_style style_of(const json_t *pod, const struct pod_view *view)
{
    if (str_equal(view->status, "Running"))
        return pod_is_ready(pod) || view->ready == view->total ? TERM_GREEN : TERM_YELLOW;
    if (str_equal(view->status, "Completed"))
        return TERM_DIM;
    if (str_starts_with(view->status, "Running") || str_equal(view->status, "Pending") ||
        str_starts_with(view->status, "Init:") || str_equal(view->status, "Held") ||
        str_equal(view->status, "Terminating") || str_ends_with(view->status, "Creating"))
        return TERM_YELLOW;
    return TERM_RED;
}

void pod_view_read(const json_t *pod, struct pod_view *ret)
{
    struct pod_view view = {0};
    const json_t *inits = field_at(pod, "status.initContainerStatuses");
    const json_t *init_specs = field_at(pod, "spec.initContainers");
    const char *reason = field_text_or_empty(pod, "status.reason");
    bool initializing = false;
    snprintf(view.status, sizeof(view.status), "%s",
             *reason ? reason : field_text_or_empty(pod, "status.phase"));
    view.total = (long long)json_array_size(field_at(pod, "spec.containers"));
    for (size_t i = 0; i < json_array_size(init_specs); i++)
        view.total +=
            str_equal(field_text(json_array_get(init_specs, i), "restartPolicy"), "Always");
    for (size_t i = 0; i < json_array_size(inits) && !initializing; i++)
        initializing = init_container_holds(pod, &view, i);
    if (!initializing) {
        view.restarts = 0;
        read_containers(pod, &view);
    }
    // Here kubectl shows how the first container ended, which may be "Completed".
    if (str_equal(reason, "DeadlineExceeded"))
        set_status(&view, reason);
    read_extension(pod, &view);
    view.style = style_of(pod, &view);
    *ret = view;
}

// `said` is a message that stands before it already, or NULL.
static void explain_exit(const json_t *terminated, const char *said, struct buffer *out)
{
    if (field_int(terminated, "signal") != 0)
        buffer_printf(out, "killed by signal %lld", field_int(terminated, "signal"));
    else
        buffer_printf(out, "exit status %lld", field_int(terminated, "exitCode"));
    const char *reason = field_text_or_empty(terminated, "reason");
    const char *message = field_text_or_empty(terminated, "message");
    if (*reason && !str_equal(reason, "Error") && !str_equal(reason, "Completed"))
        buffer_printf(out, " (%s)", reason);
    if (*message && !str_equal(message, said))
        buffer_printf(out, ": %s", message);
}

static void explain_container(const json_t *status, bool init, struct buffer *out)
{
    const json_t *waiting = field_at(status, "state.waiting");
    const json_t *terminated = field_at(status, "state.terminated");
    const json_t *last = field_at(status, "lastState.terminated");
    const char *message = field_text_or_empty(waiting, "message");
    bool done = json_is_object(terminated) && field_int(terminated, "exitCode") == 0;
    if (field_true(status, "ready") || (init && done))
        return;
    buffer_printf(out, "  %scontainer %s: ", init ? "init " : "",
                  field_text_or_empty(status, "name"));
    if (json_is_object(waiting))
        buffer_printf(out, "%s%s%s", field_text_or_empty(waiting, "reason"), *message ? ": " : "",
                      message);
    else if (json_is_object(terminated))
        explain_exit(terminated, NULL, out);
    else if (init)
        buffer_add_str(out, "still running");
    else if (json_is_object(field_at(status, "state.running")))
        buffer_add_str(out, "running, but not ready (see its probes' events)");
    else
        buffer_add_str(out, "not started");
    if (json_is_object(last)) {
        buffer_add_str(out, "; its last run: ");
        explain_exit(last, message, out);
    }
    if (field_int(status, "restartCount") > 0)
        buffer_printf(out, "; %lld restart(s)", field_int(status, "restartCount"));
    buffer_add_char(out, '\n');
}

void pod_explain_unready(const json_t *pod, struct buffer *out)
{
    const json_t *inits = field_at(pod, "status.initContainerStatuses");
    const json_t *containers = field_at(pod, "status.containerStatuses");
    const char *reason = field_text(pod, "mainstay.reason");
    const char *message = field_text(pod, "mainstay.message");
    const json_t *findings = field_at(pod, "mainstay.manifest.findings");
    if (field_text(pod, "mainstay.heldBack"))
        buffer_printf(out, "  %s\n", field_text(pod, "mainstay.heldBack"));
    if (field_text(pod, "mainstay.guard"))
        buffer_printf(out, "  the quorum guard does not let it be stopped yet: %s\n",
                      field_text(pod, "mainstay.guard"));
    if (reason || message)
        buffer_printf(out, "  %s%s%s\n", reason ? reason : "", reason && message ? ": " : "",
                      message ? message : "");
    if (field_true(pod, "mainstay.held") && !message)
        buffer_printf(out, "  it was stopped by an operator: `mainstay start %s`\n",
                      field_text_or_empty(pod, "metadata.name"));
    for (size_t i = 0; i < json_array_size(inits); i++)
        explain_container(json_array_get(inits, i), true, out);
    for (size_t i = 0; i < json_array_size(containers); i++)
        explain_container(json_array_get(containers, i), false, out);
    for (size_t i = 0; i < json_array_size(findings); i++)
        buffer_printf(out, "  manifest: %s\n",
                      field_text_or_empty(json_array_get(findings, i), "text"));
}
