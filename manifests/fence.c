// podmaster's side of the fence: the state file, its lock, and the process. See fence.h.
#include "manifests/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "manifests/fence-internal.h"

struct fence {
    char *state_path, *manifest, *cgroups;
    int state_fd;   // holds the lock
    uint64_t owner; // this podmaster's life
    int socket;     // to the watch; -1: none runs
    pid_t pid;
};

static void stop_watch(struct fence *fence)
{
    if (fence->socket < 0)
        return;
    close(fence->socket);
    fence->socket = -1;
    kill(fence->pid, SIGKILL); // not reaped yet, so the number is still its own
    while (waitpid(fence->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int start_watch(struct fence *fence, struct error *err)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return error_errno(err, errno, "cannot make a socket pair");
    fence->pid = fork();
    if (fence->pid < 0) {
        int code = -errno;
        close(sockets[0]);
        close(sockets[1]);
        return error_errno(err, code, "cannot start the watch");
    }
    if (fence->pid == 0) {
        fence_watch_main(sockets[1], fence->owner, fence->state_path, fence->manifest);
        _exit(0);
    }
    close(sockets[1]);
    fence->socket = sockets[0];
    // Only when it has let go of our descriptors, the lock among them, does it count as running.
    char ready;
    if (recv(fence->socket, &ready, 1, 0) == 1)
        return 0;
    stop_watch(fence);
    return error_set(err, EPIPE, "the watch has died at its start");
}

// It looks into the file by itself.
static int wake_watch(const struct fence *fence)
{
    return send(fence->socket, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -EPIPE;
}

static int take_lock(struct fence *fence, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int code = fs_mkdir_parents(AT_FDCWD, fence->cgroups, 0700);
    if (code < 0)
        return error_errno(err, code, "cannot make the directory %s", fence->cgroups);
    fence->state_fd = open(fence->state_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fence->state_fd < 0)
        return error_errno(err, errno, "%s", fence->state_path);
    if (fcntl(fence->state_fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, EBUSY, "another podmaster runs for %s (it holds %s)", fence->manifest,
                         fence->state_path);
    return error_errno(err, errno, "cannot lock %s", fence->state_path);
}

int fence_new(const char *state_path, const char *manifest, struct fence **ret,
              struct fence_state *ret_inherited, struct error *err)
{
    _cleanup_fence_ struct fence *fence = xcalloc(1, sizeof(*fence));
    *fence = (struct fence){.state_path = xstrdup(state_path),
                            .manifest = xstrdup(manifest),
                            .cgroups = fence_state_cgroups(state_path),
                            .state_fd = -1,
                            .owner = monotime_now().usec,
                            .socket = -1};
    int code = take_lock(fence, err);
    if (code == 0)
        code = start_watch(fence, err);
    if (code < 0)
        return code;
    (void)fence_state_read(fence->state_fd, ret_inherited); // all zero where there is nothing
    *ret = TAKE_PTR(fence);
    return 0;
}

static int wake_or_start_watch(struct fence *fence, struct error *err)
{
    if (fence->socket >= 0 && wake_watch(fence) == 0)
        return 0;
    log_warning("%s: the watch has died or hangs; starting another", fence->manifest);
    stop_watch(fence);
    int code = start_watch(fence, err);
    if (code == 0 && wake_watch(fence) < 0)
        code = error_set(err, EPIPE, "the watch cannot be reached");
    return code;
}

int fence_set(struct fence *fence, monotime start_until, monotime kill_at, struct error *err)
{
    _cleanup_string_list_ struct string_list cgroups = {0};
    struct fence_state state = {fence->owner, start_until, kill_at};
    int code = fence_state_write(fence->state_fd, &state);
    if (code < 0)
        return error_errno(err, code, "cannot write %s", fence->state_path);
    code = wake_or_start_watch(fence, err);
    if (code < 0 || start_until.usec == 0)
        return code;
    // A watch may have died, or been stopped, between freezing and thawing.
    fence_cgroups_list(fence->cgroups, &cgroups);
    fence_cgroups_thaw(&cgroups);
    return 0;
}

int fence_await_dead(const struct fence *fence, monotime until, int interrupt_fd)
{
    _cleanup_string_list_ struct string_list cgroups = {0};
    fence_cgroups_list(fence->cgroups, &cgroups);
    if (cgroups.n == 0)
        return -ENOENT;
    return fence_cgroups_await_empty(&cgroups, until, interrupt_fd);
}

void fence_free(struct fence *fence)
{
    if (!fence)
        return;
    stop_watch(fence);
    if (fence->state_fd >= 0)
        close(fence->state_fd);
    free(fence->state_path);
    free(fence->manifest);
    free(fence->cgroups);
    free(fence);
}
