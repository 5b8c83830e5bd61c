// The public face of the source, and its event sources: inotify, a one-shot timer for
// what settles, a slow periodic rescan, and a deferred source for scans that were asked for.
#include "manifests/source-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/work.h"

enum {
    RESCAN_ACCURACY_USEC = 1000 * 1000, // may be late by this much, to share another wake-up
};

static void warn_of_missing_watches(struct manifest_source *source)
{
    if (source->watches.failed && !source->watches_damped)
        log_warning("%s: not all of it can be watched (fs.inotify.max_user_watches, or a directory "
                    "that may not be read): changes there are seen by the rescan only",
                    source->directory);
    source->watches_damped = source->watches.failed;
}

static void arm_settle_timer(struct manifest_source *source)
{
    monotime due = source_next_due(source);
    if (monotime_is_never(due)) {
        sd_event_source_set_enabled(source->settle_timer, SD_EVENT_OFF);
        return;
    }
    due = monotime_add_usec(due, -source->skipped_usec);
    sd_event_source_set_time(source->settle_timer, due.usec);
    sd_event_source_set_enabled(source->settle_timer, SD_EVENT_ONESHOT);
}

static void report_sync(struct manifest_source *source)
{
    if (source->scanned && source->present && !source->swept) {
        source->swept = true;
        source_store_sweep(source);
    }
    bool told = source->synced_present || (source->synced && !source->present);
    if (told || !source->scanned || source_waits_for_first_judgement(source))
        return;
    source->synced = true;
    source->synced_present = source->present;
    source->ops.synced(source->userdata, source->present);
}

// One turn: everything that is known to have happened is looked at before any of it counts, so that
// a rename is seen whole.
static int turn(struct manifest_source *source)
{
    WORK_SCOPE("source", "directory", NULL, source->directory);
    struct watch_news news = {0};
    if (work_is_silenced("source"))
        return -ENODATA; // as a callback that fails: its source is off from here on
    watch_set_read(&source->watches, &news);
    if (news.everything || source->scan_wanted) {
        source->scan_wanted = false;
        source_scan(source);
    } else {
        source_look_at_names(source, &news);
    }
    watch_news_free(&news);
    source_settle(source, source_now(source));
    source_reconcile(source);
    warn_of_missing_watches(source);
    report_sync(source);
    source_store_flush(source);
    arm_settle_timer(source);
    return 0;
}

static int on_inotify(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    return turn(userdata);
}

static int on_settle(sd_event_source *s, uint64_t usec, void *userdata)
{
    return turn(userdata);
}

static int on_scan_request(sd_event_source *s, void *userdata)
{
    return turn(userdata);
}

static int on_rescan(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manifest_source *source = userdata;
    source->scan_wanted = true;
    int code = turn(source);
    sd_event_source_set_time_relative(s, (uint64_t)source->rescan_usec);
    sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return code;
}

void manifest_source_rescan(struct manifest_source *source)
{
    source->scan_wanted = true;
    sd_event_source_set_enabled(source->scan_request, SD_EVENT_ONESHOT);
    if (source->url)
        source_url_ask(source->url);
}

static int add_event_sources(struct manifest_source *source)
{
    int code = sd_event_add_io(source->event, &source->inotify_source, source->watches.fd, EPOLLIN,
                               on_inotify, source);
    if (code >= 0)
        code = sd_event_add_time(source->event, &source->settle_timer, CLOCK_BOOTTIME, UINT64_MAX,
                                 1, on_settle, source);
    if (code >= 0)
        code = sd_event_source_set_enabled(source->settle_timer, SD_EVENT_OFF);
    if (code >= 0)
        code = sd_event_add_time_relative(source->event, &source->rescan_timer, CLOCK_BOOTTIME,
                                          (uint64_t)source->rescan_usec, RESCAN_ACCURACY_USEC,
                                          on_rescan, source);
    if (code >= 0 && source->rescan_usec <= 0)
        code = sd_event_source_set_enabled(source->rescan_timer, SD_EVENT_OFF);
    if (code >= 0)
        code = sd_event_add_defer(source->event, &source->scan_request, on_scan_request, source);
    return code;
}

static char *make_absolute(const char *path)
{
    if (path[0] == '/')
        return xstrdup(path);
    _cleanup_free_ char *here = getcwd(NULL, 0);
    return here ? path_join(here, path) : NULL;
}

static int start(struct manifest_source *source, const struct manifest_source_options *options,
                 struct error *err)
{
    source->directory = make_absolute(options->directory);
    if (!source->directory)
        return error_errno(err, errno, "working directory");
    for (size_t n = strlen(source->directory); n > 1 && source->directory[n - 1] == '/'; n--)
        source->directory[n - 1] = '\0';
    if (source->state_dir) {
        int code = fs_mkdir_parents(AT_FDCWD, source->state_dir, 0700);
        if (code < 0)
            return error_errno(err, -code, "make %s", source->state_dir);
    }
    int code = watch_set_open(&source->watches);
    if (code < 0)
        return error_errno(err, -code,
                           "inotify cannot be used (fs.inotify.max_user_instances may be too low)");
    code = add_event_sources(source);
    if (code < 0)
        return error_errno(err, -code, "event loop");
    source->scan_wanted = true;
    source_store_load_contests(source);
    return str_empty(options->url) ? 0 : source_url_new(source, options, &source->url, err);
}

int manifest_source_new(sd_event *event, const struct manifest_source_options *options,
                        const struct manifest_source_ops *ops, void *userdata,
                        struct manifest_source **ret, struct error *err)
{
    struct manifest_source *source = xcalloc(1, sizeof(*source));
    source->event = sd_event_ref(event);
    source->state_dir = xstrdup_or_null(options->state_dir);
    source->node_name = xstrdup(options->node_name);
    source->rescan_usec = options->rescan_usec;
    source->settle_usec = options->settle_usec;
    source->ops = *ops;
    source->userdata = userdata;
    source->watches.fd = -1;
    int code = start(source, options, err);
    if (code < 0) {
        manifest_source_free(source);
        return code;
    }
    *ret = source;
    return 0;
}

size_t manifest_source_list(const struct manifest_source *source, struct manifest_status **ret)
{
    struct manifest_status *all = xcalloc(source->files.n + 1, sizeof(*all));
    size_t n = 0;
    if (source->trouble && source_fill_status(source->trouble, &all[n]))
        n++;
    for (size_t i = 0; i < source->files.n; i++) {
        if (source_fill_status(source->files.items[i], &all[n]))
            n++;
    }
    *ret = all;
    return n;
}

int manifest_source_good_content(const struct manifest_source *source, const char *file,
                                 struct buffer *out)
{
    for (size_t i = 0; i < source->files.n; i++) {
        const struct manifest_file *known = source->files.items[i];
        if (strcmp(known->path, file) != 0)
            continue;
        if (!known->unsaved.data)
            return source_store_load(source, file, out);
        buffer_add(out, known->unsaved.data, known->unsaved.len);
        return 0;
    }
    return -ENOENT;
}

monotime manifest_source_last_scan(const struct manifest_source *source)
{
    return source->last_scan;
}

void manifest_source_skip_time(struct manifest_source *source, int64_t usec)
{
    source->skipped_usec += usec;
    clock_gettime(CLOCK_REALTIME_COARSE, &source->skipped_at); // the clock of the time stamps
    arm_settle_timer(source);
}

bool manifest_source_idle(const struct manifest_source *source)
{
    return !source->scan_wanted && monotime_is_never(source_next_due(source)) &&
           watch_set_quiet(&source->watches);
}

void manifest_source_free(struct manifest_source *source)
{
    if (!source)
        return;
    sd_event_source_disable_unref(source->inotify_source);
    sd_event_source_disable_unref(source->settle_timer);
    sd_event_source_disable_unref(source->rescan_timer);
    sd_event_source_disable_unref(source->scan_request);
    source_url_free(source->url);
    watch_set_close(&source->watches);
    for (size_t i = 0; i < source->files.n; i++)
        manifest_file_free(source->files.items[i]);
    free(source->files.items);
    manifest_file_free(source->trouble);
    LIST_EACH (running, &source->running)
        running_pod_clear(running);
    free(source->running.items);
    free(source->contests);
    free(source->directory);
    free(source->state_dir);
    free(source->node_name);
    sd_event_unref(source->event);
    free(source);
}
