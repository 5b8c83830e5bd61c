// mainstay-shim: the parent of one container process. The agent starts it with its descriptors in
// place (shim-proto.h), all signals blocked and "<namespace>/<pod>/<container>" as its argument,
// which is there for those who read ps. With --wait it becomes that later (shim-wait.h); with
// --remove or --measure it does other work (sweep.h).
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "supervisor/shim/sandbox-make.h"
#include "supervisor/shim/shim-wait.h"
#include "supervisor/shim/shim.h"
#include "supervisor/shim/sweep.h"

enum { SPEC_MAX = 16 << 20 };

// Nothing that is sent to the agent's group, session or terminal reaches the shim, and of the rest
// only what cannot be blocked: it goes when its container is over.
static void stand_alone(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    umask(022);
    (void)!chdir("/");
    prctl(PR_SET_NAME, "mainstay-shim");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int fd = SHIM_FD_SPEC; fd <= SHIM_FD_DIR; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    syscall(SYS_close_range, SHIM_FD_DIR + 1, ~0U, 0);
}

// Into the lock file, so that a later agent knows whom the lock's holder is before it answers.
static void sign_lock(const struct shim_state *state)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%d %llu\n", (int)state->shim_pid,
                     (unsigned long long)state->shim_start_ticks);
    (void)!pwrite(SHIM_FD_LOCK, text, (size_t)n, 0);
}

static int read_spec(struct shim_spec *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer data = BUFFER_EMPTY;
    int code = fs_read_fd(SHIM_FD_SPEC, SPEC_MAX, &data);
    close(SHIM_FD_SPEC);
    if (code < 0)
        return error_errno(err, code, "cannot read the shim spec");
    return shim_spec_decode(data.data, data.len, ret, err);
}

static void init(struct shim *shim)
{
    shim->dir = SHIM_FD_DIR;
    shim->exit_file = shim->epoll = shim->stdin_writer = -1;
    shim->signals.fd = shim->listener.fd = shim->fence.fd = -1;
    for (int i = 0; i < 2; i++)
        shim->outputs[i] = (struct shim_output){.source.fd = -1, .stream = (enum shim_stream)i};
    shim->child = (struct shim_child){.pid = 0, .pidfd = -1, .termination = -1};
    shim->state.shim_pid = getpid();
    if (process_start_ticks(getpid(), &shim->state.shim_start_ticks) < 0)
        shim->state.shim_start_ticks = 0;
}

int main(int argc, char **argv)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct stat st;
    if (argc > 1 && strcmp(argv[1], "--sandbox") == 0)
        return sandbox_make_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--remove") == 0)
        return sweep_remove(argv + 2);
    if (argc > 1 && strcmp(argv[1], "--measure") == 0)
        return sweep_measure(argv + 2);
    if (argc == 3 && strcmp(argv[1], "--wait") == 0 && !shim_wait(argv))
        return 0;
    if (fstat(SHIM_FD_DIR, &st) < 0 || !S_ISDIR(st.st_mode)) {
        static const char usage[] = "mainstay-shim is started by mainstayd only\n";
        (void)!write(STDERR_FILENO, usage, sizeof(usage) - 1);
        return 2;
    }
    stand_alone();
    struct shim *shim = xcalloc(1, sizeof(*shim));
    init(shim);
    sign_lock(&shim->state);
    int code = read_spec(&shim->spec, &err);
    if (code < 0) {
        shim->state.phase = SHIM_PHASE_FAILED;
        shim->state.error_code = -code;
        shim->state.error_reason = xstrdup("CreateContainerError");
        shim->state.message = xstrdup(error_message(&err));
        shim->state.finished_at = walltime_now();
        shim_report_begin(shim);
        shim_report_exit(shim);
        return 1;
    }
    shim_run(shim);
    return 0;
}
