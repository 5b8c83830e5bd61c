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

int cgroup_populated(const struct string_list *cgroup_dirs)
{
    return cgroup_dirs->n == 0 ? 0 : cgroup_dir_populated(cgroup_dirs->items[0]);
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

int cgroup_kill(const struct string_list *cgroup_dirs)
{
    return cgroup_dirs->n == 0 ? 0 : cgroup_dir_kill(cgroup_dirs->items[0]);
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
