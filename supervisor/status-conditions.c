// The conditions of a pod, in the kubelet's order, with its reasons and messages
// (K/status/generate.go; PodReadyToStartContainers and the reason PodFailed are of 1.29).
#include <string.h>

#include "base/buffer.h"
#include "base/string-list.h"
#include "supervisor/json-text.h"
#include "supervisor/runtime.h"
#include "supervisor/status-internal.h"

static json_t *condition(const char *type, bool status, const char *reason, const char *message,
                         walltime since)
{
    json_t *o = json_object();
    json_set_text(o, "type", type);
    json_set_text(o, "status", status ? "True" : "False");
    json_object_set_new(o, "lastProbeTime", json_null());
    json_object_set_new(o, "lastTransitionTime", json_time(since));
    json_set_text(o, "reason", reason);
    json_set_text(o, "message", message);
    return o;
}

static walltime since_of(const struct pod_worker *w, const struct pod_condition *condition)
{
    return walltime_is_set(condition->since) ? condition->since : w->created_at;
}

// Before the pod is initialized: an init container that has not succeeded, a sidecar that has not
// started. Else: a container or sidecar that is not ready.
static bool is_missing(const struct container_worker *c, bool initializing)
{
    if (initializing)
        return c->init && !c->initialized;
    return (!c->init || c->sidecar) && !status_container_is_ready(c);
}

// "[a b]" of the containers that are missing, as Go prints a list; false where none is.
static bool list_missing(const struct pod_worker *w, bool initializing, struct buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        if (!is_missing(c, initializing))
            continue;
        buffer_printf(out, "%s%s", any ? " " : "[", c->spec->name);
        any = true;
    }
    if (any)
        buffer_add_char(out, ']');
    return any;
}

static json_t *initialized(const struct pod_worker *w)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    walltime at = since_of(w, &w->initialized);
    if (str_equal(pod_worker_phase(w), "Succeeded"))
        return condition("Initialized", true, "PodCompleted", NULL, at);
    buffer_add_str(&message, "containers with incomplete status: ");
    if (!w->initialized.status && list_missing(w, true, &message))
        return condition("Initialized", false, "ContainersNotInitialized", buffer_str(&message),
                         at);
    return condition("Initialized", true, NULL, NULL, at);
}

static json_t *ready(const struct pod_worker *w, const char *type)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    walltime at = since_of(w, &w->ready);
    const char *phase = pod_worker_phase(w);
    if (str_equal(phase, "Succeeded"))
        return condition(type, false, "PodCompleted", NULL, at);
    if (str_equal(phase, "Failed"))
        return condition(type, false, "PodFailed", NULL, at);
    buffer_add_str(&message, "containers with unready status: ");
    if (list_missing(w, false, &message))
        return condition(type, false, "ContainersNotReady", buffer_str(&message), at);
    if (!pod_worker_is_ready(w))
        return condition(type, false, "ContainersNotReady", "the pod is not running", at);
    return condition(type, true, NULL, NULL, at);
}

// A readiness gate is a condition that somebody else sets through the API server; without one it
// never comes true, and so has never changed.
static json_t *pod_ready(const struct pod_worker *w)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    LIST_EACH (gate, &w->pod->spec.readinessGates)
        buffer_printf(&message,
                      "%scorresponding condition of pod readiness gate \"%s\" does not exist.",
                      message.len > 0 ? ", " : "", gate->conditionType ? gate->conditionType : "");
    if (message.len == 0 || !pod_worker_is_ready(w))
        return ready(w, "Ready");
    return condition("Ready", false, "ReadinessGatesNotReady", buffer_str(&message), w->created_at);
}

// What the shim says where a file of the cgroup took no limit (container-cgroup.c).
static const char not_written[] = " could not be set to ";

static void add_not_written(const char *warnings, struct buffer *out)
{
    for (const char *line = warnings; line && *line;) {
        size_t len = strcspn(line, "\n");
        if (memmem(line, len, not_written, sizeof(not_written) - 1))
            buffer_printf(out, "%s%.*s", out->len > 0 ? "; " : "", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

// Our own: there while a limit of a container that runs is not enforced on this host.
static void add_unenforced(json_t *list, const struct pod_worker *w)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    walltime since = w->created_at;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        const struct shim_spec *spec = runtime_run_spec(c);
        const struct string_list *limits = spec ? &spec->unenforced : NULL;
        size_t before = message.len;
        for (size_t j = 0; limits && j < limits->n; j++)
            if (!strstr(buffer_str(&message), limits->items[j])) // one of the pod's is told by each
                buffer_printf(&message, "%s%s", message.len > 0 ? "; " : "", limits->items[j]);
        if (c->pid != 0)
            add_not_written(c->warnings, &message);
        if (message.len > before && c->started_at.nsec > since.nsec)
            since = c->started_at;
    }
    if (message.len > 0)
        json_array_append_new(list, condition(CONDITION_RESOURCES_ENFORCED, false,
                                              "LimitNotEnforced", buffer_str(&message), since));
}

json_t *status_conditions(const struct pod_worker *w)
{
    json_t *list = json_array();
    json_array_append_new(list, condition("PodReadyToStartContainers", w->prepared.status, NULL,
                                          NULL, since_of(w, &w->prepared)));
    json_array_append_new(list, initialized(w));
    json_array_append_new(list, pod_ready(w));
    json_array_append_new(list, ready(w, "ContainersReady"));
    json_array_append_new(list, condition("PodScheduled", true, NULL, NULL, w->created_at));
    add_unenforced(list, w);
    if (w->asked_why)
        json_array_append_new(list, condition(CONDITION_MAY_BE_STOPPED, false, "QuorumGuard",
                                              w->asked_why, w->asked_since));
    return list;
}
