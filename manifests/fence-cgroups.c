// The cgroups of what podmaster guards: who lives there, and its end. See fence-internal.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cgroup-dir.h"
#include "base/fs.h"
#include "base/process.h"
#include "manifests/fence-internal.h"

enum { CGROUPS_MAX = 4096 };

void fence_cgroups_list(const char *dir, struct string_list *ret)
{
    DIR *stream = opendir(dir);
    if (!stream)
        return;
    for (struct dirent *entry; ret->n < CGROUPS_MAX && (entry = readdir(stream));) {
        char target[PATH_MAX];
        if (*entry->d_name == '.')
            continue;
        ssize_t n = readlinkat(dirfd(stream), entry->d_name, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            string_list_add(ret, target);
        }
    }
    closedir(stream);
}

size_t fence_cgroups_populated(const struct string_list *cgroups)
{
    size_t n = 0;
    for (size_t i = 0; i < cgroups->n; i++)
        n += cgroup_dir_populated(cgroups->items[i]) > 0;
    return n;
}

size_t fence_cgroups_kill(const struct string_list *cgroups)
{
    // All stand still before the first of them dies, however many they are.
    for (size_t i = 0; i < cgroups->n; i++)
        cgroup_dir_freeze(cgroups->items[i], true);
    size_t populated = fence_cgroups_populated(cgroups);
    for (size_t i = 0; i < cgroups->n; i++)
        (void)cgroup_dir_kill(cgroups->items[i]); // whether it did is seen by who waits for its end
    // What was killed runs no more, thawed or not, and what starts there later must not stand
    // still.
    fence_cgroups_thaw(cgroups);
    return populated;
}

void fence_cgroups_thaw(const struct string_list *cgroups)
{
    for (size_t i = 0; i < cgroups->n; i++)
        cgroup_dir_freeze(cgroups->items[i], false);
}

static int first_pidfd(pid_t pid, void *userdata)
{
    int *fd = userdata;
    *fd = process_pidfd(pid);
    return *fd >= 0;
}

// What tells that something has changed there: cgroup.events on v2 (POLLPRI), a process's end on
// v1.
static int open_event(const char *cgroup, short *ret_events)
{
    int fd = -1;
    if (cgroup_is_v2(cgroup)) {
        _cleanup_free_ char *path = path_join(cgroup, "cgroup.events");
        char text[4096];
        *ret_events = POLLPRI;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, text, sizeof(text)) < 0) // it tells changes since it was read
            *ret_events = 0;
    } else {
        *ret_events = POLLIN;
        cgroup_each_pid(cgroup, first_pidfd, &fd);
    }
    return fd;
}

static int poll_until(struct pollfd *fds, size_t n, monotime until)
{
    int64_t usec = monotime_since(until, monotime_now());
    struct timespec timeout = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                               .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC)};
    return ppoll(fds, n, &timeout, NULL);
}

// True where it is empty; else waits for a change in it.
static bool await_change(const char *cgroup, monotime until, int interrupt_fd,
                         bool *ret_interrupted)
{
    short events = 0;
    _cleanup_close_ int fd = open_event(cgroup, &events);
    if (cgroup_dir_populated(cgroup) <= 0)
        return true;
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = interrupt_fd, .events = POLLIN}};
    if (poll_until(fds, ARRAY_SIZE(fds), until) > 0 && fds[1].revents)
        *ret_interrupted = true;
    return false;
}

bool fence_cgroups_await_empty(const struct string_list *cgroups, monotime until, int interrupt_fd)
{
    for (size_t i = 0; i < cgroups->n;) {
        bool interrupted = false;
        if (await_change(cgroups->items[i], until, interrupt_fd, &interrupted))
            i++;
        else if (interrupted || monotime_reached(until, monotime_now()))
            break;
    }
    return fence_cgroups_populated(cgroups) == 0;
}
