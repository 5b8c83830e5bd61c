// What the files api*.c share; nobody else includes it.
//
//   api.c         libmicrohttpd in the loop, connections, start and end
//   api-socket.c  the listening sockets
//   api-request.c a request's path and query, and the table of routes
//   api-reply.c   whole replies: JSON, text, v1 Status
//   api-stream.c  replies without an end: watches and logs, by suspending the connection
//   api-watch.c   the watches of pods, manifests and events
//   api-logs.c    /containerLogs
//   api-health.c  /healthz, /livez and /readyz
//   api-get.c     everything else that is read
//   api-status.c  /mainstay/v1/status
//   api-watchers.c who watches this agent
//   api-post.c    what operators ask to be done
//   api-samples.c what pods use, gathered for one reply
//   api-stats.c   /stats/summary
//   api-metrics*.c Prometheus' text
#pragma once

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "supervisor/agent.h"
#include "supervisor/api.h"
#include "supervisor/status.h"

enum {
    API_CONNECTIONS_MOST = 128,       // on the agent's socket
    API_HEALTH_CONNECTIONS_MOST = 32, // on the healthz port, so that neither starves the other
    API_STREAMS_MOST = 64,            // connections that watch or follow
    API_URI_MAX = 4096,
    API_BODY_MAX = 64 << 10, // request bodies mean nothing; up to here they are read and dropped
    API_SEGMENTS_MOST = 8,
    API_PARAMETERS_MOST = 12,
    API_SLICE = 64 << 10, // a stream's turn in the loop
};

typedef enum MHD_Result api_result;

struct api_listener {
    struct api *api;
    int fd; // -1: not open
    sd_event_source *source, *resume;
    bool health_only;
    size_t open, most; // connections
};

// Lists of pointers to what others own. Nothing is freed while one of them is walked: streams end
// only inside MHD_run().
#define POINTER_LIST(name)                                                                         \
    struct name;                                                                                   \
    struct name##_list {                                                                           \
        struct name **items;                                                                       \
        size_t n;                                                                                  \
    }
POINTER_LIST(stream);
POINTER_LIST(watch);
POINTER_LIST(event_watch);
POINTER_LIST(log_stream);

#define POINTER_LIST_ADD(list, pointer)                                                            \
    do {                                                                                           \
        (list)->items = xreallocarray((list)->items, (list)->n + 1, sizeof(void *));               \
        (list)->items[(list)->n++] = (pointer);                                                    \
    } while (0)
#define POINTER_LIST_REMOVE(list, pointer)                                                         \
    do {                                                                                           \
        for (size_t _i = 0; _i < (list)->n; _i++)                                                  \
            if ((list)->items[_i] == (pointer))                                                    \
                (list)->items[_i--] = (list)->items[--(list)->n];                                  \
    } while (0)

struct asker {
    char *agent; // as it calls itself; NULL: nobody
    monotime asked;
};

struct api {
    struct agent *agent;
    struct MHD_Daemon *daemon;
    sd_event_source *readable, *timeout, *kick;
    struct api_listener local, health;
    struct api_listener *accepting; // whose connection is just being handed over
    uint64_t turns;                 // how often clients were attended to
    char *socket_path;
    int lock_fd;
    struct stream_list streams; // all of them; what they bring is in one of the next three
    struct watch_list watches;
    struct event_watch_list event_watches;
    struct log_stream_list log_streams;
    struct asker monit, asker; // the last ones who asked for the health: monit, and anybody else
};

struct parameter {
    char *key, *value;
};

struct request {
    struct MHD_Connection *connection;
    bool health_only, begun;
    size_t body;   // bytes seen so far
    char *refusal; // why the URI cannot be understood, or NULL
    size_t n_segments, n_parameters;
    char *segments[API_SEGMENTS_MOST]; // of the path, decoded
    struct parameter parameters[API_PARAMETERS_MOST];
};

// ---- api-request.c ----

// libmicrohttpd's callbacks for the whole URI, the request itself, and its end.
void *api_request_new(void *cls, const char *uri, struct MHD_Connection *connection);
api_result api_request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **con_cls);
void api_request_done(void *cls, struct MHD_Connection *connection, void **con_cls,
                      enum MHD_RequestTerminationCode why);

const char *request_parameter(const struct request *r, const char *key); // NULL where absent
// An absent one leaves *ret alone. False: it is wrong, and the reply in *ret_result says so.
bool request_flag(struct request *r, const char *key, bool *ret, api_result *ret_result);
bool request_number(struct request *r, const char *key, int64_t *ret, api_result *ret_result);

// ---- api-watchers.c ----

void api_asked_by(struct api *api, const struct request *r); // for the health
json_t *api_watchers(const struct api *api);

// ---- api-reply.c ----

api_result reply_json(struct request *r, unsigned code, json_t *value);       // takes value
api_result reply_text(struct request *r, unsigned code, struct buffer *text); // empties text
api_result reply_typed(struct request *r, unsigned code, const char *content_type,
                       struct buffer *text); // as reply_text()
api_result reply_status(struct request *r, unsigned code, const char *format, ...) _printf_(3, 4);
api_result reply_method_not_allowed(struct request *r, const char *allowed);
api_result reply_accepted(struct request *r, const char *format, ...) _printf_(2, 3);
// {"kind":"Status",…} as in api.h. A new reference.
json_t *status_object(unsigned code, const char *message);

// ---- api-stream.c ----

struct stream_ops {
    // Adds about `most` bytes. 1: there is more at once; 0: call again after stream_wake(); −1:
    // that was all.
    int (*fill)(void *data, struct buffer *out, size_t most);
    void (*free)(void *data);
};

// Answers 200 with what `ops` brings; takes `data`, also where it fails. *ret may be NULL; the
// stream is valid until ops->free is called.
api_result reply_stream(struct api *api, struct request *r, const char *content_type,
                        const struct stream_ops *ops, void *data, struct stream **ret);
// For replies that may last: true, with the refusal in *ret_result, where too many are open.
bool api_streams_are_full(struct api *api, struct request *r, api_result *ret_result);
void stream_wake(struct stream *stream);
void api_streams_end(struct api *api);
// Lets libmicrohttpd work in a later turn of the loop.
void api_kick(struct api *api);

// ---- api-watch.c ----

api_result list_pods(struct api *api, struct request *r);
api_result watch_pods(struct api *api, struct request *r);
api_result watch_manifests(struct api *api, struct request *r);
api_result watch_events(struct api *api, struct request *r, uint64_t after, const char *pod,
                        const char *namespace_);
void watches_pod_changed(struct api *api, const struct pod_worker *w, bool deleted);
void watches_manifest_changed(struct api *api, const char *file);
void watches_event_added(struct api *api);
bool event_matches(const struct event *e, const char *node, const char *pod,
                   const char *namespace_);

// ---- api-logs.c ----

api_result get_container_logs(struct api *api, struct request *r);
void logs_pod_changed(struct api *api, const struct pod_worker *w, bool deleted);

// ---- api-health.c, api-get.c, api-status.c, api-post.c: one function a route ----

// What status.c needs, with the manifests read; close it in the same turn of the loop.
struct status_context api_context_open(struct api *api);
void api_context_close(struct status_context *context);

api_result get_health(struct api *api, struct request *r);
api_result get_health_part(struct api *api, struct request *r);
api_result get_configz(struct api *api, struct request *r);
api_result get_own_pods(struct api *api, struct request *r);
api_result get_own_pod(struct api *api, struct request *r);
api_result get_events(struct api *api, struct request *r);
api_result get_manifests(struct api *api, struct request *r);
api_result get_history(struct api *api, struct request *r);
api_result get_status(struct api *api, struct request *r);
api_result get_stats_summary(struct api *api, struct request *r);
api_result get_metrics(struct api *api, struct request *r);
api_result get_metrics_resource(struct api *api, struct request *r);
api_result get_metrics_cadvisor(struct api *api, struct request *r);
api_result get_metrics_probes(struct api *api, struct request *r);
api_result post_restart(struct api *api, struct request *r);
api_result post_stop(struct api *api, struct request *r);
api_result post_start(struct api *api, struct request *r);
api_result post_retry(struct api *api, struct request *r);
api_result post_force(struct api *api, struct request *r);
api_result post_stop_all(struct api *api, struct request *r);
api_result post_rescan(struct api *api, struct request *r);
api_result post_reload(struct api *api, struct request *r);

// The pod that segments[at] and [at + 1] name ("-": any namespace). NULL: *ret_result is the 404.
struct pod_worker *request_pod(struct api *api, struct request *r, size_t at,
                               api_result *ret_result);
