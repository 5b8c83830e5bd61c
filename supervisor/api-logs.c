// GET /containerLogs/{ns}/{pod}/{container}: the kubelet's parameters and the kubelet's answers
// (K/kubelet_pods.go GetKubeletContainerLogs, validateContainerLogStatus).
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "supervisor/api-internal.h"
#include "supervisor/container-spec.h"
#include "supervisor/logread.h"

struct log_stream {
    struct api *api;
    struct log_reader *reader;
    struct stream *stream;
    sd_event_source *directory; // with follow
    char *uid, *container;
    uint64_t run; // the restart count of what is read
};

static int log_fill(void *data, struct buffer *out, size_t most)
{
    struct log_stream *s = data;
    enum log_reader_result result = log_reader_read(s->reader, out);
    return result == LOG_READER_END ? -1 : result == LOG_READER_MORE;
}

static void log_free(void *data)
{
    struct log_stream *s = data;
    POINTER_LIST_REMOVE(&s->api->log_streams, s);
    sd_event_source_disable_unref(s->directory);
    log_reader_free(s->reader);
    free(s->uid);
    free(s->container);
    free(s);
}

static const struct stream_ops log_ops = {log_fill, log_free};

static int on_directory(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    struct log_stream *s = userdata;
    stream_wake(s->stream);
    return 0;
}

// True while the shim of that run may still write.
static bool run_is_on(const struct container_worker *c, uint64_t run)
{
    return c->restart_count == run && container_state_is_alive(c->state) &&
           c->state != CONTAINER_PROVING;
}

void logs_pod_changed(struct api *api, const struct pod_worker *w, bool deleted)
{
    LIST_EACH (item, &api->log_streams) {
        struct log_stream *s = *item;
        if (strcmp(s->uid, w->pod->metadata.uid) != 0)
            continue;
        const struct container_worker *c =
            pod_worker_container((struct pod_worker *)w, s->container);
        if (!deleted && c && run_is_on(c, s->run))
            continue;
        log_reader_finish(s->reader);
        stream_wake(s->stream);
    }
}

// ---- parameters ----

static bool since_parameter(struct request *r, walltime *ret, api_result *ret_result)
{
    int64_t seconds = -1;
    const char *time = request_parameter(r, "sinceTime");
    if (!request_number(r, "sinceSeconds", &seconds, ret_result))
        return false;
    if (time && seconds >= 0) {
        *ret_result = reply_status(r, MHD_HTTP_BAD_REQUEST,
                                   "at most one of sinceTime and sinceSeconds may be given");
        return false;
    }
    if (time && walltime_parse(time, ret) < 0) {
        *ret_result = reply_status(r, MHD_HTTP_BAD_REQUEST,
                                   "sinceTime=%s: must be a time as in 2006-01-02T15:04:05Z", time);
        return false;
    }
    int64_t now = walltime_now().nsec;
    if (seconds >= 0)
        ret->nsec = seconds < now / NSEC_PER_SEC ? now - seconds * NSEC_PER_SEC : 0;
    return true;
}

static bool read_parameters(struct request *r, struct log_reader_options *options, bool *previous,
                            api_result *ret_result)
{
    options->tail_lines = options->limit_bytes = -1;
    return request_flag(r, "follow", &options->follow, ret_result) &&
           request_flag(r, "previous", previous, ret_result) &&
           request_flag(r, "timestamps", &options->timestamps, ret_result) &&
           request_number(r, "tailLines", &options->tail_lines, ret_result) &&
           request_number(r, "limitBytes", &options->limit_bytes, ret_result) &&
           since_parameter(r, &options->since, ret_result);
}

// ---- which run ----

static api_result no_such_container(struct request *r, const struct pod_worker *w, const char *name)
{
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    for (size_t i = 0; i < w->n_containers; i++)
        buffer_printf(&names, "%s%s", i > 0 ? ", " : "", w->containers[i].spec->name);
    return reply_status(r, MHD_HTTP_NOT_FOUND, "container %s is not in pod %s (it has: %s)", name,
                        w->pod->metadata.name, buffer_str(&names));
}

// A container that waits for its next start has its newest run behind it already.
static bool choose_run(const struct container_worker *c, bool previous, uint64_t *ret)
{
    bool newest_is_over = c->state == CONTAINER_BACKOFF;
    *ret = c->restart_count;
    if (!c->ever_started)
        return false;
    if (!previous || newest_is_over)
        return true;
    if (c->restart_count == 0)
        return false;
    (*ret)--;
    return true;
}

static api_result nothing_to_show(struct request *r, const struct container_worker *c,
                                  bool previous)
{
    const char *pod = c->pod->pod->metadata.name;
    if (previous)
        return reply_status(r, MHD_HTTP_BAD_REQUEST,
                            "previous terminated container \"%s\" in pod \"%s\" not found",
                            c->spec->name, pod);
    const char *why = c->waiting_message       ? c->waiting_message
                      : c->waiting_reason      ? c->waiting_reason
                      : c->pod->waiting_reason ? c->pod->waiting_reason
                                               : "its turn has not come";
    return reply_status(r, MHD_HTTP_BAD_REQUEST,
                        "container \"%s\" in pod \"%s\" is waiting to start: %s", c->spec->name,
                        pod, why);
}

// ---- the reply ----

static void watch_directory(struct api *api, struct log_stream *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = xstrndup(path, (size_t)(slash - path));
    uint32_t mask = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR;
    if (sd_event_add_inotify(api->agent->loop, &s->directory, dir, mask, on_directory, s) < 0) {
        s->directory = NULL; // out of watches: what is there is shown, and not followed
        log_reader_finish(s->reader);
    }
}

static api_result stream_log(struct api *api, struct request *r, struct container_worker *c,
                             uint64_t run, struct log_reader_options *options)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct container_spec_options where = {.log_dir = api->agent->config->pod_log_dir};
    _cleanup_free_ char *path = container_spec_log_path(&where, c->pod->pod, c->spec->name, run);
    struct log_reader *reader;
    options->path = path;
    if (log_reader_open(options, &reader, &err) < 0)
        return c->state == CONTAINER_STARTING
                   ? nothing_to_show(r, c, false)
                   : reply_status(r, MHD_HTTP_NOT_FOUND, "%s", error_message(&err));
    struct log_stream *s = xcalloc(1, sizeof(*s));
    s->api = api;
    s->reader = reader;
    s->uid = xstrdup(c->pod->pod->metadata.uid);
    s->container = xstrdup(c->spec->name);
    s->run = run;
    POINTER_LIST_ADD(&api->log_streams, s);
    if (!run_is_on(c, run))
        log_reader_finish(reader);
    else if (options->follow)
        watch_directory(api, s, path);
    return reply_stream(api, r, "text/plain; charset=utf-8", &log_ops, s, &s->stream);
}

api_result get_container_logs(struct api *api, struct request *r)
{
    struct log_reader_options options = {0};
    bool previous = false;
    uint64_t run;
    api_result result;
    if (!read_parameters(r, &options, &previous, &result) ||
        (options.follow && api_streams_are_full(api, r, &result)))
        return result;
    struct pod_worker *w = request_pod(api, r, 1, &result);
    if (!w)
        return result;
    struct container_worker *c = pod_worker_container(w, r->segments[3]);
    if (!c)
        return no_such_container(r, w, r->segments[3]);
    if (!choose_run(c, previous, &run))
        return nothing_to_show(r, c, previous);
    return stream_log(api, r, c, run, &options);
}
