// The second watch over the deadline of a pod that podmaster guards: it needs neither podmaster nor
// its fence nor the agent. See shim.h, and manifests/fence.h.
#include "supervisor/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fence-state.h"

static monotime kill_at(const struct shim *shim)
{
    struct fence_state state;
    (void)fence_state_read_path(shim->spec.fence, &state); // what cannot be read has passed
    return state.kill_at;
}

static void look(struct shim *shim)
{
    monotime deadline = kill_at(shim);
    if (!monotime_reached(deadline, monotime_now())) {
        monotime_arm(shim->fence.fd, deadline);
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

int shim_fence_begin(struct shim *shim)
{
    if (str_empty(shim->spec.fence))
        return 0;
    go_first();
    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int code = shim_source_add(shim, &shim->fence, fd, fence_ready);
    if (code < 0) {
        close(fd);
        return code;
    }
    return monotime_arm(fd, kill_at(shim));
}
