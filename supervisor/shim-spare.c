// See shim-spare.h.
#include "supervisor/shim-spare.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim/shim-proto.h"

enum {
    REFILL_USEC = 20 * 1000, // after a start: what comes with it goes first
    REFILL_ACCURACY_USEC = 1000,
};

struct shim_spare {
    sd_event *event;
    sd_event_source *timer; // until there is one
    char *program;
    pid_t pid;  // 0: none waits
    int socket; // its other end is that shim's; -1 where there is none
};

static void drop(struct shim_spare *spare)
{
    if (spare->pid) {
        kill(spare->pid, SIGKILL);
        while (waitpid(spare->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    spare->pid = 0;
    cleanup_close(&spare->socket);
    spare->socket = -1;
}

// Where it fails, the next start is as slow as the first was, and says what is wrong.
static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct shim_spare *spare = userdata;
    _cleanup_error_ struct error err = ERROR_NONE;
    int ends[2];
    spare->timer = sd_event_source_disable_unref(spare->timer);
    drop(spare);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return 0;
    if (shim_spawn_waiting(spare->program, ends[1], &spare->pid, &err) < 0)
        spare->pid = 0;
    close(ends[1]);
    spare->socket = ends[0];
    return 0;
}

static void refill_soon(struct shim_spare *spare)
{
    if (spare->timer ||
        sd_event_add_time_relative(spare->event, &spare->timer, CLOCK_MONOTONIC, REFILL_USEC,
                                   REFILL_ACCURACY_USEC, on_time, spare) < 0)
        return;
    sd_event_source_set_priority(spare->timer, SD_EVENT_PRIORITY_IDLE);
}

struct shim_spare *shim_spare_new(sd_event *event, const char *program)
{
    struct shim_spare *spare = xcalloc(1, sizeof(*spare));
    spare->event = sd_event_ref(event);
    spare->program = xstrdup(program);
    spare->socket = -1;
    return spare;
}

void shim_spare_free(struct shim_spare *spare)
{
    if (!spare)
        return;
    sd_event_source_disable_unref(spare->timer);
    drop(spare);
    sd_event_unref(spare->event);
    free(spare->program);
    free(spare);
}

pid_t shim_spare_pid(const struct shim_spare *spare)
{
    return spare->pid;
}

int shim_spare_take(struct shim_spare *spare, const struct shim_spawn *spawn, pid_t *ret)
{
    const struct shim_message begin = {.type = SHIM_BEGIN,
                                       .length = (uint32_t)strlen(spawn->title)};
    const int fds[SHIM_FDS_MOST] = {spawn->spec, spawn->lock, spawn->socket, spawn->dir};
    refill_soon(spare);
    if (!spare->pid)
        return -ENOENT;
    int code = shim_message_send(spare->socket, &begin, spawn->title, fds, SHIM_FDS_MOST);
    if (code < 0) { // it is dead, or was stopped
        drop(spare);
        return code;
    }
    *ret = spare->pid;
    spare->pid = 0;
    drop(spare);
    return 0;
}
