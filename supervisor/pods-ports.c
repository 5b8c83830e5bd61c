// Ports of the node that pods ask for by hostPort (K/lifecycle/predicate.go: PodFitsHostPorts): two
// pods that want the same one cannot both run, on the node's network no more than behind CNI.
#include <string.h>

#include "base/string-list.h"
#include "supervisor/pods-internal.h"

static bool is_any(const char *ip)
{
    return str_empty(ip) || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

static bool clash(const struct container_port *a, const struct container_port *b)
{
    if (a->hostPort == 0 || a->hostPort != b->hostPort)
        return false;
    if (strcmp(a->protocol ? a->protocol : "TCP", b->protocol ? b->protocol : "TCP") != 0)
        return false;
    return is_any(a->hostIP) || is_any(b->hostIP) || strcmp(a->hostIP, b->hostIP) == 0;
}

static const struct container_port *find_clash(const struct pod *pod, const struct pod *other)
{
    LIST_EACH (c, &pod->spec.containers)
        LIST_EACH (port, &c->ports)
            LIST_EACH (d, &other->spec.containers)
                LIST_EACH (taken, &d->ports)
                    if (clash(port, taken))
                        return port;
    return NULL;
}

// From its admission until nothing of it is left.
static bool holds_ports(const struct pod_worker *w)
{
    return w->state != POD_WAITING && w->state != POD_HELD && w->state != POD_FINISHED &&
           w->state != POD_GONE;
}

static bool asks_for_ports(const struct pod *pod)
{
    LIST_EACH (c, &pod->spec.containers)
        LIST_EACH (port, &c->ports)
            if (port->hostPort > 0)
                return true;
    return false;
}

bool pods_port_closed(const struct slot *slot, struct buffer *why)
{
    const struct pods *pods = slot->pods;
    if (!asks_for_ports(slot->worker->pod))
        return false;
    for (size_t i = 0; i < pods->n; i++) {
        const struct pod_worker *other = pods->slots[i]->worker;
        if (!other || pods->slots[i] == slot || !holds_ports(other))
            continue;
        const struct container_port *port = find_clash(slot->worker->pod, other->pod);
        if (!port)
            continue;
        buffer_printf(why, "pod %s has the node's port %lld/%s", other->pod->metadata.name,
                      (long long)port->hostPort, port->protocol ? port->protocol : "TCP");
        return true;
    }
    return false;
}
