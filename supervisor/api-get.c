// What is read from the agent in one piece: pods, events, manifests, configuration.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/api-internal.h"
#include "supervisor/json-text.h"

struct status_context api_context_open(struct api *api)
{
    struct status_context context = {
        .config = api->agent->config,
        .pods = api->agent->pods,
        .revisions = api->agent->revisions,
        .now = monotime_now(),
        .now_wall = walltime_now(),
    };
    struct manifest_status *manifests = NULL;
    if (api->agent->source)
        context.n_manifests = manifest_source_list(api->agent->source, &manifests);
    context.manifests = manifests;
    return context;
}

void api_context_close(struct status_context *context)
{
    free((void *)context->manifests);
    context->manifests = NULL;
    context->n_manifests = 0;
}

// ---- pods ----

static json_t *list_object(const char *kind, const char *version, json_t *items)
{
    json_t *o = json_object(), *metadata = json_object();
    json_set_text(o, "kind", kind);
    json_set_text(o, "apiVersion", "v1");
    json_set_text(metadata, "resourceVersion", version);
    json_object_set_new(o, "metadata", metadata);
    json_object_set_new(o, "items", items);
    return o;
}

api_result get_own_pods(struct api *api, struct request *r)
{
    bool watch = false;
    api_result result;
    if (!request_flag(r, "watch", &watch, &result))
        return result;
    return watch ? watch_pods(api, r) : list_pods(api, r);
}

api_result get_own_pod(struct api *api, struct request *r)
{
    api_result result;
    struct pod_worker *w = request_pod(api, r, 3, &result);
    if (!w)
        return result;
    struct status_context context = api_context_open(api);
    json_t *pod = status_pod(w, &context);
    api_context_close(&context);
    return reply_json(r, MHD_HTTP_OK, pod);
}

// ---- events ----

bool event_matches(const struct event *e, const char *node, const char *pod, const char *namespace_)
{
    if (namespace_ && !str_equal(e->namespace_, namespace_))
        return false;
    if (!pod || str_equal(e->pod, pod))
        return true;
    _cleanup_free_ char *suffixed = xasprintf("%s-%s", pod, node);
    return str_equal(e->pod, suffixed);
}

static json_t *event_items(struct api *api, uint64_t after, const char *pod, const char *namespace_)
{
    const char *node = api->agent->config->node_name;
    _cleanup_free_ const struct event **events = NULL;
    size_t n = event_log_since(api->agent->events, after, &events);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        if (event_matches(events[i], node, pod, namespace_))
            json_array_append_new(items, event_to_json(events[i], node));
    return items;
}

api_result get_events(struct api *api, struct request *r)
{
    const char *pod = request_parameter(r, "pod"), *namespace_ = request_parameter(r, "namespace");
    bool watch = false;
    int64_t after = 0;
    api_result result;
    if (!request_flag(r, "watch", &watch, &result) || !request_number(r, "after", &after, &result))
        return result;
    if (watch)
        return watch_events(api, r, (uint64_t)after, pod, namespace_);
    _cleanup_free_ char *version =
        xasprintf("%llu", (unsigned long long)event_log_newest(api->agent->events));
    json_t *items = event_items(api, (uint64_t)after, pod, namespace_);
    return reply_json(r, MHD_HTTP_OK, list_object("EventList", version, items));
}

// ---- manifests ----

api_result get_manifests(struct api *api, struct request *r)
{
    bool watch = false;
    api_result result;
    if (!request_flag(r, "watch", &watch, &result))
        return result;
    if (watch)
        return watch_manifests(api, r);
    struct status_context context = api_context_open(api);
    json_t *o = json_object(), *items = json_array();
    for (size_t i = 0; i < context.n_manifests; i++)
        json_array_append_new(items, status_manifest(&context.manifests[i]));
    api_context_close(&context);
    json_object_set_new(o, "items", items);
    return reply_json(r, MHD_HTTP_OK, o);
}

// ---- history ----

api_result get_history(struct api *api, struct request *r)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_history_ struct history history = {0};
    const char *namespace_ = r->segments[3];
    if (strcmp(namespace_, "-") == 0)
        namespace_ = NULL;
    int code = revisions_look_up(api->agent->revisions, namespace_, r->segments[4], &history, &err);
    if (code < 0)
        return reply_status(r,
                            code == -ENOTUNIQ ? MHD_HTTP_CONFLICT
                            : code == -ENOENT ? MHD_HTTP_NOT_FOUND
                                              : MHD_HTTP_INTERNAL_SERVER_ERROR,
                            "%s", error_message(&err));
    return reply_json(r, MHD_HTTP_OK, history_to_json(&history));
}

// ---- configuration ----

// A value as config_describe() prints it: JSON where it is JSON, else text.
static json_t *config_value(const char *text, size_t len)
{
    _cleanup_free_ char *value = xstrndup(text, len);
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    return parsed ? parsed : json_text(value);
}

api_result get_configz(struct api *api, struct request *r)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    json_t *config = json_object(), *o = json_object();
    config_describe(api->agent->config, &text);
    for (const char *line = buffer_str(&text); *line;) {
        size_t len = strcspn(line, "\n"), name = strcspn(line, ":\n");
        if (line[name] == ':') {
            _cleanup_free_ char *key = xstrndup(line, name);
            size_t value = name + 1 + (name + 1 < len && line[name + 1] == ' ');
            json_object_set_new(config, key, config_value(line + value, len - value));
        }
        line += len + (line[len] == '\n');
    }
    json_object_set_new(o, "kubeletconfig", config);
    return reply_json(r, MHD_HTTP_OK, o);
}
