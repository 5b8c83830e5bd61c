// The conversation with a shim and its end (shim-link.h).
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/work.h"
#include "supervisor/shim-link-internal.h"

enum {
    LOCK_TEXT_MAX = 256,
    DYING_USEC = 5000,
    BUSY_USEC = 200000,
};

int shim_link_read_state(int dir, const char *name, struct shim_state *ret)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(dir, name, SHIM_MESSAGE_MAX, &text);
    return code < 0 ? code : shim_state_parse(buffer_str(&text), ret, NULL);
}

int shim_link_lock_pidfd(int dir)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int pid;
    unsigned long long ticks;
    int code = fs_read_file(dir, "lock", LOCK_TEXT_MAX, &text);
    if (code < 0)
        return code;
    if (sscanf(buffer_str(&text), "%d %llu", &pid, &ticks) != 2)
        return -EBADMSG;
    return process_pidfd_if_same(pid, ticks);
}

bool shim_link_lock_is_free(int dir)
{
    _cleanup_close_ int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? errno == ENOENT : flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void drop_socket(struct shim_link *link)
{
    link->socket_source = sd_event_source_disable_unref(link->socket_source);
    cleanup_close(&link->socket);
    link->socket = -1;
}

// Takes over `state` and calls `changed` where it says something new. The link may be freed by it.
static void take_state(struct shim_link *link, struct shim_state *state)
{
    bool tell = false;
    switch (state->phase) {
    case SHIM_PHASE_STARTING:
        break;
    case SHIM_PHASE_RUNNING:
        tell = !link->told_running || !str_equal(state->message, link->state.message);
        link->told_running = true;
        break;
    case SHIM_PHASE_FAILED:
        tell = link->state.phase != SHIM_PHASE_FAILED;
        break;
    case SHIM_PHASE_EXITED: // `over` follows
        break;
    }
    shim_state_clear(&link->state);
    link->state = *state;
    *state = (struct shim_state){0};
    if (tell) {
        link->callbacks++;
        link->ops->changed(link->userdata, link, &link->state);
        link->callbacks--;
    }
}

// An adopted shim that had not signed its lock yet is known from its first state.
static void find_pidfd(struct shim_link *link)
{
    if (link->pidfd >= 0 || link->state.shim_pid <= 0)
        return;
    int pidfd = process_pidfd_if_same(link->state.shim_pid, link->state.shim_start_ticks);
    if (pidfd >= 0)
        (void)shim_link_watch(link, pidfd);
}

// Takes all messages that are there. 0, or -errno once the connection is over.
static int drain_messages(struct shim_link *link)
{
    struct shim_received message = SHIM_RECEIVED_NONE;
    int code = 0;
    while (link->socket >= 0 && !link->freed &&
           (code = shim_message_receive(link->socket, &message)) == 0) {
        struct shim_state state = {0};
        link->answered = link->asked;
        if (message.head.type == SHIM_STATE &&
            shim_state_parse(buffer_str(&message.text), &state, NULL) == 0) {
            take_state(link, &state);
            if (!link->freed)
                find_pidfd(link);
        }
    }
    shim_received_clear(&message);
    return code == -EAGAIN ? 0 : code;
}

// What the shim wrote when it ended; where it could not, what it had said last.
static bool read_exit(struct shim_link *link)
{
    struct shim_state state;
    if (shim_link_read_state(link->dir, "exit", &state) == 0) {
        shim_state_clear(&link->state);
        link->state = state;
    }
    return link->state.phase == SHIM_PHASE_EXITED || link->state.phase == SHIM_PHASE_FAILED;
}

static void tell_over(struct shim_link *link)
{
    bool known = read_exit(link);
    // A container that lived too short to be seen running was started all the same.
    if (known && link->state.phase == SHIM_PHASE_EXITED && !link->told_running) {
        link->told_running = true;
        link->state.phase = SHIM_PHASE_RUNNING;
        link->ops->changed(link->userdata, link, &link->state);
        link->state.phase = SHIM_PHASE_EXITED;
    }
    if (!link->freed)
        link->ops->over(link->userdata, link, known ? &link->state : NULL);
}

static void end(struct shim_link *link)
{
    if (link->over)
        return;
    link->callbacks++;
    (void)drain_messages(link);
    link->over = true;
    drop_socket(link);
    link->pidfd_source = sd_event_source_disable_unref(link->pidfd_source);
    // A zombie's lock file still names it: looked at again, it would be watched for good.
    link->look_again = sd_event_source_disable_unref(link->look_again);
    if (link->child > 0)
        waitid(P_PID, (id_t)link->child, &(siginfo_t){0}, WEXITED | WNOHANG);
    link->child = 0;
    cleanup_close(&link->pidfd);
    link->pidfd = -1;
    shim_link_end_execs(link);
    if (!link->freed)
        tell_over(link);
    link->callbacks--;
    if (link->freed)
        shim_link_destroy(link);
}

static int pidfd_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    end(userdata);
    return 0;
}

static int look_again(sd_event_source *source, void *userdata);

static int look_again_later(sd_event_source *source, uint64_t usec, void *userdata)
{
    return look_again(source, userdata);
}

static void arm_look_again(struct shim_link *link, uint64_t usec)
{
    (void)sd_event_add_time_relative(link->event, &link->look_again, CLOCK_BOOTTIME, usec, 1,
                                     look_again_later, link);
}

static int look_again(sd_event_source *source, void *userdata)
{
    struct shim_link *link = userdata;
    link->look_again = sd_event_source_disable_unref(link->look_again);
    if (link->pidfd < 0) {
        int pidfd = shim_link_lock_pidfd(link->dir);
        if (pidfd >= 0)
            (void)shim_link_watch(link, pidfd);
    }
    if (link->pidfd < 0 && shim_link_lock_is_free(link->dir)) {
        end(link);
        return 0;
    }
    int code = link->socket < 0 ? shim_link_converse(link) : 0;
    if (code == -EAGAIN)
        arm_look_again(link, BUSY_USEC); // others are waiting for it to accept them
    else if (code < 0 && link->pidfd < 0)
        arm_look_again(link, DYING_USEC); // unsigned and deaf: its lock goes last
    // Else its death comes by the pidfd.
    return 0;
}

int shim_link_look_again(struct shim_link *link)
{
    if (link->look_again)
        return 0;
    return sd_event_add_defer(link->event, &link->look_again, look_again, link);
}

static int socket_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct shim_link *link = userdata;
    WORK_SCOPE("logs", "shim", NULL, link->id);
    if (work_is_silenced("logs"))
        return -ENODATA; // as a callback that fails: its source is off from here on
    link->callbacks++;
    int code = drain_messages(link);
    link->callbacks--;
    if (link->freed) {
        shim_link_destroy(link);
        return 0;
    }
    if (code < 0) {
        // The shim has ended (its pidfd says so too, where it is known), or has closed this
        // connection because it was not read.
        drop_socket(link);
        (void)shim_link_look_again(link);
    }
    return 0;
}

int shim_link_converse(struct shim_link *link)
{
    struct shim_message hello = {.type = SHIM_HELLO};
    link->asked++;
    _cleanup_close_ int fd = shim_socket_connect(link->dir, "socket");
    if (fd < 0)
        return fd;
    int code = shim_message_send(fd, &hello, NULL, NULL, 0);
    if (code == 0)
        code = sd_event_add_io(link->event, &link->socket_source, fd, EPOLLIN, socket_ready, link);
    if (code < 0)
        return code;
    link->socket = TAKE_FD(fd);
    return 0;
}

int shim_link_watch(struct shim_link *link, int pidfd)
{
    int code = sd_event_add_io(link->event, &link->pidfd_source, pidfd, EPOLLIN, pidfd_ready, link);
    if (code < 0) {
        close(pidfd);
        return code;
    }
    link->pidfd = pidfd;
    return 0;
}
