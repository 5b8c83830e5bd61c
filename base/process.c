// See process.h.
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/string-list.h"

int process_pidfd(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

int process_signal(int pidfd, int signal_number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) < 0 ? -errno : 0;
}

int process_start_ticks(pid_t pid, uint64_t *ret)
{
    char path[64];
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int code = fs_read_file(AT_FDCWD, path, 4096, &text);
    if (code < 0)
        return code == -ENOENT ? -ESRCH : code;
    // The command name (field 2) may hold spaces and parentheses; field 3 starts behind the last
    // ")".
    const char *p = strrchr(buffer_str(&text), ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p && sscanf(p, " %" SCNu64, ret) == 1 ? 0 : -EIO;
}

int process_pidfd_if_same(pid_t pid, uint64_t ticks)
{
    _cleanup_close_ int fd = process_pidfd(pid);
    if (fd < 0)
        return fd;
    // Read after the pidfd was opened: if the times agree, the pidfd means that very process.
    uint64_t now;
    int code = process_start_ticks(pid, &now);
    if (code < 0 || now != ticks)
        return code < 0 ? code : -ESRCH;
    return TAKE_FD(fd);
}

bool process_exited(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

char *process_boot_id(char *buf)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    buf[0] = '\0';
    if (fs_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text) == 0 && text.len >= 36)
        memcpy(buf, text.data, 36), buf[36] = '\0';
    return buf;
}

int signal_from_name(const char *name)
{
    long long number;
    if (str_to_int(name, 1, SIGRTMAX, &number) == 0)
        return (int)number;
    if (str_starts_with(name, "SIG"))
        name += 3;
    for (int i = 1; i < SIGRTMIN; i++) {
        const char *known = sigabbrev_np(i);
        if (known && strcmp(known, name) == 0)
            return i;
    }
    return -EINVAL;
}

const char *signal_name(int number, char *buf)
{
    const char *known = sigabbrev_np(number);
    if (known)
        snprintf(buf, 16, "SIG%s", known);
    else
        snprintf(buf, 16, "SIG%d", number);
    return buf;
}
