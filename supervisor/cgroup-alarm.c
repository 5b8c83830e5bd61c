// Being told by the kernel when it kills processes for want of memory, or refuses new ones. v2:
// inotify on memory.events and pids.events; v1: an eventfd for memory.oom_control, and inotify on
// pids.events. See cgroup.h.
//
// Linux 6.12 and later tell nobody of v1's pids.events: there it is looked at every ten seconds,
// but only where podPidsLimit is set.
//
// A container at its limit may raise thousands of such notices. The first one takes all watches
// away; the counters are looked at a moment later (v1 tells before it counts, and a container that
// ends by it tells so itself), and once more when the watches are set again, seconds after.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/work.h"
#include "supervisor/cgroup-internal.h"

enum {
    LOOK_USEC = 100000,   // from a notice to the first look
    QUIET_USEC = 5000000, // until notices are taken again
    ASK_USEC = 10000000   // between two looks where the kernel does not tell
};

struct cgroup_alarm {
    sd_event *event;
    struct string_list dirs; // the container's, then the pod's
    sd_event_source *sources[6];
    size_t n_sources, n_own; // directories that are the container's own
    bool pids;               // the pod's processes are limited
    sd_event_source *timer;
    bool asks;                   // v1 with a limit of processes: not all notices come
    bool looked;                 // since the watches were taken away
    uint64_t oom_kills, refused; // what was told already
    cgroup_alarm_fn rings;
    void *userdata;
};

// Kernels before 6.12 count a refused fork in the cgroup of who forked, later ones in the cgroup
// whose limit it was, which is the pod's.
uint64_t cgroup_forks_refused(const struct string_list *cgroup_dirs)
{
    uint64_t most = 0;
    for (size_t i = 0; i < cgroup_dirs->n; i++) {
        const char *dir = cgroup_dirs->items[i];
        _cleanup_free_ char *pod = xstrndup(dir, (size_t)(path_base(dir) - dir - 1));
        most = MAX(most, cgroup_read_key(dir, "pids.events", "max"));
        most = MAX(most, cgroup_read_key(pod, "pids.events", "max"));
    }
    return most;
}

static void look(struct cgroup_alarm *alarm)
{
    struct string_list own = {alarm->dirs.items, alarm->n_own};
    uint64_t oom_kills = cgroup_oom_kills(&own);
    uint64_t refused = alarm->pids ? cgroup_forks_refused(&own) : 0;
    uint64_t new_kills = oom_kills > alarm->oom_kills ? oom_kills - alarm->oom_kills : 0;
    uint64_t new_refused = refused > alarm->refused ? refused - alarm->refused : 0;
    alarm->oom_kills = oom_kills;
    alarm->refused = refused;
    if (new_kills > 0 || new_refused > 0)
        alarm->rings(alarm->userdata, new_kills, new_refused);
}

static void drop_sources(struct cgroup_alarm *alarm)
{
    while (alarm->n_sources > 0)
        sd_event_source_disable_unref(alarm->sources[--alarm->n_sources]);
}

static int arm(struct cgroup_alarm *alarm);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static int set_timer(struct cgroup_alarm *alarm, uint64_t usec)
{
    if (!alarm->timer)
        return sd_event_add_time_relative(alarm->event, &alarm->timer, CLOCK_BOOTTIME, usec,
                                          usec / 2, on_timer, alarm);
    sd_event_source_set_time_accuracy(alarm->timer, usec / 2);
    sd_event_source_set_time_relative(alarm->timer, usec);
    return sd_event_source_set_enabled(alarm->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct cgroup_alarm *alarm = userdata;
    WORK_SCOPE("pods", "cgroup", NULL, alarm->dirs.items[0]);
    if (!alarm->looked) {
        alarm->looked = true;
        (void)set_timer(alarm, QUIET_USEC);
    } else {
        if (alarm->n_sources == 0)
            (void)arm(alarm); // where that fails now, there was a first time when it did not
        if (alarm->asks)
            (void)set_timer(alarm, ASK_USEC);
    }
    look(alarm);
    return 0;
}

static int on_notice(struct cgroup_alarm *alarm)
{
    drop_sources(alarm);
    alarm->looked = false;
    return set_timer(alarm, LOOK_USEC);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    if (event->mask & IN_MODIFY)
        (void)on_notice(userdata);
    return 0;
}

static int on_eventfd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)on_notice(userdata);
    return 0;
}

static int watch_file(struct cgroup_alarm *alarm, const char *dir, const char *file)
{
    _cleanup_free_ char *path = path_join(dir, file);
    if (alarm->n_sources == ARRAY_SIZE(alarm->sources) || access(path, R_OK) < 0)
        return 0;
    int code = sd_event_add_inotify(alarm->event, &alarm->sources[alarm->n_sources], path,
                                    IN_MODIFY, on_inotify, alarm);
    alarm->n_sources += code >= 0;
    return code == -ENOENT ? 0 : MIN(code, 0);
}

// Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control": "<eventfd> <memory.oom_control>"
// into cgroup.event_control.
static int watch_v1_memory(struct cgroup_alarm *alarm, const char *dir)
{
    _cleanup_free_ char *path = path_join(dir, "memory.oom_control");
    _cleanup_close_ int control = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int notice = -1;
    char request[32];
    if (control < 0 || alarm->n_sources == ARRAY_SIZE(alarm->sources))
        return 0;
    notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (notice < 0)
        return -errno;
    snprintf(request, sizeof(request), "%d %d", notice, control);
    int code = cgroup_write(dir, "cgroup.event_control", request);
    if (code < 0)
        return code;
    sd_event_source **source = &alarm->sources[alarm->n_sources];
    code = sd_event_add_io(alarm->event, source, notice, EPOLLIN, on_eventfd, alarm);
    if (code < 0)
        return code;
    alarm->n_sources++;
    sd_event_source_set_io_fd_own(*source, true);
    TAKE_FD(notice);
    return 0;
}

static int arm(struct cgroup_alarm *alarm)
{
    int code = 0;
    for (size_t i = 0; i < alarm->dirs.n && code == 0; i++) {
        const char *dir = alarm->dirs.items[i];
        bool v2 = cgroup_is_v2(dir);
        if (i < alarm->n_own)
            code = v2 ? watch_file(alarm, dir, "memory.events") : watch_v1_memory(alarm, dir);
        if (code == 0 && alarm->pids)
            code = watch_file(alarm, dir, "pids.events");
    }
    if (code < 0)
        drop_sources(alarm);
    return code;
}

// The limit is the pod's; the notice may come from the pod's cgroup or the container's.
static void add_pod_dirs(struct cgroup_alarm *alarm)
{
    for (size_t i = 0; i < alarm->n_own; i++) {
        const char *dir = alarm->dirs.items[i];
        _cleanup_free_ char *pod = xstrndup(dir, (size_t)(path_base(dir) - dir - 1));
        _cleanup_free_ char *limit = cgroup_read(pod, "pids.max");
        if (!limit || str_starts_with(limit, "max"))
            continue;
        alarm->pids = true;
        alarm->asks |= !cgroup_is_v2(dir);
        string_list_add(&alarm->dirs, pod);
    }
}

int cgroup_alarm_new(sd_event *event, const struct string_list *cgroup_dirs, uint64_t oom_kills,
                     uint64_t refused, cgroup_alarm_fn rings, void *userdata,
                     struct cgroup_alarm **ret, struct error *err)
{
    struct cgroup_alarm *alarm = xcalloc(1, sizeof(*alarm));
    alarm->event = sd_event_ref(event);
    alarm->rings = rings;
    alarm->userdata = userdata;
    alarm->oom_kills = oom_kills;
    alarm->refused = refused;
    string_list_copy(&alarm->dirs, cgroup_dirs);
    alarm->n_own = cgroup_dirs->n;
    add_pod_dirs(alarm);
    alarm->looked = true;
    int code = arm(alarm);
    if (code == 0 && alarm->asks)
        code = set_timer(alarm, ASK_USEC);
    // First the watches, then the counters: what happened before the watches counts as a notice.
    bool late = cgroup_oom_kills(cgroup_dirs) > oom_kills ||
                (alarm->pids && cgroup_forks_refused(cgroup_dirs) > refused);
    if (code == 0 && late)
        code = on_notice(alarm);
    if (code < 0) {
        cgroup_alarm_free(alarm);
        return error_errno(err, code, "cannot watch for processes killed or refused in %s",
                           cgroup_dirs->n ? cgroup_dirs->items[0] : "(none)");
    }
    *ret = alarm;
    return 0;
}

void cgroup_alarm_free(struct cgroup_alarm *alarm)
{
    if (!alarm)
        return;
    drop_sources(alarm);
    sd_event_source_disable_unref(alarm->timer);
    sd_event_unref(alarm->event);
    string_list_free(&alarm->dirs);
    free(alarm);
}
