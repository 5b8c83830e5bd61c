// The second watch over the deadline of a pod that podmaster guards: it needs neither podmaster nor
// its fence nor the agent. See shim.h, and manifests/fence.h.
#include "supervisor/shim/shim.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fence-state.h"

static void look(struct shim *shim)
{
    struct fence_state state;
    // What cannot be read has passed.
    (void)fence_state_read_path(shim->spec.fence, &state);
    if (!monotime_reached(state.kill_at, monotime_now())) {
        monotime_arm(shim->fence.fd, state.kill_at);
        return;
    }
    free(shim->warnings);
    shim->warnings = xstrdup("podmaster's lease was not renewed in time: the container was killed "
                             "before another node may run it\n");
    shim_kill_container(shim);
    shim_report_state(shim);
    shim_source_close(shim, &shim->fence);
}

static void fence_ready(struct shim_source *source, struct shim *shim)
{
    uint64_t times;
    if (read(source->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
        look(shim);
}

// When the machine wakes up or is short of time, before what it is to kill. Not in real time, as
// the fence, since it also carries what the container writes. What it forks is ordinary. Best
// effort.
static void go_first(void)
{
    struct sched_attr attr = {.size = sizeof(attr),
                              .sched_policy = SCHED_NORMAL,
                              .sched_flags = SCHED_FLAG_RESET_ON_FORK,
                              .sched_nice = -20};
    (void)!syscall(SYS_sched_setattr, 0, &attr, 0);
}

void shim_fence_begin(struct shim *shim)
{
    if (str_empty(shim->spec.fence))
        return;
    go_first();
    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd >= 0 && shim_source_add(shim, &shim->fence, fd, fence_ready) == 0) {
        look(shim);
        return;
    }
    if (fd >= 0)
        close(fd);
    free(shim->warnings);
    shim->warnings =
        xstrdup("the container is killed: its shim cannot watch podmaster's deadline\n");
    shim_kill_container(shim);
}
