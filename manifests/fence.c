// See fence.h.
#include "manifests/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string-list.h"

enum { BOOT_ID_SIZE = 37, STATE_SIZE = 58, STATE_MAX = 4096 };

struct fence {
    char *state_path, *manifest;
    int state_fd; // holds the lock
    int socket;   // to the watch; -1: none runs
    pid_t pid;
    monotime deadline;
};

// --- the watch's side

static void watch_arm(int timer, monotime deadline)
{
    struct itimerspec when = {0}; // never: disarmed
    if (!monotime_is_never(deadline)) {
        when.it_value.tv_sec = (time_t)(deadline.usec / USEC_PER_SEC);
        when.it_value.tv_nsec = (long)(deadline.usec % USEC_PER_SEC * NSEC_PER_USEC) + 1;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

// True where a podmaster holds the lock: after the death of ours, another one.
static bool state_is_locked(const char *state_path)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    _cleanup_close_ int fd = open(state_path, O_RDWR | O_CLOEXEC);
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void watch_fire(const char *state_path, const char *manifest, bool orphan)
{
    if (orphan && state_is_locked(state_path))
        return;
    if (unlink(manifest) == 0)
        log_error("%s: the lease was not renewed in time; took the manifest away", manifest);
    else if (errno != ENOENT)
        log_error("%s: the lease was not renewed in time, and the manifest cannot be taken away: "
                  "%m",
                  manifest);
}

// Takes the newest deadline from the socket. False at its end: podmaster is gone.
static bool watch_receive(int socket, monotime *deadline)
{
    monotime newest;
    for (;;) {
        ssize_t n = recv(socket, &newest, sizeof(newest), MSG_DONTWAIT);
        if (n == (ssize_t)sizeof(newest))
            *deadline = newest;
        else
            return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
}

static void watch_run(int socket, const char *state_path, const char *manifest)
{
    // A timer of the clock that goes on while the machine sleeps: a deadline that passed in its
    // sleep is met at once when it wakes.
    _cleanup_close_ int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    monotime deadline = MONOTIME_NEVER;
    bool orphan = false;
    while (!orphan || !monotime_is_never(deadline)) {
        struct pollfd fds[] = {{.fd = orphan ? -1 : socket, .events = POLLIN},
                               {.fd = timer, .events = POLLIN}};
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return;
        if (!orphan)
            orphan = !watch_receive(socket, &deadline);
        if (monotime_reached(deadline, monotime_now())) {
            watch_fire(state_path, manifest, orphan);
            deadline = MONOTIME_NEVER;
        }
        watch_arm(timer, deadline);
    }
}

// What stops podmaster (a service manager that signals the whole group, Ctrl-C) must not stop the
// watch: it ends by itself.
static void watch_main(int socket, const char *state_path, const char *manifest)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    prctl(PR_SET_NAME, "podmaster-fence");
    // Everything but the standard streams and the socket belongs to podmaster.
    if (socket > 3)
        close_range(3, (unsigned)socket - 1, 0);
    close_range((unsigned)socket + 1, ~0U, 0);
    if (send(socket, "", 1, MSG_NOSIGNAL) != 1)
        return;
    watch_run(socket, state_path, manifest);
}

// --- podmaster's side

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
        watch_main(sockets[1], fence->state_path, fence->manifest);
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

static int send_deadline(const struct fence *fence)
{
    ssize_t n =
        send(fence->socket, &fence->deadline, sizeof(fence->deadline), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t)sizeof(fence->deadline) ? 0 : -EPIPE;
}

// "BOOT-ID DEADLINE\n", always of the same length and written in one piece.
static int write_state(const struct fence *fence, struct error *err)
{
    char boot[BOOT_ID_SIZE], text[STATE_SIZE + 1];
    snprintf(text, sizeof(text), "%-36.36s %020" PRIu64 "\n", process_boot_id(boot),
             fence->deadline.usec);
    if (pwrite(fence->state_fd, text, STATE_SIZE, 0) != STATE_SIZE)
        return error_errno(err, errno ? errno : EIO, "cannot write %s", fence->state_path);
    return 0;
}

static monotime read_state(const struct fence *fence)
{
    char boot[BOOT_ID_SIZE], text[STATE_SIZE + 1] = "";
    process_boot_id(boot);
    if (pread(fence->state_fd, text, STATE_SIZE, 0) != STATE_SIZE || strlen(boot) != 36 ||
        strncmp(text, boot, 36) != 0 || text[36] != ' ' || text[STATE_SIZE - 1] != '\n')
        return MONOTIME_NEVER;
    text[STATE_SIZE - 1] = '\0';
    char *end = NULL;
    errno = 0;
    monotime deadline = {strtoull(text + 37, &end, 10)};
    return errno == 0 && *end == '\0' ? deadline : MONOTIME_NEVER;
}

static int take_lock(struct fence *fence, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int code = fs_mkdir_parents_of(AT_FDCWD, fence->state_path);
    if (code < 0)
        return error_errno(err, code, "cannot make the directory of %s", fence->state_path);
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
              monotime *ret_inherited, struct error *err)
{
    _cleanup_fence_ struct fence *fence = xcalloc(1, sizeof(*fence));
    *fence = (struct fence){.state_path = xstrdup(state_path),
                            .manifest = xstrdup(manifest),
                            .state_fd = -1,
                            .socket = -1,
                            .deadline = MONOTIME_NEVER};
    int code = take_lock(fence, err);
    if (code == 0)
        code = start_watch(fence, err);
    if (code < 0)
        return code;
    *ret_inherited = read_state(fence);
    *ret = TAKE_PTR(fence);
    return 0;
}

int fence_set(struct fence *fence, monotime deadline, struct error *err)
{
    fence->deadline = deadline;
    int code = write_state(fence, err);
    if (code < 0)
        return code;
    if (fence->socket >= 0 && send_deadline(fence) == 0)
        return 0;
    log_warning("%s: the watch has died; starting another", fence->manifest);
    stop_watch(fence);
    code = start_watch(fence, err);
    if (code == 0 && send_deadline(fence) < 0)
        code = error_set(err, EPIPE, "the watch cannot be reached");
    return code;
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
    free(fence);
}
