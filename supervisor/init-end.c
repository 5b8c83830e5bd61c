// The end of a container or a machine. The agent has stopped the pods by now, if it could.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/init-internal.h"

enum {
    TERM_SEC = 5, // what is left had its grace: these are strays
    KILL_SEC = 2, // what does not die now hangs in the kernel
    UNMOUNT_SEC = 10,
    MOUNTS_MAX = 4 << 20,
};

// ---- processes

static bool wait_child(struct init *init, monotime until)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid > 0) {
            init->orphans++;
            continue;
        }
        if (pid < 0 && errno != EINTR)
            return true; // none is left
        int64_t usec = monotime_since(until, init_now());
        if (usec == 0)
            return false;
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        struct timespec timeout = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                                   .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC)};
        sigtimedwait(&child, NULL, &timeout);
    }
}

void init_end_processes(struct init *init)
{
    if (wait_child(init, init_now()))
        return;
    if (!init->hurry) {
        init_log('N', "asks what is left to end");
        kill(-1, SIGTERM);
        kill(-1, SIGCONT);
        if (wait_child(init, monotime_add_usec(init_now(), TERM_SEC * USEC_PER_SEC)))
            return;
    }
    init_log('W', "kills what is left");
    kill(-1, SIGKILL);
    wait_child(init, monotime_add_usec(init_now(), KILL_SEC * USEC_PER_SEC));
}

// ---- file systems, in a child: one that hangs does not keep the machine up

static bool is_kernels(const char *point)
{
    static const char *const points[] = {"/proc", "/sys", "/dev", "/run"};
    for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
        size_t n = strlen(points[i]);
        if (strncmp(point, points[i], n) == 0 && (point[n] == '/' || point[n] == '\0'))
            return true;
    }
    return false;
}

// \040 and the like, in place.
static void decode_octal(char *s)
{
    char *to = s;
    for (; *s; s++) {
        if (*s == '\\' && strspn(s + 1, "01234567") >= 3) {
            *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

// Takes the last line off: what was mounted last goes first. NULL when none is left.
static char *last_line(struct buffer *text)
{
    while (text->len > 0 && text->data[text->len - 1] == '\n')
        buffer_truncate(text, text->len - 1);
    if (text->len == 0)
        return NULL;
    char *slash = strrchr(text->data, '\n');
    char *line = slash ? slash + 1 : text->data;
    text->len = (size_t)(line - text->data);
    return line;
}

static void unmount_all(void)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (fs_read_file(AT_FDCWD, "/proc/self/mounts", MOUNTS_MAX, &text) < 0)
        return;
    for (char *line; (line = last_line(&text));) {
        strsep(&line, " ");
        char *point = line ? strsep(&line, " ") : NULL;
        if (!point)
            continue;
        decode_octal(point);
        if (is_kernels(point) || strcmp(point, "/") == 0)
            continue;
        if (umount2(point, 0) < 0 && mount(NULL, point, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
            init_log('W', "%s is neither unmounted nor read-only: %s", point, strerror(errno));
    }
    mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL); // an initramfs has no use for it
}

static void unmount_in_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        unmount_all();
        sync();
        _exit(0);
    }
    struct init counted = {0};
    if (pid > 0 && !wait_child(&counted, monotime_add_usec(init_now(), UNMOUNT_SEC * USEC_PER_SEC)))
        init_log('W', "a file system hangs: goes on without it");
}

void init_end_machine(const struct init *init)
{
    bool again = init->end == INIT_REBOOT;
    if (init->first_namespace)
        unmount_in_child();
    init_log('N', "%s", again ? "reboots" : "powers off");
    if (reboot(again ? RB_AUTOBOOT : RB_POWER_OFF) == 0)
        pause(); // in a PID namespace the kernel kills us now, and our parent sees by which signal
    init_log('W', "reboot(2): %s", strerror(errno));
    if (!init->first_namespace)
        return;
    reboot(RB_HALT_SYSTEM);
    for (;;)
        pause(); // the kernel panics when the first process exits
}
