// The fencing process. See fence.h.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "manifests/fence-internal.h"

enum { DEATH_SEC = 10 }; // how long it is waited for that the killed are dead, to tell it

struct watch {
    int socket, timer;
    uint64_t owner;
    const char *state_path, *manifest;
    char *cgroups;
    bool orphan;              // its podmaster is gone
    struct fence_state state; // as read last
    bool taken_away, killed;  // what was done by it
};

// True where a podmaster holds the lock of the state file.
static bool is_locked(const char *state_path)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    _cleanup_close_ int fd = open(state_path, O_RDWR | O_CLOEXEC);
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void take_away(struct watch *w)
{
    if (unlink(w->manifest) == 0)
        log_error("%s: the lease was not renewed in time; took the manifest away", w->manifest);
    else if (errno != ENOENT)
        log_error("%s: the lease was not renewed in time, and the manifest cannot be taken away: "
                  "%m",
                  w->manifest);
    w->taken_away = true;
}

static void kill_all(struct watch *w)
{
    _cleanup_string_list_ struct string_list cgroups = {0};
    fence_cgroups_list(w->cgroups, &cgroups);
    w->killed = true;
    if (fence_cgroups_kill(&cgroups) == 0)
        return;
    monotime until = monotime_add_ms(monotime_now(), DEATH_SEC * MSEC_PER_SEC);
    if (fence_cgroups_await_empty(&cgroups, until, -1))
        log_error("%s: the deadline has come: killed what was left of the pod, and it is dead",
                  w->manifest);
    else
        log_error(
            "%s: the deadline has come: killed what was left of the pod, but something in its "
            "cgroup does not die",
            w->manifest);
}

static bool same(const struct fence_state *a, const struct fence_state *b)
{
    return a->owner == b->owner && a->start_until.usec == b->start_until.usec &&
           a->kill_at.usec == b->kill_at.usec;
}

// Does what is due. False where there is nothing left to watch over.
static bool look(struct watch *w)
{
    struct fence_state state;
    (void)fence_state_read_path(w->state_path, &state); // what cannot be read has passed
    if (w->orphan && state.owner != w->owner && is_locked(w->state_path))
        return false; // another podmaster has taken over, and its fence
    if (!same(&state, &w->state))
        w->taken_away = w->killed = false;
    w->state = state;
    monotime now = monotime_now();
    if (!w->taken_away && monotime_reached(state.start_until, now))
        take_away(w);
    if (!w->killed && monotime_reached(state.kill_at, monotime_now()))
        kill_all(w);
    monotime_arm(w->timer, !w->taken_away ? state.start_until
                           : !w->killed   ? state.kill_at
                                          : MONOTIME_NEVER);
    return !w->orphan || !w->killed;
}

// Takes what podmaster has sent from the socket: each time it has written the state, perhaps with
// another one in between that was not seen here. At the socket's end podmaster is gone.
static void receive(struct watch *w)
{
    char byte;
    ssize_t n;
    while ((n = recv(w->socket, &byte, sizeof(byte), MSG_DONTWAIT)) > 0)
        w->taken_away = w->killed = false;
    w->orphan = n == 0 || (errno != EAGAIN && errno != EINTR);
}

static void run(struct watch *w)
{
    while (look(w)) {
        uint64_t times;
        struct pollfd fds[] = {{.fd = w->orphan ? -1 : w->socket, .events = POLLIN},
                               {.fd = w->timer, .events = POLLIN}};
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return;
        (void)!read(w->timer, &times, sizeof(times));
        if (!w->orphan)
            receive(w);
    }
}

// A machine that is short of memory or of time must not keep it from its deadline. Best effort
// each.
static void stand_above(void)
{
    struct sched_param first = {.sched_priority = 1};
    static const char lowest[] = "-1000";
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    (void)!(fd >= 0 && write(fd, lowest, sizeof(lowest) - 1) > 0);
    (void)!sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
    (void)!mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

// What stops podmaster (a service manager that signals the whole group, Ctrl-C) must not stop the
// watch: it ends by itself.
void fence_watch_main(int socket, uint64_t owner, const char *state_path, const char *manifest)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    struct watch w = {.socket = socket,
                      .owner = owner,
                      .state_path = state_path,
                      .manifest = manifest,
                      .cgroups = fence_state_cgroups(state_path),
                      .taken_away = true, // all zero, as long as nobody has said anything else
                      .killed = true};
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    prctl(PR_SET_NAME, "podmaster-fence");
    // Everything but the standard streams and the socket belongs to podmaster.
    if (socket > 3)
        close_range(3, (unsigned)socket - 1, 0);
    close_range((unsigned)socket + 1, ~0U, 0);
    w.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    stand_above();
    if (w.timer >= 0 && send(socket, "", 1, MSG_NOSIGNAL) == 1)
        run(&w);
    free(w.cgroups);
}
