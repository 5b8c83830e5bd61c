// Admission: what a pod has to wait for before it may start. Each reason is a gate; a pod that
// waits at one says so in its status, and is looked at again when something changes. A pod comes
// here before each start: the first one, and the one after it was stopped or edited. What runs, or
// is restarted after a crash, does not.
#include "supervisor/pod-sysctls.h"
#include "supervisor/pods-internal.h"

struct gate {
    const char *reason; // of the status and the event
    enum event_type type;
    // Whether the pod may not pass; then what is in its way is added to `why`.
    bool (*closed)(const struct slot *slot, struct buffer *why);
};

// A network of its own is set up by the node's CNI plugins, which somebody has to describe.
static bool network_closed(const struct slot *slot, struct buffer *why)
{
    const char *problem =
        slot->worker->pod->spec.hostNetwork ? NULL : runtime_network_problem(slot->pods->runtime);
    if (problem)
        buffer_add_str(why, problem);
    return problem != NULL;
}

static bool sysctls_closed(const struct slot *slot, struct buffer *why)
{
    const struct pods_options *options = &slot->pods->options;
    const struct pod_security_context *security = slot->worker->pod->spec.securityContext;
    if (options->runtime.containers.unprivileged && security && security->sysctls.n > 0) {
        buffer_add_str(why, "the agent is an ordinary user and cannot set kernel parameters");
        return true;
    }
    return pod_sysctls_forbidden(slot->worker->pod, options->allowed_unsafe_sysctls, why);
}

static const struct gate gates[] = {
    {"SysctlForbidden", EVENT_WARNING, sysctls_closed},
    {"NetworkNotReady", EVENT_WARNING, network_closed},
    {"HostPortConflict", EVENT_WARNING, pods_port_closed},
    {"DependencyCycle", EVENT_WARNING, depends_cycle_closed},
    {"DependencyNotReady", EVENT_NORMAL, depends_ready_closed},
};

static bool is_waiting(const struct slot *slot)
{
    const struct pod_worker *w = slot->worker;
    return w && !slot->gone && !slot->restored && w->state == POD_WAITING && !w->held &&
           !w->removing;
}

void pods_admit(struct slot *slot)
{
    if (!is_waiting(slot))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(gates); i++) {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        if (!gates[i].closed(slot, &why))
            continue;
        slot->pods->at_gates++;
        pod_worker_wait(slot->worker, gates[i].type, gates[i].reason, buffer_str(&why),
                        monotime_now());
        return;
    }
    pod_worker_admit(slot->worker, monotime_now());
}

static int on_admit(sd_event_source *source, void *userdata)
{
    struct pods *pods = userdata;
    pods->at_gates = 0;
    depends_tell_ready(pods);
    for (size_t i = 0; i < pods->n; i++)
        pods_admit(pods->slots[i]);
    return 0;
}

void pods_look_at_gates(struct pods *pods)
{
    if (pods->at_gates > 0)
        sd_event_source_set_enabled(pods->admit, SD_EVENT_ONESHOT);
}

int pods_admit_init(struct pods *pods)
{
    int r = sd_event_add_defer(pods->options.runtime.event, &pods->admit, on_admit, pods);
    return r < 0 ? r : sd_event_source_set_enabled(pods->admit, SD_EVENT_OFF);
}
