// See helper.h.
#include "supervisor/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/work.h"

enum { OUTPUT_MAX = 64 << 10 }; // what a pipe holds: nobody reads before the end

struct helper {
    pid_t pid;
    int output;
    sd_event_source *exit;
    helper_done *done;
    void *userdata;
};

void helper_free(struct helper *helper)
{
    if (!helper)
        return;
    sd_event_source_disable_unref(helper->exit);
    cleanup_close(&helper->output);
    free(helper);
}

static int on_exit_of(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct helper *helper = userdata;
    siginfo_t info = {0};
    WORK_SCOPE("pods", "helper", NULL, NULL);
    _cleanup_buffer_ struct buffer output = BUFFER_EMPTY;
    waitid(P_PID, (id_t)helper->pid, &info, WEXITED | WNOHANG);
    int status = info.si_code == CLD_EXITED ? info.si_status : -1;
    fs_set_nonblocking(helper->output, true);
    char *room = buffer_reserve(&output, OUTPUT_MAX);
    ssize_t n = read(helper->output, room, OUTPUT_MAX - 1);
    room[n > 0 ? n : 0] = '\0';
    helper_done *done = helper->done;
    void *of = helper->userdata;
    helper_free(helper);
    done(of, status, room);
    return 0;
}

static int spawn(const char *program, char *const *argv, int output, pid_t *ret)
{
    char *environment[] = {NULL};
    sigset_t none, all;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigemptyset(&none);
    sigfillset(&all);
    int code = -posix_spawn_file_actions_init(&actions);
    if (code < 0)
        return code;
    code = -posix_spawnattr_init(&attributes);
    if (code == 0) {
        code = -posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
        if (code == 0)
            code = -posix_spawn_file_actions_adddup2(&actions, output, 1);
        if (code == 0)
            code = -posix_spawn_file_actions_adddup2(&actions, 0, 2);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSID);
        if (code == 0)
            code = -posix_spawn(ret, program, &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static int watch(sd_event *event, struct helper *helper)
{
    int pidfd = process_pidfd(helper->pid);
    if (pidfd < 0)
        return pidfd;
    int r = sd_event_add_io(event, &helper->exit, pidfd, EPOLLIN, on_exit_of, helper);
    if (r < 0) {
        close(pidfd);
        return r;
    }
    return sd_event_source_set_io_fd_own(helper->exit, true);
}

int helper_start(sd_event *event, const char *program, char *const *argv, helper_done *done,
                 void *userdata, struct helper **ret, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, errno, "cannot make a pipe");
    struct helper *helper = xcalloc(1, sizeof(*helper));
    *helper = (struct helper){.output = ends[0], .done = done, .userdata = userdata};
    int code = spawn(program, argv, ends[1], &helper->pid);
    close(ends[1]);
    if (code == 0)
        code = watch(event, helper);
    if (code < 0) {
        helper_free(helper);
        return error_errno(err, code, "cannot start %s", program);
    }
    *ret = helper;
    return 0;
}
