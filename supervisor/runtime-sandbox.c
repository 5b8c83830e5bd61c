// What the runtime does about sandboxes: it makes them for the pod workers, and takes them apart.
#include <string.h>

#include "base/alloc.h"
#include "supervisor/pod-dns.h"
#include "supervisor/pod-names.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/runtime-internal.h"

// ---- what the pod workers ask for ----

static void look(const struct runtime *rt, struct pod_worker *w)
{
    const struct sandbox_view *view = sandbox_view(rt->sandboxes, w->pod->metadata.uid);
    w->ips = view && view->net ? &view->ips : NULL;
}

// K/network/dns/dns.go: the reasons.
static void warn_of_dns(const struct runtime *rt, const struct pod_worker *w)
{
    const struct pod_dns_options *dns = &rt->options.containers.dns;
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (w->pod->spec.hostNetwork && !pod_dns_differs(dns, w->pod))
        return;
    if (pod_dns_write(dns, w->pod, &text, &warnings, NULL) < 0)
        return; // the start of a container tells
    LIST_EACH (sentence, &warnings)
        pod_worker_event(w, NULL, EVENT_WARNING,
                         str_starts_with(*sentence, "dnsPolicy") ? "MissingClusterDNS"
                                                                 : "DNSConfigForming",
                         "%s", *sentence);
}

int runtime_prepare(void *runtime, struct pod_worker *w)
{
    struct runtime *rt = runtime;
    warn_of_dns(rt, w);
    _cleanup_free_ char *hostname = NULL;
    _cleanup_error_ struct error err = ERROR_NONE;
    if (!sandbox_is_wanted(rt->sandboxes, w->pod))
        return 1;
    if (pod_names_for_kernel(w->pod, rt->options.containers.dns.cluster_domain, &hostname, &err) <
        0) {
        pod_worker_set_waiting(w, "FailedCreatePodSandBox", error_message(&err));
        return 0;
    }
    int r = sandbox_raise(rt->sandboxes, w->pod, hostname, w);
    look(rt, w);
    return r;
}

int runtime_dismantle(void *runtime, struct pod_worker *w)
{
    struct runtime *rt = runtime;
    w->ips = NULL;
    return sandbox_lower(rt->sandboxes, w->pod->metadata.uid);
}

bool runtime_reclaim(void *runtime, struct pod_worker *w)
{
    struct runtime *rt = runtime;
    int r = sandbox_claim(rt->sandboxes, w->pod->metadata.uid, w);
    look(rt, w);
    // A pod with a network of its own never was without a sandbox.
    return r > 0 || (r == 0 && w->pod->spec.hostNetwork);
}

// ---- what the sandboxes tell ----

static void on_up(void *owner)
{
    struct pod_worker *w = owner;
    look(w->runtime, w);
    pod_worker_prepared(w, monotime_now());
}

static void on_failed(void *owner, const char *why)
{
    pod_worker_not_prepared(owner, why, monotime_now());
}

static void on_down(void *owner)
{
    pod_worker_dismantled(owner, monotime_now());
}

static void on_lost(void *owner, const char *why)
{
    pod_worker_sandbox_lost(owner, why, monotime_now());
}

static void on_network_changed(void *userdata)
{
    struct runtime *rt = userdata;
    rt->ops->network_changed(rt->userdata);
}

static const struct sandbox_ops sandbox_ops = {
    .up = on_up,
    .failed = on_failed,
    .down = on_down,
    .lost = on_lost,
    .network_changed = on_network_changed,
};

int runtime_sandboxes_init(struct runtime *rt, struct error *err)
{
    const struct container_spec_options *containers = &rt->options.containers;
    struct sandbox_options options = {
        .event = rt->options.event,
        .run_dir = containers->run_dir,
        .root_dir = containers->root_dir,
        .shim_path = rt->options.shims.shim_path,
        .cni_conf_dir = rt->options.cni_conf_dir,
        .cni_bin_dirs = rt->options.cni_bin_dirs,
        .timeout_usec = rt->options.cni_timeout_usec,
        .cgroups = containers->cgroups,
        .events = rt->options.events,
        .unprivileged = containers->unprivileged,
    };
    return sandboxes_new(&options, &sandbox_ops, rt, &rt->sandboxes, err);
}

const char *runtime_network_problem(struct runtime *rt)
{
    return sandboxes_network_problem(rt->sandboxes);
}
