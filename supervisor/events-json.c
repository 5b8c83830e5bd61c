// An event as the API shows it: a v1 Event.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/events-internal.h"
#include "supervisor/json-text.h"

static json_t *involved_object(const struct event *e, const char *node_name)
{
    json_t *o = json_object();
    json_set_text(o, "kind", e->pod ? "Pod" : "Node");
    json_set_text(o, "apiVersion", "v1");
    if (!e->pod) {
        json_set_text(o, "name", node_name);
        json_set_text(o, "uid", node_name); // as the kubelet's own node events have it
        return o;
    }
    json_set_text(o, "namespace", e->namespace_);
    json_set_text(o, "name", e->pod);
    json_set_text(o, "uid", e->uid);
    if (e->container) {
        _cleanup_free_ char *path = xasprintf("spec.containers{%s}", e->container);
        json_set_text(o, "fieldPath", path);
    }
    return o;
}

static json_t *metadata(const struct event *e, const char *node_name)
{
    // One name for an event and all its repetitions, another for everything else.
    uint64_t unique = event_key_hash(e) ^ (uint64_t)e->first.nsec;
    _cleanup_free_ char *name = xasprintf("%s.%016" PRIx64, e->pod ? e->pod : node_name, unique);
    _cleanup_free_ char *version = xasprintf("%" PRIu64, e->id);
    json_t *o = json_object();
    json_set_text(o, "name", name);
    json_set_text(o, "namespace", e->namespace_ ? e->namespace_ : "default");
    json_set_text(o, "resourceVersion", version);
    json_set_time(o, "creationTimestamp", e->first);
    return o;
}

json_t *event_to_json(const struct event *e, const char *node_name)
{
    json_t *o = json_object();
    json_set_text(o, "kind", "Event");
    json_set_text(o, "apiVersion", "v1");
    json_object_set_new(o, "metadata", metadata(e, node_name));
    json_object_set_new(o, "involvedObject", involved_object(e, node_name));
    json_set_text(o, "reason", e->reason);
    json_object_set_new(o, "message", json_text(e->message));
    json_t *source = json_object();
    json_set_text(source, "component", "mainstayd");
    json_set_text(source, "host", node_name);
    json_object_set_new(o, "source", source);
    json_set_time(o, "firstTimestamp", e->first);
    json_set_time(o, "lastTimestamp", e->last);
    json_object_set_new(o, "count", json_integer(e->count));
    json_set_text(o, "type", e->type == EVENT_WARNING ? "Warning" : "Normal");
    json_object_set_new(o, "eventTime", json_null());
    json_set_text(o, "reportingComponent", "mainstayd");
    json_set_text(o, "reportingInstance", node_name);
    json_t *own = json_object();
    json_object_set_new(own, "id", json_integer((json_int_t)e->id));
    json_object_set_new(own, "container", json_text(e->container));
    json_object_set_new(own, "file", json_text(e->file));
    json_object_set_new(o, "mainstay", own);
    return o;
}
