// See sandbox-make.h. A bind mount of /proc/self/ns/… keeps a namespace without any process in it,
// so that it outlives the agent, the shims and every container of the pod.
#include "supervisor/shim/sandbox-make.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string-list.h"
#include "supervisor/shim/mounts.h"

static const struct {
    const char *name;
    int flag;
} kinds[] = {
    {"net", CLONE_NEWNET},
    {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS},
};

struct wanted {
    const char *dir;
    int flags; // CLONE_NEW…, without that of the PID namespace
    bool pid;
    const char *hostname, *title;
    struct string_list sysctls, cgroups; // borrowed strings would do, but lists own theirs
    char *command_line;                  // where ps reads it
    size_t command_line_size;
};

int sandbox_bring_loopback_up(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

// ---- what is asked for ----

static const char *value_of(const char *word, const char *key)
{
    size_t length = strlen(key);
    return strncmp(word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static int read_word(struct wanted *wanted, const char *word, struct error *err)
{
    const char *value;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(word, kinds[i].name) == 0) {
            wanted->flags |= kinds[i].flag;
            return 0;
        }
    if (strcmp(word, "pid") == 0)
        wanted->pid = true;
    else if ((value = value_of(word, "hostname")))
        wanted->hostname = value;
    else if ((value = value_of(word, "title")))
        wanted->title = value;
    else if ((value = value_of(word, "sysctl")))
        string_list_add(&wanted->sysctls, value);
    else if ((value = value_of(word, "cgroup")))
        string_list_add(&wanted->cgroups, value);
    else
        return error_set(err, EINVAL, "unknown word %s", word);
    return 0;
}

static int read_words(int argc, char **argv, struct wanted *wanted, struct error *err)
{
    if (argc < 3 || !path_is_clean_absolute(argv[2]))
        return error_set(err, EINVAL, "usage: mainstay-shim --sandbox DIR WORD...");
    wanted->dir = argv[2];
    wanted->command_line = argv[0];
    wanted->command_line_size = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - argv[0]);
    for (int i = 3; i < argc; i++) {
        int code = read_word(wanted, argv[i], err);
        if (code < 0)
            return code;
    }
    return 0;
}

// ---- making ----

// What is below /proc/sys belongs to the namespaces of whoever opens it.
static int set_sysctl(int root, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return error_set(err, EINVAL, "sysctl %s has no value", text);
    _cleanup_free_ char *path = xstrndup(text, (size_t)(equals - text));
    _cleanup_close_ int fd = fs_open_beneath(root, path, O_WRONLY, 0);
    int code = fd < 0 ? fd : fs_write_all(fd, equals + 1, strlen(equals + 1));
    return code < 0 ? error_errno(err, code, "cannot set the sysctl %s to \"%s\"", path, equals + 1)
                    : 0;
}

static int set_sysctls(const struct wanted *wanted, struct error *err)
{
    if (wanted->sysctls.n == 0)
        return 0;
    _cleanup_close_ int root = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, errno, "/proc/sys");
    LIST_EACH (text, &wanted->sysctls) {
        int code = set_sysctl(root, *text, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int make_namespaces(const struct wanted *wanted, struct error *err)
{
    if (unshare(wanted->flags) < 0)
        return error_errno(err, errno, "cannot make the pod's namespaces");
    if (wanted->flags & CLONE_NEWUTS && wanted->hostname &&
        sethostname(wanted->hostname, strlen(wanted->hostname)) < 0)
        return error_errno(err, errno, "cannot set the hostname %s", wanted->hostname);
    if (wanted->flags & CLONE_NEWNET) {
        int code = sandbox_bring_loopback_up();
        if (code < 0)
            return error_errno(err, code, "the loopback interface cannot be brought up");
    }
    return set_sysctls(wanted, err);
}

static int pin(const struct wanted *wanted, const char *from, const char *name, struct error *err)
{
    _cleanup_free_ char *path = path_join(wanted->dir, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0)
        return error_errno(err, errno, "%s", path);
    if (mount(from, path, NULL, MS_BIND, NULL) < 0)
        return error_errno(err, errno, "cannot pin the pod's %s namespace at %s", name, path);
    return 0;
}

static int make_shm(const struct wanted *wanted, struct error *err)
{
    _cleanup_free_ char *path = path_join(wanted->dir, "shm");
    if (mkdir(path, 0755) < 0)
        return error_errno(err, errno, "%s", path);
    // K8s runtimes give a pod this much (containerd: defaultShmSize).
    if (mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k") < 0)
        return error_errno(err, errno, "cannot mount the pod's shared memory at %s", path);
    return 0;
}

static int pin_all(const struct wanted *wanted, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        char from[32];
        if (!(wanted->flags & kinds[i].flag))
            continue;
        snprintf(from, sizeof(from), "/proc/self/ns/%s", kinds[i].name);
        int code = pin(wanted, from, kinds[i].name, err);
        if (code < 0)
            return code;
    }
    return wanted->flags & CLONE_NEWIPC ? make_shm(wanted, err) : 0;
}

// ---- the first process of the PID namespace ----

// A root with nothing in it: the pod's containers see this process, and /proc/1/root of it.
static int empty_root(const char *dir)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("pause", dir, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k") < 0)
        return -errno;
    _cleanup_close_ int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -errno : mounts_pivot(root);
}

_Noreturn static void reap_for_ever(const struct wanted *wanted, int report)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGCHLD, SIG_IGN); // the kernel reaps
    setsid();
    char *title = xasprintf("mainstay-pause %s", wanted->title ? wanted->title : "");
    int code = empty_root(wanted->dir);
    // The words are overwritten.
    memset(wanted->command_line, 0, wanted->command_line_size);
    snprintf(wanted->command_line, wanted->command_line_size, "%s", title);
    prctl(PR_SET_NAME, "mainstay-pause");
    prctl(PR_SET_DUMPABLE, 0);
    (void)!write(report, &code, sizeof(code));
    if (code < 0)
        _exit(1);
    syscall(SYS_close_range, 0, ~0U, 0);
    for (;;)
        pause();
}

static int join_cgroups(const struct wanted *wanted, struct error *err)
{
    LIST_EACH (dir, &wanted->cgroups) {
        _cleanup_free_ char *path = path_join(*dir, "cgroup.procs");
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        int code = fd < 0 ? -errno : fs_write_all(fd, "0", 1);
        if (code < 0)
            return error_errno(err, code, "cannot join the cgroup %s", *dir);
    }
    return 0;
}

static int wait_for_first(int report, struct error *err)
{
    int code = -ECHILD;
    if (read(report, &code, sizeof(code)) != sizeof(code))
        code = -ECHILD;
    return code < 0 ? error_errno(err, code, "the first process of the pod's PID namespace") : 0;
}

// For an agent that was not there to read it.
static int note_first(const struct wanted *wanted, pid_t pid, uint64_t *ret_ticks,
                      struct error *err)
{
    char text[48];
    _cleanup_free_ char *path = path_join(wanted->dir, "pause");
    int code = process_start_ticks(pid, ret_ticks);
    if (code < 0)
        return error_errno(err, code, "/proc/%d/stat", (int)pid);
    int length = snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)pid, *ret_ticks);
    code = fs_write_atomic(AT_FDCWD, path, text, (size_t)length, 0400, 0);
    return code < 0 ? error_errno(err, code, "%s", path) : 0;
}

static int start_first(const struct wanted *wanted, struct error *err)
{
    int report[2];
    uint64_t ticks = 0;
    char from[48];
    if (pipe2(report, O_CLOEXEC) < 0)
        return error_errno(err, errno, "cannot make a pipe");
    struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0) {
        close(report[0]);
        reap_for_ever(wanted, report[1]);
    }
    int code = pid < 0 ? error_errno(err, errno, "cannot make the pod's PID namespace") : 0;
    close(report[1]);
    if (code == 0)
        code = wait_for_first(report[0], err);
    close(report[0]);
    if (pid < 0)
        return code;
    snprintf(from, sizeof(from), "/proc/%ld/ns/pid", pid);
    if (code == 0)
        code = note_first(wanted, (pid_t)pid, &ticks, err);
    if (code == 0)
        code = pin(wanted, from, "pid", err);
    if (code == 0)
        printf("%ld %" PRIu64 "\n", pid, ticks);
    else
        kill((pid_t)pid, SIGKILL);
    return code;
}

int sandbox_make_main(int argc, char **argv)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct wanted wanted = {0};
    int code = read_words(argc, argv, &wanted, &err);
    if (code == 0)
        code = make_namespaces(&wanted, &err);
    if (code == 0)
        code = pin_all(&wanted, &err);
    if (code == 0 && wanted.pid)
        code = join_cgroups(&wanted, &err);
    if (code == 0 && wanted.pid)
        code = start_first(&wanted, &err);
    if (code < 0)
        printf("%s\n", error_message(&err));
    string_list_free(&wanted.sysctls);
    string_list_free(&wanted.cgroups);
    return fflush(stdout) == 0 && code == 0 ? 0 : 1;
}
