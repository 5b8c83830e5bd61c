// See shim-wait.h.
#include "supervisor/shim/shim-wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim/shim-proto.h"

// Above the descriptors that a shim has: nothing is hit before it is duplicated.
enum { SAFE_FD = 16 };

// As setproctitle() does it: where the last byte of the arguments is not NUL, the kernel shows what
// stands at their beginning, up to the first NUL (proc_pid_cmdline(5)).
static void set_title(char **argv, const char *title)
{
    size_t room = (size_t)(argv[2] + strlen(argv[2]) + 1 - argv[0]);
    memset(argv[0], 0, room);
    snprintf(argv[0], room - 1, "mainstay-shim %s", title);
    argv[0][room - 1] = ' ';
}

static bool place(const int given[SHIM_FDS_MOST])
{
    int safe[SHIM_FDS_MOST];
    bool placed = true;
    for (int i = 0; i < SHIM_FDS_MOST; i++)
        safe[i] = fcntl(given[i], F_DUPFD_CLOEXEC, SAFE_FD);
    for (int i = 0; i < SHIM_FDS_MOST; i++)
        placed &= safe[i] >= 0 && dup2(safe[i], SHIM_FD_SPEC + i) >= 0;
    return placed;
}

bool shim_wait(char **argv)
{
    struct pollfd call = {.fd = SHIM_FD_SPEC, .events = POLLIN};
    struct shim_received begin = SHIM_RECEIVED_NONE;
    prctl(PR_SET_NAME, "mainstay-spare");
    int code;
    do
        code = poll(&call, 1, -1) < 0 ? -errno : shim_message_receive(SHIM_FD_SPEC, &begin);
    while (code == -EINTR || code == -EAGAIN);
    if (code < 0 || begin.head.type != SHIM_BEGIN || !place(begin.fds))
        return false;
    set_title(argv, buffer_str(&begin.text));
    // The descriptors that came go with all others that are no shim's.
    buffer_free(&begin.text);
    return true;
}
