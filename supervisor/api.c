// The API's sockets, and libmicrohttpd inside the agent's loop. Connections are accepted here and
// handed over, so that who comes is checked before a byte of his is read, and so that the two
// sockets are bounded each for itself.
#include "supervisor/api.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/work.h"
#include "supervisor/api-internal.h"
#include "supervisor/api-socket.h"

enum {
    IDLE_SECONDS = 60, // a connection on which nothing moves; suspended ones do not count
    CONNECTION_MEMORY = 16 << 10,
    ACCEPT_RETRY_USEC = 1000000,
    KICK_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10,
    FAREWELL_TURNS = 16, // of MHD_run() at the end, for the last lines of streams
    FAREWELL_MSEC = 20,  // and for requests that are on the way
};

// ---- libmicrohttpd in the loop ----

static void arm_timeout(struct api *api)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(api->daemon, &ms) != MHD_YES) {
        sd_event_source_set_enabled(api->timeout, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time_relative(api->timeout, ms * (uint64_t)USEC_PER_MSEC);
    sd_event_source_set_enabled(api->timeout, SD_EVENT_ONESHOT);
}

static void run(struct api *api)
{
    WORK_SCOPE("api", "connections", NULL, NULL);
    if (work_is_silenced("api"))
        return;
    api->turns++;
    if (MHD_run(api->daemon) != MHD_YES)
        log_debug("the HTTP server could not go on with a connection");
    arm_timeout(api);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    if (work_is_silenced("api"))
        return -ENODATA; // as a callback that fails: its source is off from here on
    run(userdata);
    return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    run(userdata);
    return 0;
}

static int on_kick(sd_event_source *source, void *userdata)
{
    run(userdata);
    return 0;
}

void api_kick(struct api *api)
{
    sd_event_source_set_enabled(api->kick, SD_EVENT_ONESHOT);
}

static void log_from_library(void *cls, const char *format, va_list args) _printf_(2, 0);
static void log_from_library(void *cls, const char *format, va_list args)
{
    _cleanup_free_ char *text = xvasprintf(format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("HTTP: %s", text);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct api *api = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = api->accepting;
        if (api->accepting)
            api->accepting->open++;
        return;
    }
    struct api_listener *listener = *socket_context;
    if (!listener)
        return;
    listener->open--;
    if (listener->source) // it may have been paused for want of descriptors
        sd_event_source_set_enabled(listener->source, SD_EVENT_ON);
}

static int start_daemon(struct api *api, struct error *err)
{
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    api->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, api_request_handle, api, MHD_OPTION_EXTERNAL_LOGGER, log_from_library,
        api, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(API_CONNECTIONS_MOST + API_HEALTH_CONNECTIONS_MOST),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK, api_request_new, api,
        MHD_OPTION_NOTIFY_COMPLETED, api_request_done, api, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, api, MHD_OPTION_END);
    if (!api->daemon)
        return error_set(err, EIO, "the HTTP server could not be started (out of descriptors?)");
    return 0;
}

static int join_loop(struct api *api, struct error *err)
{
    sd_event *loop = api->agent->loop;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int code =
        info ? sd_event_add_io(loop, &api->readable, info->epoll_fd, EPOLLIN, on_readable, api)
             : -EIO;
    if (code >= 0)
        code = sd_event_add_time_relative(loop, &api->timeout, CLOCK_MONOTONIC, 0, 1000, on_timeout,
                                          api);
    if (code >= 0)
        code = sd_event_source_set_enabled(api->timeout, SD_EVENT_OFF);
    if (code >= 0)
        code = sd_event_add_defer(loop, &api->kick, on_kick, api);
    // Such a source counts as pending since it was made: among its equals it would always be first,
    // and a long reply would hold everybody else up.
    if (code >= 0)
        code = sd_event_source_set_priority(api->kick, KICK_PRIORITY);
    if (code >= 0)
        code = sd_event_source_set_enabled(api->kick, SD_EVENT_OFF);
    return code < 0 ? error_errno(err, code, "add the HTTP server to the event loop") : 0;
}

// ---- connections ----

// For those who must not come in: they are told, and no more of theirs is read.
static void turn_away(int fd, const char *line, const char *message)
{
    _cleanup_free_ char *text =
        xasprintf("HTTP/1.1 %s\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                  "Content-Length: %zu\r\n\r\n%s\n",
                  line, strlen(message) + 1, message);
    if (send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("a client that was turned away had gone already");
}

static void admit(struct api_listener *listener, int fd, const struct sockaddr *address,
                  socklen_t size)
{
    struct api *api = listener->api;
    if (listener->open >= listener->most) {
        turn_away(fd, "503 Service Unavailable", "too many connections are open");
        close(fd);
        return;
    }
    if (!listener->health_only && !api_socket_peer_is_trusted(fd)) {
        turn_away(fd, "403 Forbidden", "only root and the agent's own user may use this socket");
        close(fd);
        return;
    }
    api->accepting = listener;
    if (MHD_add_connection(api->daemon, fd, address, size) != MHD_YES) // closes it on failure
        log_warning("a connection to the API could not be taken: %s", strerror(errno));
    api->accepting = NULL;
}

// Out of descriptors or memory: the connection stays in the queue until something is free again.
static void pause_accepting(struct api_listener *listener, int code)
{
    log_warning("the API accepts no connections for the moment: %s", strerror(code));
    sd_event_source_set_enabled(listener->source, SD_EVENT_OFF);
    sd_event_source_set_time_relative(listener->resume, ACCEPT_RETRY_USEC);
    sd_event_source_set_enabled(listener->resume, SD_EVENT_ONESHOT);
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct api_listener *listener = userdata;
    sd_event_source_set_enabled(listener->source, SD_EVENT_ON);
    return 0;
}

static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct api_listener *listener = userdata;
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    int client = accept4(fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0) {
        admit(listener, client, (struct sockaddr *)&address, size);
        run(listener->api);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        pause_accepting(listener, errno);
    }
    return 0;
}

static int listener_start(struct api *api, struct api_listener *listener, int fd, bool health_only,
                          size_t most, struct error *err)
{
    sd_event *loop = api->agent->loop;
    listener->fd = fd;
    listener->api = api;
    listener->health_only = health_only;
    listener->most = most;
    int code = sd_event_add_io(loop, &listener->source, fd, EPOLLIN, on_connect, listener);
    if (code >= 0)
        code = sd_event_add_time_relative(loop, &listener->resume, CLOCK_MONOTONIC, 0, 0, on_resume,
                                          listener);
    if (code >= 0)
        code = sd_event_source_set_enabled(listener->resume, SD_EVENT_OFF);
    return code < 0 ? error_errno(err, code, "add the API's socket to the event loop") : 0;
}

static void listener_stop(struct api_listener *listener)
{
    listener->source = sd_event_source_disable_unref(listener->source);
    listener->resume = sd_event_source_disable_unref(listener->resume);
    if (listener->fd >= 0)
        close(TAKE_FD(listener->fd));
}

// ---- the listening sockets, which outlive the agent where somebody keeps them ----

#define NAME_LOCAL  "api"
#define NAME_HEALTH "healthz"

static bool fits_local(int fd, const struct config *config)
{
    return api_socket_is_local(fd, config->socket_path);
}

static bool fits_health(int fd, const struct config *config)
{
    return config->healthz_port > 0 &&
           api_socket_is_health(fd, config->healthz_bind_address, config->healthz_port);
}

// The one that was handed over by this name and fits, or -1. Others were for an address that the
// configuration does not name any more: they are shut down, so that whoever else has a copy keeps
// no port occupied, and given up.
static int take_over(struct api *api, const char *name,
                     bool (*fits)(int fd, const struct config *config))
{
    int kept = -1;
    for (int fd; (fd = handover_claim(api->agent->handover, name)) >= 0;) {
        if (kept < 0 && fits(fd, api->agent->config)) {
            kept = fd;
            continue;
        }
        shutdown(fd, SHUT_RDWR);
        close(fd);
        notify_forget_fd(api->agent->notify, name);
    }
    return kept;
}

static int open_local(struct api *api, struct error *err)
{
    const char *path = api->agent->config->socket_path;
    api->lock_fd = api_socket_lock(path, err);
    if (api->lock_fd < 0)
        return api->lock_fd;
    int fd = take_over(api, NAME_LOCAL, fits_local);
    if (fd < 0)
        fd = api_socket_open_local(path, err);
    if (fd < 0)
        return fd;
    api->socket_path = xstrdup(path);
    notify_store_fd(api->agent->notify, NAME_LOCAL, fd);
    return listener_start(api, &api->local, fd, false, API_CONNECTIONS_MOST, err);
}

static int open_health(struct api *api, struct error *err)
{
    const struct config *config = api->agent->config;
    int fd = take_over(api, NAME_HEALTH, fits_health);
    if (config->healthz_port == 0)
        return 0;
    if (fd < 0)
        fd = api_socket_open_health(config->healthz_bind_address, config->healthz_port, err);
    if (fd < 0)
        return fd;
    notify_store_fd(api->agent->notify, NAME_HEALTH, fd);
    return listener_start(api, &api->health, fd, true, API_HEALTH_CONNECTIONS_MOST, err);
}

int api_prepare(struct api *api, const struct config *next, struct error *err)
{
    const struct config *config = api->agent->config;
    if (next->healthz_port == 0 || next->healthz_port == config->healthz_port)
        return 0;
    int fd = api_socket_open_health(next->healthz_bind_address, next->healthz_port, err);
    if (fd < 0)
        return fd;
    handover_add(api->agent->handover, NAME_HEALTH, fd);
    return 0;
}

static void hand_over(struct api *api)
{
    struct handover *handover = api->agent->handover;
    if (!handover)
        return;
    if (api->local.fd >= 0)
        handover_add(handover, NAME_LOCAL, TAKE_FD(api->local.fd));
    if (api->health.fd >= 0)
        handover_add(handover, NAME_HEALTH, TAKE_FD(api->health.fd));
}

// ---- health checks ----

static bool is_readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&polled, 1, 0) > 0;
}

bool api_is_waited_for(const struct api *api, uint64_t *ret_turns)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    *ret_turns = api->turns;
    return (info && is_readable(info->epoll_fd)) || is_readable(api->local.fd) ||
           is_readable(api->health.fd);
}

static bool is_paused(const struct api_listener *listener)
{
    int paused = 0;
    return listener->resume && sd_event_source_get_enabled(listener->resume, &paused) > 0;
}

bool api_is_paused(const struct api *api)
{
    return is_paused(&api->local) || is_paused(&api->health);
}

// ---- public ----

static void on_event_added(void *userdata, const struct event *event)
{
    watches_event_added(userdata);
}

int api_start(struct agent *agent, struct api **ret, struct error *err)
{
    struct api *api = xcalloc(1, sizeof(*api));
    api->agent = agent;
    api->local.fd = api->health.fd = api->lock_fd = -1;
    int code = start_daemon(api, err);
    if (code == 0)
        code = join_loop(api, err);
    if (code == 0)
        code = open_local(api, err);
    if (code == 0)
        code = open_health(api, err);
    if (code < 0) {
        api_free(api);
        return code;
    }
    event_log_set_listener(agent->events, on_event_added, api);
    *ret = api;
    return 0;
}

void api_pod_changed(struct api *api, const struct pod_worker *w, bool deleted)
{
    if (!api)
        return;
    watches_pod_changed(api, w, deleted);
    logs_pod_changed(api, w, deleted);
}

void api_manifest_changed(struct api *api, const char *file)
{
    if (api)
        watches_manifest_changed(api, file);
}

// Who was let in gets his answer, if he asks at once: those in the queue are for the next agent.
static void finish_requests(struct api *api)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd readable = {.fd = info ? info->epoll_fd : -1, .events = POLLIN};
    monotime end = monotime_add_ms(monotime_now(), FAREWELL_MSEC);
    while (api->local.open + api->health.open > 0) {
        int64_t left = monotime_since(end, monotime_now()) / USEC_PER_MSEC;
        if (left <= 0 || poll(&readable, 1, (int)left) <= 0)
            return;
        MHD_run(api->daemon);
    }
}

// Suspended connections must be resumed before the daemon may be stopped.
static void stop_daemon(struct api *api)
{
    if (!api->daemon)
        return;
    api_streams_end(api);
    for (int i = 0; i < FAREWELL_TURNS && api->streams.n > 0; i++)
        MHD_run(api->daemon);
    finish_requests(api);
    MHD_stop_daemon(api->daemon);
}

void api_free(struct api *api)
{
    if (!api)
        return;
    if (api->agent->events)
        event_log_set_listener(api->agent->events, NULL, NULL);
    bool kept = api->agent->reexec || notify_is_heard(api->agent->notify);
    hand_over(api);
    listener_stop(&api->local);
    listener_stop(&api->health);
    stop_daemon(api);
    sd_event_source_disable_unref(api->readable);
    sd_event_source_disable_unref(api->timeout);
    sd_event_source_disable_unref(api->kick);
    if (api->socket_path && !kept) // else clients queue up at it for the next agent
        unlink(api->socket_path);
    if (api->lock_fd >= 0)
        close(api->lock_fd);
    free(api->streams.items);
    free(api->watches.items);
    free(api->event_watches.items);
    free(api->log_streams.items);
    free(api->socket_path);
    free(api->asker.agent);
    free(api->monit.agent);
    free(api);
}
