// See container.h: the parent's side of a start.
#include "supervisor/shim/container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/shim/container-internal.h"

static uint64_t clone_flags(const struct shim_spec *spec)
{
    uint64_t flags = CLONE_NEWNS;
    flags |= spec->new_pid_namespace ? CLONE_NEWPID : 0;
    flags |= spec->new_ipc_namespace ? CLONE_NEWIPC : 0;
    flags |= spec->new_uts_namespace ? CLONE_NEWUTS : 0;
    flags |= spec->new_net_namespace ? CLONE_NEWNET : 0;
    flags |= spec->new_user_namespace ? CLONE_NEWUSER : 0;
    return flags;
}

pid_t container_clone(const struct shim_spec *spec, uint64_t flags, int *ret_pidfd,
                      bool *ret_in_group)
{
    struct clone_args args = {
        .flags = flags | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
    };
    _cleanup_close_ int group =
        spec->cgroup_dirs.n > 0 ? open(spec->cgroup_dirs.items[0], O_PATH | O_DIRECTORY | O_CLOEXEC)
                                : -1;
    *ret_in_group = group >= 0;
    if (group >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group;
        long pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid >= 0)
            return (pid_t)pid;
        // EBADF: a directory of v1.
        args.flags &= ~CLONE_INTO_CGROUP;
        args.cgroup = 0;
        *ret_in_group = false;
    }
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    return pid < 0 ? -errno : (pid_t)pid;
}

static int refuse_clone(const struct shim_spec *spec, int code, struct error *err)
{
    if (code == -EPERM && spec->new_user_namespace)
        return error_errno(
            err, code,
            "cannot make the container's namespaces: this host does not let ordinary "
            "users have user namespaces");
    if (code == -EPERM)
        return error_errno(err, code,
                           "cannot make the container's namespaces: that takes CAP_SYS_ADMIN");
    return error_errno(err, code, "cannot make the container's first process");
}

static void reap(pid_t pid, int pidfd)
{
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(pidfd);
}

// As container_clone(); the child is in the pod's PID namespace, where it has one.
static pid_t clone_first(const struct shim_spec *spec, int *ret_pidfd, bool *ret_in_group)
{
    if (!spec->pid_namespace)
        return container_clone(spec, clone_flags(spec), ret_pidfd, ret_in_group);
    _cleanup_close_ int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int pods = open(spec->pid_namespace, O_RDONLY | O_CLOEXEC);
    if (own < 0 || pods < 0 || setns(pods, CLONE_NEWPID) < 0)
        return -errno;
    pid_t pid = container_clone(spec, clone_flags(spec), ret_pidfd, ret_in_group);
    // For what this process makes later: it enters the container's namespaces by itself.
    if (pid != 0 && setns(own, CLONE_NEWPID) < 0 && pid > 0) {
        syscall(SYS_pidfd_send_signal, *ret_pidfd, SIGKILL, NULL, 0);
        close(*ret_pidfd);
        return -EIO;
    }
    return pid;
}

static int start_child(const struct shim_spec *spec, const struct shim_stdio *stdio,
                       struct shim_child *ret, bool *ret_in_group, struct start_report *report,
                       struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "cannot make a socket");
    struct child_context context = {
        .spec = spec,
        .stdio = stdio,
        .report = ends[1],
        .report_read = ends[0],
        .uid = geteuid(),
        .gid = getegid(),
    };
    int pidfd = -1;
    pid_t pid = clone_first(spec, &pidfd, &context.in_v2_group);
    if (pid == 0)
        container_child(&context);
    close(ends[1]);
    int code = pid < 0 ? refuse_clone(spec, pid, err) : start_report_read(ends[0], report);
    close(ends[0]);
    if (pid < 0)
        return code;
    if (code < 0)
        error_errno(err, code, "cannot read the container's start report");
    else if (report->failed)
        code = error_set(err, report->code, "%s", report->message);
    else if (!report->command)
        code = error_set(err, ECHILD,
                         "the container's first process was killed before it could "
                         "execute its command");
    if (code < 0) {
        reap(pid, pidfd);
        return code;
    }
    *ret = (struct shim_child){.pid = pid, .pidfd = pidfd, .termination = report->file};
    report->file = -1;
    *ret_in_group = context.in_v2_group;
    return 0;
}

int shim_container_start(const struct shim_spec *spec, const struct shim_stdio *stdio,
                         struct shim_child *ret, char **ret_command, struct buffer *warnings,
                         const char **ret_reason, struct error *err)
{
    struct start_report report = START_REPORT_NONE;
    bool in_group = false;
    struct shim_child child;

    *ret_reason = start_reason_name(START_REASON_CREATE);
    if (spec->argv.n == 0) {
        *ret_reason = start_reason_name(START_REASON_CONFIG);
        return error_set(err, EINVAL, "no command specified");
    }
    int code = container_write_limits(spec, warnings, err);
    if (code == 0)
        code = start_child(spec, stdio, &child, &in_group, &report, err);
    buffer_add(warnings, report.warnings.data, report.warnings.len);
    if (code == 0) {
        if (in_group)
            container_join_deferred(spec, child.pid, warnings);
        *ret = child;
        *ret_command = TAKE_PTR(report.command);
    } else {
        *ret_reason = start_reason_name(report.reason);
    }
    start_report_free(&report);
    return code;
}
