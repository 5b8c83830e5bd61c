// What the agent tells its service manager (sd_notify(3)): that it is ready, what it is doing, that
// it reloads or stops, and, as long as the health registry says that it is live, that it is alive.
// Everything from the loop; nothing here blocks, also when the service manager hangs.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"
#include "monit/health.h"

struct notify;

// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Without them every call below does nothing.
// Where a watchdog is asked for, it is fed from the loop twice per interval, and every 15 s at
// least (so that of a long interval most is left for a machine that is frozen), but only while
// health_is_live().
int notify_new(sd_event *loop, struct health *health, struct notify **ret, struct error *err);
void notify_free(struct notify *notify);
DEFINE_CLEANUP(struct notify *, notify_free)

// A datagram socket (non-blocking, close-on-exec) connected to the service manager at `path`, the
// value of NOTIFY_SOCKET. A negative errno with *err.
int notify_connect(const char *path, struct error *err);

// How often the watchdog is fed; 0 where there is none.
int64_t notify_feeds_every(const struct notify *notify);
// To be called every time before that, and to bring the registry up to date.
void notify_set_check(struct notify *notify, void (*check)(void *userdata), void *userdata);

// Tells what has changed in the registry, by STATUS= ("Unhealthy: PART: why", "Degraded: …", and
// the line of notify_status() after it) and, once for each trouble, in the journal with one of the
// ids below and MAINSTAY_PART (the first part). The watchdog's turn does it by itself. Returns
// whether all parts are live.
bool notify_health(struct notify *notify);
#define NOTIFY_UNHEALTHY_ID "f2fc943573a0401dbaa6729fc6075961"
#define NOTIFY_DEGRADED_ID  "10b9dfba5c2e4588a482f80eeff90f33"
#define NOTIFY_HEALTHY_ID   "224de7560a0542e8a66b6fd45431f233"

// Whether there is a service manager that hears what is told; `notify` may be NULL.
bool notify_is_heard(const struct notify *notify);

void notify_ready(struct notify *notify);     // READY=1 and MAINPID=; also ends a reload
void notify_reloading(struct notify *notify); // RELOADING=1, MONOTONIC_USEC= (Type=notify-reload)
void notify_stopping(struct notify *notify);  // STOPPING=1
// EXTEND_TIMEOUT_USEC=: starting, reloading or stopping may go on for as long from now, whatever
// the unit's time-outs are. To be repeated while there is progress.
void notify_extend(struct notify *notify, int64_t usec);

// The manager keeps (FDSTORE=1) a copy of the descriptor and gives it to the next process of this
// service, however this one ends (monit/handover.h receives it); one that it has already is not
// kept twice. FDSTOREREMOVE=1: it closes what it keeps by this name. They reach it in order.
void notify_store_fd(struct notify *notify, const char *name, int fd);
void notify_forget_fd(struct notify *notify, const char *name);

// The line that `systemctl status` shows. Sent when it differs from the last one.
void notify_status(struct notify *notify, const char *format, ...) _printf_(2, 3);

// Sends it again: somebody else has spoken in this process's name (monit/hang.h).
void notify_repeat_status(struct notify *notify);
