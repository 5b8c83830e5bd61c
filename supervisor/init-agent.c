// The agent as the child of process 1: how it is started, and what it tells (sd_notify(3)).
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/string-list.h"
#include "supervisor/init-internal.h"

#define WATCHER_VARIABLE "MAINSTAY_WATCHER"
#define WATCHER_INIT     "init"
#define DEFAULT_PATH     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { DESCRIPTORS = 524288, MESSAGE_MAX = 8192 };

bool init_is_parent(void)
{
    return getppid() == 1 && str_equal(getenv(WATCHER_VARIABLE), WATCHER_INIT);
}

// ---- starting it

// As the systemd unit has it; what this process may not raise stays.
static void set_limits(void)
{
    struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max < DESCRIPTORS)
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "-999", 4);
        close(fd);
    }
}

static void set_environment(const struct init *init)
{
    char usec[32];
    snprintf(usec, sizeof(usec), "%lld", (long long)init->options->watchdog_usec);
    setenv("NOTIFY_SOCKET", init->address, 1);
    setenv("WATCHDOG_USEC", usec, 1);
    unsetenv("WATCHDOG_PID");
    setenv(WATCHER_VARIABLE, WATCHER_INIT, 1);
    setenv("PATH", DEFAULT_PATH, 0);
}

static _Noreturn void become_agent(const struct init *init)
{
    sigset_t mask;
    setsid(); // the terminal's signals are for process 1
    set_limits();
    set_environment(init);
    // The one that ends it in order may come before it can take it: it stays blocked until then.
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + 3);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    execv(init->program, init->argv);
    init_log('E', "%s cannot be executed: %s", init->program, strerror(errno));
    _exit(127);
}

int init_agent_start(struct init *init)
{
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become_agent(init);
    init->agent = pid;
    init->trouble[0] = '\0';
    return 0;
}

// ---- what it tells

// Only these matter to somebody above us, and only these are true of us too.
static bool is_for_manager(const char *line)
{
    static const char *const names[] = {
        "READY=", "RELOADING=", "STOPPING=", "STATUS=", "MONOTONIC_USEC="};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_starts_with(line, names[i]))
            return true;
    return false;
}

static void take_line(struct init *init, const char *line, monotime now)
{
    static const char unhealthy[] = "STATUS=Unhealthy: ", extend[] = "EXTEND_TIMEOUT_USEC=";
    if (strcmp(line, "READY=1") == 0)
        keeper_ready(&init->keeper, now);
    else if (strcmp(line, "WATCHDOG=1") == 0)
        keeper_heard(&init->keeper, now);
    else if (strcmp(line, "WATCHDOG=trigger") == 0)
        keeper_trigger(&init->keeper, now);
    else if (str_starts_with(line, extend))
        keeper_extend(&init->keeper, strtoll(line + strlen(extend), NULL, 10), now);
    else if (str_starts_with(line, unhealthy))
        snprintf(init->trouble, sizeof(init->trouble), "%s", line + strlen(unhealthy));
    else if (str_starts_with(line, "STATUS="))
        init->trouble[0] = '\0';
}

static void take_message(struct init *init, char *text, monotime now)
{
    char onward[MESSAGE_MAX];
    size_t n = 0;
    for (char *line, *rest = text; (line = strsep(&rest, "\n"));) {
        take_line(init, line, now);
        if (is_for_manager(line))
            n += (size_t)snprintf(onward + n, sizeof(onward) - n, "%s\n", line);
    }
    if (init->manager >= 0 && n > 0)
        (void)send(init->manager, onward, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Who has sent it; 0 where the kernel does not say.
static pid_t sender_of(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct ucred who;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&who, CMSG_DATA(c), sizeof(who));
        return who.pid;
    }
    return 0;
}

void init_agent_hear(struct init *init, monotime now)
{
    for (;;) {
        char text[MESSAGE_MAX]; // with room for the end
        // Room for the sender only: descriptors that are sent along are never installed.
        union {
            char bytes[CMSG_SPACE(sizeof(struct ucred))];
            struct cmsghdr aligned;
        } control;
        struct iovec iov = {.iov_base = text, .iov_len = sizeof(text) - 1};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(init->notify, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        if (init->agent == 0 || sender_of(&message) != init->agent)
            continue; // anybody in the network namespace may write here
        text[n] = '\0';
        take_message(init, text, now);
    }
}

// ---- the sockets

// The kernel chooses a free name in the abstract namespace: nothing to make, nothing to remove.
static int open_notify(struct init *init)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(name);
    const int on = 1;
    init->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (init->notify < 0 ||
        setsockopt(init->notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
        bind(init->notify, (struct sockaddr *)&name, sizeof(name.sun_family)) < 0 ||
        getsockname(init->notify, (struct sockaddr *)&name, &len) < 0)
        return -errno;
    size_t n = len - offsetof(struct sockaddr_un, sun_path) - 1;
    snprintf(init->address, sizeof(init->address), "@%.*s", (int)n, name.sun_path + 1);
    return 0;
}

// What started us (systemd-nspawn, an engine of containers) may want to know how it goes.
static void connect_manager(struct init *init)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (n == 0 || n >= sizeof(name.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(name.sun_path, path, n);
    if (path[0] == '@')
        name.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (connect(fd, (struct sockaddr *)&name, size) < 0)
        close(fd);
    else
        init->manager = fd;
}

int init_agent_open(struct init *init)
{
    connect_manager(init);
    return open_notify(init);
}
