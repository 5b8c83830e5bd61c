// The container's first process from clone3() to execve(): single-threaded, with a copy of the
// shim's memory. See container-internal.h.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/shim/container-internal.h"
#include "supervisor/shim/credentials.h"
#include "supervisor/shim/mounts.h"
#include "supervisor/shim/sandbox-make.h"

enum { EXIT_NOT_STARTED = 128 }; // what runtimes report; the pipe says the rest

void child_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int i = 1; i <= SIGRTMAX; i++)
        sigaction(i, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int child_set_stdio(const int fds[3], bool tty, struct error *err)
{
    _cleanup_close_ int null = -1;
    int high[3];
    // First out of the way of 0, 1 and 2, which may be any of them.
    for (int i = 0; i < 3; i++) {
        if (fds[i] < 0 && null < 0 && (null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
            return error_errno(err, errno, "/dev/null");
        high[i] = fcntl(fds[i] < 0 ? null : fds[i], F_DUPFD_CLOEXEC, 3);
        if (high[i] < 0)
            return error_errno(err, errno, "cannot set up standard input and output");
    }
    for (int i = 0; i < 3; i++)
        if (dup2(high[i], i) < 0)
            return error_errno(err, errno, "cannot set up standard input and output");
    if (tty && ioctl(0, TIOCSCTTY, 0) < 0)
        return error_errno(err, errno, "cannot make the terminal the controlling one");
    return close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0
               ? error_errno(err, errno, "cannot close descriptors")
               : 0;
}

void child_die_with_parent(int report)
{
    struct pollfd parent = {.fd = report};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    // A parent that died before that left the socket without its other end. (getppid() says nothing
    // inside a new PID namespace.)
    if (poll(&parent, 1, 0) > 0 && parent.revents & POLLHUP)
        _exit(EXIT_NOT_STARTED);
}

int child_join_cgroups(const struct shim_spec *spec, size_t first, bool deferred_too,
                       struct buffer *warnings, struct error *err)
{
    for (size_t i = first; i < spec->cgroup_dirs.n; i++) {
        if (!deferred_too && container_cgroup_is_deferred(spec, i))
            continue;
        _cleanup_free_ char *path = path_join(spec->cgroup_dirs.items[i], "cgroup.procs");
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        int code = fd < 0 ? -errno : fs_write_all(fd, "0", 1);
        // The first is the one by which what runs is tracked and killed.
        if (code < 0 && i == 0)
            return error_errno(err, code, "cannot join the cgroup %s", spec->cgroup_dirs.items[i]);
        if (code < 0)
            buffer_printf(warnings, "cannot join the cgroup %s: %s\n", spec->cgroup_dirs.items[i],
                          strerror(-code));
    }
    return 0;
}

int child_change_directory(const struct shim_spec *spec, struct error *err)
{
    const char *dir = str_empty(spec->working_dir) ? "/" : spec->working_dir;
    if (chdir(dir) == 0)
        return 0;
    if (errno == ENOENT && spec->root_kind == SHIM_ROOT_OVERLAY &&
        fs_mkdir_parents(AT_FDCWD, dir, 0755) == 0 && chdir(dir) == 0)
        return 0;
    return error_errno(err, errno, "workingDir %s", dir);
}

static int join(const char *path, int kind, const char *name, struct error *err)
{
    if (!path)
        return 0;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, kind) < 0)
        return error_errno(err, errno, "cannot join the pod's %s namespace (%s)", name, path);
    return 0;
}

static int join_namespaces(const struct shim_spec *spec, struct error *err)
{
    int code = join(spec->net_namespace, CLONE_NEWNET, "network", err);
    if (code == 0)
        code = join(spec->ipc_namespace, CLONE_NEWIPC, "IPC", err);
    return code < 0 ? code : join(spec->uts_namespace, CLONE_NEWUTS, "UTS", err);
}

static int set_up_namespaces(const struct child_context *c, struct buffer *warnings,
                             struct error *err)
{
    const struct shim_spec *spec = c->spec;
    if (spec->new_user_namespace) {
        int code = credentials_map_ids(spec, c->uid, c->gid, err);
        if (code < 0)
            return code;
    }
    if (spec->new_uts_namespace && !str_empty(spec->hostname) &&
        sethostname(spec->hostname, strlen(spec->hostname)) < 0)
        return error_errno(err, errno, "cannot set the hostname %s", spec->hostname);
    int lo = spec->new_net_namespace ? sandbox_bring_loopback_up() : 0;
    if (lo < 0)
        buffer_printf(warnings, "the loopback interface could not be brought up: %s\n",
                      strerror(-lo));
    return join_namespaces(spec, err);
}

static int make_root(const struct child_context *c, struct buffer *warnings, int *ret_termination,
                     struct error *err)
{
    struct mount_plan plan = {.spec = c->spec, .warnings = warnings, .root = -1, .termination = -1};
    int code = mounts_make_root(&plan, err);
    *ret_termination = TAKE_FD(plan.termination);
    mounts_plan_free(&plan);
    return code;
}

// Everything but execve(). Fills *reason before each step that can fail.
static int become_container(const struct child_context *c, struct buffer *warnings,
                            int *ret_termination, enum start_reason *reason, struct error *err)
{
    *reason = START_REASON_CREATE;
    int code = child_join_cgroups(c->spec, c->in_v2_group ? 1 : 0, !c->in_v2_group, warnings, err);
    if (code < 0)
        return code;
    if ((code = container_fence_check(c->spec, err)) < 0)
        return code;
    credentials_set_oom_score(c->spec, warnings);
    if ((code = set_up_namespaces(c, warnings, err)) < 0)
        return code;
    *reason = START_REASON_MOUNT;
    if ((code = make_root(c, warnings, ret_termination, err)) < 0)
        return code;
    *reason = START_REASON_START;
    if (setsid() < 0)
        return error_errno(err, errno, "setsid");
    // Before the user changes, for root may go where others may not; the mode of what is made is
    // the mode that was asked for.
    umask(0022);
    if ((code = child_change_directory(c->spec, err)) < 0)
        return code;
    if ((code = child_set_stdio(c->stdio->fds, c->stdio->tty, err)) < 0)
        return code;
    *reason = START_REASON_CREATE;
    return credentials_apply(c->spec, warnings, err);
}

void container_child(const struct child_context *c)
{
    struct error err = ERROR_NONE;
    struct buffer warnings = BUFFER_EMPTY;
    enum start_reason reason = START_REASON_CREATE;
    struct command command;
    // Where it may be, it is above the three descriptors that are replaced.
    int report = fcntl(c->report, F_DUPFD_CLOEXEC, 3);

    close(c->report);
    close(c->report_read);
    umask(0);
    child_reset_signals();
    child_die_with_parent(report);
    int termination = -1; // close-on-exec
    int code = become_container(c, &warnings, &termination, &reason, &err);
    start_report_warnings(report, &warnings);
    if (termination >= 0)
        start_report_file(report, termination);
    if (code == 0) {
        reason = START_REASON_START;
        char **argv = string_list_argv(&c->spec->argv);
        command_prepare(c->spec, argv, &command);
        child_die_with_parent(report); // a change of user has cleared it
        code = command_execute(&command, report, &err);
    }
    start_report_failure(report, reason, code, error_message(&err));
    _exit(EXIT_NOT_STARTED);
}
