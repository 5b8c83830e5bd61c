// A pod as a whole: v1 Pod, its status, and what only this agent knows about it; and the manifests.
#include "supervisor/status.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "podspec/podspec.h"
#include "supervisor/container-spec.h"
#include "supervisor/json-text.h"
#include "supervisor/qos.h"
#include "supervisor/runtime.h"
#include "supervisor/status-internal.h"

// ---- status ----

static void add_addresses(json_t *status, const struct pod_worker *w, const char *node_ip)
{
    json_set_text(status, "hostIP", node_ip);
    bool own = !w->pod->spec.hostNetwork;
    size_t n = own ? (w->ips ? w->ips->n : 0) : !str_empty(node_ip);
    if (n == 0 || !walltime_is_set(w->started_at))
        return;
    json_set_text(status, "podIP", own ? w->ips->items[0] : node_ip);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *address = json_object();
        json_set_text(address, "ip", own ? w->ips->items[i] : node_ip);
        json_array_append_new(list, address);
    }
    json_object_set_new(status, "podIPs", list);
}

static void add_reason(json_t *status, const struct pod_worker *w)
{
    bool waits = w->state == POD_WAITING || w->state == POD_PREPARING || w->state == POD_HELD;
    json_set_text(status, "message", waits ? w->waiting_message : w->failed_message);
    json_set_text(status, "reason", waits ? w->waiting_reason : w->failed_reason);
}

json_t *status_pod_status(const struct pod_worker *w, const struct status_context *context)
{
    json_t *status = json_object(), *init = json_array(), *containers = json_array();
    json_set_text(status, "phase", pod_worker_phase(w));
    json_object_set_new(status, "conditions", status_conditions(w));
    add_reason(status, w);
    add_addresses(status, w, context->config->node_ip);
    json_set_time(status, "startTime", w->started_at);
    for (size_t i = 0; i < w->n_containers; i++)
        json_array_append_new(w->containers[i].init ? init : containers,
                              status_container(&w->containers[i]));
    if (json_array_size(init) > 0)
        json_object_set(status, "initContainerStatuses", init);
    json_decref(init);
    json_object_set_new(status, "containerStatuses", containers);
    json_set_text(status, "qosClass", qos_class_name(qos_class_of(w->pod)));
    return status;
}

// ---- the extension ----

// When a container that waits in back-off starts again, on the clock on the wall.
static walltime next_start(const struct container_worker *c, const struct status_context *context)
{
    if (c->state != CONTAINER_BACKOFF || monotime_is_never(c->deadline))
        return (walltime){0};
    int64_t wait = monotime_since(c->deadline, context->now);
    return (walltime){context->now_wall.nsec + wait * NSEC_PER_USEC};
}

// {"liveness": "Success", …} of the probes that the container has.
static json_t *extension_probes(const struct container_worker *c)
{
    static const char *const keys[PROBE_KINDS] = {[PROBE_STARTUP] = "startup",
                                                  [PROBE_READINESS] = "readiness",
                                                  [PROBE_LIVENESS] = "liveness"};
    json_t *o = json_object();
    for (enum probe_kind kind = 0; kind < PROBE_KINDS; kind++)
        if (container_probe(c->spec, kind))
            json_set_text(o, keys[kind], probe_result_name(c->probes[kind]));
    return o;
}

// {"memory.max": "104857600", …}: what was written into the files of its cgroups.
static json_t *extension_limits(const struct container_worker *c)
{
    const struct shim_spec *spec = runtime_run_spec(c);
    json_t *o = json_object();
    for (size_t i = 0; spec && i < spec->limits.n; i++)
        json_set_text(o, path_base(spec->limits.items[i].path), spec->limits.items[i].value);
    return o;
}

static json_t *extension_container(const struct container_worker *c,
                                   const struct status_context *context)
{
    struct container_spec_options options = {.log_dir = context->config->pod_log_dir};
    const char *run_id = runtime_run_id(c);
    _cleanup_free_ char *log_path =
        container_spec_log_path(&options, c->pod->pod, c->spec->name, c->restart_count);
    _cleanup_free_ char *socket =
        run_id ? xasprintf("%s/shims/%s/socket", context->config->run_dir, run_id) : NULL;
    json_t *o = json_object();
    json_object_set_new(o, "name", json_text(c->spec->name));
    json_object_set_new(o, "init", json_boolean(c->init));
    json_object_set_new(o, "state", json_text(container_state_name(c->state)));
    json_object_set_new(o, "pid", c->pid > 0 ? json_integer(c->pid) : json_null());
    json_object_set_new(o, "command", json_text(c->command));
    json_object_set_new(o, "restartCount", json_integer((json_int_t)c->restart_count));
    json_object_set_new(o, "logPath", json_text(log_path));
    json_object_set_new(o, "shimSocket", json_text(socket));
    json_object_set_new(o, "nextStart", json_time(next_start(c, context)));
    json_object_set_new(o, "cgroup", json_text(runtime_run_cgroup(c)));
    json_object_set_new(o, "limits", extension_limits(c));
    json_object_set_new(o, "probes", extension_probes(c));
    return o;
}

static json_t *findings(const struct diag_list *diags)
{
    json_t *list = json_array();
    for (size_t i = 0; diags && i < diags->n; i++) {
        const struct diag *d = &diags->items[i];
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        json_t *o = json_object();
        diag_format(d, &text);
        json_set_text(o, "severity", d->severity == DIAG_ERROR ? "error" : "warning");
        json_object_set_new(o, "line", json_integer(d->line));
        json_object_set_new(o, "column", json_integer(d->column));
        json_object_set_new(o, "path", json_text(d->path));
        json_object_set_new(o, "message", json_text(d->message));
        json_object_set_new(o, "text", json_text(buffer_str(&text)));
        json_array_append_new(list, o);
    }
    return list;
}

static const char *manifest_state_text(enum manifest_state state)
{
    return state == MANIFEST_ACCEPTED  ? "Accepted"
           : state == MANIFEST_REFUSED ? "Refused"
                                       : "Conflict";
}

// What is wrong with the file that the pod came from; null where nothing is.
static json_t *extension_manifest(const struct pod_worker *w, const struct status_context *context)
{
    for (size_t i = 0; i < context->n_manifests; i++) {
        const struct manifest_status *m = &context->manifests[i];
        if (!str_equal(m->file, w->file) || m->state == MANIFEST_ACCEPTED)
            continue;
        json_t *o = json_object();
        json_set_text(o, "state", manifest_state_text(m->state));
        json_object_set_new(o, "findings", findings(m->diags));
        json_object_set_new(o, "conflictWith", json_text(m->conflict_with));
        return o;
    }
    return json_null();
}

// Takes `trial`. A manifest that failed its trial is not what runs: shown as a refused one is.
static json_t *failed_manifest(const json_t *trial)
{
    const char *message = json_string_value(json_object_get(trial, "message"));
    long long revision = json_integer_value(json_object_get(trial, "revision"));
    json_t *o = json_object(), *list = json_array(), *finding = json_object();
    _cleanup_free_ char *text =
        xasprintf("it failed its trial as revision %lld: %s", revision, message ? message : "");
    json_set_text(finding, "severity", "error");
    json_object_set_new(finding, "line", json_integer(0));
    json_object_set_new(finding, "column", json_integer(0));
    json_object_set_new(finding, "path", json_null());
    json_object_set_new(finding, "message", json_text(text));
    json_object_set_new(finding, "text", json_text(text));
    json_array_append_new(list, finding);
    json_set_text(o, "state", "FailedTrial");
    json_object_set_new(o, "findings", list);
    json_object_set_new(o, "conflictWith", json_null());
    return o;
}

static void add_manifest_and_trial(json_t *o, const struct pod_worker *w,
                                   const struct status_context *context)
{
    json_t *manifest = extension_manifest(w, context);
    json_t *trial = revisions_trial_json(context->revisions, w);
    bool failed = json_is_false(json_object_get(trial, "runsOn"));
    if (failed && json_is_null(manifest)) {
        json_decref(manifest);
        manifest = failed_manifest(trial);
    }
    json_object_set_new(o, "manifest", manifest);
    json_object_set_new(o, "trial", trial ? trial : json_null());
}

json_t *status_pod_extension(const struct pod_worker *w, const struct status_context *context)
{
    const struct pod *next = context->pods ? pods_successor(context->pods, w) : NULL;
    bool failed = w->state == POD_FINISHED;
    json_t *o = json_object(), *containers = json_array();
    json_set_text(o, "state", pod_state_name(w->state));
    json_object_set_new(o, "file", json_text(w->file));
    json_object_set_new(o, "hash", json_text(w->hash));
    json_object_set_new(o, "held", json_boolean(w->held));
    json_object_set_new(o, "removing", json_boolean(w->removing));
    json_object_set_new(o, "successor", json_text(next ? next->metadata.uid : NULL));
    json_object_set_new(o, "heldBack", json_text(w->held_back));
    json_object_set_new(o, "guardAsked", json_boolean(w->asked != 0));
    json_object_set_new(o, "guard", json_text(w->asked_why));
    json_object_set_new(o, "reason", json_text(failed ? w->failed_reason : w->waiting_reason));
    json_object_set_new(o, "message", json_text(failed ? w->failed_message : w->waiting_message));
    add_manifest_and_trial(o, w, context);
    for (size_t i = 0; i < w->n_containers; i++)
        json_array_append_new(containers, extension_container(&w->containers[i], context));
    json_object_set_new(o, "containers", containers);
    return o;
}

// As the API server marks a pod that is deleted: when it will have been killed at the latest.
static void add_deletion(json_t *metadata, const struct pod_worker *w)
{
    const int64_t *grace = w->pod->spec.terminationGracePeriodSeconds;
    if (!metadata || !walltime_is_set(w->removed_at) || !grace)
        return;
    walltime at = {w->removed_at.nsec + *grace * NSEC_PER_SEC};
    json_object_set_new(metadata, "deletionTimestamp", json_time(at));
    json_object_set_new(metadata, "deletionGracePeriodSeconds", json_integer(*grace));
}

// What admission would have made of the name of the priority class, had the pod passed it.
static void resolve_priority(json_t *spec, const struct pod *pod)
{
    int64_t priority = pod_priority(pod);
    if (spec && !str_empty(pod->spec.priorityClassName) && priority != 0)
        json_object_set_new(spec, "priority", json_integer(priority));
}

json_t *status_pod(const struct pod_worker *w, const struct status_context *context)
{
    json_t *pod = pod_to_json(w->pod);
    json_t *metadata = json_object_get(pod, "metadata");
    if (metadata)
        json_object_set_new(metadata, "creationTimestamp", json_time(w->created_at));
    add_deletion(metadata, w);
    resolve_priority(json_object_get(pod, "spec"), w->pod);
    json_object_set_new(pod, "status", status_pod_status(w, context));
    json_object_set_new(pod, "mainstay", status_pod_extension(w, context));
    return pod;
}

// ---- manifests ----

static json_t *manifest_pods(const struct manifest_status *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_pods; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "namespace", json_text(m->pods[i]->metadata.namespace));
        json_object_set_new(o, "name", json_text(m->pods[i]->metadata.name));
        json_object_set_new(o, "uid", json_text(m->pods[i]->metadata.uid));
        json_array_append_new(list, o);
    }
    return list;
}

json_t *status_manifest(const struct manifest_status *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "file", json_text(m->file));
    json_set_text(o, "state", manifest_state_text(m->state));
    json_object_set_new(o, "sha256", json_text(m->hash));
    json_object_set_new(o, "changedAt", json_time(m->changed));
    json_object_set_new(o, "findings", findings(m->diags));
    json_object_set_new(o, "conflictWith", json_text(m->conflict_with));
    json_object_set_new(o, "lastGood", json_boolean(m->has_last_good));
    json_object_set_new(o, "pods", manifest_pods(m));
    return o;
}
