// The health registry that every part of the agent reports to: /healthz, /readyz?verbose, the
// watchdog and STATUS= all read it.
//
// A part can be in trouble in two ways, and which it is decides what happens:
//
// failed     A restart of the agent may cure it: /livez, /healthz and /readyz are red and the
//            watchdog is not fed, so the service manager (or monit, by /healthz) restarts the
//            agent, which costs the pods nothing.
// degraded   No restart of the agent cures it: a process that does not die of SIGKILL, a shim that
//            has never answered this agent, a disk that takes no state. Restarting for it would be
//            restarting for ever. Only /readyz is red; STATUS= and an event name it; the watchdog
//            is fed. (So a shim that falls silent costs one restart: the next agent has never heard
//            it.)
//
// Silence is measured in time in which the agent could run, the *health clock*. It goes on by what
// has passed between two calls of health_observe(), but by two periods of the agent's health tick
// at most: whatever is more is a gap in which the machine slept or was frozen, the agent was
// stopped, or the load let nobody run. After a gap every part has its full time anew.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/monotime.h"

struct health;

// `period_usec`: how often health_observe() is called at least, where the agent can run.
struct health *health_new(int64_t period_usec, monotime now);
void health_free(struct health *health);

// Where it turns out to be another one.
void health_set_period(struct health *health, int64_t period_usec);

// Lets the health clock go on. To be called at every health tick, and before health is asked for.
void health_observe(struct health *health, monotime now);

// Registers a part ("loop", "source", "pods", …) that must report at least every `max_silence_usec`
// of the health clock (0: only its explicit state counts). `name` is copied. Returns its index.
size_t health_register(struct health *health, const char *name, int64_t max_silence_usec);
void health_alive(struct health *health, size_t part);
// message NULL: well again. Copied.
void health_set_failed(struct health *health, size_t part, const char *message);
void health_set_degraded(struct health *health, size_t part, const char *message);
// A part that must have reported once before the agent is ready.
void health_set_ready(struct health *health, size_t part, bool ready);

// Something that is waited for. Zero-initialised.
struct health_wait {
    bool waiting;
    uint64_t what, since; // of the health clock
};
// How long, by the health clock, `what` has been waited for without a change; 0 when it is seen for
// the first time.
int64_t health_waiting(const struct health *health, struct health_wait *wait, uint64_t what);
// Nothing is waited for now.
void health_waited(struct health_wait *wait);

bool health_is_live(const struct health *health);  // every part well and not silent
bool health_is_ready(const struct health *health); // live, and every part ready and not degraded
// The name of the first part that is not live, else of the first that is degraded, or NULL.
const char *health_culprit(const struct health *health);

size_t health_count(const struct health *health);

struct health_verdict {
    const char *name;           // borrowed
    bool live, degraded, ready; // ready: live, not degraded, and has reported
};
// One part, and, where it is not ready, why (appended to `why`).
struct health_verdict health_part(const struct health *health, size_t part, struct buffer *why);
// The index of the part, or -1.
ssize_t health_find(const struct health *health, const char *name);

// "[+]loop ok\n[-]source failed: silent for 45s\n…healthz check passed\n", as the kubelet's and
// kube-apiserver's ?verbose. `check` is the endpoint's name; `readiness`: what /readyz asks for.
// Parts for which `skip` (may be NULL) returns true are told as left out and do not count. Returns
// whether the check passed.
bool health_describe(const struct health *health, const char *check, bool readiness,
                     bool (*skip)(const char *part, void *userdata), void *userdata,
                     struct buffer *out);
