// See inherited.h.
#include "supervisor/inherited.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "base/process.h"

enum { CHILDREN_MOST = 1 << 20 };

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    siginfo_t info = {0};
    waitid(P_PID, (id_t)(intptr_t)userdata, &info, WEXITED | WNOHANG);
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    sd_event_source_set_floating(source, false); // that was the last reference
    return 0;
}

static void watch(sd_event *event, pid_t pid)
{
    sd_event_source *source = NULL;
    int pidfd = process_pidfd(pid);
    if (pidfd < 0)
        return;
    if (sd_event_add_io(event, &source, pidfd, EPOLLIN, on_end, (void *)(intptr_t)pid) < 0) {
        close(pidfd);
        return;
    }
    sd_event_source_set_io_fd_own(source, true);
    sd_event_source_set_floating(source, true); // the loop keeps it
    sd_event_source_unref(source);
}

void inherited_watch(sd_event *event)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", (int)getpid());
    if (fs_read_file(AT_FDCWD, path, CHILDREN_MOST, &text) < 0)
        return;
    char *end = NULL;
    for (const char *p = buffer_str(&text); *p; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p)
            return;
        watch(event, (pid_t)pid);
        while (*end == ' ')
            end++;
    }
}
