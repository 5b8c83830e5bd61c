// See client.h. One easy handle per request or stream, all on one multi handle.
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"
#include "cli/commands.h"

enum {
    ANSWER_MAX =
        64 << 20, // of a JSON answer or a stream's line: an agent that is mad is not trusted
    FDS_MAX = 4,
    REQUEST_SECONDS = 30, // for a single answer: an agent that hangs is said to hang
};

#define DEFAULT_SOCKET "/run/mainstay/mainstay.sock"

struct stream {
    struct client *client;
    CURL *easy;
    char curl_error[CURL_ERROR_SIZE];
    struct buffer pending; // the unfinished line; the body of an answer that is no success
    client_line_fn line;
    client_data_fn data;
    void *userdata;
    bool collect; // keep the whole body in `pending`
    struct stream *next;
};

struct watched_fd {
    int fd;
    int (*fn)(void *userdata);
    void *userdata;
};

struct client {
    char *socket;
    CURLM *multi;
    struct stream *streams;
    struct watched_fd fds[FDS_MAX];
    size_t n_fds;
    int stopped; // what a callback returned
    bool cut;    // a connection ended before its answer did
};

// An ordinary user's own agent, by the daemon's own defaults (supervisor/config.h), if there is
// one: the system's is for root only.
static char *own_socket(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");
    char *path = NULL;
    if (!str_empty(runtime))
        path = xasprintf("%s/mainstay/mainstay.sock", runtime);
    else if (!str_empty(home))
        path = xasprintf("%s/.local/state/mainstay/run/mainstay.sock", home);
    if (path && access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *default_socket(void)
{
    char *own = geteuid() != 0 ? own_socket() : NULL;
    return own ? own : xstrdup(DEFAULT_SOCKET);
}

struct client *client_new(const char *socket)
{
    struct client *client = xcalloc(1, sizeof(*client));
    if (str_empty(socket))
        socket = getenv("MAINSTAY_SOCKET");
    client->socket = str_empty(socket) ? default_socket() : xstrdup(socket);
    client->multi = curl_multi_init();
    if (!client->multi)
        abort(); // out of memory, as in base/alloc.h
    return client;
}

static void stream_free(struct stream *stream)
{
    curl_multi_remove_handle(stream->client->multi, stream->easy);
    curl_easy_cleanup(stream->easy);
    buffer_free(&stream->pending);
    free(stream);
}

void client_drop_streams(struct client *client)
{
    while (client->streams) {
        struct stream *stream = client->streams;
        client->streams = stream->next;
        stream_free(stream);
    }
}

void client_free(struct client *client)
{
    if (!client)
        return;
    client_drop_streams(client);
    curl_multi_cleanup(client->multi);
    free(client->socket);
    free(client);
}

size_t client_streams(const struct client *client)
{
    size_t n = 0;
    for (const struct stream *stream = client->streams; stream; stream = stream->next)
        n++;
    return n;
}

const char *client_socket(const struct client *client)
{
    return client->socket;
}

static bool answer_is_success(const struct stream *stream)
{
    long code = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &code);
    return code >= 200 && code < 300;
}

static void deliver_lines(struct stream *stream)
{
    size_t begin = 0;
    struct buffer *b = &stream->pending;
    while (stream->client->stopped == 0 && begin < b->len) {
        char *newline = memchr(b->data + begin, '\n', b->len - begin);
        if (!newline)
            break;
        *newline = '\0';
        size_t len = (size_t)(newline - (b->data + begin));
        stream->client->stopped = stream->line(stream->userdata, b->data + begin, len);
        begin += len + 1;
    }
    buffer_consume(b, begin);
}

// What an earlier run left because a callback stopped it.
static void deliver_rest(struct client *client)
{
    for (struct stream *stream = client->streams; stream; stream = stream->next)
        if (stream->line && answer_is_success(stream))
            deliver_lines(stream);
}

// The last line of a stream may lack its newline.
static void deliver_end(struct stream *stream)
{
    struct buffer *b = &stream->pending;
    if (stream->line && b->len > 0 && stream->client->stopped == 0)
        stream->client->stopped = stream->line(stream->userdata, b->data, b->len);
}

// curl's write callback: anything but `size` ends the transfer.
static size_t body_arrives(char *data, size_t one, size_t size, void *userdata)
{
    struct stream *stream = userdata;
    bool success = answer_is_success(stream);
    if (success && stream->data) {
        if (stream->client->stopped != 0)
            return size; // whoever reads bytes and stops does not come back
        stream->client->stopped = stream->data(stream->userdata, data, size * one);
        return size;
    }
    if (stream->pending.len + size * one > ANSWER_MAX)
        return 0;
    buffer_add(&stream->pending, data, size * one);
    if (success && !stream->collect)
        deliver_lines(stream);
    return size;
}

static struct stream *stream_add(struct client *client, const char *path)
{
    struct stream *stream = xcalloc(1, sizeof(*stream));
    _cleanup_free_ char *url = xasprintf("http://localhost%s", path);
    stream->client = client;
    stream->easy = curl_easy_init();
    if (!stream->easy)
        abort();
    curl_easy_setopt(stream->easy, CURLOPT_UNIX_SOCKET_PATH, client->socket);
    curl_easy_setopt(stream->easy, CURLOPT_URL, url);
    curl_easy_setopt(stream->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(stream->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(stream->easy, CURLOPT_USERAGENT, "mainstay/" MAINSTAY_VERSION);
    curl_easy_setopt(stream->easy, CURLOPT_ERRORBUFFER, stream->curl_error);
    curl_easy_setopt(stream->easy, CURLOPT_WRITEFUNCTION, body_arrives);
    curl_easy_setopt(stream->easy, CURLOPT_WRITEDATA, stream);
    curl_easy_setopt(stream->easy, CURLOPT_PRIVATE, stream);
    curl_multi_add_handle(client->multi, stream->easy);
    stream->next = client->streams;
    client->streams = stream;
    return stream;
}

void client_add_lines(struct client *client, const char *path, client_line_fn fn, void *userdata)
{
    struct stream *stream = stream_add(client, path);
    stream->line = fn;
    stream->userdata = userdata;
}

void client_add_data(struct client *client, const char *path, client_data_fn fn, void *userdata)
{
    struct stream *stream = stream_add(client, path);
    stream->data = fn;
    stream->userdata = userdata;
}

void client_add_fd(struct client *client, int fd, int (*fn)(void *userdata), void *userdata)
{
    if (client->n_fds < FDS_MAX)
        client->fds[client->n_fds++] = (struct watched_fd){fd, fn, userdata};
}

// Why the socket cannot be connected to: curl does not say it reliably, so it is tried once more.
static int connect_errno(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : ECONNRESET;
}

static int explain_unreachable(const struct client *client, struct error *err)
{
    const char *path = client->socket;
    int cause = connect_errno(path);
    const char *advice;
    if (cause == EACCES || cause == EPERM)
        advice = "Only root may talk to it: run this command as root (sudo mainstay …).";
    else if (cause == ENOENT)
        advice = "Is it running? See `systemctl status mainstayd`. An agent with another socket is "
                 "named by --socket or MAINSTAY_SOCKET.";
    else if (cause == ECONNREFUSED)
        advice = "The socket is there but nobody listens: mainstayd is not running. See `systemctl "
                 "status mainstayd` and `journalctl -u mainstayd`.";
    else
        advice = "See `systemctl status mainstayd` and `journalctl -u mainstayd`.";
    error_set(err, ENOTCONN, "cannot reach the agent at %s: %s. %s", path, strerror(cause), advice);
    return -ENOTCONN;
}

// What an answer that is no success means: the Status object's message, or the status line.
static int explain_refusal(struct stream *stream, struct error *err)
{
    long code = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &code);
    json_t *status = json_loadb(buffer_str(&stream->pending), stream->pending.len, 0, NULL);
    const char *message = json_string_value(json_object_get(status, "message"));
    int r = code == 404 ? ENOENT : EREMOTEIO;
    if (message)
        error_set(err, r, "%s", message);
    else
        error_set(err, r, "the agent answered with HTTP status %ld", code);
    json_decref(status);
    return -r;
}

static int stream_result(struct stream *stream, CURLcode code, struct error *err)
{
    switch (code) {
    case CURLE_OK:
        return answer_is_success(stream) ? 0 : explain_refusal(stream, err);
    case CURLE_COULDNT_CONNECT:
        return explain_unreachable(stream->client, err);
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        stream->client->cut = true;
        return error_set(
            err, ENOTCONN,
            "the agent at %s closed the connection; did it stop? See `systemctl status "
            "mainstayd`.",
            stream->client->socket);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ENOTCONN,
                         "the agent at %s did not answer within %ds: it hangs, or does not come "
                         "up. See `journalctl -u "
                         "mainstayd -n 50`; its pods live on when it is restarted.",
                         stream->client->socket, REQUEST_SECONDS);
    default:
        return error_set(err, EPROTO, "cannot understand the agent at %s: %s",
                         stream->client->socket,
                         stream->curl_error[0] ? stream->curl_error : curl_easy_strerror(code));
    }
}

static void unlink_stream(struct client *client, const struct stream *stream)
{
    for (struct stream **at = &client->streams; *at; at = &(*at)->next)
        if (*at == stream) {
            *at = stream->next;
            return;
        }
}

// Takes finished transfers off the list. The first failure is the result.
static int reap(struct client *client, struct buffer *ret_body, struct error *err)
{
    int result = 0, left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct stream *stream = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&stream);
        int r = stream_result(stream, code, result == 0 ? err : NULL);
        if (result == 0)
            result = r;
        if (r == 0)
            deliver_end(stream);
        if (r == 0 && ret_body && stream->collect)
            buffer_add(ret_body, buffer_str(&stream->pending), stream->pending.len);
        unlink_stream(client, stream);
        stream_free(stream);
    }
    return result;
}

static int wait_for_more(struct client *client, monotime deadline)
{
    struct curl_waitfd fds[FDS_MAX] = {0};
    int timeout = 60 * 1000;
    if (!monotime_is_never(deadline)) {
        int64_t left = monotime_since(deadline, monotime_now()) / USEC_PER_MSEC + 1;
        timeout = (int)MIN(left, (int64_t)timeout);
    }
    for (size_t i = 0; i < client->n_fds; i++)
        fds[i] = (struct curl_waitfd){.fd = client->fds[i].fd, .events = CURL_WAIT_POLLIN};
    curl_multi_poll(client->multi, fds, (unsigned)client->n_fds, timeout, NULL);
    for (size_t i = 0; i < client->n_fds && client->stopped == 0; i++) {
        struct pollfd ready = {.fd = client->fds[i].fd, .events = POLLIN};
        if (poll(&ready, 1, 0) > 0)
            client->stopped = client->fds[i].fn(client->fds[i].userdata);
    }
    return client->stopped;
}

static int run(struct client *client, monotime deadline, struct buffer *ret_body, struct error *err)
{
    client->stopped = 0;
    for (;;) {
        int running = 0;
        deliver_rest(client);
        if (client->stopped == 0)
            curl_multi_perform(client->multi, &running);
        if (client->stopped != 0)
            return client->stopped;
        int r = reap(client, ret_body, err);
        if (client->stopped != 0)
            return client->stopped;
        if (r < 0 || (!client->streams && (client->n_fds == 0 || ret_body)))
            return r;
        if (monotime_reached(deadline, monotime_now()))
            return -ETIMEDOUT;
        r = wait_for_more(client, deadline);
        if (r != 0)
            return r;
    }
}

int client_run(struct client *client, monotime deadline, struct error *err)
{
    return run(client, deadline, NULL, err);
}

// On a client of its own, so that it may happen in the middle of streams.
static int request_once(struct client *client, const char *path, bool post, struct buffer *ret_body,
                        bool *ret_cut, struct error *err)
{
    _cleanup_client_ struct client *one = client_new(client->socket);
    struct stream *stream = stream_add(one, path);
    stream->collect = true;
    curl_easy_setopt(stream->easy, CURLOPT_TIMEOUT, (long)REQUEST_SECONDS);
    if (post) {
        curl_easy_setopt(stream->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(stream->easy, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(stream->easy, CURLOPT_POSTFIELDSIZE, 0L);
    }
    int r = run(one, MONOTIME_NEVER, ret_body, err);
    *ret_cut = one->cut;
    return r;
}

static int request(struct client *client, const char *path, bool post, json_t **ret,
                   struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    bool cut;
    int r = request_once(client, path, post, &body, &cut, err);
    // An agent that is restarted takes the requests with it that it had begun to read; the next one
    // answers. What asks for a deed is not asked for twice.
    if (r < 0 && cut && !post) {
        error_clear(err);
        r = request_once(client, path, post, &body, &cut, err);
    }
    if (r < 0)
        return r;
    json_error_t json_error;
    json_t *value = json_loadb(buffer_str(&body), body.len, 0, &json_error);
    if (!value)
        return error_set(err, EPROTO, "the agent's answer to %s is no JSON: %s", path,
                         json_error.text);
    *ret = value;
    return 0;
}

int client_get(struct client *client, const char *path, json_t **ret, struct error *err)
{
    return request(client, path, false, ret, err);
}

int client_post_json(struct client *client, const char *path, json_t **ret, struct error *err)
{
    return request(client, path, true, ret, err);
}

int client_post(struct client *client, const char *path, char **ret_message, struct error *err)
{
    json_t *answer = NULL;
    int r = client_post_json(client, path, &answer, err);
    if (r < 0)
        return r;
    const char *message = json_string_value(json_object_get(answer, "message"));
    if (ret_message)
        *ret_message = xstrdup_or_null(message);
    json_decref(answer);
    return 0;
}

char *client_escape(const char *text)
{
    struct buffer b = BUFFER_EMPTY;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-._~", *c);
        if (plain)
            buffer_add_char(&b, (char)*c);
        else
            buffer_printf(&b, "%%%02X", *c);
    }
    return buffer_take(&b);
}

char *client_pod_path(const char *namespace_, const char *name, const char *suffix)
{
    _cleanup_free_ char *ns = client_escape(namespace_ ? namespace_ : "-");
    _cleanup_free_ char *pod = client_escape(name);
    return xasprintf("/mainstay/v1/pods/%s/%s%s", ns, pod, suffix);
}

int client_failed(int r, const struct error *err)
{
    if (r == 0)
        return CLI_DONE;
    fprintf(stderr, "error: %s\n", error_message(err));
    return r == -ENOTCONN ? CLI_UNREACHABLE : CLI_NO;
}
