// See revisions.h: what the source tells, and the trials. A verdict is carried out in the loop's
// next turn, since pods must not be touched from inside of what they tell.
#include "supervisor/revisions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/process.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "base/work.h"
#include "podspec/annotations.h"
#include "supervisor/revisions-internal.h"

enum {
    // A trial that ended while no agent was there: what the pod is now must have been seen.
    RESUME_USEC = 2000000,
    DEADLINE_ACCURACY_USEC = 10000,
};

// ---- what is tracked ----

static struct tracked *tracked_get(struct revisions *r, const char *namespace_, const char *name)
{
    struct tracked *t = tracked_find(r, namespace_, name);
    if (t)
        return t;
    size_t i = tracked_index(r, namespace_, name);
    LIST_APPEND(&r->tracked);
    t = &r->tracked.items[i];
    memmove(t + 1, t, (r->tracked.n - 1 - i) * sizeof(*t));
    *t = (struct tracked){.namespace_ = xstrdup(namespace_), .name = xstrdup(name)};
    return t;
}

static void tracked_clear(struct tracked *t)
{
    free(t->namespace_);
    free(t->name);
    free(t->failed_message);
    history_free(&t->history);
}

static void arm_deadline(struct revisions *r)
{
    monotime earliest = MONOTIME_NEVER;
    LIST_EACH (t, &r->tracked)
        if (t->on_trial && t->trial.deadline.usec)
            earliest = monotime_min(earliest, t->trial.deadline);
    if (monotime_is_never(earliest)) {
        sd_event_source_set_enabled(r->deadline, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(r->deadline, earliest.usec);
    sd_event_source_set_enabled(r->deadline, SD_EVENT_ONESHOT);
}

static const struct pod_worker *worker_of(const struct revisions *r, const struct tracked *t)
{
    return pods_worker(r->options.pods, t->namespace_, t->name);
}

static void tell_changed(const struct revisions *r, const struct tracked *t)
{
    const struct pod_worker *w = worker_of(r, t);
    if (w)
        r->options.changed(r->options.userdata, w);
}

static struct event_object about(const struct tracked *t, const struct revision *revision)
{
    return (struct event_object){
        .namespace_ = t->namespace_, .pod = t->name, .uid = revision->uid, .file = revision->file};
}

// ---- what the source tells ----

static int64_t confirm_window(const struct pod *pod)
{
    _cleanup_pod_annotations_ struct pod_annotations annotations = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    return pod_annotations_parse(pod, &annotations, &err) < 0 ? 0 : annotations.confirm_usec;
}

// The manifest as it was written, or, where that is not at hand, the pod that was made of it.
static char *text_of(const struct revisions *r, const struct pod *pod, const char *file,
                     bool *ret_complete)
{
    struct buffer text = BUFFER_EMPTY;
    const char *source = string_map_get(&pod->metadata.annotations, "kubernetes.io/config.source");
    *ret_complete = false;
    if (file && str_equal(source, "file") &&
        r->options.manifest(r->options.userdata, file, &text) == 0 &&
        str_is_utf8(buffer_str(&text), text.len, NULL))
        return buffer_take(&text);
    *ret_complete = true;
    buffer_truncate(&text, 0);
    pod_to_yaml(pod, &text);
    return buffer_take(&text);
}

static void set_spec(struct tracked *t, const char *hash)
{
    if (strcmp(t->hash, hash) != 0)
        t->ready_noted = false;
    snprintf(t->hash, sizeof(t->hash), "%s", hash);
    t->verdict = TRIAL_GOES_ON;
    t->on_trial = false;
    t->failed = 0;
    free(t->failed_message);
    t->failed_message = NULL;
}

static void set_untried(struct revisions *r, struct tracked *t, struct pod *pod, const char *file)
{
    struct note note = {.kind = NOTE_ACCEPTED,
                        .namespace_ = xstrdup(t->namespace_),
                        .name = xstrdup(t->name),
                        .uid = xstrdup_or_null(pod->metadata.uid),
                        .file = xstrdup_or_null(file),
                        .when = walltime_now()};
    pod_hash(pod, note.hash);
    set_spec(t, note.hash);
    note.text = text_of(r, pod, file, &note.complete);
    revisions_note(r, &note);
    arm_deadline(r);
    pods_set(r->options.pods, pod, file);
}

static const char *fence_of(const struct pod *pod)
{
    return string_map_get(&pod->metadata.annotations, ANNOTATION_FENCE);
}

// The revision's pod, which is to run instead of one with this fence (NULL: none). -EPERM where it
// would run unguarded, or by another lease; -EBADMSG as history_pod().
static int pod_instead(const struct revisions *r, const struct history *history,
                       const struct revision *revision, const char *fence, struct pod **ret,
                       struct error *err)
{
    struct pod *pod = NULL;
    int code = history_pod(history, revision, r->options.node_name, &pod, err);
    if (code == 0 && fence && !str_equal(fence_of(pod), fence)) {
        pod_free(pod);
        return error_set(err, EPERM,
                         "revision %" PRIu64 " is not bound to podmaster's lease as the newest is",
                         revision->number);
    }
    if (code == 0)
        *ret = pod;
    return code;
}

// True where the manifest's content has failed its trial before: then the pod of the revision that
// runs instead is set.
static bool set_instead(struct revisions *r, struct tracked *t, const struct history *history,
                        const struct pod *manifest, const char *hash, const char *file)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const struct revision *failed = history_find(history, history->failed);
    const struct revision *current = history_current(history);
    struct pod *pod = NULL;
    if (!failed || !current || strcmp(failed->hash, hash) != 0)
        return false;
    if (pod_instead(r, history, current, fence_of(manifest), &pod, &err) < 0) {
        event_add(r->options.events, about(t, current), EVENT_WARNING, "StateDamaged",
                  "%s: the manifest that failed its trial is tried again", error_message(&err));
        return false;
    }
    set_spec(t, current->hash);
    t->failed = failed->number;
    t->failed_message = xstrdup(failed->message ? failed->message : "");
    pods_set(r->options.pods, pod, file);
    return true;
}

static void begin_trial(struct history *history)
{
    struct revision *current = history_current(history);
    current->tried = true;
    history->trial = (struct history_trial){.number = current->number};
}

// A trial that an earlier agent began goes on; after a reboot it begins anew with the instance.
static void resume_trial(struct tracked *t, monotime now)
{
    char boot_id[37];
    t->resumed = true;
    if (!str_equal(t->trial.boot_id, process_boot_id(boot_id)))
        t->trial.deadline = (monotime){0};
    else if (t->trial.deadline.usec)
        t->trial.deadline.usec =
            MAX(t->trial.deadline.usec, monotime_add_usec(now, RESUME_USEC).usec);
}

static void set_tried(struct revisions *r, struct tracked *t, struct pod *pod, const char *file,
                      int64_t window_usec)
{
    char hash[33];
    struct history history = {0};
    bool complete, kept = false;
    pod_hash(pod, hash);
    revisions_load(r, t->namespace_, t->name, &history);
    if (set_instead(r, t, &history, pod, hash, file)) {
        history_free(&history);
        pod_free(pod);
        tell_changed(r, t);
        return;
    }
    bool was_on_trial = t->on_trial && strcmp(t->hash, hash) == 0;
    _cleanup_free_ char *text = text_of(r, pod, file, &complete);
    const struct history_spec spec = {hash, pod->metadata.uid, file, text, complete};
    bool news = history_accept(&history, &spec, walltime_now());
    if (news)
        begin_trial(&history);
    revisions_save(r, &history);
    if (!was_on_trial) {
        set_spec(t, hash);
        t->window_usec = window_usec;
        t->on_trial = history.trial.number != 0;
        t->trial = history.trial;
        if (t->on_trial && !news)
            resume_trial(t, monotime_now());
        history_free(&t->history);
        kept = t->on_trial;
        if (kept)
            t->history = history;
    }
    if (!kept)
        history_free(&history);
    arm_deadline(r);
    pods_set(r->options.pods, pod, file);
}

void revisions_set(struct revisions *r, struct pod *pod, const char *file)
{
    WORK_SCOPE("history", "pod", pod->metadata.namespace, pod->metadata.name);
    struct tracked *t = tracked_get(r, pod->metadata.namespace, pod->metadata.name);
    int64_t window_usec = confirm_window(pod);
    if (window_usec > 0)
        set_tried(r, t, pod, file, window_usec);
    else
        set_untried(r, t, pod, file);
}

void revisions_removed(struct revisions *r, const char *namespace_, const char *name,
                       const char *uid)
{
    struct tracked *t = tracked_find(r, namespace_, name);
    // What runs instead of a manifest that failed has another UID.
    pods_removed(r->options.pods, namespace_, name, t && t->failed ? NULL : uid);
    if (!t)
        return;
    struct note note = {.kind = NOTE_REMOVED,
                        .namespace_ = xstrdup(namespace_),
                        .name = xstrdup(name),
                        .when = walltime_now()};
    revisions_note(r, &note);
    size_t i = (size_t)(t - r->tracked.items);
    tracked_clear(t);
    memmove(t, t + 1, (r->tracked.n - i - 1) * sizeof(*t));
    r->tracked.n--;
    arm_deadline(r);
}

// ---- trials ----

static void save_trial(struct revisions *r, const struct tracked *t)
{
    _cleanup_history_ struct history history = {0};
    revisions_load(r, t->namespace_, t->name, &history);
    if (history.trial.number != t->trial.number)
        return;
    history.trial = t->trial;
    revisions_save(r, &history);
}

// Also a container that waits for its next start is on trial.
static bool has_begun(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (w->containers[i].state == CONTAINER_BACKOFF)
            return true;
    return pod_worker_is_alive(w);
}

// The instance is there: its window begins, unless it goes on with one of an earlier agent.
static void meet_instance(struct revisions *r, struct tracked *t, const struct pod_worker *w)
{
    bool fresh = !t->trial.deadline.usec || (t->resumed && !has_begun(w));
    t->resumed = false;
    if (!fresh)
        return;
    trial_begin(&t->trial, t->window_usec, monotime_now());
    save_trial(r, t);
    arm_deadline(r);
}

static void step(struct revisions *r, struct tracked *t, const struct pod_worker *w)
{
    bool changed = false;
    if (w->held_for_exit)
        return; // the next agent goes on with the trial
    if (t->resumed || !t->trial.deadline.usec)
        meet_instance(r, t, w);
    struct trial_look look = trial_look_at(w);
    t->verdict = trial_step(&t->trial, &look, monotime_now(), &changed);
    if (changed)
        save_trial(r, t);
    if (t->verdict != TRIAL_GOES_ON)
        sd_event_source_set_enabled(r->judge, SD_EVENT_ONESHOT);
}

void revisions_pod_changed(struct revisions *r, const struct pod_worker *w)
{
    struct tracked *t = tracked_find(r, w->pod->metadata.namespace, w->pod->metadata.name);
    if (!t || w->removing || strcmp(t->hash, w->hash) != 0)
        return;
    bool good = pod_worker_is_ready(w) || str_equal(pod_worker_phase(w), "Succeeded");
    if (good && !t->ready_noted) {
        struct note note = {.kind = NOTE_READY,
                            .namespace_ = xstrdup(t->namespace_),
                            .name = xstrdup(t->name),
                            .when = walltime_now()};
        snprintf(note.hash, sizeof(note.hash), "%s", w->hash);
        t->ready_noted = true;
        revisions_note(r, &note);
    }
    if (t->on_trial && t->verdict == TRIAL_GOES_ON)
        step(r, t, w);
}

static void load_tried(struct revisions *r, struct tracked *t, struct history *ret)
{
    revisions_load(r, t->namespace_, t->name, ret);
    const struct revision *current = history_current(ret);
    if (current && strcmp(current->hash, t->hash) == 0)
        return;
    history_free(ret);
    *ret = t->history;
    t->history = (struct history){0};
}

static void confirm(struct revisions *r, struct tracked *t)
{
    _cleanup_history_ struct history history = {0};
    char window[DURATION_SIZE];
    load_tried(r, t, &history);
    const struct revision *current = history_current(&history);
    t->on_trial = false;
    if (!current || strcmp(current->hash, t->hash) != 0)
        return;
    history_confirmed(&history);
    revisions_save(r, &history);
    event_add(r->options.events, about(t, current), EVENT_NORMAL, "Confirmed",
              "revision %" PRIu64 " has passed its trial of %s", current->number,
              duration_format_go(t->window_usec * NSEC_PER_USEC, window));
}

struct guarded {
    const struct revisions *r;
    const struct history *history;
    const char *fence;
};

static bool is_guarded_alike(void *userdata, const struct revision *revision)
{
    const struct guarded *guarded = userdata;
    struct pod *pod = NULL;
    int code = pod_instead(guarded->r, guarded->history, revision, guarded->fence, &pod, NULL);
    pod_free(pod);
    return code != -EPERM; // one that cannot be read is told of
}

// The spec to go back to from one with this fence (NULL: none), and its pod; NULL where there is
// none, with the reason in `why_not`.
static struct revision *find_good(const struct revisions *r, const struct history *history,
                                  const char *fence, struct pod **ret, struct buffer *why_not)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct guarded guarded = {r, history, fence};
    struct revision *good = history_good_that(history, fence ? is_guarded_alike : NULL, &guarded);
    if (!good)
        buffer_add_str(why_not, fence && history_good(history)
                                    ? "no earlier spec that was ever ready is bound to podmaster's "
                                      "lease as this one is"
                                    : "there is no earlier spec that was ever ready");
    if (!good || pod_instead(r, history, good, fence, ret, &err) == 0)
        return good;
    buffer_add_str(why_not, error_message(&err));
    return NULL;
}

// The last good spec comes back, on the way of every change: after the old instance is gone.
static void fail(struct revisions *r, struct tracked *t, const struct pod *tried, const char *why)
{
    _cleanup_history_ struct history history = {0};
    _cleanup_buffer_ struct buffer why_not = BUFFER_EMPTY;
    struct pod *pod = NULL;
    load_tried(r, t, &history);
    const struct revision *failed = history_current(&history);
    t->on_trial = false;
    if (!failed || strcmp(failed->hash, t->hash) != 0)
        return;
    struct revision *good = find_good(r, &history, fence_of(tried), &pod, &why_not);
    history_failed(&history, good, why, walltime_now());
    revisions_save(r, &history);
    if (!good) {
        event_add(r->options.events, about(t, failed), EVENT_WARNING, "TrialFailed",
                  "revision %" PRIu64 ": %s; it runs on, because %s", failed->number, why,
                  buffer_str(&why_not));
        t->failed_message = xasprintf("%s; it runs on, because %s", why, buffer_str(&why_not));
        return;
    }
    event_add(r->options.events, about(t, failed), EVENT_WARNING, "TrialFailed",
              "revision %" PRIu64 ": %s; revision %" PRIu64
              " comes back, until the manifest is changed again",
              failed->number, why, good->number);
    set_spec(t, good->hash);
    t->failed = failed->number;
    t->failed_message = xstrdup(why);
    pods_set(r->options.pods, pod, failed->file);
}

static void carry_out(struct revisions *r, struct tracked *t)
{
    WORK_SCOPE("history", "pod", t->namespace_, t->name);
    enum trial_verdict verdict = t->verdict;
    const struct pod_worker *w = worker_of(r, t);
    t->verdict = TRIAL_GOES_ON;
    if (!t->on_trial || !w || strcmp(w->hash, t->hash) != 0)
        return;
    if (verdict == TRIAL_PASSED) {
        confirm(r, t);
    } else {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        trial_explain(verdict, w, &why);
        fail(r, t, w->pod, buffer_str(&why));
    }
    if (!t->on_trial)
        history_free(&t->history);
    arm_deadline(r);
    tell_changed(r, t);
}

static int on_judge(sd_event_source *source, void *userdata)
{
    struct revisions *r = userdata;
    for (size_t i = 0; i < r->tracked.n; i++)
        if (r->tracked.items[i].verdict != TRIAL_GOES_ON)
            carry_out(r, &r->tracked.items[i]);
    return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct revisions *r = userdata;
    monotime now = monotime_now();
    for (size_t i = 0; i < r->tracked.n; i++) {
        struct tracked *t = &r->tracked.items[i];
        if (!t->on_trial || !t->trial.deadline.usec || !monotime_reached(t->trial.deadline, now))
            continue;
        const struct pod_worker *w = worker_of(r, t);
        if (w && strcmp(w->hash, t->hash) == 0)
            step(r, t, w);
        else
            t->trial.deadline = (monotime){0}; // an instance is still to come: it begins with that
    }
    arm_deadline(r);
    return 0;
}

// ---- start and end ----

int revisions_new(const struct revisions_options *options, struct revisions **ret,
                  struct error *err)
{
    _cleanup_(cleanup_revisions_free) struct revisions *r = xcalloc(1, sizeof(*r));
    r->options = *options;
    int code = sd_event_add_defer(options->event, &r->judge, on_judge, r);
    if (code >= 0)
        code = sd_event_source_set_enabled(r->judge, SD_EVENT_OFF);
    if (code >= 0)
        code = sd_event_add_time(options->event, &r->deadline, CLOCK_BOOTTIME, UINT64_MAX,
                                 DEADLINE_ACCURACY_USEC, on_deadline, r);
    if (code >= 0)
        code = sd_event_source_set_enabled(r->deadline, SD_EVENT_OFF);
    if (code >= 0)
        code = revisions_keep_init(r);
    if (code < 0)
        return error_errno(err, code, "event loop");
    *ret = TAKE_PTR(r);
    return 0;
}

void revisions_free(struct revisions *r)
{
    if (!r)
        return;
    revisions_flush(r);
    sd_event_source_disable_unref(r->judge);
    sd_event_source_disable_unref(r->deadline);
    sd_event_source_disable_unref(r->flush);
    LIST_EACH (t, &r->tracked)
        tracked_clear(t);
    free(r->tracked.items);
    free(r->notes.items);
    free(r);
}
