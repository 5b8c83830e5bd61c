// The life of one container inside its shim: stdio, start, output, death, report. See shim.h.
#include "supervisor/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/rest.h"

enum {
    REST_MSEC = 1000, // of silence until the memory of the start, or of a burst, goes back
    // A container that writes small pieces in quick succession is read at intervals, so that a wake
    // up and a write serve many of its lines. What it writes meanwhile fits into the pipe.
    GATHER_BELOW = 16 << 10, // bytes: a larger piece is no small one
    GATHER_WITHIN_USEC = 1000,
    GATHER_USEC = 200,
    PIPE_SIZE = 256 << 10,
};

int shim_source_add(struct shim *shim, struct shim_source *source, int fd,
                    void (*ready)(struct shim_source *source, struct shim *shim))
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(shim->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    source->fd = fd;
    source->ready = ready;
    return 0;
}

void shim_source_close(struct shim *shim, struct shim_source *source)
{
    if (source->fd < 0)
        return;
    // By hand, because a descriptor that a child still shares stays in the set when it is closed.
    epoll_ctl(shim->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    close(source->fd);
    source->fd = -1;
}

// --- the container's output

static void gather_more(struct shim *shim, size_t just_read)
{
    monotime now = monotime_now();
    int64_t since = monotime_since(now, shim->output_at);
    shim->output_at = now;
    if (just_read < GATHER_BELOW && since < GATHER_WITHIN_USEC) {
        struct timespec pause = {.tv_nsec = GATHER_USEC * NSEC_PER_USEC};
        nanosleep(&pause, NULL);
    }
}

static void output_ready(struct shim_source *source, struct shim *shim)
{
    struct shim_output *output = (struct shim_output *)source;
    ssize_t n = shim_log_read(shim->log, output->stream, source->fd, SHIM_LOG_BATCH);
    if (n > 0)
        gather_more(shim, (size_t)n);
    if (n > 0 || n == -EAGAIN)
        return;
    // The end, which a terminal reports as EIO.
    shim_log_finish(shim->log, output->stream);
    shim_source_close(shim, source);
}

// After the container's death: what is in the pipe now, and no more, for a process that was forked
// away may hold it open, and write, for ever.
static void drain_output(struct shim *shim, struct shim_output *output)
{
    int left = 0;
    if (output->source.fd < 0)
        return;
    if (ioctl(output->source.fd, FIONREAD, &left) < 0)
        left = 0;
    while (left > 0) {
        ssize_t n = shim_log_read(shim->log, output->stream, output->source.fd, (size_t)left);
        if (n <= 0)
            break;
        left -= (int)n;
    }
    shim_log_finish(shim->log, output->stream);
    shim_source_close(shim, &output->source);
}

// --- stdio

// Where the container becomes another user, its own /dev/stdout must be open to it.
static void give_to_user(const struct shim_spec *spec, int fd)
{
    if (spec->run_as_user > 0 && !spec->new_user_namespace)
        (void)!fchown(fd, (uid_t)spec->run_as_user, (gid_t)-1);
}

static int make_output(struct shim *shim, enum shim_stream stream, int *ret_writer)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    struct shim_output *output = &shim->outputs[stream];
    int code = fs_set_nonblocking(ends[0], true);
    if (code == 0)
        code = shim_source_add(shim, &output->source, ends[0], output_ready);
    if (code < 0) {
        close(ends[0]);
        close(ends[1]);
        return code;
    }
    // Room for what comes while the shim gathers or writes; best effort.
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
    give_to_user(&shim->spec, ends[1]);
    *ret_writer = ends[1];
    return 0;
}

// A terminal instead of the pipes: its master end takes the place of stdout.
static int make_terminal(struct shim *shim, struct shim_stdio *stdio)
{
    int unlock = 0;
    _cleanup_close_ int slave = -1;
    _cleanup_close_ int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
        return -errno;
    slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    struct shim_source *source = &shim->outputs[SHIM_STDOUT].source;
    int code = shim_source_add(shim, source, master, output_ready);
    if (code < 0)
        return code;
    TAKE_FD(master);
    give_to_user(&shim->spec, slave);
    int fd = TAKE_FD(slave);
    *stdio = (struct shim_stdio){.fds = {fd, fd, fd}, .tty = true};
    return 0;
}

static int make_stdio(struct shim *shim, struct shim_stdio *stdio)
{
    if (shim->spec.tty)
        return make_terminal(shim, stdio);
    int code = make_output(shim, SHIM_STDOUT, &stdio->fds[1]);
    if (code == 0)
        code = make_output(shim, SHIM_STDERR, &stdio->fds[2]);
    if (code == 0 && shim->spec.stdin_open) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        stdio->fds[0] = ends[0];
        shim->stdin_writer = ends[1];
    }
    return code;
}

static void close_stdio(struct shim_stdio *stdio)
{
    for (int i = 0; i < (stdio->tty ? 1 : 3); i++)
        cleanup_close(&stdio->fds[i]);
}

// --- start and end

static void start_failed(struct shim *shim, const char *reason, const struct error *err)
{
    shim->state.phase = SHIM_PHASE_FAILED;
    shim->state.error_code = -err->code;
    shim->state.error_reason = xstrdup(reason);
    shim->state.message = xstrdup(error_message(err));
    shim->state.finished_at = walltime_now();
}

static int start_container(struct shim *shim)
{
    struct shim_stdio stdio = {.fds = {-1, -1, -1}};
    _cleanup_buffer_ struct buffer warnings = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *reason = "CreateContainerError";
    int code = make_stdio(shim, &stdio);
    if (code < 0)
        error_errno(&err, code, "cannot make the container's stdio");
    else if ((code = shim_fence_begin(shim)) < 0)
        error_errno(&err, code, "cannot watch podmaster's deadline");
    else
        code = shim_container_start(&shim->spec, &stdio, &shim->child, &shim->state.command,
                                    &warnings, &reason, &err);
    close_stdio(&stdio);
    if (code < 0) {
        start_failed(shim, reason, &err);
        return code;
    }
    shim->state.phase = SHIM_PHASE_RUNNING;
    shim->state.pid = shim->child.pid;
    shim->state.started_at = walltime_now();
    if (process_start_ticks(shim->child.pid, &shim->state.start_ticks) < 0)
        shim->state.start_ticks = 0;
    shim->warnings = warnings.len > 0 ? buffer_take(&warnings) : NULL;
    return 0;
}

static void join_own_cgroups(struct shim *shim)
{
    LIST_EACH (dir, &shim->spec.shim_cgroup_dirs) {
        _cleanup_free_ char *path = path_join(*dir, "cgroup.procs");
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        // Only where the shim is accounted depends on it.
        (void)!(fd >= 0 && write(fd, "0", 1) == 1);
    }
}

static void container_exited(struct shim *shim, int wait_status)
{
    struct shim_state *state = &shim->state;
    state->finished_at = walltime_now();
    state->signaled = WIFSIGNALED(wait_status);
    state->exit_code = state->signaled ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    state->oom_killed = shim_oom_kills(&shim->spec) > shim->oom_kills_before;
    state->phase = SHIM_PHASE_EXITED;
}

static void signals_ready(struct shim_source *source, struct shim *shim)
{
    struct signalfd_siginfo info;
    while (read(source->fd, &info, sizeof(info)) > 0)
        continue;
    for (;;) {
        int wait_status;
        pid_t pid = waitpid(-1, &wait_status, WNOHANG);
        if (pid <= 0)
            return;
        if (pid == shim->child.pid)
            container_exited(shim, wait_status);
        else
            shim_control_reaped(shim, pid, wait_status);
    }
}

static int open_loop(struct shim *shim)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    shim->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (shim->epoll < 0)
        return -errno;
    int fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : shim_source_add(shim, &shim->signals, fd, signals_ready);
}

static void open_log(struct shim *shim)
{
    const struct shim_spec *spec = &shim->spec;
    shim->log_file = shim_log_file_new(spec->log_path, spec->log_max_bytes, spec->log_max_files);
    shim->journal = spec->journal_socket ? shim_journal_new(spec) : NULL;
    shim->log = shim_log_new(shim->log_file, shim->journal);
}

// --- the loop

// Milliseconds that the loop may sleep, as epoll_wait() takes them: for ever, where nothing is due.
static int sleep_msec(struct shim *shim)
{
    monotime deadline = shim_log_file_deadline(shim->log_file);
    if (shim->journal)
        deadline = monotime_min(deadline, shim_journal_deadline(shim->journal));
    int rest = shim_log_wants_rest(shim->log) || !shim->has_rested ? REST_MSEC : -1;
    if (monotime_is_never(deadline))
        return rest;
    int64_t msec = monotime_since(deadline, monotime_now()) / USEC_PER_MSEC + 1;
    return (int)(rest < 0 ? msec : MIN(msec, rest));
}

static void look_after_journal(struct shim *shim)
{
    if (shim->journal && monotime_reached(shim_journal_deadline(shim->journal), monotime_now()))
        shim_journal_retry(shim->journal);
}

// A log that cannot be written is told to the agent when that begins and when it ends.
static void look_after_log(struct shim *shim)
{
    monotime deadline = shim_log_file_deadline(shim->log_file);
    if (!monotime_is_never(deadline) && monotime_reached(deadline, monotime_now()))
        shim_log_file_retry(shim->log_file);
    bool failing = shim_log_file_losses(shim->log_file)->failing;
    if (failing != shim->said_failing) {
        shim->said_failing = failing;
        shim_report_state(shim);
    }
}

// What only the start, or a burst, needed is not to stay mapped.
static void rest(struct shim *shim)
{
    if (shim_log_wants_rest(shim->log))
        shim_log_rest(shim->log);
    process_rest(false);
    shim->has_rested = true;
}

static void loop_until_exited(struct shim *shim)
{
    while (shim->state.phase == SHIM_PHASE_RUNNING) {
        struct epoll_event event;
        int n = epoll_wait(shim->epoll, &event, 1, sleep_msec(shim));
        if (n > 0) {
            struct shim_source *source = event.data.ptr;
            source->ready(source, shim);
        } else if (n == 0) {
            rest(shim);
        }
        look_after_log(shim);
        look_after_journal(shim);
    }
}

void shim_run(struct shim *shim)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = open_loop(shim);
    if (code == 0)
        code = shim_control_listen(shim, SHIM_FD_SOCKET);
    if (code < 0) {
        error_errno(&err, code, "the shim cannot make its loop");
        start_failed(shim, "CreateContainerError", &err);
    } else {
        code = start_container(shim);
        // What the container writes meanwhile waits in the pipes; its start waits for no disk.
        shim_report_begin(shim);
        open_log(shim);
    }
    if (code == 0) {
        shim_report_state(shim);
        shim->oom_kills_before = shim_oom_kills(&shim->spec);
        join_own_cgroups(shim);
        loop_until_exited(shim);
        shim_kill_strays(shim);
        drain_output(shim, &shim->outputs[SHIM_STDOUT]);
        drain_output(shim, &shim->outputs[SHIM_STDERR]);
        if (shim->journal)
            shim_journal_retry(shim->journal); // nobody says it later
    }
    if (shim->log_file)
        shim_log_file_close(shim->log_file);
    shim_control_end(shim);
    shim_report_exit(shim);
}
