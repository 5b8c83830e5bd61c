// What lives in a container's cgroup, and its end. See cgroup.h.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "supervisor/cgroup-internal.h"

enum { KILL_ROUNDS = 8, FREEZE_ROUNDS = 50 };

static int found(pid_t pid, void *userdata)
{
    return 1;
}

int cgroup_populated(const struct string_list *cgroup_dirs)
{
    if (cgroup_dirs->n == 0)
        return 0;
    const char *dir = cgroup_dirs->items[0];
    if (cgroup_is_v2(dir))
        return cgroup_read_key(dir, "cgroup.events", "populated") != 0;
    return cgroup_each_pid(dir, found, NULL);
}

struct pid_list {
    pid_t *pids;
    size_t n, most;
};

static int gather(pid_t pid, void *userdata)
{
    struct pid_list *list = userdata;
    if (list->n == list->most)
        return 1;
    list->pids[list->n++] = pid;
    return 0;
}

size_t cgroup_pids(const struct string_list *cgroup_dirs, pid_t *ret, size_t most)
{
    struct pid_list list = {ret, 0, most};
    if (cgroup_dirs->n > 0)
        cgroup_each_pid(cgroup_dirs->items[0], gather, &list);
    return list.n;
}

static bool names_group(const char *membership, const char *group)
{
    size_t length = strlen(group);
    for (const char *p = membership; (p = strstr(p, group)); p += length)
        if (p[length] == '\n' || p[length] == '/')
            return true;
    return false;
}

// The PID was read from the cgroup just now and may have been reused since: the pidfd is opened
// first, and only then the cgroup is asked again.
static int kill_one(pid_t pid, void *userdata)
{
    const char *dir = userdata;
    char path[64];
    _cleanup_close_ int pidfd = process_pidfd(pid);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (pidfd < 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (fs_read_file(AT_FDCWD, path, 65536, &text) < 0)
        return 0;
    // The directory ends in what follows the hierarchy's mount point, and that is in the file.
    const char *tail = strstr(dir, "/kubepods");
    if (!tail || names_group(buffer_str(&text), tail))
        process_signal(pidfd, SIGKILL);
    return 0;
}

// Freezing keeps a fork bomb from outrunning the list of its processes. v1 freezes in its own time,
// so it is asked a few times; what it does not freeze is killed all the same.
static void freeze(const char *dir, bool v2, bool on)
{
    if (v2) {
        (void)cgroup_write(dir, "cgroup.freeze", on ? "1" : "0");
        return;
    }
    for (int i = 0; i < FREEZE_ROUNDS; i++) {
        if (cgroup_write(dir, "freezer.state", on ? "FROZEN" : "THAWED") < 0 || !on)
            return;
        _cleanup_free_ char *state = cgroup_read(dir, "freezer.state");
        if (!state || str_starts_with(state, "FROZEN"))
            return;
    }
}

static void kill_frozen(const char *dir)
{
    bool v2 = cgroup_is_v2(dir);
    for (int i = 0; i < KILL_ROUNDS; i++) {
        freeze(dir, v2, true);
        cgroup_each_pid(dir, kill_one, (void *)(uintptr_t)dir);
        freeze(dir, v2, false);
        if (cgroup_each_pid(dir, found, NULL) == 0)
            return;
    }
}

int cgroup_kill(const struct string_list *cgroup_dirs)
{
    if (cgroup_dirs->n == 0)
        return 0;
    const char *dir = cgroup_dirs->items[0];
    if (access(dir, F_OK) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (cgroup_write(dir, "cgroup.kill", "1") < 0)
        kill_frozen(dir);
    return 0;
}

uint64_t cgroup_oom_kills(const struct string_list *cgroup_dirs)
{
    uint64_t kills = 0;
    for (size_t i = 0; i < cgroup_dirs->n && kills == 0; i++) {
        kills = cgroup_read_key(cgroup_dirs->items[i], "memory.events", "oom_kill");
        if (kills == 0)
            kills = cgroup_read_key(cgroup_dirs->items[i], "memory.oom_control", "oom_kill");
    }
    return kills;
}

// The pod's directory goes with its last container.
static void remove_parent(const char *dir)
{
    _cleanup_free_ char *parent = xstrndup(dir, (size_t)(path_base(dir) - dir - 1));
    rmdir(parent);
}

int cgroup_remove_container(const struct string_list *cgroup_dirs,
                            const struct string_list *shim_cgroup_dirs)
{
    const struct string_list *lists[] = {cgroup_dirs, shim_cgroup_dirs};
    int first = 0;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (size_t j = 0; j < lists[i]->n; j++) {
            int code = cgroup_remove(lists[i]->items[j]);
            if (code == 0)
                remove_parent(lists[i]->items[j]);
            first = first ? first : code;
        }
    return first;
}
