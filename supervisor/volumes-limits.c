// See volumes-limits.h.
#include "supervisor/volumes-limits.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/work.h"
#include "supervisor/helper.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/volumes-internal.h"

enum { VOLUMES_MAX = 1000 }; // in one measurement; what is beyond waits for room

struct watched {
    struct pod_worker *w; // NULL: its pod went while it was measured
    const struct volume *volume;
    char *dir;
    bool over;
};

struct volumes_limits {
    sd_event *event;
    const char *program;
    struct volumes_options options;
    uint64_t period_usec;
    sd_event_source *timer;
    struct helper *helper;
    LIST_OF(struct watched) volumes;
};

static int64_t limit_of(const struct volume *volume)
{
    const struct quantity *limit = volume->emptyDir ? volume->emptyDir->sizeLimit : NULL;
    return limit ? quantity_value(limit) : 0;
}

static void tell(const struct watched *watched, int64_t used)
{
    pod_worker_event(watched->w, NULL, EVENT_WARNING, "EmptyDirOverLimit",
                     "volume %s uses %.1fMi, more than its sizeLimit of %s; a static pod is not "
                     "evicted for it: have it write less, or raise the limit",
                     watched->volume->name, (double)used / (1 << 20),
                     watched->volume->emptyDir->sizeLimit->text);
}

// Those whose pods went while the helper ran.
static void drop_gone(struct volumes_limits *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->volumes.n; i++) {
        if (l->volumes.items[i].w)
            l->volumes.items[n++] = l->volumes.items[i];
        else
            free(l->volumes.items[i].dir);
    }
    l->volumes.n = n;
}

static void arm(struct volumes_limits *l)
{
    if (l->volumes.n == 0 || l->helper)
        return;
    sd_event_source_set_time_relative(l->timer, l->period_usec);
    sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

static void on_measured(void *userdata, int status, const char *output)
{
    struct volumes_limits *l = userdata;
    l->helper = NULL;
    for (size_t i = 0; status == 0 && *output && i < l->volumes.n; i++) {
        struct watched *watched = &l->volumes.items[i];
        int64_t used = strtoll(output, NULL, 10);
        bool over = used > limit_of(watched->volume);
        output += strcspn(output, "\n");
        output += *output == '\n';
        if (!watched->w)
            continue;
        if (over && !watched->over)
            tell(watched, used);
        watched->over = over;
    }
    drop_gone(l);
    arm(l);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct volumes_limits *l = userdata;
    char name[] = "mainstay-shim", role[] = "--measure";
    WORK_SCOPE("pods", "volumes", NULL, NULL);
    size_t n = MIN(l->volumes.n, (size_t)VOLUMES_MAX);
    _cleanup_free_ char **argv = xcalloc(n + 3, sizeof(*argv));
    argv[0] = name;
    argv[1] = role;
    for (size_t i = 0; i < n; i++)
        argv[i + 2] = l->volumes.items[i].dir;
    // Where it cannot be started now, the next period may bring more luck.
    if (helper_start(l->event, l->program, argv, on_measured, l, &l->helper, NULL) < 0)
        arm(l);
    return 0;
}

struct volumes_limits *volumes_limits_new(sd_event *event, const char *program,
                                          const struct volumes_options *options,
                                          uint64_t period_usec)
{
    struct volumes_limits *l = xcalloc(1, sizeof(*l));
    *l = (struct volumes_limits){
        .event = event, .program = program, .options = *options, .period_usec = period_usec};
    if (sd_event_add_time(event, &l->timer, CLOCK_BOOTTIME, 0, 0, on_timer, l) >= 0)
        sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
    return l;
}

void volumes_limits_free(struct volumes_limits *l)
{
    if (!l)
        return;
    helper_free(l->helper);
    sd_event_source_disable_unref(l->timer);
    LIST_EACH (watched, &l->volumes)
        free(watched->dir);
    free(l->volumes.items);
    free(l);
}

static char *directory_of(const struct volumes_limits *l, const struct pod_worker *w,
                          const struct volume *volume)
{
    const char *uid = w->pod->metadata.uid;
    if (!str_equal(volume->emptyDir->medium, "Memory"))
        return volumes_dir(&l->options, uid, volumes_empty_dir_plugin, volume->name);
    _cleanup_free_ char *memory = volumes_memory_dir(&l->options, uid);
    return path_join(memory, volume->name);
}

void volumes_limits_add(struct volumes_limits *l, struct pod_worker *w)
{
    LIST_EACH (watched, &l->volumes)
        if (watched->w == w)
            return;
    bool first = l->volumes.n == 0;
    LIST_EACH (volume, &w->pod->spec.volumes) {
        bool enforced = volume->emptyDir && str_equal(volume->emptyDir->medium, "Memory") &&
                        !l->options.unprivileged;
        if (limit_of(volume) > 0 && !enforced)
            *LIST_APPEND(&l->volumes) =
                (struct watched){.w = w, .volume = volume, .dir = directory_of(l, w, volume)};
    }
    if (first)
        arm(l);
}

void volumes_limits_remove(struct volumes_limits *l, const struct pod_worker *w)
{
    LIST_EACH (watched, &l->volumes)
        if (watched->w == w)
            watched->w = NULL;
    if (l->helper)
        return; // its answers are counted by place
    drop_gone(l);
    if (l->volumes.n == 0)
        sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
}
