// The four conditions of a pod, in the kubelet's order, reasons and messages
// (K/status/generate.go).
#include <string.h>

#include "base/buffer.h"
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

// "[a b]" of the (init) containers that are not ready, as Go prints a list; false where all are.
static bool list_unready(const struct pod_worker *w, bool init, struct buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        if (c->init != init || status_container_is_ready(c))
            continue;
        buffer_printf(out, "%s%s", any ? " " : "[", c->spec->name);
        any = true;
    }
    if (any)
        buffer_add_char(out, ']');
    return any;
}

static json_t *initialized(const struct pod_worker *w, bool succeeded)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    walltime since = walltime_is_set(w->initialized_since) ? w->initialized_since : w->created_at;
    if (succeeded)
        return condition("Initialized", true, "PodCompleted", NULL, since);
    buffer_add_str(&message, "containers with incomplete status: ");
    if (list_unready(w, true, &message))
        return condition("Initialized", false, "ContainersNotInitialized", buffer_str(&message),
                         since);
    return condition("Initialized", true, NULL, NULL, since);
}

static json_t *ready(const struct pod_worker *w, const char *type, bool succeeded)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    walltime since = walltime_is_set(w->ready_since) ? w->ready_since : w->created_at;
    if (succeeded)
        return condition(type, false, "PodCompleted", NULL, since);
    buffer_add_str(&message, "containers with unready status: ");
    if (list_unready(w, false, &message))
        return condition(type, false, "ContainersNotReady", buffer_str(&message), since);
    if (!pod_worker_is_ready(w))
        return condition(type, false, "ContainersNotReady", "the pod is not running", since);
    return condition(type, true, NULL, NULL, since);
}

// A readiness gate is a condition that somebody else sets through the API server; without one it
// never comes true.
static json_t *pod_ready(const struct pod_worker *w, bool succeeded)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    LIST_EACH (gate, &w->pod->spec.readinessGates)
        buffer_printf(&message,
                      "%scorresponding condition of pod readiness gate \"%s\" does not exist.",
                      message.len > 0 ? ", " : "", gate->conditionType ? gate->conditionType : "");
    if (message.len == 0 || !pod_worker_is_ready(w))
        return ready(w, "Ready", succeeded);
    return condition("Ready", false, "ReadinessGatesNotReady", buffer_str(&message),
                     w->ready_since);
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
        const struct string_list *limits = runtime_run_unenforced(c);
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
    bool succeeded = strcmp(pod_worker_phase(w), "Succeeded") == 0;
    json_t *list = json_array();
    json_array_append_new(list, initialized(w, succeeded));
    json_array_append_new(list, pod_ready(w, succeeded));
    json_array_append_new(list, ready(w, "ContainersReady", succeeded));
    json_array_append_new(list, condition("PodScheduled", true, NULL, NULL, w->created_at));
    add_unenforced(list, w);
    return list;
}
