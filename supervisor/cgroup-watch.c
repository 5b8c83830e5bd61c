// Waiting for a cgroup to be empty without asking again and again. See cgroup.h.
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "supervisor/cgroup-internal.h"

struct cgroup_watch {
    sd_event *event;
    sd_event_source *source;
    struct string_list dirs;
    void (*empty)(void *userdata);
    void *userdata;
};

static int arm(struct cgroup_watch *watch);

// The callback may free the watch: nothing of it is used afterwards.
static int check(struct cgroup_watch *watch)
{
    if (cgroup_populated(&watch->dirs) > 0)
        return arm(watch);
    watch->source = sd_event_source_disable_unref(watch->source);
    watch->empty(watch->userdata);
    return 0;
}

static int on_defer(sd_event_source *source, void *userdata)
{
    struct cgroup_watch *watch = userdata;
    watch->source = sd_event_source_disable_unref(watch->source);
    return check(watch);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    return check(userdata);
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    return check(userdata);
}

static int watch_later(struct cgroup_watch *watch)
{
    return sd_event_add_defer(watch->event, &watch->source, on_defer, watch);
}

static int first_pid(pid_t pid, void *userdata)
{
    *(pid_t *)userdata = pid;
    return 1;
}

static int watch_process(struct cgroup_watch *watch)
{
    pid_t pid = 0;
    cgroup_each_pid(watch->dirs.items[0], first_pid, &pid);
    int fd = pid ? process_pidfd(pid) : -ESRCH;
    if (fd < 0)
        return watch_later(watch); // gone meanwhile: the next look decides
    int code = sd_event_add_io(watch->event, &watch->source, fd, EPOLLIN, on_pidfd, watch);
    if (code < 0)
        close(fd);
    else
        sd_event_source_set_io_fd_own(watch->source, true);
    return code;
}

static int watch_events(struct cgroup_watch *watch)
{
    if (watch->source) // an inotify watch stays until the end
        return 0;
    _cleanup_free_ char *path = path_join(watch->dirs.items[0], "cgroup.events");
    int code = sd_event_add_inotify(watch->event, &watch->source, path, IN_MODIFY | IN_DELETE_SELF,
                                    on_inotify, watch);
    return code == -ENOENT ? watch_later(watch) : code;
}

static int arm(struct cgroup_watch *watch)
{
    if (cgroup_is_v2(watch->dirs.items[0]))
        return watch_events(watch);
    watch->source = sd_event_source_disable_unref(watch->source);
    return watch_process(watch);
}

int cgroup_watch_empty(sd_event *event, const struct string_list *cgroup_dirs,
                       void (*empty)(void *userdata), void *userdata, struct cgroup_watch **ret,
                       struct error *err)
{
    struct cgroup_watch *watch = xcalloc(1, sizeof(*watch));
    watch->event = sd_event_ref(event);
    watch->empty = empty;
    watch->userdata = userdata;
    string_list_copy(&watch->dirs, cgroup_dirs);
    int code = 0;
    // First the watch, then the look: what becomes empty in between is not missed.
    if (cgroup_populated(cgroup_dirs) > 0)
        code = arm(watch);
    if (code == 0 && cgroup_populated(cgroup_dirs) <= 0) {
        watch->source = sd_event_source_disable_unref(watch->source);
        code = watch_later(watch);
    }
    if (code < 0) {
        cgroup_watch_free(watch);
        return error_errno(err, code, "cannot watch the cgroup %s",
                           cgroup_dirs->n ? cgroup_dirs->items[0] : "(none)");
    }
    *ret = watch;
    return 0;
}

void cgroup_watch_free(struct cgroup_watch *watch)
{
    if (!watch)
        return;
    sd_event_source_disable_unref(watch->source);
    sd_event_unref(watch->event);
    string_list_free(&watch->dirs);
    free(watch);
}
