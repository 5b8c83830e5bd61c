// The container's cgroups as its shim sees them: limits, and who is where. See
// container-internal.h.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/shim/container-internal.h"

enum { PROCS_MAX = 1 << 20, JOIN_ROUNDS_MAX = 10 };

static int write_file(const char *path, const char *value)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int container_write_limits(const struct shim_spec *spec, struct buffer *warnings, struct error *err)
{
    LIST_EACH (limit, &spec->limits) {
        int code = write_file(limit->path, limit->value);
        if (code < 0 && limit->required)
            return error_errno(err, code, "cannot set %s to %s", limit->path, limit->value);
        if (code < 0)
            buffer_printf(warnings, "%s could not be set to %s: %s\n", limit->path, limit->value,
                          strerror(-code));
    }
    return 0;
}

static bool is_weight(const char *file)
{
    return str_equal(file, "cpu.shares") || str_equal(file, "blkio.weight");
}

bool container_cgroup_is_deferred(const struct shim_spec *spec, size_t i)
{
    const char *dir = spec->cgroup_dirs.items[i];
    size_t length = strlen(dir);
    bool weights = false;
    if (i == 0)
        return false;
    LIST_EACH (limit, &spec->limits) {
        if (strncmp(limit->path, dir, length) != 0 || limit->path[length] != '/')
            continue;
        if (limit->required || !is_weight(path_base(limit->path)))
            return false;
        weights = true;
    }
    return weights;
}

// Every process of the first cgroup into the directory. How many moved that had not before cannot
// be told, so the caller counts.
static size_t move_all(const char *from, const char *to, struct buffer *warnings)
{
    _cleanup_buffer_ struct buffer pids = BUFFER_EMPTY;
    _cleanup_free_ char *procs = path_join(from, "cgroup.procs");
    _cleanup_free_ char *target = path_join(to, "cgroup.procs");
    size_t n = 0;
    if (fs_read_file(AT_FDCWD, procs, PROCS_MAX, &pids) < 0)
        return 0;
    char *rest = pids.data;
    for (char *pid; rest && (pid = strsep(&rest, "\n"));) {
        if (!*pid)
            continue;
        int code = write_file(target, pid);
        if (code < 0 && code != -ESRCH) {
            buffer_printf(warnings, "cannot move process %s to %s: %s\n", pid, to, strerror(-code));
            return 0;
        }
        n++;
    }
    return n;
}

void container_join_deferred(const struct shim_spec *spec, pid_t pid, struct buffer *warnings)
{
    for (size_t i = 1; i < spec->cgroup_dirs.n; i++) {
        if (!container_cgroup_is_deferred(spec, i))
            continue;
        // A child that was forked while its parent was being moved is found in the next round.
        size_t before = 0;
        for (int round = 0; round < JOIN_ROUNDS_MAX; round++) {
            size_t n = move_all(spec->cgroup_dirs.items[0], spec->cgroup_dirs.items[i], warnings);
            if (n == before || n == 0)
                break;
            before = n;
        }
    }
}
