// Process 1: see init.h.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/process.h"
#include "base/time-format.h"
#include "supervisor/init-internal.h"

enum {
    EXIT_CANNOT_RUN = 1,
    END_STARTS_MOST = 3, // agents that die while they stop the pods
    LOG_WAIT_MS = 100,   // for room in standard error
    LINE_MAX_BYTES = 1024,
};

// systemd's, which engines of containers send to a process 1 (STOPSIGNAL).
#define SIGNAL_HALT     (SIGRTMIN + 3)
#define SIGNAL_POWEROFF (SIGRTMIN + 4)
#define SIGNAL_REBOOT   (SIGRTMIN + 5)

monotime init_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (monotime){(uint64_t)(now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC)};
}

void init_log(char level, const char *format, ...)
{
    char line[LINE_MAX_BYTES], when[RFC3339_NANO_SIZE];
    int n = snprintf(line, sizeof(line),
                     "%s %c mainstayd[1]: ", walltime_format(walltime_now(), when), level);
    va_list args;
    va_start(args, format);
    n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
    va_end(args);
    n = MIN(n, (int)sizeof(line) - 2);
    line[n++] = '\n';
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, LOG_WAIT_MS) > 0 && (room.revents & POLLOUT))
        (void)!write(STDERR_FILENO, line, (size_t)n);
}

// ---- the agent

static void signal_agent(const struct init *init, int number)
{
    if (init->agent > 0)
        kill(init->agent, number);
}

static void start_agent(struct init *init, monotime now)
{
    if (init->end != INIT_GOES_ON && ++init->end_starts > END_STARTS_MOST) {
        init->over = true;
        return;
    }
    int code = init_agent_start(init);
    if (code < 0) {
        init_log('E', "the agent cannot be started: %s", strerror(-code));
        keeper_start_failed(&init->keeper, now);
        return;
    }
    if (init->keeper.starts > 1)
        init_log('N', "the agent is started again (process %d)", (int)init->agent);
    if (init->end != INIT_GOES_ON)
        signal_agent(init, SIGNAL_HALT);
}

static void keep_agent(struct init *init, monotime now)
{
    const char *trouble = init->trouble[0] ? init->trouble : "it hangs";
    switch (keeper_next(&init->keeper, now)) {
    case KEEPER_START:
        start_agent(init, now);
        break;
    case KEEPER_ABORT:
        init_log('E',
                 "the agent is silent for longer than it may be (%s): it is aborted and "
                 "started anew, the pods run on",
                 trouble);
        signal_agent(init, SIGABRT);
        signal_agent(init, SIGCONT); // a stopped one takes no other signal
        break;
    case KEEPER_KILL:
        signal_agent(init, SIGKILL);
        break;
    case KEEPER_WAIT:
        break;
    }
}

static void say_how_it_died(const siginfo_t *info)
{
    char name[16];
    if (info->si_code == CLD_EXITED)
        init_log(info->si_status == 0 ? 'N' : 'E', "the agent has exited with status %d",
                 info->si_status);
    else
        init_log('E', "the agent was ended by %s", signal_name(info->si_status, name));
}

static void agent_died(struct init *init, const siginfo_t *info, monotime now)
{
    bool well = info->si_code == CLD_EXITED && info->si_status == 0;
    init->agent = 0;
    keeper_exited(&init->keeper, now);
    if (init->end != INIT_GOES_ON && well) {
        init->over = true;
        return;
    }
    say_how_it_died(info);
    if (init->end != INIT_GOES_ON) {
        keeper_at_once(&init->keeper, now);
    } else if (!init->machine && !init->keeper.ever_ready && info->si_code == CLD_EXITED) {
        init->over = true; // whoever runs the container is to know
        init->status = info->si_status;
    }
}

static void reap(struct init *init, monotime now)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 && errno == EINTR)
            continue;
        if (info.si_pid == 0)
            return;
        if (info.si_pid == init->agent)
            agent_died(init, &info, now);
        else
            init->orphans++;
    }
}

// ---- signals

static void begin_end(struct init *init, enum init_end end, int number, monotime now)
{
    char name[16];
    if (init->end != INIT_GOES_ON) {
        init_log('N', "%s again: waits for nobody's grace", signal_name(number, name));
        init->hurry = init->over = true;
        return;
    }
    init->end = end;
    init_log('N', "%s: the pods are stopped, then it %s", signal_name(number, name),
             !init->machine       ? "ends"
             : end == INIT_REBOOT ? "reboots"
                                  : "powers off");
    if (init->agent > 0)
        signal_agent(init, SIGNAL_HALT);
    else
        keeper_at_once(&init->keeper, now); // it stops the pods that its predecessor has left
}

static void tell_how_it_stands(const struct init *init)
{
    init_log('I', "agent %d is %s; started %llu times; %llu orphans reaped", (int)init->agent,
             init->agent == 0     ? "down"
             : init->keeper.ready ? "ready"
                                  : "starting",
             (unsigned long long)init->keeper.starts, (unsigned long long)init->orphans);
}

static void take_signal(struct init *init, int number, monotime now)
{
    if (number == SIGTERM || number == SIGPWR || number == SIGNAL_HALT || number == SIGNAL_POWEROFF)
        begin_end(init, INIT_POWER_OFF, number, now);
    else if (number == SIGINT || number == SIGNAL_REBOOT) // ctrl-alt-del
        begin_end(init, INIT_REBOOT, number, now);
    else if ((number == SIGHUP || number == SIGUSR2) && init->keeper.ready)
        signal_agent(init, number); // one that only starts reads everything anyway
    else if (number == SIGUSR1)
        tell_how_it_stands(init);
}

static void take_signals(struct init *init, monotime now)
{
    struct signalfd_siginfo info;
    while (read(init->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        take_signal(init, (int)info.ssi_signo, now);
}

static int open_signals(struct init *init)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    init->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    return init->signals < 0 ? -errno : 0;
}

// ---- the loop

static void wait_for_news(struct init *init)
{
    struct pollfd fds[] = {{.fd = init->signals, .events = POLLIN},
                           {.fd = init->notify, .events = POLLIN}};
    monotime until = init->keeper.act_at, now = init_now();
    int64_t usec = monotime_since(until, now);
    struct timespec timeout = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                               .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC)};
    ppoll(fds, ARRAY_SIZE(fds), monotime_is_never(until) ? NULL : &timeout, NULL);
}

static void loop(struct init *init)
{
    while (!init->over) {
        monotime now = init_now();
        init_agent_hear(init, now);
        take_signals(init, now);
        reap(init, now);
        if (init->over)
            return;
        keep_agent(init, now);
        wait_for_news(init);
    }
}

// ---- the beginning and the end

static void find_program(struct init *init)
{
    ssize_t n = readlink("/proc/self/exe", init->program, sizeof(init->program) - 1);
    if (n > 0)
        init->program[n] = '\0';
    else
        snprintf(init->program, sizeof(init->program), "%s", init->argv[0]);
}

static bool is_machine(const struct init *init)
{
    return init->options->kind == INIT_MACHINE ||
           (init->options->kind == INIT_AUTO && init->first_namespace);
}

static bool begin(struct init *init)
{
    int code = open_signals(init);
    init_have_proc();
    init->first_namespace = init_in_first_namespace();
    init->machine = is_machine(init);
    if (init->machine)
        init_machine_begin(init);
    if (init->first_namespace)
        reboot(RB_DISABLE_CAD); // it is a SIGINT to us then
    if (!init_proc_is_ours()) {
        init_log('E', "/proc is not that of this PID namespace: mount one there first");
        return false;
    }
    init_leave_cgroup();
    find_program(init);
    if (code == 0)
        code = init_agent_open(init);
    if (code < 0)
        init_log('E', "cannot begin: %s", strerror(-code));
    return code == 0;
}

int init_run(const struct init_options *options, char *const *argv)
{
    struct init init = {.options = options, .argv = argv, .manager = -1};
    if (!begin(&init))
        return EXIT_CANNOT_RUN;
    init_log('I', "process 1 of a %s; the agent's watchdog is %lld s",
             init.machine ? "machine" : "container",
             (long long)(options->watchdog_usec / USEC_PER_SEC));
    keeper_begin(&init.keeper, options->watchdog_usec, init_now());
    loop(&init);
    init_end_processes(&init);
    if (init.machine)
        init_end_machine(&init);
    return init.status;
}
