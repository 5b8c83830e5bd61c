// See notify.h. sd_notify() itself is not used: it waits for room in the service manager's queue,
// and the loop must not.
#include "monit/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/monotime.h"
#include "base/string-list.h"
#include "base/time-format.h"

enum { PENDING_MAX = 16 << 10 };

struct fd_message { // FDNAME= would be mixed up with others: a datagram of its own
    struct fd_message *next;
    char *text;
    int fd; // goes with it; -1: none
};

struct notify {
    sd_event *loop;
    struct health *health;
    int fd;                    // connected to NOTIFY_SOCKET; -1 where there is none
    sd_event_source *writable; // while `pending` waits for room in the manager's queue
    sd_event_source *watchdog; // NULL where no watchdog is asked for
    uint64_t watchdog_usec;
    struct buffer pending;  // lines that did not get through yet
    struct fd_message *fds; // what is to be said about descriptors, oldest first
    char *status, *trouble; // the line for people; what was sent in its place, or NULL
};

// ---- sending ----

// False: there is no room now.
static bool send_datagram(const struct notify *n, const char *text, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec content = {.iov_base = (char *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &content, .msg_iovlen = 1};
    if (fd >= 0) {
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control.space);
    }
    if (sendmsg(n->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
        return false;
    log_debug("the service manager was not told: %s", strerror(errno));
    return true;
}

static void drop_fd_message(struct notify *n)
{
    struct fd_message *message = n->fds;
    n->fds = message->next;
    if (message->fd >= 0)
        close(message->fd);
    free(message->text);
    free(message);
}

static bool try_send(struct notify *n)
{
    if (n->pending.len > 0 && !send_datagram(n, buffer_str(&n->pending), -1))
        return false;
    buffer_truncate(&n->pending, 0);
    while (n->fds) {
        if (!send_datagram(n, n->fds->text, n->fds->fd))
            return false;
        drop_fd_message(n);
    }
    return true;
}

static int on_writable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct notify *n = userdata;
    if (try_send(n))
        n->writable = sd_event_source_disable_unref(n->writable);
    return 0;
}

// Now, or as soon as there is room.
static void send_all(struct notify *n)
{
    if (n->writable || try_send(n))
        return;
    if (sd_event_add_io(n->loop, &n->writable, n->fd, EPOLLOUT, on_writable, n) < 0)
        n->writable = NULL; // it is tried again together with the next message
}

static void send_state(struct notify *n, const char *format, ...) _printf_(2, 3);
static void send_state(struct notify *n, const char *format, ...)
{
    if (n->fd < 0)
        return;
    if (n->pending.len > PENDING_MAX)
        buffer_truncate(&n->pending, 0); // nobody has listened for long
    if (n->pending.len > 0)
        buffer_add_char(&n->pending, '\n');
    va_list args;
    va_start(args, format);
    buffer_vprintf(&n->pending, format, args);
    va_end(args);
    send_all(n);
}

// Takes `text` and `fd`.
static void send_fd_message(struct notify *n, char *text, int fd)
{
    struct fd_message **end = &n->fds;
    while (*end)
        end = &(*end)->next;
    *end = xcalloc(1, sizeof(**end));
    **end = (struct fd_message){.text = text, .fd = fd};
    send_all(n);
}

static int connect_manager(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof(address.sun_path))
        return error_set(err, EINVAL, "NOTIFY_SOCKET=%s is no socket's address", path);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, size) < 0)
        return error_errno(err, errno, "connect to the service manager at NOTIFY_SOCKET=%s", path);
    return TAKE_FD(fd);
}

// ---- the watchdog ----

static void say_trouble(struct notify *n, monotime now)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < health_count(n->health); i++) {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        bool ok, ready;
        const char *name = health_part(n->health, i, now, &ok, &ready, &why);
        if (!ok)
            buffer_printf(&text, "%s%s: %s", text.len > 0 ? "; " : "", name, buffer_str(&why));
    }
    if (str_equal(n->trouble, buffer_str(&text)))
        return;
    free(n->trouble);
    n->trouble = buffer_take(&text);
    log_error("unhealthy, the watchdog is not fed: %s", n->trouble);
    send_state(n, "STATUS=Unhealthy: %s", n->trouble);
}

static void say_recovered(struct notify *n)
{
    if (!n->trouble)
        return;
    log_notice("healthy again: %s has recovered", n->trouble);
    free(n->trouble);
    n->trouble = NULL;
    send_state(n, "STATUS=%s", n->status ? n->status : "");
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct notify *n = userdata;
    monotime now = monotime_now();
    if (health_is_live(n->health, now)) {
        say_recovered(n);
        send_state(n, "WATCHDOG=1");
    } else {
        say_trouble(n, now);
    }
    sd_event_source_set_time_relative(source, n->watchdog_usec / 2);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int arm_watchdog(struct notify *n, struct error *err)
{
    if (sd_watchdog_enabled(0, &n->watchdog_usec) <= 0)
        return 0;
    int code = sd_event_add_time_relative(n->loop, &n->watchdog, CLOCK_MONOTONIC, 0,
                                          n->watchdog_usec / 8, on_watchdog, n);
    return code < 0 ? error_errno(err, code, "arm the watchdog's timer") : 0;
}

// ---- public ----

int notify_new(sd_event *loop, struct health *health, struct notify **ret, struct error *err)
{
    _cleanup_(cleanup_notify_free) struct notify *n = xcalloc(1, sizeof(*n));
    const char *path = getenv("NOTIFY_SOCKET");
    n->loop = sd_event_ref(loop);
    n->health = health;
    n->fd = -1;
    if (path && path[0] != '\0') {
        int code = connect_manager(path, err);
        if (code < 0)
            return code;
        n->fd = code;
        code = arm_watchdog(n, err);
        if (code < 0)
            return code;
    }
    *ret = TAKE_PTR(n);
    return 0;
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    sd_event_source_disable_unref(n->writable);
    sd_event_source_disable_unref(n->watchdog);
    sd_event_unref(n->loop);
    if (n->fd >= 0)
        close(n->fd);
    while (n->fds)
        drop_fd_message(n);
    buffer_free(&n->pending);
    free(n->status);
    free(n->trouble);
    free(n);
}

bool notify_is_heard(const struct notify *n)
{
    return n && n->fd >= 0;
}

void notify_ready(struct notify *n)
{
    send_state(n, "READY=1\nMAINPID=%d", (int)getpid());
}

void notify_reloading(struct notify *n)
{
    struct timespec now; // CLOCK_MONOTONIC as sd_notify(3) asks, not the clock of monotime
    clock_gettime(CLOCK_MONOTONIC, &now);
    send_state(n, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
               (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC);
}

void notify_stopping(struct notify *n)
{
    send_state(n, "STOPPING=1");
}

void notify_extend(struct notify *n, int64_t usec)
{
    send_state(n, "EXTEND_TIMEOUT_USEC=%" PRId64, usec);
}

void notify_store_fd(struct notify *n, const char *name, int fd)
{
    int copy = notify_is_heard(n) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy >= 0)
        send_fd_message(n, xasprintf("FDSTORE=1\nFDNAME=%s", name), copy);
}

void notify_forget_fd(struct notify *n, const char *name)
{
    if (notify_is_heard(n))
        send_fd_message(n, xasprintf("FDSTOREREMOVE=1\nFDNAME=%s", name), -1);
}

void notify_status(struct notify *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *status = xvasprintf(format, args);
    va_end(args);
    for (char *c = status; *c; c++)
        if (*c == '\n')
            *c = ' ';
    if (str_equal(status, n->status))
        return;
    free(n->status);
    n->status = TAKE_PTR(status);
    if (!n->trouble)
        send_state(n, "STATUS=%s", n->status);
}

bool notify_describe(struct buffer *out)
{
    uint64_t usec = 0;
    char every[DURATION_SIZE];
    if (str_empty(getenv("NOTIFY_SOCKET")))
        return false;
    if (sd_watchdog_enabled(0, &usec) > 0)
        buffer_printf(out, "watchdog every %s",
                      duration_format_go((int64_t)usec * NSEC_PER_USEC, every));
    else
        buffer_add_str(out, "started it, without a watchdog");
    return true;
}
