// podmaster: of several nodes, the one that holds a key in etcd by a lease has the manifest in its
// directory; the others do not. One manifest is this process's own work (podmaster-pair.h). Several
// get a process each, so that none waits for another's; this one then keeps them going, speaks for
// them to the service manager and hands its signals on.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "base/monotime.h"
#include "manifests/podmaster-pair.h"

enum { AGAIN_MSEC = 1000, STATUS_MAX = 4096 };

struct worker {
    pid_t pid;         // 0: none runs
    int status_fd;     // what it says comes here; -1: nothing
    char *status;      // its last line
    monotime again_at; // when it is to be started anew
};

struct master {
    const struct podmaster_options *options;
    struct worker *workers;
    size_t n;
    int signal_fd;
    bool stopping;
};

static void worker_main(struct master *m, size_t index, int status_fd, pid_t parent)
{
    // A master that dies takes its workers along, so that the next one's can take over. Their
    // fences stay.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    for (size_t i = 0; i < m->n; i++)
        if (m->workers[i].status_fd >= 0)
            close(m->workers[i].status_fd);
    close(m->signal_fd);
    _exit(podmaster_pair_run(m->options, index, status_fd));
}

static void start_worker(struct master *m, size_t index)
{
    struct worker *worker = &m->workers[index];
    int ends[2];
    pid_t parent = getpid();
    worker->again_at = monotime_add_ms(monotime_now(), AGAIN_MSEC);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        log_error("%s: cannot start: %m", m->options->keys.items[index]);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        worker_main(m, index, ends[1], parent);
    }
    close(ends[1]);
    if (pid < 0) {
        log_error("%s: cannot start: %m", m->options->keys.items[index]);
        close(ends[0]);
        return;
    }
    worker->pid = pid;
    worker->status_fd = ends[0];
    worker->again_at = MONOTIME_NEVER;
}

static void tell_service_manager(const struct master *m)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < m->n; i++) {
        if (!m->workers[i].status)
            return; // it is ready when each of them knows whether the lease is its own
        buffer_printf(&text, "%s%s", i > 0 ? "; " : "", m->workers[i].status);
    }
    sd_notifyf(0, "READY=1\nSTATUS=%s", buffer_str(&text));
}

static void read_status(struct master *m, struct worker *worker)
{
    char text[STATUS_MAX + 1];
    ssize_t n = read(worker->status_fd, text, STATUS_MAX);
    if (n <= 0) {
        close(worker->status_fd);
        worker->status_fd = -1;
        return;
    }
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n] = '\0';
    char *newline = strrchr(text, '\n');
    free(worker->status);
    worker->status = xstrdup(newline ? newline + 1 : text);
    tell_service_manager(m);
}

static void hand_on(const struct master *m, int number)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->workers[i].pid > 0) // not reaped yet, so the number is still its own
            kill(m->workers[i].pid, number);
}

static void reap(struct master *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct worker *worker = &m->workers[i];
        int status;
        if (worker->pid == 0 || waitpid(worker->pid, &status, WNOHANG) != worker->pid)
            continue;
        worker->pid = 0;
        worker->again_at = monotime_add_ms(monotime_now(), AGAIN_MSEC);
        if (!m->stopping)
            log_error("%s: its process has ended (%s %d); starting another",
                      m->options->keys.items[i], WIFSIGNALED(status) ? "signal" : "status",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

static void take_signals(struct master *m)
{
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (!m->stopping)
            sd_notify(0, "STOPPING=1");
        m->stopping = true;
        hand_on(m, SIGTERM);
    }
    reap(m);
}

// How many milliseconds until a worker is due; starts those that are.
static int look_after_workers(struct master *m)
{
    monotime next = MONOTIME_NEVER, now = monotime_now();
    for (size_t i = 0; i < m->n && !m->stopping; i++) {
        struct worker *worker = &m->workers[i];
        if (worker->pid == 0 && monotime_reached(worker->again_at, now))
            start_worker(m, i);
        if (worker->pid == 0)
            next = monotime_min(next, worker->again_at);
    }
    return monotime_is_never(next) ? -1 : (int)(monotime_since(next, now) / USEC_PER_MSEC) + 1;
}

static bool is_over(const struct master *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->workers[i].pid > 0)
            return false;
    return m->stopping;
}

static void wait_for_news(struct master *m, int msec)
{
    struct pollfd *fds = xcalloc(m->n + 1, sizeof(*fds));
    for (size_t i = 0; i < m->n; i++)
        fds[i] = (struct pollfd){.fd = m->workers[i].status_fd, .events = POLLIN};
    fds[m->n] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    if (poll(fds, m->n + 1, msec) > 0)
        for (size_t i = 0; i < m->n; i++)
            if (fds[i].revents)
                read_status(m, &m->workers[i]);
    free(fds);
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -1
                                                  : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run_workers(const struct podmaster_options *options)
{
    struct master m = {.options = options,
                       .n = options->keys.n,
                       .workers = xcalloc(options->keys.n, sizeof(*m.workers)),
                       .signal_fd = open_signals()};
    for (size_t i = 0; i < m.n; i++)
        m.workers[i].status_fd = -1;
    if (m.signal_fd < 0)
        log_error("cannot take signals: %m");
    while (m.signal_fd >= 0 && !is_over(&m)) {
        wait_for_news(&m, look_after_workers(&m));
        take_signals(&m);
    }
    for (size_t i = 0; i < m.n; i++) {
        free(m.workers[i].status);
        if (m.workers[i].status_fd >= 0)
            close(m.workers[i].status_fd);
    }
    free(m.workers);
    return m.signal_fd < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    _cleanup_podmaster_options_ struct podmaster_options options = {0};
    log_open("podmaster", LOG_LEVEL_INFO);
    int status = podmaster_options_parse(&options, argc, argv);
    if (status >= 0)
        return status;
    return options.keys.n == 1 ? podmaster_pair_run(&options, 0, -1) : run_workers(&options);
}
