// See exec-session.h. Without a terminal the shim gets our own descriptors and there is nothing to
// carry; with one, a pty stands in between and bytes go both ways until the command is over.
#include "cli/exec-session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fs.h"
#include "base/macro.h"
#include "supervisor/shim/shim-proto.h"

enum { INPUT_MAX = 4096 };

struct session {
    int shim;            // connection to the shim
    int master, signals; // -1 without a terminal
    bool reads_stdin;
    char input[INPUT_MAX]; // from our terminal, on its way to the command's
    size_t input_len;
    bool raw; // our terminal was changed
    struct termios saved;
    bool over;
    int status;
};

static void session_close(struct session *s)
{
    if (s->raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &s->saved);
    cleanup_close(&s->shim);
    cleanup_close(&s->master);
    cleanup_close(&s->signals);
}

static void copy_window_size(const struct session *s)
{
    struct winsize size;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(s->master, TIOCSWINSZ, &size);
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// *ret_slave is the command's side.
static int open_terminal(struct session *s, int *ret_slave, struct error *err)
{
    char name[64];
    s->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (s->master < 0 || grantpt(s->master) < 0 || unlockpt(s->master) < 0 ||
        ptsname_r(s->master, name, sizeof(name)) != 0)
        return error_errno(err, errno, "cannot make a terminal");
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return error_errno(err, errno, "cannot open the terminal %s", name);
    copy_window_size(s);
    s->signals = open_signals();
    *ret_slave = slave;
    return 0;
}

// Our own terminal passes every key on (also Ctrl-C) and the command's one gives it its meaning.
static void make_raw(struct session *s)
{
    struct termios raw;
    if (!s->reads_stdin || tcgetattr(STDIN_FILENO, &s->saved) < 0)
        return;
    raw = s->saved;
    cfmakeraw(&raw);
    s->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static int send_request(const struct session *s, const struct exec_request *request,
                        const int fds[3], struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < request->argc; i++)
        buffer_add(&text, request->argv[i], strlen(request->argv[i]) + 1);
    const struct shim_message message = {
        .type = SHIM_EXEC,
        .length = (uint32_t)text.len,
        .flags = request->tty ? SHIM_EXEC_TTY : 0,
    };
    int r = shim_message_send(s->shim, &message, text.data, fds, 3);
    if (r == -EMSGSIZE)
        return error_set(err, E2BIG, "the command is too long (64 KiB at most)");
    return r < 0 ? error_errno(err, r, "cannot talk to the container's shim") : 0;
}

// Hands over the descriptors that become the command's 0, 1 and 2.
static int begin(struct session *s, const struct exec_request *request, struct error *err)
{
    _cleanup_close_ int slave = -1, null = -1;
    int r = 0;
    s->shim = shim_socket_connect(AT_FDCWD, request->socket);
    if (s->shim < 0)
        return error_errno(err, s->shim == -EACCES ? EACCES : ENOTCONN,
                           "cannot reach the container's shim at %s", request->socket);
    if (request->tty) {
        r = open_terminal(s, &slave, err);
        if (r < 0)
            return r;
        s->reads_stdin = request->with_stdin;
        const int fds[3] = {slave, slave, slave};
        return send_request(s, request, fds, err);
    }
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int fds[3] = {request->with_stdin ? STDIN_FILENO : null, STDOUT_FILENO, STDERR_FILENO};
    return send_request(s, request, fds, err);
}

static int take_message(struct session *s, struct error *err)
{
    struct shim_received received = SHIM_RECEIVED_NONE;
    int r = shim_message_receive(s->shim, &received);
    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        return error_set(err, ECONNRESET,
                         "the container ended while the command ran; the command was killed");
    int status = (int)received.head.number;
    if (received.head.type == SHIM_EXEC_STARTED) {
        make_raw(s);
    } else if (received.head.type == SHIM_EXEC_EXITED) {
        s->over = true;
        s->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    } else if (received.head.type == SHIM_ERROR) {
        r = error_set(err, received.head.number ? (int)received.head.number : EIO, "%s",
                      buffer_str(&received.text));
    }
    shim_received_clear(&received);
    return r;
}

// From the command's terminal to ours. False at its end.
static bool pass_output(const struct session *s)
{
    char data[8192];
    ssize_t n = read(s->master, data, sizeof(data));
    if (n > 0)
        return fs_write_all(STDOUT_FILENO, data, (size_t)n) == 0;
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void pass_input(struct session *s)
{
    ssize_t n = write(s->master, s->input, s->input_len);
    if (n > 0) {
        s->input_len -= (size_t)n;
        memmove(s->input, s->input + n, s->input_len);
    }
}

static void take_input(struct session *s)
{
    ssize_t n = read(STDIN_FILENO, s->input + s->input_len, INPUT_MAX - s->input_len);
    if (n > 0)
        s->input_len += (size_t)n;
    else if (n == 0)
        s->reads_stdin = false;
}

// Window changes go on to the command; whoever ends us ends it.
static int take_signal(const struct session *s, struct error *err)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    if (info.ssi_signo != SIGWINCH)
        return error_set(err, EINTR, "ended by a signal");
    copy_window_size(s);
    return 0;
}

enum { POLL_SHIM, POLL_MASTER, POLL_STDIN, POLL_SIGNALS, POLL_FDS };

static int turn(struct session *s, struct error *err)
{
    bool has_room = s->input_len < INPUT_MAX;
    struct pollfd fds[POLL_FDS] = {
        [POLL_SHIM] = {.fd = s->shim, .events = POLLIN},
        [POLL_MASTER] = {.fd = s->master,
                         .events = (short)(POLLIN | (s->input_len > 0 ? POLLOUT : 0))},
        [POLL_STDIN] = {.fd = s->reads_stdin && s->raw && has_room ? STDIN_FILENO : -1,
                        .events = POLLIN},
        [POLL_SIGNALS] = {.fd = s->signals, .events = POLLIN},
    };
    if (poll(fds, POLL_FDS, -1) < 0)
        return errno == EINTR ? 0 : error_errno(err, errno, "poll");
    if (fds[POLL_MASTER].revents & (POLLIN | POLLHUP) && !pass_output(s)) {
        // The last process that had the terminal open is gone; its exit status is on its way.
        cleanup_close(&s->master);
        s->master = -1;
    }
    if (fds[POLL_MASTER].revents & POLLOUT && s->master >= 0)
        pass_input(s);
    if (fds[POLL_STDIN].revents & (POLLIN | POLLHUP))
        take_input(s);
    int r = fds[POLL_SIGNALS].revents & POLLIN ? take_signal(s, err) : 0;
    if (r == 0 && fds[POLL_SHIM].revents)
        r = take_message(s, err);
    return r;
}

int exec_session(const struct exec_request *request, int *ret_status, struct error *err)
{
    struct session s = {.shim = -1, .master = -1, .signals = -1};
    int r = begin(&s, request, err);
    while (r == 0 && !s.over)
        r = turn(&s, err);
    // What the command wrote last may still be in its terminal.
    struct pollfd master = {.fd = s.master, .events = POLLIN};
    while (r == 0 && s.master >= 0 && poll(&master, 1, 0) > 0 && pass_output(&s))
        ;
    session_close(&s);
    if (r == 0)
        *ret_status = s.status;
    return r;
}
