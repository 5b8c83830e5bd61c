// Replies without a known end. libmicrohttpd asks for the next bytes when the client's socket takes
// them; when there are none, the connection is suspended until stream_wake(). Since a suspended
// connection is not looked at, a watch of our own on its socket learns that the client has gone.
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "supervisor/api-internal.h"

enum { BLOCK_SIZE = 16 << 10 }; // bytes that libmicrohttpd asks for at a time

struct stream {
    struct api *api;
    struct MHD_Connection *connection;
    const struct stream_ops *ops;
    void *data;
    struct buffer ready; // bounded by one call of ops->fill
    size_t sent;         // bytes at the front of `ready` that are gone already
    bool suspended, over;
    sd_event_source *hangup;
};

static int on_hangup(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct stream *s = userdata;
    s->over = true;
    stream_wake(s);
    return 0;
}

static void suspend(struct stream *s)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    s->suspended = true;
    MHD_suspend_connection(s->connection);
    if (info && sd_event_add_io(s->api->agent->loop, &s->hangup, info->connect_fd, EPOLLRDHUP,
                                on_hangup, s) < 0)
        s->hangup = NULL; // the next write will tell
}

void stream_wake(struct stream *s)
{
    if (!s->suspended)
        return;
    s->suspended = false;
    s->hangup = sd_event_source_disable_unref(s->hangup);
    MHD_resume_connection(s->connection);
    api_kick(s->api);
}

// True where there are bytes to send, or the end is reached.
static bool refill(struct stream *s, bool *ret_more)
{
    *ret_more = false;
    if (s->sent < s->ready.len)
        return true;
    buffer_truncate(&s->ready, 0);
    s->sent = 0;
    if (s->over)
        return true;
    int code = s->ops->fill(s->data, &s->ready, API_SLICE);
    s->over = code < 0;
    *ret_more = code > 0;
    return s->over || s->ready.len > 0;
}

static ssize_t on_read(void *cls, uint64_t position, char *buf, size_t max)
{
    struct stream *s = cls;
    bool more;
    if (!refill(s, &more)) {
        suspend(s);
        if (more)
            stream_wake(s);
        return 0;
    }
    size_t n = MIN(max, s->ready.len - s->sent);
    if (n == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    memcpy(buf, s->ready.data + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

static void on_free(void *cls)
{
    struct stream *s = cls;
    POINTER_LIST_REMOVE(&s->api->streams, s);
    sd_event_source_disable_unref(s->hangup);
    s->ops->free(s->data);
    buffer_free(&s->ready);
    free(s);
}

bool api_streams_are_full(struct api *api, struct request *r, api_result *ret_result)
{
    if (api->streams.n < API_STREAMS_MOST)
        return false;
    *ret_result = reply_status(r, MHD_HTTP_SERVICE_UNAVAILABLE,
                               "%d watches and followed logs are open already; end some of them",
                               API_STREAMS_MOST);
    return true;
}

api_result reply_stream(struct api *api, struct request *r, const char *content_type,
                        const struct stream_ops *ops, void *data, struct stream **ret)
{
    struct stream *s = xcalloc(1, sizeof(*s));
    *s = (struct stream){.api = api, .connection = r->connection, .ops = ops, .data = data};
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, on_read, s, on_free);
    if (!response) {
        ops->free(data);
        free(s);
        return MHD_NO;
    }
    POINTER_LIST_ADD(&api->streams, s);
    // A reader may stop for as long as he likes (a pager): what waits for him is bounded anyway.
    // The connection ends with the stream, so that it does not stay open for ever afterwards.
    MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (ret)
        *ret = s;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    api_result result = MHD_queue_response(r->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

void api_streams_end(struct api *api)
{
    LIST_EACH (s, &api->streams) {
        (*s)->over = true;
        stream_wake(*s);
    }
}
