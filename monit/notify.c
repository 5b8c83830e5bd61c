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

enum {
    PENDING_MAX = 16 << 10,
    FEED_MOST_USEC = 15000000, // the longer the unit's WatchdogSec, the longer it may be frozen
};

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
    int64_t feed_usec;         // how often it is fed; 0 where there is none
    void (*check)(void *userdata);
    void *check_userdata;
    struct buffer pending;  // lines that did not get through yet
    struct fd_message *fds; // what is to be said about descriptors, oldest first
    char *status, *trouble; // the line for people; what was sent in its place, or NULL
    char *trouble_key;      // which parts `trouble` is about
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

int notify_connect(const char *path, struct error *err)
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

// ---- health ----

struct trouble {
    struct buffer text; // "pods: …; logs: …"
    struct buffer key;  // the parts and whether they failed: what makes it another trouble
    bool failed;
};

static void gather_trouble(const struct health *health, struct trouble *t)
{
    for (size_t i = 0; i < health_count(health); i++) {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        struct health_verdict v = health_part(health, i, &why);
        if (v.live && !v.degraded)
            continue;
        t->failed = t->failed || !v.live;
        buffer_printf(&t->text, "%s%s: %s", t->text.len > 0 ? "; " : "", v.name, buffer_str(&why));
        buffer_printf(&t->key, "%s%s ", v.name, v.live ? "" : "!");
    }
}

static void log_trouble(const struct notify *n, const struct trouble *t)
{
    _cleanup_free_ char *part = xasprintf("MAINSTAY_PART=%s", health_culprit(n->health));
    const char *const fields[] = {t->failed ? "MESSAGE_ID=" NOTIFY_UNHEALTHY_ID
                                            : "MESSAGE_ID=" NOTIFY_DEGRADED_ID,
                                  part, NULL};
    _cleanup_free_ char *message = xasprintf(
        "%s%s: %s", t->failed ? "unhealthy" : "degraded",
        t->failed && n->watchdog ? ", the watchdog is not fed" : "", buffer_str(&t->text));
    log_write_fields(t->failed ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, message, fields);
}

static void say_trouble(struct notify *n, struct trouble *t)
{
    bool news = !str_equal(n->trouble_key, buffer_str(&t->key));
    char *line = xasprintf("%s: %s", t->failed ? "Unhealthy" : "Degraded", buffer_str(&t->text));
    if (news)
        log_trouble(n, t);
    if (!str_equal(n->trouble, line))
        send_state(n, "STATUS=%s", line);
    free(n->trouble);
    n->trouble = line;
    free(n->trouble_key);
    n->trouble_key = buffer_take(&t->key);
}

static void say_recovered(struct notify *n)
{
    static const char *const fields[] = {"MESSAGE_ID=" NOTIFY_HEALTHY_ID, NULL};
    if (!n->trouble)
        return;
    _cleanup_free_ char *message = xasprintf("healthy again; it was %s", n->trouble);
    log_write_fields(LOG_LEVEL_NOTICE, message, fields);
    free(TAKE_PTR(n->trouble));
    free(TAKE_PTR(n->trouble_key));
    notify_repeat_status(n);
}

bool notify_health(struct notify *n)
{
    struct trouble t = {.text = BUFFER_EMPTY, .key = BUFFER_EMPTY};
    gather_trouble(n->health, &t);
    if (t.text.len > 0)
        say_trouble(n, &t);
    else
        say_recovered(n);
    buffer_free(&t.text);
    buffer_free(&t.key);
    return !t.failed;
}

void notify_repeat_status(struct notify *n)
{
    if (n->trouble)
        send_state(n, "STATUS=%s", n->trouble);
    else
        send_state(n, "STATUS=%s", n->status ? n->status : "");
}

// ---- the watchdog ----

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct notify *n = userdata;
    if (n->check)
        n->check(n->check_userdata);
    if (notify_health(n))
        send_state(n, "WATCHDOG=1");
    sd_event_source_set_time_relative(source, (uint64_t)n->feed_usec);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int arm_watchdog(struct notify *n, struct error *err)
{
    uint64_t usec;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    n->feed_usec = (int64_t)MIN(usec / 2, (uint64_t)FEED_MOST_USEC);
    int code = sd_event_add_time_relative(n->loop, &n->watchdog, CLOCK_MONOTONIC, 0,
                                          (uint64_t)n->feed_usec / 8, on_watchdog, n);
    return code < 0 ? error_errno(err, code, "arm the watchdog's timer") : 0;
}

int64_t notify_feeds_every(const struct notify *n)
{
    return n->feed_usec;
}

void notify_set_check(struct notify *n, void (*check)(void *userdata), void *userdata)
{
    n->check = check;
    n->check_userdata = userdata;
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
        int code = notify_connect(path, err);
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
    free(n->trouble_key);
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
