// Stopping every pod of the node: by an operator, or because the agent or the machine ends. What
// depends on others stops before them, a low priority before a high one, and the rest together
// (depend-graph.c has the rules). Each turn tells those whose turn has come; a turn follows
// whenever a pod changes, and when the time of one that does not end is up.
#include "base/alloc.h"
#include "base/log.h"
#include "supervisor/pods-internal.h"
#include "supervisor/qos.h"

enum {
    STEP_USEC = 2000000,         // what a stop needs at least (the floor of every grace period)
    PATIENCE_USEC = 10000000,    // after SIGKILL: what hangs in the kernel holds nobody up
    PATIENCE_CUT_USEC = 1000000, // the same where the time is limited
};

static const char for_exit[] = "stopped because the agent ends; the next one starts it again";
static const char for_shutdown[] =
    "stopped because the machine goes down; the next agent starts it again";

struct stop {
    bool held;                 // by an operator: each stays so until it is started
    bool tells;                // all_stopped() is to be called
    struct pods_budget budget; // nothing in it: no limit
    monotime normal_end;       // of those that are not critical
    monotime critical_end;     // 0: their time has not begun
    sd_event_source *turn, *timer;
};

// ---- what is in the way ----

static bool is_alive(const struct slot *slot)
{
    const struct pod_worker *w = slot->worker;
    bool has_sandbox = w && (w->state == POD_PREPARING || w->state == POD_DISMANTLING);
    return w && !slot->gone && (pod_worker_is_alive(w) || has_sandbox);
}

static bool is_in_way(const struct slot *slot, monotime now)
{
    if (!is_alive(slot))
        return false;
    return slot->stop == STOP_DUE ||
           (slot->stop == STOP_TOLD && !monotime_reached(slot->stop_until, now));
}

// All that a turn needs to know of the pods, by the index of their slots.
struct view {
    const struct depend_graph *graph;
    int64_t *priorities;
    bool *gone;
};

static void view_open(struct pods *pods, monotime now, struct view *ret)
{
    ret->graph = depends_graph(pods);
    ret->priorities = xcalloc(pods->n + 1, sizeof(*ret->priorities));
    ret->gone = xcalloc(pods->n + 1, sizeof(*ret->gone));
    for (size_t i = 0; i < pods->n; i++) {
        const struct slot *slot = pods->slots[i];
        ret->priorities[i] = slot->priority;
        ret->gone[i] = !is_in_way(slot, now);
    }
    depend_graph_raise(ret->graph, ret->priorities);
}

static void view_close(struct view *view)
{
    free(view->priorities);
    free(view->gone);
}

static bool is_critical(const struct view *view, size_t i)
{
    return view->priorities[i] >= PRIORITY_CLUSTER_CRITICAL;
}

// ---- the time that there is ----

static bool has_budget(const struct stop *stop)
{
    return stop->budget.total_usec > 0;
}

// The time of the critical ones begins when the others are gone, or theirs is up.
static void begin_critical(struct pods *pods, const struct view *view, monotime now)
{
    struct stop *stop = pods->stop;
    if (stop->critical_end.usec > 0)
        return;
    for (size_t i = 0; i < pods->n; i++)
        if (!view->gone[i] && !is_critical(view, i))
            return;
    monotime end = monotime_add_usec(stop->normal_end, stop->budget.critical_usec);
    stop->critical_end = monotime_min(end, monotime_add_usec(now, stop->budget.critical_usec));
}

// When the pod must be gone; never where nothing limits it.
static monotime end_of(const struct stop *stop, const struct view *view, size_t i)
{
    if (!has_budget(stop))
        return MONOTIME_NEVER;
    if (!is_critical(view, i) || stop->budget.critical_usec == 0)
        return stop->normal_end;
    return stop->critical_end.usec > 0 ? stop->critical_end : MONOTIME_NEVER;
}

// From here on whoever is left is told at once, out of order: that is better than not at all.
static monotime last_call(const struct stop *stop, const struct view *view, size_t i)
{
    monotime end = end_of(stop, view, i);
    return monotime_is_never(end) ? end : monotime_add_usec(end, -(int64_t)STEP_USEC);
}

// ---- telling one ----

static monotime later(monotime a, monotime b)
{
    return a.usec > b.usec ? a : b;
}

static void hold(struct slot *slot, monotime now)
{
    if (slot->pods->stop->held)
        pod_worker_hold(slot->worker, now);
    else
        pod_worker_hold_for_exit(slot->worker, slot->pods->stopping, now);
}

// The steps that follow its own get their least time, too.
static void tell(struct slot *slot, const struct view *view, monotime now)
{
    const struct stop *stop = slot->pods->stop;
    size_t i = slot_index_of(slot);
    monotime end = end_of(stop, view, i);
    slot->stop = STOP_TOLD;
    slot->stop_until = monotime_add_usec(pod_worker_grace_end(slot->worker, now), PATIENCE_USEC);
    if (!monotime_is_never(end)) {
        int64_t behind = (int64_t)depend_graph_behind(view->graph, view->priorities, i);
        end = later(monotime_add_usec(end, -behind * (STEP_USEC + PATIENCE_CUT_USEC)),
                    monotime_add_usec(now, 1));
        pod_worker_cut_grace(slot->worker, end, now);
        end = later(end, monotime_add_usec(now, STEP_USEC));
        slot->stop_until =
            monotime_min(slot->stop_until, monotime_add_usec(end, PATIENCE_CUT_USEC));
    }
    hold(slot, now);
}

static size_t tell_whose_turn_it_is(struct pods *pods, const struct view *view, monotime now)
{
    size_t told = 0;
    for (size_t i = 0; i < pods->n; i++) {
        struct slot *slot = pods->slots[i];
        if (slot->stop != STOP_DUE)
            continue;
        if (!is_alive(slot)) {
            slot->stop = STOP_NONE;
            if (slot->worker && !slot->gone)
                hold(slot, now);
        } else if (monotime_reached(last_call(pods->stop, view, i), now) ||
                   depend_graph_may_stop(view->graph, view->priorities, view->gone, i)) {
            tell(slot, view, now);
            told++;
        }
    }
    return told;
}

// Only pods that wait for each other are left; they run since before one of them was edited.
static void tell_all(struct pods *pods, const struct view *view, monotime now)
{
    for (size_t i = 0; i < pods->n; i++)
        if (pods->slots[i]->stop == STOP_DUE && is_alive(pods->slots[i]))
            tell(pods->slots[i], view, now);
}

// ---- turns ----

static void set_timer(struct pods *pods, const struct view *view)
{
    monotime next = MONOTIME_NEVER;
    for (size_t i = 0; i < pods->n; i++) {
        const struct slot *slot = pods->slots[i];
        if (view->gone[i])
            continue;
        next = monotime_min(next, slot->stop == STOP_TOLD ? slot->stop_until
                                                          : last_call(pods->stop, view, i));
    }
    if (monotime_is_never(next)) {
        sd_event_source_set_enabled(pods->stop->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(pods->stop->timer, next.usec);
    sd_event_source_set_enabled(pods->stop->timer, SD_EVENT_ONESHOT);
}

static void tell_left(const struct pods *pods)
{
    for (size_t i = 0; i < pods->n; i++)
        if (is_alive(pods->slots[i]))
            log_warning("pod %s/%s does not end: nobody waits for it any longer",
                        pods->slots[i]->namespace_, pods->slots[i]->name);
}

// The next agent is to start what this one stopped only because it ends.
static void forget_holds(struct pods *pods)
{
    for (size_t i = 0; i < pods->n; i++) {
        struct pod_worker *w = pods->slots[i]->worker;
        if (w && w->held_for_exit)
            pod_worker_forget_hold(w);
    }
}

static void finish(struct pods *pods)
{
    bool tells = pods->stop->tells;
    tell_left(pods);
    if (pods->stopping == for_exit)
        forget_holds(pods);
    pods_stop_free(pods);
    for (size_t i = 0; i < pods->n; i++)
        pods->slots[i]->stop = STOP_NONE;
    if (tells)
        pods->options.all_stopped(pods->options.userdata);
}

static void take_turn(struct pods *pods)
{
    monotime now = monotime_now();
    struct view view;
    bool any = false, waits = false;
    view_open(pods, now, &view);
    begin_critical(pods, &view, now);
    if (tell_whose_turn_it_is(pods, &view, now) == 0) {
        for (size_t i = 0; i < pods->n; i++)
            waits = waits || (!view.gone[i] && pods->slots[i]->stop == STOP_TOLD);
        if (!waits)
            tell_all(pods, &view, now);
    }
    for (size_t i = 0; i < pods->n; i++) {
        view.gone[i] = !is_in_way(pods->slots[i], now);
        any = any || !view.gone[i];
    }
    if (any)
        set_timer(pods, &view);
    else
        finish(pods);
    view_close(&view);
}

static int on_turn(sd_event_source *source, void *userdata)
{
    struct pods *pods = userdata;
    if (pods->stop)
        take_turn(pods);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    return on_turn(source, userdata);
}

void pods_stop_look_again(struct pods *pods)
{
    if (pods->stop)
        sd_event_source_set_enabled(pods->stop->turn, SD_EVENT_ONESHOT);
}

void pods_stop_free(struct pods *pods)
{
    struct stop *stop = TAKE_PTR(pods->stop);
    if (!stop)
        return;
    sd_event_source_disable_unref(stop->turn);
    sd_event_source_disable_unref(stop->timer);
    free(stop);
}

// ---- its beginning ----

// Without sources there is no order, but all are told.
static void stop_at_once(struct pods *pods)
{
    monotime now = monotime_now();
    for (size_t i = 0; i < pods->n; i++)
        if (pods->slots[i]->worker && !pods->slots[i]->gone)
            hold(pods->slots[i], now);
}

static int add_sources(struct pods *pods)
{
    sd_event *event = pods->options.runtime.event;
    int r = sd_event_add_defer(event, &pods->stop->turn, on_turn, pods);
    if (r >= 0)
        r = sd_event_add_time(event, &pods->stop->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, pods);
    return r < 0 ? r : sd_event_source_set_enabled(pods->stop->timer, SD_EVENT_OFF);
}

static void begin(struct pods *pods, bool held, struct pods_budget budget)
{
    monotime now = monotime_now();
    pods_stop_free(pods);
    pods->stop = xcalloc(1, sizeof(*pods->stop));
    *pods->stop = (struct stop){.held = held, .tells = !held, .budget = budget};
    if (has_budget(pods->stop))
        pods->stop->normal_end = monotime_add_usec(now, budget.total_usec - budget.critical_usec);
    for (size_t i = 0; i < pods->n; i++)
        pods->slots[i]->stop = STOP_DUE;
    if (add_sources(pods) < 0)
        stop_at_once(pods);
}

void pods_stop_all(struct pods *pods)
{
    begin(pods, true, (struct pods_budget){0});
}

// One that was begun for the machine's end goes on; who is told at its end is for the owner.
void pods_stop_for_exit(struct pods *pods)
{
    bool begun = pods->stop && pods->stopping;
    pods->stopping = for_exit;
    if (!begun)
        begin(pods, false, pods->options.budget);
}

void pods_stop_for_shutdown(struct pods *pods)
{
    if (pods->stopping)
        return;
    pods->stopping = for_shutdown;
    begin(pods, false, pods->options.budget);
}

void pods_shutdown_cancelled(struct pods *pods)
{
    if (pods->stopping != for_shutdown)
        return;
    pods->stopping = NULL;
    pods_stop_free(pods);
    for (size_t i = 0; i < pods->n; i++) {
        struct slot *slot = pods->slots[i];
        slot->stop = STOP_NONE;
        if (slot->worker && !slot->gone && slot->worker->held_for_exit)
            pod_worker_release(slot->worker, monotime_now());
    }
}

// ---- what others ask ----

monotime pods_grace_end(const struct pods *pods)
{
    monotime end = {0};
    for (size_t i = 0; i < pods->n; i++) {
        const struct pod_worker *w = pods->slots[i]->worker;
        // Whose turn is still to come will have its grace then.
        if (w && pods->slots[i]->stop == STOP_DUE)
            end = later(end, pod_worker_grace_end(w, monotime_now()));
        for (size_t c = 0; w && c < w->n_containers; c++)
            if (container_state_is_alive(w->containers[c].state))
                end.usec = MAX(end.usec, w->containers[c].grace_end.usec);
    }
    return end;
}
