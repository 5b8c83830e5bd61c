// Processes of a container that the kernel kills for want of memory, or does not let it make, are
// events, also where the container itself goes on.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/work.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/runtime-internal.h"

enum {
    STATUS_MAX = 8 << 10,
    FLAG_EXITING = 0x4, // PF_EXITING of include/linux/sched.h
};

static bool read_proc(pid_t pid, const char *file, struct buffer *text)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    buffer_truncate(text, 0);
    return fs_read_file(AT_FDCWD, path, STATUS_MAX, text) == 0;
}

static bool has_pending_kill(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line && (strtoull(line + strlen(key), NULL, 16) >> (SIGKILL - 1) & 1);
}

// The process has ended, ends, or has yet to see its SIGKILL (proc(5): stat, status).
static bool is_dying(pid_t pid)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (pid <= 0 || !read_proc(pid, "stat", &text))
        return true;
    const char *field = strrchr(buffer_str(&text), ')');
    if (!field || field[1] != ' ' || strchr("ZX", field[2]))
        return true;
    for (int i = 0; i < 7 && field; i++) // the state is the 3rd field, the flags are the 9th
        field = strchr(field + 1, ' ');
    if (field && strtoul(field, NULL, 10) & FLAG_EXITING)
        return true;
    return !read_proc(pid, "status", &text) || has_pending_kill(buffer_str(&text), "\nSigPnd:\t") ||
           has_pending_kill(buffer_str(&text), "\nShdPnd:\t");
}

static void on_alarm(void *userdata, uint64_t oom_kills, uint64_t refused)
{
    struct run *run = userdata;
    WORK_SCOPE("pods", "pod", run->spec.pod_namespace, run->spec.pod_name);
    struct container_worker *c = run->c;
    if (run->role != RUN_CURRENT || run->over)
        return; // the end of a container tells by itself what it came from
    // Without numbers: what repeats is one event that is counted.
    if (oom_kills > 0 && !is_dying(c->pid))
        pod_worker_event(c->pod, c, EVENT_WARNING, "OOMKilling",
                         "the kernel has killed processes of container %s for want of memory; the "
                         "container goes on: raise resources.limits.memory, or find the leak",
                         c->spec->name);
    if (refused > 0)
        pod_worker_event(c->pod, c, EVENT_WARNING, "PidsLimitReached",
                         "container %s cannot make more processes: its pod has as many as "
                         "podPidsLimit allows",
                         c->spec->name);
}

static void watch(struct run *run)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (run->alarm || run->spec.cgroup_dirs.n == 0)
        return;
    if (cgroup_alarm_new(run->rt->options.event, &run->spec.cgroup_dirs, run->oom_kills,
                         run->refused, on_alarm, run, &run->alarm, &err) < 0)
        pod_worker_event(run->c->pod, run->c, EVENT_WARNING, "CgroupNotWatched", "%s",
                         error_message(&err));
}

void run_is_running(struct run *run, const struct shim_state *state, monotime now)
{
    pod_worker_container_started(run->c, state, now);
    watch(run);
}
