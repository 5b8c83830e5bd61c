// See sandbox.h: what a pod asks for, in the words of the program that makes its namespaces, and in
// the form of CNI's runtimeConfig (its CONVENTIONS.md) of plugins that can give it.
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "podspec/quantity.h"
#include "supervisor/pod-sysctls.h"
#include "supervisor/sandbox-internal.h"

// ---- namespaces ----

static bool shares_processes(const struct pod *pod)
{
    return pod->spec.shareProcessNamespace && *pod->spec.shareProcessNamespace &&
           !pod->spec.hostPID;
}

bool sandbox_is_wanted(const struct sandboxes *all, const struct pod *pod)
{
    const struct pod_spec *spec = &pod->spec;
    size_t containers = spec->containers.n + spec->initContainers.n;
    if (!spec->hostNetwork)
        return true;
    return !all->options.unprivileged &&
           (shares_processes(pod) || (containers > 1 && !spec->hostIPC) ||
            (spec->securityContext && spec->securityContext->sysctls.n > 0));
}

// The first process of a PID namespace is to outlive the agent's service, as shims do. Where it
// gets no cgroup of its own it stays in the agent's.
static void add_cgroup(const struct sandbox *s, struct string_list *words)
{
    _cleanup_string_list_ struct string_list dirs = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    struct cgroup_tree *tree = s->all->options.cgroups;
    if (tree && cgroup_make_beside(tree, "pauses", &dirs, &err) < 0)
        log_warning("%s", error_message(&err));
    LIST_EACH (dir, &dirs)
        string_list_add_owned(words, xasprintf("cgroup=%s", *dir));
}

void sandbox_set_words(struct sandbox *s, const struct pod *pod, const char *hostname)
{
    struct string_list *words = &s->words;
    string_list_free(words);
    if (s->own_network) {
        string_list_add(words, "net");
        string_list_add(words, "uts");
        string_list_add_owned(words, xasprintf("hostname=%s", hostname));
    }
    if (!pod->spec.hostIPC)
        string_list_add(words, "ipc");
    pod_sysctls_words(pod, words);
    if (shares_processes(pod)) {
        add_cgroup(s, words);
        string_list_add(words, "pid");
        string_list_add_owned(words, xasprintf("title=%s/%s", s->namespace_, s->pod));
    }
}

// ---- what plugins are capable of ----

static json_t *port_mapping(const struct container_port *port)
{
    const char *protocol = port->protocol ? port->protocol : "TCP";
    char lower[8] = "";
    for (size_t i = 0; i < sizeof(lower) - 1 && protocol[i]; i++)
        lower[i] = (char)(protocol[i] | 0x20);
    json_t *mapping =
        json_pack("{s:I,s:I,s:s}", "hostPort", (json_int_t)port->hostPort, "containerPort",
                  (json_int_t)port->containerPort, "protocol", lower);
    if (!str_empty(port->hostIP))
        json_object_set_new(mapping, "hostIP", json_string(port->hostIP));
    return mapping;
}

static json_t *port_mappings(const struct pod *pod)
{
    json_t *list = json_array();
    LIST_EACH (container, &pod->spec.containers)
        LIST_EACH (port, &container->ports)
            if (port->hostPort > 0)
                json_array_append_new(list, port_mapping(port));
    return list;
}

// Kubernetes' annotations for the plugin bandwidth: bits per second.
static void add_rate(json_t *bandwidth, const struct pod *pod, const char *annotation,
                     const char *rate, const char *burst)
{
    struct quantity quantity;
    const char *text = string_map_get(&pod->metadata.annotations, annotation);
    if (!text || quantity_parse(text, &quantity) < 0)
        return;
    int64_t bits = quantity_value(&quantity);
    quantity_clear(&quantity);
    if (bits <= 0)
        return;
    json_object_set_new(bandwidth, rate, json_integer(bits));
    json_object_set_new(bandwidth, burst, json_integer(INT_MAX));
}

json_t *sandbox_capabilities(const struct pod *pod)
{
    json_t *all = json_object(), *ports = port_mappings(pod), *bandwidth = json_object();
    add_rate(bandwidth, pod, "kubernetes.io/ingress-bandwidth", "ingressRate", "ingressBurst");
    add_rate(bandwidth, pod, "kubernetes.io/egress-bandwidth", "egressRate", "egressBurst");
    if (json_array_size(ports) > 0)
        json_object_set(all, "portMappings", ports);
    if (json_object_size(bandwidth) > 0)
        json_object_set(all, "bandwidth", bandwidth);
    json_decref(ports);
    json_decref(bandwidth);
    return all;
}
