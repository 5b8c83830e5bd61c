// See sandbox.h: what a pod asks of the plugins that can give it, in the form of CNI's
// runtimeConfig (its CONVENTIONS.md).
#include <limits.h>
#include <string.h>

#include "podspec/quantity.h"
#include "supervisor/sandbox-internal.h"

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
