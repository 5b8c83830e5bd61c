// The runtime's upkeep of workers: their timers, and their state on disk, written when the loop has
// nothing more urgent to do. The record of an exit goes to disk before the shim's own record of it
// is removed, so an agent that dies in between finds one of them. A pod whose container is on its
// way up is written once that is over, for a moment at the most: the start has the processor and
// the disk for itself, and is one record and not two. Until then the shim's directory tells of it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/work.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/runtime-internal.h"
#include "supervisor/state.h"

enum {
    FLUSH_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 5, // before the API tells of it
    RETRY_USEC = 5000000,
    HOLD_USEC = 20000, // a start takes 3 ms
    TIMER_ACCURACY_USEC = 1000,
};

struct keep *keep_of(struct pod_worker *w)
{
    if (!w->keep)
        w->keep = xcalloc(1, sizeof(struct keep));
    return w->keep;
}

static void flush(struct runtime *rt, monotime now);

static int on_flush(sd_event_source *source, void *userdata)
{
    flush(userdata, monotime_now());
    return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    flush(userdata, monotime_now());
    return 0;
}

int runtime_keep_init(struct runtime *rt, struct error *err)
{
    int r = sd_event_add_defer(rt->options.event, &rt->flush, on_flush, rt);
    if (r >= 0)
        r = sd_event_source_set_priority(rt->flush, FLUSH_PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_enabled(rt->flush, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time(rt->options.event, &rt->retry, CLOCK_BOOTTIME, 0, 0, on_retry, rt);
    if (r >= 0)
        r = sd_event_source_set_priority(rt->retry, FLUSH_PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_enabled(rt->retry, SD_EVENT_OFF);
    return r < 0 ? error_errno(err, r, "event loop") : 0;
}

void runtime_keep_free(struct runtime *rt)
{
    sd_event_source_disable_unref(rt->flush);
    sd_event_source_disable_unref(rt->retry);
    free(rt->dirty.items);
}

void runtime_mark_dirty(struct runtime *rt, struct pod_worker *w)
{
    struct keep *keep = keep_of(w);
    if (!keep->dirty) {
        keep->dirty = true;
        keep->dirty_at = monotime_now();
        *LIST_APPEND(&rt->dirty) = w;
    }
    if (!work_is_silenced("state"))
        sd_event_source_set_enabled(rt->flush, SD_EVENT_ONESHOT);
}

size_t runtime_unsaved(const struct runtime *rt, uint64_t *ret_flushes, bool *ret_refused)
{
    *ret_flushes = rt->flushes;
    *ret_refused = rt->refused;
    return rt->dirty.n;
}

static int save(struct runtime *rt, struct pod_worker *w, struct error *err)
{
    struct keep *keep = w->keep;
    int r = keep->pod_saved ? 0 : state_save_pod(rt->options.state_dir, w, err);
    if (r < 0)
        return r;
    keep->pod_saved = true;
    return state_save_worker(rt->options.state_dir, w, err);
}

// Their exits are on disk: the shims' own records may go.
static void forget_done(struct runtime *rt, struct pod_worker *w)
{
    struct keep *keep = w->keep;
    for (size_t i = 0; i < keep->done.n;) {
        struct run *run = keep->done.items[i];
        if (!run->over) { // its directory is still being read
            i++;
            continue;
        }
        _cleanup_error_ struct error err = ERROR_NONE;
        int r = shim_link_forget(run->link);
        if (r < 0)
            log_warning("shim %s: its directory cannot be removed (%d)", run->spec.id, r);
        if (container_spec_remove_instance(&rt->options.containers, w->pod, run->spec.container,
                                           run->spec.restart_count, &err) < 0)
            log_warning("pod %s: %s", w->pod->metadata.name, error_message(&err));
        if (run->spec.root_upper)
            volumes_sweeper_kick(rt->sweeper);
        run_list_remove(&keep->done, run);
        run_free(run);
    }
}

static bool flush_worker(struct runtime *rt, struct pod_worker *w)
{
    WORK_SCOPE("state", "pod", w->pod->metadata.namespace, w->pod->metadata.name);
    _cleanup_error_ struct error err = ERROR_NONE;
    struct keep *keep = w->keep;
    if (w->state == POD_GONE)
        return true;
    if (save(rt, w, &err) < 0) {
        if (!keep->complained)
            pod_worker_event(w, NULL, EVENT_WARNING, "StateNotSaved",
                             "%s; the pod runs on, and this is tried again every few seconds: make "
                             "room, or look at the permissions",
                             error_message(&err));
        keep->complained = true;
        return false;
    }
    keep->complained = false;
    forget_done(rt, w);
    return true;
}

static bool is_starting(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (w->containers[i].state == CONTAINER_STARTING)
            return true;
    return false;
}

static void retry_in(struct runtime *rt, int64_t usec)
{
    sd_event_source_set_time_relative(rt->retry, (uint64_t)usec);
    sd_event_source_set_enabled(rt->retry, SD_EVENT_ONESHOT);
}

// Writes what is not held for a start; `now` MONOTIME_NEVER holds nothing.
static void flush(struct runtime *rt, monotime now)
{
    struct pod_worker **dirty = rt->dirty.items;
    size_t n = rt->dirty.n, held = 0, refused = 0;
    rt->dirty.items = NULL;
    rt->dirty.n = 0;
    rt->flushes++;
    for (size_t i = 0; i < n; i++) {
        struct keep *keep = keep_of(dirty[i]);
        bool hold = is_starting(dirty[i]) &&
                    !monotime_reached(monotime_add_usec(keep->dirty_at, HOLD_USEC), now);
        keep->dirty = false;
        if (!hold && flush_worker(rt, dirty[i]))
            continue;
        held += hold;
        refused += !hold;
        keep->dirty = true;
        *LIST_APPEND(&rt->dirty) = dirty[i];
    }
    free(dirty);
    rt->refused = refused > 0;
    if (held || refused)
        retry_in(rt, held ? HOLD_USEC : RETRY_USEC);
}

void runtime_flush(struct runtime *rt)
{
    flush(rt, MONOTIME_NEVER);
}

void runtime_release(struct runtime *rt, struct pod_worker *w)
{
    struct keep *keep = w->keep;
    volumes_limits_remove(rt->limits, w);
    sandbox_release(rt->sandboxes, w->pod->metadata.uid);
    if (!keep)
        return;
    runtime_count_tier(rt, w, true);
    for (size_t i = 0; i < rt->dirty.n; i++)
        if (rt->dirty.items[i] == w)
            rt->dirty.items[i--] = rt->dirty.items[--rt->dirty.n];
    sd_event_source_disable_unref(keep->timer);
    for (size_t i = 0; i < w->n_containers; i++) {
        run_free(w->containers[i].run);
        w->containers[i].run = NULL;
    }
    LIST_EACH (run, &keep->done)
        run_free(*run);
    free(keep->done.items);
    free(keep);
    w->keep = NULL;
}
