// See changes.h: which pods and volumes there are; news of their files, and when they have settled.
#include "supervisor/changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/work.h"
#include "supervisor/changes-internal.h"

#define ANNOTATION "mainstay.dev/restart-on-change"

enum { LOOK_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 40, TIMER_ACCURACY_USEC = 20000 };

struct target *changes_target(const struct changes *ch, const char *path)
{
    LIST_EACH (target, &ch->targets)
        if (strcmp(target->path, path) == 0)
            return target;
    return NULL;
}

struct watched_pod *changes_pod(const struct changes *ch, const char *namespace_, const char *name)
{
    LIST_EACH (p, &ch->pods)
        if (strcmp(p->name, name) == 0 && strcmp(p->namespace_, namespace_) == 0)
            return p;
    return NULL;
}

const struct pod_worker *changes_worker(const struct changes *ch, const struct watched_pod *p)
{
    return pods_worker(ch->options.pods, p->namespace_, p->name);
}

// ---- the look at all files ----

static void want_look(struct changes *ch)
{
    settle_news(&ch->settle, monotime_now());
    changes_arm(ch);
}

void changes_arm(struct changes *ch)
{
    monotime due = ch->looking    ? MONOTIME_NEVER
                   : ch->look_now ? monotime_now()
                                  : settle_due(&ch->settle);
    due = monotime_min(due, changes_missing_due(ch));
    due = monotime_min(due, changes_roll_due(ch));
    due = monotime_min(due, ch->poll);
    if (monotime_is_never(due)) {
        sd_event_source_set_enabled(ch->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(ch->timer, due.usec);
    sd_event_source_set_enabled(ch->timer, SD_EVENT_ONESHOT);
}

static void target_clear(struct target *target)
{
    files_free(&target->files);
    free(target->path);
    free(target->complaint);
}

// The targets become those that the pods ask for.
static void settle_targets(struct changes *ch)
{
    LIST_EACH (target, &ch->targets)
        target->wanted = false;
    LIST_EACH (p, &ch->pods)
        LIST_EACH (volume, &p->volumes) {
            struct target *target = changes_target(ch, volume->path);
            if (!target) {
                target = LIST_APPEND(&ch->targets);
                target->path = xstrdup(volume->path);
            }
            target->wanted = true;
        }
    for (size_t i = ch->targets.n; i-- > 0;) {
        struct target *target = &ch->targets.items[i];
        if (target->wanted)
            continue;
        target_clear(target);
        memmove(target, target + 1, (ch->targets.n - i - 1) * sizeof(*target));
        ch->targets.n--;
    }
}

static void begin_look(struct changes *ch, monotime now, bool settled)
{
    settle_targets(ch);
    ch->settled = settled;
    if (settled) {
        settle_news(&ch->settle, now);      // where it is only time to look
        ch->settle.last = ch->settle.first; // news from here on are news again
    }
    ch->looking = true;
    ch->look_now = false;
    ch->poll = MONOTIME_NEVER;
    ch->looked_at = now;
    ch->at = 0;
    watch_set_begin(&ch->watches);
    sd_event_source_set_enabled(ch->work, SD_EVENT_ONESHOT);
}

static void tell_complaint(struct changes *ch, const struct target *target)
{
    LIST_EACH (p, &ch->pods)
        LIST_EACH (volume, &p->volumes)
            if (str_equal(volume->path, target->path))
                event_add(ch->options.events,
                          (struct event_object){.namespace_ = p->namespace_, .pod = p->name},
                          EVENT_WARNING, "FilesNotWatched", "volume %s: %s", volume->name,
                          target->complaint);
}

static void end_target(struct changes *ch)
{
    struct target *target = &ch->targets.items[ch->at++];
    char *complaint = NULL;
    struct files files, before = target->files;
    struct files_difference difference;
    _cleanup_buffer_ struct buffer names = BUFFER_EMPTY;
    files_scan_take(ch->scan, &files, &complaint);
    files_scan_free(TAKE_PTR(ch->scan));
    files_compare(&before, &files, &names, &difference);
    if (target->looked && difference.changed > 0)
        target->changed = ch->looked_at;
    files_free(&before);
    target->files = files;
    target->looked = true;
    bool news = complaint && !str_equal(complaint, target->complaint);
    free(target->complaint);
    target->complaint = complaint;
    if (news)
        tell_complaint(ch, target);
}

static void tell_unwatched(struct changes *ch)
{
    bool failed = ch->pods.n > 0 && (!ch->watching || ch->watches.failed);
    if (failed && !ch->complained)
        event_add(ch->options.events, (struct event_object){0}, EVENT_WARNING, "FilesNotWatched",
                  "not all volumes of " ANNOTATION " can be watched (fs.inotify.max_user_watches, "
                  "fs.inotify.max_user_instances, or open files): they are looked at every minute "
                  "instead");
    ch->complained = failed;
    ch->poll = failed ? monotime_add_usec(monotime_now(), POLL_USEC) : MONOTIME_NEVER;
}

// Something was written meanwhile: it is looked at once more, unless that goes on for too long.
static void judge(struct changes *ch, monotime now)
{
    bool news = ch->settle.last.usec != ch->settle.first.usec;
    if (news && !settle_is_over(&ch->settle, now))
        return;
    ch->settle = (struct settle){0};
    if (news)
        settle_news(&ch->settle, now);
    changes_judge(ch, now);
}

static void end_look(struct changes *ch)
{
    ch->looking = false;
    watch_set_end(&ch->watches, true);
    tell_unwatched(ch);
    changes_meet(ch);
    if (ch->settled)
        judge(ch, monotime_now());
    changes_arm(ch);
}

static int on_work(sd_event_source *source, void *userdata)
{
    struct changes *ch = userdata;
    if (ch->at >= ch->targets.n) {
        end_look(ch);
        return 0;
    }
    struct target *target = &ch->targets.items[ch->at];
    WORK_SCOPE("changes", "directory", NULL, target->path);
    if (!ch->scan)
        ch->scan = files_scan_new(target->path, &target->files, &ch->watches);
    if (!files_scan_step(ch->scan))
        end_target(ch);
    sd_event_source_set_enabled(ch->work, SD_EVENT_ONESHOT);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct changes *ch = userdata;
    monotime now = monotime_now();
    bool settled =
        monotime_reached(settle_due(&ch->settle), now) || monotime_reached(ch->poll, now);
    if (!ch->looking && (settled || ch->look_now))
        begin_look(ch, now, settled);
    else if (!ch->looking && !ch->settle.first.usec)
        changes_judge(ch, now); // a missing file holds nothing back any more
    changes_roll_on(ch);
    return 0;
}

static int on_inotify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct changes *ch = userdata;
    struct watch_news news = {0};
    watch_set_read(&ch->watches, &news);
    if (news.everything || news.names.n > 0)
        want_look(ch);
    watch_news_free(&news);
    return 0;
}

// An ordinary node has no such pods, and no descriptor for them.
static void open_watches(struct changes *ch)
{
    if (ch->watching || watch_set_open(&ch->watches) < 0)
        return;
    ch->watching = sd_event_add_io(ch->options.event, &ch->inotify, ch->watches.fd, EPOLLIN,
                                   on_inotify, ch) >= 0;
    if (!ch->watching)
        watch_set_close(&ch->watches);
}

// ---- pods ----

static void watched_pod_clear(struct watched_pod *p)
{
    LIST_EACH (volume, &p->volumes) {
        free(volume->name);
        free(volume->path);
        files_free(&volume->files);
    }
    free(p->volumes.items);
    string_list_free(&p->depends_on);
    free(p->namespace_);
    free(p->name);
    free(p->why);
}

void changes_drop(struct changes *ch, struct watched_pod *p, bool forget)
{
    size_t i = (size_t)(p - ch->pods.items);
    if (forget)
        changes_forget(ch, p);
    watched_pod_clear(p);
    memmove(p, p + 1, (ch->pods.n - i - 1) * sizeof(*p));
    ch->pods.n--;
}

static const char *host_path_of(const struct pod *pod, const char *name)
{
    LIST_EACH (volume, &pod->spec.volumes)
        if (str_equal(volume->name, name))
            return volume->hostPath ? volume->hostPath->path : NULL;
    return NULL;
}

static void add_pod(struct changes *ch, const struct pod_worker *w)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_pod_annotations_ struct pod_annotations annotations = {0};
    if (pod_annotations_parse(w->pod, &annotations, &err) < 0)
        return; // was refused; only what an earlier release accepted comes here
    struct watched_pod *p = LIST_APPEND(&ch->pods);
    p->namespace_ = xstrdup(w->pod->metadata.namespace);
    p->name = xstrdup(w->pod->metadata.name);
    memcpy(p->hash, w->hash, sizeof(p->hash));
    p->signal = annotations.reload_signal;
    p->depends_on = annotations.depends_on;
    annotations.depends_on = (struct string_list){0};
    p->since = monotime_now();
    LIST_EACH (name, &annotations.restart_on_change) {
        const char *path = host_path_of(w->pod, *name);
        if (!path)
            continue;
        struct volume_use *volume = LIST_APPEND(&p->volumes);
        volume->name = xstrdup(*name);
        volume->path = xstrdup(path);
    }
    changes_load(ch, p);
    open_watches(ch);
    ch->look_now = true;
    want_look(ch);
}

void changes_pod_changed(struct changes *ch, const struct pod_worker *w, bool deleted)
{
    struct watched_pod *p = changes_pod(ch, w->pod->metadata.namespace, w->pod->metadata.name);
    bool wanted = string_map_get(&w->pod->metadata.annotations, ANNOTATION) != NULL;
    bool same = p && strcmp(p->hash, w->hash) == 0;
    if (!p && !wanted)
        return;
    changes_roll_on(ch);
    if (deleted && same)
        p->gone = true;
    if (deleted || w->removing)
        return; // it does not speak for the pod any more
    if (p && !same) {
        changes_drop(ch, p, !wanted);
        p = NULL;
    }
    if (p)
        p->gone = false;
    else if (wanted)
        add_pod(ch, w);
}

void changes_synced(struct changes *ch)
{
    changes_sweep(ch);
}

// ---- start and end ----

static int add_event_sources(struct changes *ch)
{
    sd_event *event = ch->options.event;
    int code = sd_event_add_time(event, &ch->timer, CLOCK_BOOTTIME, UINT64_MAX, TIMER_ACCURACY_USEC,
                                 on_timer, ch);
    if (code >= 0)
        code = sd_event_source_set_enabled(ch->timer, SD_EVENT_OFF);
    if (code >= 0)
        code = sd_event_add_defer(event, &ch->work, on_work, ch);
    if (code >= 0)
        code = sd_event_source_set_priority(ch->work, LOOK_PRIORITY);
    if (code >= 0)
        code = sd_event_source_set_enabled(ch->work, SD_EVENT_OFF);
    if (code >= 0)
        code = sd_event_add_defer(event, &ch->next, changes_on_next, ch);
    return code < 0 ? code : sd_event_source_set_enabled(ch->next, SD_EVENT_OFF);
}

int changes_new(const struct changes_options *options, struct changes **ret, struct error *err)
{
    _cleanup_(cleanup_changes_free) struct changes *ch = xcalloc(1, sizeof(*ch));
    ch->options = *options;
    ch->watches.fd = -1;
    ch->poll = MONOTIME_NEVER;
    int code = add_event_sources(ch);
    if (code < 0)
        return error_errno(err, code, "event loop");
    *ret = TAKE_PTR(ch);
    return 0;
}

void changes_free(struct changes *ch)
{
    if (!ch)
        return;
    sd_event_source_disable_unref(ch->inotify);
    sd_event_source_disable_unref(ch->timer);
    sd_event_source_disable_unref(ch->work);
    sd_event_source_disable_unref(ch->next);
    watch_set_close(&ch->watches);
    files_scan_free(ch->scan);
    LIST_EACH (target, &ch->targets)
        target_clear(target);
    LIST_EACH (p, &ch->pods)
        watched_pod_clear(p);
    free(ch->targets.items);
    free(ch->pods.items);
    free(ch);
}
