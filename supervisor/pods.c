// See pods.h. A slot per namespace/name holds the instance that runs and the spec that is to follow
// it. A successor begins its life in the loop's next turn after the old instance is gone.
#include "supervisor/pods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/work.h"
#include "supervisor/pods-internal.h"
#include "supervisor/state.h"

// ---- what must run ----

static void start_instance(struct slot *slot, struct pod *pod, const char *file, bool held)
{
    struct pod_worker *w = slot_new_worker(slot, pod, file);
    monotime now = monotime_now();
    if (runtime_claim(slot->pods->runtime, w, now) > 0) {
        pod_worker_resume(w, now);
        return;
    }
    if (slot->pods->stopping)
        pod_worker_hold_for_exit(w, slot->pods->stopping, now);
    else if (held)
        pod_worker_hold(w, now);
    else
        pods_admit(slot);
    slot->pods->options.changed(slot->pods->options.userdata, w, false);
}

static bool is_same(const struct pod_worker *w, const struct pod *pod)
{
    char hash[33];
    return str_equal(w->pod->metadata.uid, pod->metadata.uid) &&
           strcmp(w->hash, pod_hash(pod, hash)) == 0;
}

static void set_file(struct pod_worker *w, const char *file)
{
    if (str_equal(w->file, file))
        return;
    free(w->file);
    w->file = xstrdup_or_null(file);
}

// The source wants what an earlier agent ran: go on with it.
static void confirm_restored(struct slot *slot)
{
    slot->restored = false;
    pod_worker_resume(slot->worker, monotime_now());
    pods_admit(slot);
}

// Shims of an earlier instance whose records are lost, and that nobody will claim: a pod is made up
// from them, so that they are stopped like any other and nothing starts before they are gone.
static void take_up_strays(struct slot *slot, const char *wanted_uid)
{
    const struct shim_spec *spec =
        runtime_unclaimed(slot->pods->runtime, slot->namespace_, slot->name, wanted_uid);
    if (!spec || slot->worker)
        return;
    struct pod *pod = runtime_pod_of_runs(slot->pods->runtime, spec->pod_uid);
    struct pod_worker *w = slot_new_worker(slot, pod, NULL);
    monotime now = monotime_now();
    runtime_claim(slot->pods->runtime, w, now);
    pod_worker_remove(w, now);
    pod_worker_resume(w, now);
}

void pods_set(struct pods *pods, struct pod *pod, const char *file)
{
    WORK_SCOPE("pods", "pod", pod->metadata.namespace, pod->metadata.name);
    struct slot *slot = slot_get(pods, pod->metadata.namespace, pod->metadata.name);
    if (!slot->worker)
        take_up_strays(slot, pod->metadata.uid);
    if (!slot->worker) {
        start_instance(slot, pod, file, false);
        return;
    }
    slot_drop_next(slot);
    if (!slot->gone && !slot->worker->removing && is_same(slot->worker, pod)) {
        set_file(slot->worker, file);
        pod_free(pod);
        pod_worker_keep(slot->worker, monotime_now());
        if (slot->restored)
            confirm_restored(slot);
        return;
    }
    slot->next = pod;
    slot->next_file = xstrdup_or_null(file);
    bool restored = slot->restored;
    slot->restored = false;
    if (!depends_hold_back(slot))
        pod_worker_remove(slot->worker, monotime_now());
    depends_look_again(pods);
    if (restored)
        pod_worker_resume(slot->worker, monotime_now());
}

void pods_removed(struct pods *pods, const char *namespace_, const char *name, const char *uid)
{
    WORK_SCOPE("pods", "pod", namespace_, name);
    struct slot *slot = slot_find(pods, namespace_, name);
    if (!slot)
        return;
    // What runs on is known by the UID of its successor.
    bool held_back = slot->held_back || (slot->worker && slot->worker->asked & POD_ORDER_REMOVE);
    bool drops = slot->next && (!uid || str_equal(slot->next->metadata.uid, uid));
    if (drops)
        slot_drop_next(slot);
    if (slot->worker &&
        (!uid || (drops && held_back) || str_equal(slot->worker->pod->metadata.uid, uid)))
        pod_worker_remove(slot->worker, monotime_now());
}

static void stop_unclaimed(struct pods *pods)
{
    const struct shim_spec *spec;
    while ((spec = runtime_unclaimed(pods->runtime, NULL, NULL, NULL))) {
        struct slot *slot = slot_get(pods, spec->pod_namespace, spec->pod_name);
        if (slot->worker) // a second instance beside one with records: nothing may wait for it
            runtime_doom(pods->runtime, spec->pod_uid);
        else
            take_up_strays(slot, NULL);
    }
}

static bool knows(void *userdata, const char *uid)
{
    const struct pods *pods = userdata;
    for (size_t i = 0; i < pods->n; i++) {
        const struct slot *slot = pods->slots[i];
        if ((slot->worker && str_equal(slot->worker->pod->metadata.uid, uid)) ||
            (slot->next && str_equal(slot->next->metadata.uid, uid)))
            return true;
    }
    return false;
}

void pods_synced(struct pods *pods)
{
    monotime now = monotime_now();
    pods->synced = true;
    for (size_t i = 0; i < pods->n; i++) {
        struct slot *slot = pods->slots[i];
        if (!slot->restored || !slot->worker)
            continue;
        slot->restored = false;
        pod_worker_remove(slot->worker, now);
        pod_worker_resume(slot->worker, now);
    }
    stop_unclaimed(pods);
    runtime_remove_strays(pods->runtime, knows, pods);
}

// ---- the end of an instance ----

static void reap_slot(struct slot *slot)
{
    struct pods *pods = slot->pods;
    struct pod_worker *w = TAKE_PTR(slot->worker);
    WORK_SCOPE("pods", "pod", slot->namespace_, slot->name);
    bool held = w->held;
    slot->gone = false;
    pods->options.changed(pods->options.userdata, w, true);
    runtime_release(pods->runtime, w);
    pod_worker_free(w);
    take_up_strays(slot, slot->next ? slot->next->metadata.uid : NULL);
    if (slot->worker || !slot->next)
        return;
    _cleanup_free_ char *file = TAKE_PTR(slot->next_file);
    start_instance(slot, TAKE_PTR(slot->next), file, held);
}

static int on_reap(sd_event_source *source, void *userdata)
{
    struct pods *pods = userdata;
    for (size_t i = pods->n; i > 0; i--) {
        struct slot *slot = pods->slots[i - 1];
        if (slot->gone)
            reap_slot(slot);
        if (!slot->worker && !slot->next)
            slot_remove(pods, slot);
    }
    if (pods->synced)
        stop_unclaimed(pods);
    depends_look_again(pods);
    pods_look_at_gates(pods);
    pods_stop_look_again(pods);
    return 0;
}

static void on_gone(void *userdata, struct pod_worker *w)
{
    struct pods *pods = userdata;
    struct slot *slot = w->owner;
    slot->gone = true;
    sd_event_source_set_enabled(pods->reap, SD_EVENT_ONESHOT);
}

static void on_changed(void *userdata, struct pod_worker *w)
{
    struct pods *pods = userdata;
    struct slot *slot = w->owner;
    pods->options.changed(pods->options.userdata, w, false);
    depends_changed(slot);
    pods_guard_changed(slot);
    if (w->state == POD_WAITING && !w->waiting_reason)
        pods->at_gates++;
    pods_look_at_gates(pods);
    pods_stop_look_again(pods);
}

static void on_network_changed(void *userdata)
{
    pods_look_at_gates(userdata);
}

static const struct runtime_owner_ops owner_ops = {
    .network_changed = on_network_changed, .changed = on_changed, .gone = on_gone};

// ---- start and end of the agent ----

int pods_new(const struct pods_options *options, struct pods **ret, struct error *err)
{
    _cleanup_(cleanup_pods_free) struct pods *pods = xcalloc(1, sizeof(*pods));
    pods->options = *options;
    int r = runtime_new(&options->runtime, &owner_ops, pods, &pods->runtime, err);
    if (r < 0)
        return r;
    r = sd_event_add_defer(options->runtime.event, &pods->reap, on_reap, pods);
    if (r >= 0)
        r = sd_event_source_set_enabled(pods->reap, SD_EVENT_OFF);
    if (r >= 0)
        r = pods_admit_init(pods);
    if (r >= 0)
        r = pods_order_init(pods);
    if (r < 0)
        return error_errno(err, r, "event loop");
    *ret = TAKE_PTR(pods);
    return 0;
}

void pods_free(struct pods *pods)
{
    if (!pods)
        return;
    for (size_t i = 0; i < pods->n; i++)
        slot_free(pods->slots[i]);
    depends_forget_graph(pods);
    pods_stop_free(pods);
    pods_order_free(pods);
    free(pods->slots);
    sd_event_source_disable_unref(pods->reap);
    sd_event_source_disable_unref(pods->admit);
    runtime_free(pods->runtime);
    free(pods);
}

static void restore_one(struct pods *pods, const char *uid, size_t *adopted)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *file = NULL;
    const char *dir = pods->options.runtime.state_dir;
    struct pod *pod = NULL;
    bool rebooted = false;
    if (state_load_pod(dir, uid, &pod, &file, &err) < 0) {
        event_add(pods->options.runtime.events, (struct event_object){.uid = uid}, EVENT_WARNING,
                  "StateDamaged", "%s", error_message(&err));
        return;
    }
    struct slot *slot = slot_get(pods, pod->metadata.namespace, pod->metadata.name);
    if (slot->worker) { // two UIDs of one name: the other one's shims, if any, are taken up later
        pod_free(pod);
        state_remove(dir, uid);
        return;
    }
    WORK_SCOPE("pods", "pod", slot->namespace_, slot->name);
    struct pod_worker *w = slot_new_worker(slot, pod, file);
    if (state_load_worker(dir, w, &rebooted, &err) == -EBADMSG)
        event_add(pods->options.runtime.events,
                  (struct event_object){.namespace_ = slot->namespace_, .pod = slot->name},
                  EVENT_WARNING, "StateDamaged", "%s: its history is lost", error_message(&err));
    w->rebooted = rebooted;
    slot->restored = true;
    *adopted += runtime_claim(pods->runtime, w, monotime_now());
}

int pods_restore(struct pods *pods, size_t *ret_adopted, struct error *err)
{
    _cleanup_string_list_ struct string_list uids = {0};
    *ret_adopted = 0;
    int r = state_list(pods->options.runtime.state_dir, &uids, err);
    if (r >= 0)
        r = runtime_find_runs(pods->runtime, err);
    if (r < 0)
        return r;
    LIST_EACH (uid, &uids) {
        restore_one(pods, *uid, ret_adopted);
        pods->options.progress(pods->options.userdata);
    }
    return 0;
}

void pods_flush(struct pods *pods)
{
    runtime_flush(pods->runtime);
}

size_t pods_unsaved(const struct pods *pods, uint64_t *ret_flushes, bool *ret_refused)
{
    return runtime_unsaved(pods->runtime, ret_flushes, ret_refused);
}
