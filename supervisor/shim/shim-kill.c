// Killing all of a container, and asking the kernel whether it did so for lack of memory.
#include "supervisor/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"

enum {
    PASSES_MAX = 64, // over a tree that forks while it is being killed
    PROCS_MAX = 1 << 20,
    STRAYS_MSEC = 2000,
    STRAYS_STEP_MSEC = 20,
};

// Calls SIGKILL for every number in `text`; how many there were.
static size_t kill_listed(const char *text)
{
    size_t n = 0;
    for (const char *p = text; *p;) {
        char *end;
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        if (pid > 1 && pid != getpid())
            n += kill((pid_t)pid, SIGKILL) == 0;
        for (p = end; *p == '\n' || *p == ' '; p++)
            continue;
    }
    return n;
}

static bool write_cgroup_kill(const char *dir)
{
    _cleanup_free_ char *path = path_join(dir, "cgroup.kill");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "1", 1) == 1;
}

// cgroup v1, or v2 before 5.14: what was forked while the list was read is in the next one. Dead
// ones that are not reaped yet are listed as well, so an empty list cannot be waited for.
static void kill_cgroup_procs(const char *dir)
{
    _cleanup_free_ char *path = path_join(dir, "cgroup.procs");
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        if (fs_read_file(AT_FDCWD, path, PROCS_MAX, &text) < 0 ||
            kill_listed(buffer_str(&text)) == 0)
            return;
        sched_yield();
    }
}

// The children of a process and theirs, deepest last: their number.
static size_t kill_children(pid_t pid, int depth)
{
    enum { DEPTH_MAX = 64 };
    char path[64];
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    if (depth > DEPTH_MAX || fs_read_file(AT_FDCWD, path, PROCS_MAX, &text) < 0)
        return 0;
    size_t n = kill_listed(buffer_str(&text));
    for (const char *p = buffer_str(&text); *p;) {
        char *end;
        long child = strtol(p, &end, 10);
        if (end == p)
            break;
        n += kill_children((pid_t)child, depth + 1);
        for (p = end; *p == ' '; p++)
            continue;
    }
    return n;
}

void shim_kill_container(struct shim *shim)
{
    const struct string_list *dirs = &shim->spec.cgroup_dirs;
    // With a PID namespace of its own this is all of it.
    process_signal(shim->child.pidfd, SIGKILL);
    if (dirs->n > 0) {
        if (!write_cgroup_kill(dirs->items[0]))
            kill_cgroup_procs(dirs->items[0]);
    } else {
        // The shim is the subreaper: whatever was forked away is below it.
        for (int pass = 0; pass < PASSES_MAX && kill_children(getpid(), 0) > 0; pass++)
            sched_yield();
    }
}

// In a PID namespace of its own nothing outlives its first process. Without one, whatever left the
// cgroup has become a child of the shim, the subreaper.
void shim_kill_strays(struct shim *shim)
{
    if (shim->spec.new_pid_namespace)
        return;
    for (int msec = 0; msec < STRAYS_MSEC && kill_children(getpid(), 0) > 0;) {
        struct pollfd child = {.fd = shim->signals.fd, .events = POLLIN};
        if (poll(&child, 1, STRAYS_STEP_MSEC) > 0)
            shim->signals.ready(&shim->signals, shim);
        else
            msec += STRAYS_STEP_MSEC;
    }
}

static uint64_t read_counter(const char *dir, const char *file)
{
    _cleanup_free_ char *path = path_join(dir, file);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (fs_read_file(AT_FDCWD, path, 4096, &text) < 0)
        return 0;
    const char *line = strstr(buffer_str(&text), "oom_kill ");
    return line ? strtoull(line + strlen("oom_kill "), NULL, 10) : 0;
}

uint64_t shim_oom_kills(const struct shim_spec *spec)
{
    uint64_t kills = 0;
    LIST_EACH (dir, &spec->cgroup_dirs)
        kills += read_counter(*dir, "memory.events") + read_counter(*dir, "memory.oom_control");
    return kills;
}
