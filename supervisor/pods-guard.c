// The quorum guard of pods that are members of etcd: which pods these are, when it is asked, and
// what becomes of its word. A guard stands beside its pod's slot, since it is there from the order
// to stop one instance until the next one is ready.
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "base/work.h"
#include "podspec/annotations.h"
#include "supervisor/pods-internal.h"
#include "supervisor/quorum-guard.h"

#define ANNOTATION "mainstay.dev/quorum-guard"
#define OF_KUBEADM "kubeadm.kubernetes.io/etcd.advertise-client-urls"

enum {
    RETRY_USEC = 5000000,  // after a child that ended without its word
    AWAY_USEC = 600000000, // how long a member that was stopped is waited for
    FORCE_USEC = 30000000, // how long an order that is to be forced may take to come
};

struct slot_guard {
    struct slot *slot;
    struct quorum_guard *child; // NULL: between two attempts
    bool away;                  // it was let go: the member is being stopped, or started
    bool probe_failed;          // what the child was told
    monotime failing;           // since when there is no child that could be asked
    sd_event_source *timer;     // the next attempt; the end of the wait for the member
};

// ---- which pods ----

// "true" or "false" of our annotation, else what kubeadm's tells.
static bool is_member(const struct pod *pod)
{
    const char *own = string_map_get(&pod->metadata.annotations, ANNOTATION);
    return own ? str_equal(own, "true")
               : string_map_get(&pod->metadata.annotations, OF_KUBEADM) != NULL;
}

static bool is_switched_off(const struct pod *pod)
{
    return str_equal(string_map_get(&pod->metadata.annotations, ANNOTATION), "false");
}

static bool is_guarded(const struct slot *slot)
{
    const struct pods *pods = slot->pods;
    bool off = slot->next && is_switched_off(slot->next);
    return pods->options.guard_program && !pods->stopping && is_member(slot->worker->pod) && !off;
}

// ---- the end of a guard ----

static void guard_drop(struct slot *slot, void (*how)(struct quorum_guard *child))
{
    struct slot_guard *g = TAKE_PTR(slot->guard);
    if (!g)
        return;
    how(TAKE_PTR(g->child));
    sd_event_source_disable_unref(g->timer);
    free(g);
}

void pods_guard_free(struct slot *slot)
{
    guard_drop(slot, quorum_guard_free);
}

void pods_guard_gone(struct slot *slot)
{
    guard_drop(slot, quorum_guard_gone);
}

static void forget(struct pod_worker *w)
{
    struct slot *slot = w->owner;
    if (slot->guard && !slot->guard->away)
        guard_drop(slot, quorum_guard_free);
}

void pods_guard_changed(struct slot *slot)
{
    const struct pod_worker *w = slot->worker;
    if (!slot->guard || !slot->guard->away || !w || slot->gone || w->removing || slot->next)
        return;
    if (pod_worker_is_ready(w))
        guard_drop(slot, quorum_guard_ready);
    else if (w->state == POD_HELD || w->state == POD_FINISHED)
        guard_drop(slot, quorum_guard_gone);
}

// ---- its word ----

static void slot_event(const struct slot *slot, enum event_type type, const char *reason,
                       const char *text)
{
    const struct event_object about = {
        .namespace_ = slot->namespace_,
        .pod = slot->name,
        .uid = slot->worker ? slot->worker->pod->metadata.uid : NULL,
        .file = slot->worker ? slot->worker->file : NULL,
    };
    event_add(slot->pods->options.runtime.events, about, type, reason, "%s", text);
}

static void arm(struct slot_guard *g, int64_t usec);

static void let_go(struct slot_guard *g)
{
    g->away = true;
    g->failing = (monotime){0};
    arm(g, AWAY_USEC);
    pod_worker_let_go(g->slot->worker, monotime_now());
}

// Nobody can be asked at all: that must not keep the pod as it is for ever.
static void on_failure(struct slot_guard *g, const char *why)
{
    char patience[DURATION_SIZE];
    struct slot *slot = g->slot;
    monotime now = monotime_now();
    int64_t patience_usec = slot->pods->options.guard_patience_usec;
    if (!g->failing.usec)
        g->failing = now;
    duration_format_go(patience_usec * NSEC_PER_USEC, patience);
    if (monotime_since(now, g->failing) < patience_usec) {
        _cleanup_free_ char *text =
            xasprintf("%s; it is stopped nevertheless when this has lasted for %s", why, patience);
        pod_worker_guard_waits(slot->worker, EVENT_WARNING, text, now);
        arm(g, MIN((int64_t)RETRY_USEC, patience_usec));
        return;
    }
    _cleanup_free_ char *text = xasprintf("stopped without knowing whether the quorum is kept, "
                                          "after %s: %s",
                                          patience, why);
    slot_event(slot, EVENT_WARNING, "QuorumGuardOverridden", text);
    let_go(g);
}

static void on_word(void *userdata, enum quorum_word word, const char *text)
{
    struct slot_guard *g = userdata;
    struct slot *slot = g->slot;
    WORK_SCOPE("pods", "pod", slot->namespace_, slot->name);
    if (word == QUORUM_ENDED) {
        quorum_guard_free(TAKE_PTR(g->child));
        if (!g->away)
            on_failure(g, text);
        return;
    }
    g->failing = (monotime){0};
    if (word == QUORUM_WAITS || word == QUORUM_REFUSES) {
        enum event_type type = word == QUORUM_WAITS ? EVENT_NORMAL : EVENT_WARNING;
        pod_worker_guard_waits(slot->worker, type, text, monotime_now());
        return;
    }
    if (word == QUORUM_PASSES) {
        _cleanup_free_ char *why =
            xasprintf("stopped without knowing whether the quorum is kept: %s", text);
        slot_event(slot, EVENT_WARNING, "QuorumGuardOverridden", why);
    } else if (*text) {
        slot_event(slot, EVENT_NORMAL, "QuorumGuardPassed", text);
    }
    let_go(g);
}

// ---- asking ----

static void start(struct slot_guard *g)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const struct pods *pods = g->slot->pods;
    const struct quorum_guard_options options = {
        .event = pods->options.runtime.event,
        .program = pods->options.guard_program,
        .pod = g->slot->worker->pod,
        .probe_failed = g->probe_failed,
        .patience_usec = pods->options.guard_patience_usec,
        .says = on_word,
        .userdata = g,
    };
    if (quorum_guard_start(&options, &g->child, &err) < 0) {
        g->child = NULL;
        on_failure(g, error_message(&err));
    }
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct slot_guard *g = userdata;
    struct slot *slot = g->slot;
    WORK_SCOPE("pods", "pod", slot->namespace_, slot->name);
    if (g->away) { // the child looks on for itself
        guard_drop(slot, quorum_guard_free);
        return 0;
    }
    start(g);
    return 0;
}

static void arm(struct slot_guard *g, int64_t usec)
{
    sd_event *event = g->slot->pods->options.runtime.event;
    int r = 0;
    if (!g->timer)
        r = sd_event_add_time_relative(event, &g->timer, CLOCK_BOOTTIME, (uint64_t)usec, 0, on_time,
                                       g);
    else
        r = sd_event_source_set_time_relative(g->timer, (uint64_t)usec);
    if (r >= 0)
        sd_event_source_set_enabled(g->timer, SD_EVENT_ONESHOT);
}

// The first attempt is made from the loop: whoever orders the stop has more to do first.
static void begin(struct slot *slot, bool probe_failed)
{
    struct slot_guard *g = xcalloc(1, sizeof(*g));
    *g = (struct slot_guard){.slot = slot, .probe_failed = probe_failed};
    slot->guard = g;
    arm(g, 0);
}

// A child that is at work goes on, unless it is stricter than the new order allows.
static void ask_again(struct slot *slot, bool probe_failed)
{
    struct slot_guard *g = slot->guard;
    if (g->away && g->child) {
        g->away = false;
        sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
        quorum_guard_again(g->child);
    } else if (g->away || (g->probe_failed && !probe_failed)) {
        guard_drop(slot, quorum_guard_free);
        begin(slot, probe_failed);
    }
}

static bool is_forced(struct slot *slot)
{
    bool forced = monotime_reached(monotime_now(), slot->forced_until);
    slot->forced_until = (monotime){0};
    if (forced)
        slot_event(slot, EVENT_WARNING, "QuorumGuardOverridden",
                   "stopped by --force, whatever becomes of the quorum");
    return forced;
}

static bool ask(struct pod_worker *w, enum pod_order order)
{
    struct slot *slot = w->owner;
    if (!is_guarded(slot) || is_forced(slot))
        return true;
    if (slot->guard)
        ask_again(slot, order == POD_ORDER_PROBE);
    else
        begin(slot, order == POD_ORDER_PROBE);
    return false;
}

const struct pod_guard_ops pods_guard_ops = {.ask = ask, .forget = forget};

bool pods_force(struct pods *pods, const struct pod_worker *w, bool coming)
{
    struct slot *slot = w->owner;
    monotime now = monotime_now();
    if (!w->asked) {
        if (coming && is_guarded(slot))
            slot->forced_until = monotime_add_usec(now, FORCE_USEC);
        return false;
    }
    slot_event(slot, EVENT_WARNING, "QuorumGuardOverridden",
               "stopped by --force, whatever becomes of the quorum");
    guard_drop(slot, quorum_guard_free);
    pod_worker_let_go(slot->worker, now);
    return true;
}
