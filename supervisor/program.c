// See program.h. The input is a sealed file in memory, so that nobody waits for a pipe; the end of
// the process counts, not that of its output, which something it left behind may keep open.
#include "supervisor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "base/process.h"

enum {
    SAFE_FD = 16,             // above the descriptors that are replaced
    KILL_WAIT_USEC = 2000000, // for the end after SIGKILL
    TIMER_ACCURACY_USEC = 10000,
};

struct program {
    sd_event *event;
    pid_t pid;
    int pidfd;
    sd_event_source *end, *timer, *sources[2];
    int pipes[2]; // read ends of its output and errors
    struct buffer texts[2];
    int failed; // why it was killed: -ETIMEDOUT, -EMSGSIZE
    int64_t timeout_usec;
    void (*ended)(void *userdata, const struct program_end *end);
    void *userdata;
};

static void program_free(struct program *p)
{
    sd_event_source_disable_unref(p->end);
    sd_event_source_disable_unref(p->timer);
    for (int i = 0; i < 2; i++) {
        sd_event_source_disable_unref(p->sources[i]);
        cleanup_close(&p->pipes[i]);
        buffer_free(&p->texts[i]);
    }
    cleanup_close(&p->pidfd);
    free(p);
}

// The process is not reaped yet, so its id (and that of its group) is still its own.
static void kill_group(const struct program *p)
{
    if (p->pid <= 0)
        return;
    kill(-p->pid, SIGKILL);
    process_signal(p->pidfd, SIGKILL);
}

void program_cancel(struct program *p)
{
    if (!p)
        return;
    kill_group(p);
    if (p->pid > 0)
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    program_free(p);
}

// ---- its end ----

static void read_output(struct program *p, int i)
{
    struct buffer *text = &p->texts[i];
    size_t most = i == 0 ? PROGRAM_OUTPUT_MAX : PROGRAM_ERRORS_MAX;
    for (;;) {
        ssize_t n = read(p->pipes[i], buffer_reserve(text, 4096), 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                sd_event_source_set_enabled(p->sources[i], SD_EVENT_OFF);
            return;
        }
        text->len += (size_t)n;
        text->data[text->len] = '\0';
        if (text->len <= most)
            continue;
        buffer_consume(text, text->len - most);
        if (i == 0 && p->failed == 0) {
            p->failed = -EMSGSIZE;
            kill_group(p);
        }
        if (i == 0)
            return;
    }
}

static char *describe(const struct program *p, const siginfo_t *info)
{
    char name[16];
    if (p->failed == -ETIMEDOUT)
        return xasprintf("did not end within %lld s and was killed",
                         (long long)(p->timeout_usec / USEC_PER_SEC));
    if (p->failed == -EMSGSIZE)
        return xasprintf("wrote more than %d bytes and was killed", PROGRAM_OUTPUT_MAX);
    if (info->si_code == CLD_EXITED)
        return xasprintf("exited with status %d", info->si_status);
    return xasprintf("ended by %s", signal_name(info->si_status, name));
}

static void finish(struct program *p, const siginfo_t *info)
{
    read_output(p, 0);
    read_output(p, 1);
    bool exited = info->si_pid != 0 && info->si_code == CLD_EXITED;
    bool fine = p->failed == 0 && exited && info->si_status == 0;
    _cleanup_free_ char *why = fine ? NULL : describe(p, info);
    struct program_end end = {
        .code = fine        ? 0
                : p->failed ? p->failed
                            : -EIO,
        .status = exited ? info->si_status : -1,
        .output = buffer_str(&p->texts[0]),
        .output_size = p->texts[0].len,
        .errors = buffer_str(&p->texts[1]),
        .why = why,
    };
    p->pid = 0;
    p->ended(p->userdata, &end);
    program_free(p);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct program *p = userdata;
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid != 0)
        finish(p, &info);
    return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct program *p = userdata;
    if (p->failed == -ETIMEDOUT) { // not even SIGKILL has ended it
        finish(p, &(siginfo_t){0});
        return 0;
    }
    p->failed = -ETIMEDOUT;
    kill_group(p);
    sd_event_source_set_time_relative(source, KILL_WAIT_USEC);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct program *p = userdata;
    read_output(p, fd == p->pipes[0] ? 0 : 1);
    return 0;
}

// ---- its start ----

static int input_file(const struct program_options *options)
{
    if (!options->input)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int code = fs_write_all(fd, options->input, options->input_size);
    if (code == 0 && lseek(fd, 0, SEEK_SET) < 0)
        code = -errno;
    return code < 0 ? code : TAKE_FD(fd);
}

static int spawn_with(const struct program_options *options, const int from[3], pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    int code = posix_spawnattr_setsigdefault(&attributes, &all);
    if (code == 0)
        code = posix_spawnattr_setsigmask(&attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    for (int i = 0; i < 3 && code == 0; i++)
        code = posix_spawn_file_actions_adddup2(&actions, from[i], i);
    if (code == 0)
        code = posix_spawn(ret, options->path, &actions, &attributes, options->argv,
                           options->environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -code;
}

// Out of the way of 0, 1 and 2; the originals are closed.
static int move_up(int fds[3])
{
    for (int i = 0; i < 3; i++) {
        int high = fcntl(fds[i], F_DUPFD_CLOEXEC, SAFE_FD);
        if (high < 0)
            return -errno;
        close(fds[i]);
        fds[i] = high;
    }
    return 0;
}

static int spawn_program(struct program *p, const struct program_options *options)
{
    int from[3] = {input_file(options), -1, -1};
    int code = from[0] < 0 ? from[0] : 0;
    for (int i = 0; i < 2 && code == 0; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0) {
            code = -errno;
            break;
        }
        p->pipes[i] = ends[0];
        from[i + 1] = ends[1];
        code = fs_set_nonblocking(ends[0], true);
    }
    if (code == 0)
        code = move_up(from);
    if (code == 0)
        code = spawn_with(options, from, &p->pid);
    for (int i = 0; i < 3; i++)
        cleanup_close(&from[i]);
    return code;
}

static int watch(struct program *p)
{
    p->pidfd = process_pidfd(p->pid);
    if (p->pidfd < 0)
        return p->pidfd;
    int r = sd_event_add_io(p->event, &p->end, p->pidfd, EPOLLIN, on_end, p);
    for (int i = 0; i < 2 && r >= 0; i++)
        r = sd_event_add_io(p->event, &p->sources[i], p->pipes[i], EPOLLIN, on_output, p);
    if (r >= 0)
        r = sd_event_add_time_relative(p->event, &p->timer, CLOCK_MONOTONIC,
                                       (uint64_t)p->timeout_usec, TIMER_ACCURACY_USEC, on_time, p);
    return r < 0 ? r : 0;
}

int program_start(const struct program_options *options,
                  void (*ended)(void *userdata, const struct program_end *end), void *userdata,
                  struct program **ret, struct error *err)
{
    struct program *p = xcalloc(1, sizeof(*p));
    *p = (struct program){
        .event = options->event,
        .pidfd = -1,
        .pipes = {-1, -1},
        .timeout_usec = options->timeout_usec,
        .ended = ended,
        .userdata = userdata,
    };
    int code = spawn_program(p, options);
    if (code == 0)
        code = watch(p);
    if (code < 0) {
        program_cancel(p);
        return error_errno(err, code, "cannot run %s", options->path);
    }
    *ret = p;
    return 0;
}
