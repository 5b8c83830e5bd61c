// See shutdown.h.
#include "supervisor/shutdown.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/monotime.h"
#include "base/time-format.h"

#define LOGIND         "org.freedesktop.login1"
#define LOGIND_PATH    "/org/freedesktop/login1"
#define LOGIND_MANAGER "org.freedesktop.login1.Manager"

struct shutdown {
    struct shutdown_options options;
    sd_bus *bus; // NULL: there is none
    bool lost;   // the bus is to be dropped: it cannot be from its own callbacks
    bool told;   // that there is no D-Bus or no logind
    bool going;  // the machine goes down
    bool asked;  // for a lock
    int lock;    // as long as it is open, logind waits
};

static const struct event_object the_node;

// ---- the lock ----

static void release(struct shutdown *s)
{
    if (s->lock >= 0)
        close(TAKE_FD(s->lock));
}

// Told once, until it works.
static void tell_without(struct shutdown *s, const char *why)
{
    if (!s->told)
        log_info("logind is not asked to wait for the pods when the machine goes down: %s", why);
    s->told = true;
}

static int on_lock(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    struct shutdown *s = userdata;
    int fd;
    s->asked = false;
    if (sd_bus_message_is_method_error(reply, NULL)) {
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        tell_without(s, e->message ? e->message : e->name);
        return 0;
    }
    if (sd_bus_message_read(reply, "h", &fd) < 0)
        return 0;
    release(s);
    s->lock = fcntl(fd, F_DUPFD_CLOEXEC, 3); // the message owns its own
    s->told = false;
    if (s->lock >= 0)
        log_info("logind waits for the pods when the machine goes down");
    return 0;
}

static void ask_for_lock(struct shutdown *s)
{
    if (s->lock >= 0 || s->asked || s->going)
        return;
    int r = sd_bus_call_method_async(s->bus, NULL, LOGIND, LOGIND_PATH, LOGIND_MANAGER, "Inhibit",
                                     on_lock, s, "ssss", "shutdown", "mainstayd",
                                     "the pods are stopped in order", "delay");
    s->asked = r >= 0;
}

static int on_delay(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    struct shutdown *s = userdata;
    uint64_t usec;
    char granted[DURATION_SIZE], wanted[DURATION_SIZE];
    int64_t seconds = (s->options.budget_usec + USEC_PER_SEC - 1) / USEC_PER_SEC;
    if (sd_bus_message_is_method_error(reply, NULL) ||
        sd_bus_message_read(reply, "v", "t", &usec) < 0 ||
        usec >= (uint64_t)s->options.budget_usec || usec > (uint64_t)INT64_MAX / NSEC_PER_USEC)
        return 0;
    event_add(s->options.events, the_node, EVENT_WARNING, "ShutdownDelayTooShort",
              "logind holds the machine's end up for %s at most, and shutdownGracePeriod asks for "
              "%s: write \"[Login]\" and \"InhibitDelayMaxSec=%lld\" into "
              "/etc/systemd/logind.conf.d/mainstay.conf, then `systemctl kill -s HUP "
              "systemd-logind`; until then the unit stops what is left",
              duration_format_go((int64_t)usec * NSEC_PER_USEC, granted),
              duration_format_go(s->options.budget_usec * NSEC_PER_USEC, wanted),
              (long long)seconds);
    return 0;
}

static void begin(struct shutdown *s)
{
    s->going = true;
    event_add(s->options.events, the_node, EVENT_NORMAL, "NodeShutdown",
              "the machine goes down: the pods are stopped in order");
    s->options.begins(s->options.userdata);
}

// An agent that is started while the machine goes down must not start the pods anew.
static int on_preparing(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    struct shutdown *s = userdata;
    int going;
    if (!sd_bus_message_is_method_error(reply, NULL) &&
        sd_bus_message_read(reply, "v", "b", &going) >= 0 && going && !s->going)
        begin(s);
    return 0;
}

static void ask_logind(struct shutdown *s)
{
    ask_for_lock(s);
    sd_bus_call_method_async(s->bus, NULL, LOGIND, LOGIND_PATH, "org.freedesktop.DBus.Properties",
                             "Get", on_preparing, s, "ss", LOGIND_MANAGER, "PreparingForShutdown");
    sd_bus_call_method_async(s->bus, NULL, LOGIND, LOGIND_PATH, "org.freedesktop.DBus.Properties",
                             "Get", on_delay, s, "ss", LOGIND_MANAGER, "InhibitDelayMaxUSec");
}

// ---- what the bus tells ----

static int on_prepare(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
    struct shutdown *s = userdata;
    int starts;
    if (sd_bus_message_read(signal, "b", &starts) < 0 || (starts != 0) == s->going)
        return 0;
    if (starts) {
        begin(s);
        return 0;
    }
    s->going = false;
    event_add(s->options.events, the_node, EVENT_NORMAL, "NodeShutdownCancelled",
              "the machine does not go down after all: what was stopped for it is started again");
    s->options.cancelled(s->options.userdata);
    ask_for_lock(s);
    return 0;
}

// logind comes (again): locks outlive its restarts, but not a time before its first start.
static int on_owner(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
    struct shutdown *s = userdata;
    const char *name, *before, *after;
    if (sd_bus_message_read(signal, "sss", &name, &before, &after) >= 0 && *after)
        ask_logind(s);
    return 0;
}

static int on_disconnected(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
    struct shutdown *s = userdata;
    s->lost = true;
    s->asked = false;
    return 0;
}

// ---- the connection ----

static int watch(struct shutdown *s)
{
    int r = sd_bus_match_signal(s->bus, NULL, NULL, NULL, "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, s);
    if (r >= 0)
        r = sd_bus_match_signal_async(s->bus, NULL, LOGIND, LOGIND_PATH, LOGIND_MANAGER,
                                      "PrepareForShutdown", on_prepare, NULL, s);
    if (r >= 0)
        r = sd_bus_add_match_async(s->bus, NULL,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "path='/org/freedesktop/DBus',arg0='" LOGIND "'",
                                   on_owner, NULL, s);
    return r;
}

static void disconnect(struct shutdown *s)
{
    if (s->bus)
        sd_bus_detach_event(s->bus);
    s->bus = sd_bus_close_unref(s->bus);
    s->lost = s->asked = false;
}

static void connect_bus(struct shutdown *s)
{
    int r = sd_bus_open_system(&s->bus);
    if (r >= 0)
        r = sd_bus_attach_event(s->bus, s->options.event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = watch(s);
    if (r < 0) {
        tell_without(s, strerror(-r));
        disconnect(s);
        return;
    }
    ask_logind(s);
}

void shutdown_tick(struct shutdown *s)
{
    if (!s)
        return;
    if (s->lost)
        disconnect(s);
    if (!s->bus)
        connect_bus(s);
}

struct shutdown *shutdown_new(const struct shutdown_options *options)
{
    struct shutdown *s = xcalloc(1, sizeof(*s));
    s->options = *options;
    s->lock = -1;
    connect_bus(s);
    return s;
}

void shutdown_free(struct shutdown *s)
{
    if (!s)
        return;
    disconnect(s);
    release(s);
    free(s);
}

void shutdown_pods_stopped(struct shutdown *s)
{
    if (!s || !s->going)
        return;
    log_notice("the pods are stopped: the machine may go down");
    release(s);
}
