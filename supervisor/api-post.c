// What operators ask to be done. Every answer is at once; what comes of it is seen in the watch.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "supervisor/api-internal.h"

enum { POD_AT = 3 }; // /mainstay/v1/pods/{ns}/{name}/VERB

struct pod_worker *request_pod(struct api *api, struct request *r, size_t at,
                               api_result *ret_result)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *namespace_ = r->segments[at], *name = r->segments[at + 1];
    struct pod_worker *w;
    if (strcmp(namespace_, "-") == 0)
        namespace_ = NULL;
    int code = pods_find(api->agent->pods, namespace_, name, &w, &err);
    if (code == 0)
        return w;
    *ret_result = reply_status(r, code == -ENOTUNIQ ? MHD_HTTP_CONFLICT : MHD_HTTP_NOT_FOUND, "%s",
                               error_message(&err));
    return NULL;
}

// The pod of a verb; one that is on its way out takes no orders any more.
static struct pod_worker *verb_pod(struct api *api, struct request *r, api_result *ret_result)
{
    struct pod_worker *w = request_pod(api, r, POD_AT, ret_result);
    if (!w || !w->removing)
        return w;
    *ret_result = reply_status(r, MHD_HTTP_CONFLICT,
                               "pod %s is being removed: its manifest is gone or was replaced",
                               w->pod->metadata.name);
    return NULL;
}

// force=true: the quorum guard does not hold the order up. False: *ret_result is the answer.
static bool take_force(struct api *api, struct request *r, const struct pod_worker *w,
                       api_result *ret_result)
{
    bool force = false;
    if (!request_flag(r, "force", &force, ret_result))
        return false;
    if (force)
        pods_force(api->agent->pods, w, true);
    return true;
}

// Takes the message. Whether the order waits for the quorum guard is told beside it.
static api_result reply_order(struct request *r, const struct pod_worker *w, char *message)
{
    json_t *o = json_object();
    json_object_set_new(o, "message", json_string(message));
    json_object_set_new(o, "guardAsked", json_boolean(w->asked != 0));
    free(message);
    return reply_json(r, MHD_HTTP_ACCEPTED, o);
}

// How long what is being stopped may take, for people: empty where nothing is.
static char *time_to_end(const struct pod_worker *w)
{
    monotime now = monotime_now();
    int64_t usec = monotime_since(pod_worker_grace_end(w, now), now);
    char text[DURATION_SIZE];
    if (w->asked)
        return xstrdup(" as soon as the quorum guard lets it be stopped");
    if (usec < USEC_PER_SEC)
        return xstrdup("");
    duration_format_go((usec + USEC_PER_SEC / 2) / USEC_PER_SEC * NSEC_PER_SEC, text);
    return xasprintf(", and has %s to end", text);
}

api_result post_restart(struct api *api, struct request *r)
{
    api_result result = MHD_NO;
    const char *container = request_parameter(r, "container");
    struct pod_worker *w = verb_pod(api, r, &result);
    if (!w)
        return result;
    const char *name = w->pod->metadata.name;
    if (container && !pod_worker_container(w, container))
        return reply_status(r, MHD_HTTP_NOT_FOUND, "pod %s has no container \"%s\"", name,
                            container);
    if (w->state == POD_WAITING || w->state == POD_STOPPING || w->state == POD_ENDING)
        return reply_status(r, MHD_HTTP_CONFLICT, "pod %s is %s: there is nothing to restart", name,
                            w->state == POD_WAITING ? "waiting to start" : "being stopped");
    if (!take_force(api, r, w, &result))
        return result;
    pod_worker_restart(w, container, monotime_now());
    _cleanup_free_ char *time = time_to_end(w);
    return reply_order(r, w,
                       xasprintf("pod %s%s%s is being restarted%s", name,
                                 container ? " container " : "", container ? container : "", time));
}

api_result post_stop(struct api *api, struct request *r)
{
    api_result result = MHD_NO;
    struct pod_worker *w = verb_pod(api, r, &result);
    if (!w)
        return result;
    const char *name = w->pod->metadata.name;
    if (w->held)
        return reply_accepted(r, "pod %s is stopped already", name);
    if (!take_force(api, r, w, &result))
        return result;
    pod_worker_hold(w, monotime_now());
    _cleanup_free_ char *time = time_to_end(w);
    return reply_order(
        r, w, xasprintf("pod %s is being stopped%s, until `mainstay start %s`", name, time, name));
}

api_result post_force(struct api *api, struct request *r)
{
    api_result result = MHD_NO;
    bool coming = false;
    struct pod_worker *w = request_pod(api, r, POD_AT, &result);
    if (!w || !request_flag(r, "coming", &coming, &result))
        return result;
    _cleanup_free_ char *name = xstrdup(w->pod->metadata.name);
    if (pods_force(api->agent->pods, w, coming))
        return reply_accepted(r, "pod %s is stopped whatever becomes of the quorum", name);
    return reply_accepted(r, "pod %s does not wait for the quorum guard", name);
}

api_result post_start(struct api *api, struct request *r)
{
    api_result result = MHD_NO;
    struct pod_worker *w = verb_pod(api, r, &result);
    if (!w)
        return result;
    const char *name = w->pod->metadata.name;
    if (!w->held && w->state != POD_FINISHED)
        return reply_accepted(r, "pod %s is not stopped", name);
    pod_worker_release(w, monotime_now());
    return reply_accepted(r, "pod %s is being started", name);
}

api_result post_retry(struct api *api, struct request *r)
{
    api_result result = MHD_NO;
    struct pod_worker *w = verb_pod(api, r, &result);
    if (!w)
        return result;
    size_t waiting = 0;
    for (size_t i = 0; i < w->n_containers; i++)
        waiting += w->containers[i].state == CONTAINER_BACKOFF;
    const char *name = w->pod->metadata.name;
    pod_worker_retry(w, monotime_now());
    if (waiting == 0)
        return reply_accepted(r, "no container of pod %s is in back-off", name);
    return reply_accepted(r, "%zu container%s of pod %s start%s now", waiting,
                          waiting == 1 ? "" : "s", name, waiting == 1 ? "s" : "");
}

api_result post_stop_all(struct api *api, struct request *r)
{
    api_result result = MHD_NO;
    bool exit_after = false;
    if (!request_flag(r, "exit", &exit_after, &result))
        return result;
    result = reply_accepted(r, "every pod is being stopped%s",
                            exit_after ? ", then the agent ends" : "");
    agent_stop_all(api->agent, exit_after);
    return result;
}

api_result post_rescan(struct api *api, struct request *r)
{
    manifest_source_rescan(api->agent->source);
    return reply_accepted(r, "%s is being read again", api->agent->config->manifest_path);
}

api_result post_reload(struct api *api, struct request *r)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer changes = BUFFER_EMPTY;
    int code = agent_reload(api->agent, &changes, &err);
    if (code < 0)
        return reply_status(r, MHD_HTTP_UNPROCESSABLE_CONTENT,
                            "%s (the configuration before it stays in force)", error_message(&err));
    if (code == 0)
        return reply_accepted(r, "the configuration is as before; %s is being read again",
                              api->agent->config->manifest_path);
    return reply_accepted(r, "coming into force: %s", buffer_str(&changes));
}
