// Commands that join a running container. A helper enters the namespaces and makes the process that
// is wanted as its sibling (CLONE_PARENT), so that this is a child of the caller. See container.h.
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/process.h"
#include "base/string-list.h"
#include "supervisor/shim/container-internal.h"
#include "supervisor/shim/container.h"
#include "supervisor/shim/credentials.h"
#include "supervisor/shim/shim-proto.h"

struct exec_context {
    const struct shim_spec *spec;
    const struct shim_child *child;
    const char *const *argv;
    const int *fds;
    unsigned flags;
    int report, report_read, pid_pipe;
    bool in_group; // made inside the container's first cgroup
};

_Noreturn static void fail(const struct exec_context *c, enum start_reason reason, int code,
                           const struct error *err)
{
    start_report_failure(c->report, reason, code, error_message(err));
    _exit(128);
}

static int enter_namespaces(const struct exec_context *c, struct error *err)
{
    const struct shim_spec *spec = c->spec;
    int flags = CLONE_NEWNS;
    flags |= spec->new_pid_namespace || spec->pid_namespace ? CLONE_NEWPID : 0;
    flags |= spec->new_ipc_namespace || spec->ipc_namespace ? CLONE_NEWIPC : 0;
    flags |= spec->new_uts_namespace || spec->uts_namespace ? CLONE_NEWUTS : 0;
    flags |= spec->new_net_namespace || spec->net_namespace ? CLONE_NEWNET : 0;
    flags |= spec->new_user_namespace ? CLONE_NEWUSER : 0;
    if (setns(c->child->pidfd, flags) == 0)
        return 0;
    return errno == ESRCH ? error_set(err, ESRCH, "the container is not running")
                          : error_errno(err, errno, "cannot join the container's namespaces");
}

// The process that is executed, already inside.
_Noreturn static void run(const struct exec_context *c)
{
    struct error err = ERROR_NONE;
    struct buffer warnings = BUFFER_EMPTY; // were told when the container started
    struct command command;
    bool tty = c->flags & SHIM_EXEC_TTY;

    child_die_with_parent(c->report);
    setsid();
    umask(0022);
    int code = child_change_directory(c->spec, &err);
    if (code == 0)
        code = child_set_stdio(c->fds, tty, &err);
    if (code == 0)
        code = credentials_apply(c->spec, &warnings, &err);
    if (code < 0)
        fail(c, START_REASON_START, code, &err);
    command_prepare(c->spec, (char *const *)(uintptr_t)c->argv, &command);
    child_die_with_parent(c->report);
    code = command_execute(&command, -1, &err);
    fail(c, START_REASON_START, code, &err);
}

_Noreturn static void help(struct exec_context *c)
{
    struct error err = ERROR_NONE;
    struct buffer warnings = BUFFER_EMPTY;
    // Above the three that are replaced.
    int report = fcntl(c->report, F_DUPFD_CLOEXEC, 3);
    close(c->report);
    close(c->report_read);
    c->report = report;
    child_reset_signals();
    // A command is over too soon for a weight to be worth the milliseconds of joining for it.
    int code = child_join_cgroups(c->spec, c->in_group ? 1 : 0, false, &warnings, &err);
    if (code == 0) {
        credentials_set_oom_score(c->spec, &warnings);
        code = enter_namespaces(c, &err);
    }
    if (code < 0)
        fail(c, START_REASON_START, code, &err);
    struct clone_args args = {.flags = CLONE_PARENT};
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        run(c);
    if (pid < 0) {
        // A PID namespace whose first process is gone answers ENOMEM (pid_namespaces(7)).
        code = errno == ENOMEM && process_exited(c->child->pidfd)
                   ? error_set(&err, ESRCH, "the container is not running")
                   : error_errno(&err, errno, "cannot make a process in the container");
        fail(c, START_REASON_START, code, &err);
    }
    pid_t made = (pid_t)pid;
    _exit(write(c->pid_pipe, &made, sizeof(made)) == sizeof(made) ? 0 : 1);
}

// The helper's answer, the report's end, and both processes in order again.
static int gather(const struct exec_context *c, pid_t helper, int pid_pipe, pid_t *ret,
                  struct error *err)
{
    struct start_report report = START_REPORT_NONE;
    pid_t pid = 0;
    ssize_t n = read(pid_pipe, &pid, sizeof(pid));
    int code = start_report_read(c->report_read, &report);
    while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
        ;
    if (code < 0)
        error_errno(err, code, "cannot read the command's start report");
    else if (report.failed)
        code = error_set(err, report.code, "%s", report.message);
    else if (n != sizeof(pid))
        code = error_set(err, ESRCH, "the container ended before the command could start");
    if (code < 0 && n == sizeof(pid)) {
        kill(pid, SIGKILL); // a child that nobody else reaps: the id is still its own
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    start_report_free(&report);
    if (code == 0)
        *ret = pid;
    return code;
}

int shim_container_exec(const struct shim_spec *spec, const struct shim_child *child,
                        const char *const *argv, const int fds[3], unsigned flags, pid_t *ret,
                        struct error *err)
{
    int report[2], pid_pipe[2];
    if (!argv[0])
        return error_set(err, EINVAL, "no command specified");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, report) < 0)
        return error_errno(err, errno, "cannot make a socket");
    if (pipe2(pid_pipe, O_CLOEXEC) < 0) {
        int code = error_errno(err, errno, "cannot make a pipe");
        close(report[0]);
        close(report[1]);
        return code;
    }
    struct exec_context context = {
        .spec = spec,
        .child = child,
        .argv = argv,
        .fds = fds,
        .flags = flags,
        .report = report[1],
        .report_read = report[0],
        .pid_pipe = pid_pipe[1],
    };
    _cleanup_close_ int pidfd = -1;
    pid_t helper = container_clone(spec, 0, &pidfd, &context.in_group);
    int code = helper < 0 ? error_errno(err, helper, "cannot make a process") : 0;
    if (helper == 0)
        help(&context);
    close(report[1]);
    close(pid_pipe[1]);
    if (code == 0)
        code = gather(&context, helper, pid_pipe[0], ret, err);
    close(report[0]);
    close(pid_pipe[0]);
    return code;
}
