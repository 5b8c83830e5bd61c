// See cgroup-dir.h.
#include "base/cgroup-dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string-list.h"

enum { FILE_MAX = 4 << 20, DEPTH_MAX = 64, KILL_ROUNDS = 8, FREEZE_ROUNDS = 50 };

char *cgroup_read(const char *dir, const char *file)
{
    struct buffer text = BUFFER_EMPTY;
    _cleanup_free_ char *path = path_join(dir, file);
    if (fs_read_file(AT_FDCWD, path, FILE_MAX, &text) < 0) {
        buffer_free(&text);
        return NULL;
    }
    return buffer_take(&text);
}

int cgroup_write(const char *dir, const char *file, const char *value)
{
    _cleanup_free_ char *path = path_join(dir, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

bool cgroup_is_v2(const char *dir)
{
    _cleanup_free_ char *path = path_join(dir, "cgroup.events");
    return access(path, F_OK) == 0;
}

int cgroup_make(const char *base, const char *below, char **ret_dir)
{
    _cleanup_free_ char *dir = path_join(base, below);
    int code = fs_mkdir_parents(AT_FDCWD, dir, 0755);
    if (code < 0)
        return code;
    *ret_dir = TAKE_PTR(dir);
    return 0;
}

uint64_t cgroup_read_key(const char *dir, const char *file, const char *key)
{
    _cleanup_free_ char *text = cgroup_read(dir, file);
    char *rest = text;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        size_t length = strlen(key);
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strtoull(line + length + 1, NULL, 10);
    }
    return 0;
}

// Calls back for every directory directly below.
static int each_child(const char *dir, int (*each)(const char *child, int depth, void *userdata),
                      int depth, void *userdata)
{
    DIR *stream = depth < DEPTH_MAX ? opendir(dir) : NULL;
    if (!stream)
        return 0;
    int code = 0;
    for (struct dirent *entry; code == 0 && (entry = readdir(stream));) {
        if (entry->d_type != DT_DIR || !path_is_name(entry->d_name))
            continue;
        _cleanup_free_ char *child = path_join(dir, entry->d_name);
        code = each(child, depth + 1, userdata);
    }
    closedir(stream);
    return code;
}

static int remove_at(const char *dir, int depth, void *userdata)
{
    if (rmdir(dir) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY && errno != ENOTEMPTY)
        return -errno;
    int code = each_child(dir, remove_at, depth, userdata);
    if (code < 0)
        return code;
    return rmdir(dir) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove(const char *dir)
{
    return remove_at(dir, 0, NULL);
}

struct pid_walk {
    int (*each)(pid_t pid, void *userdata);
    void *userdata;
};

static int walk_pids(const char *dir, int depth, void *userdata)
{
    const struct pid_walk *walk = userdata;
    _cleanup_free_ char *text = cgroup_read(dir, "cgroup.procs");
    char *rest = text;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        pid_t pid = (pid_t)strtol(line, NULL, 10);
        int code = pid > 0 ? walk->each(pid, walk->userdata) : 0;
        if (code != 0)
            return code;
    }
    return each_child(dir, walk_pids, depth, userdata);
}

int cgroup_each_pid(const char *dir, int (*each)(pid_t pid, void *userdata), void *userdata)
{
    struct pid_walk walk = {each, userdata};
    return walk_pids(dir, 0, &walk);
}

static int found(pid_t pid, void *userdata)
{
    return 1;
}

int cgroup_dir_populated(const char *dir)
{
    if (cgroup_is_v2(dir))
        return cgroup_read_key(dir, "cgroup.events", "populated") != 0;
    return cgroup_each_pid(dir, found, NULL);
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

// v1 freezes in its own time, so it is asked a few times.
void cgroup_dir_freeze(const char *dir, bool on)
{
    bool v2 = cgroup_is_v2(dir);
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

// Freezing keeps a fork bomb from outrunning the list of its processes. What v1 does not freeze in
// time is killed all the same.
static void kill_frozen(const char *dir)
{
    for (int i = 0; i < KILL_ROUNDS; i++) {
        cgroup_dir_freeze(dir, true);
        cgroup_each_pid(dir, kill_one, (void *)(uintptr_t)dir);
        cgroup_dir_freeze(dir, false);
        if (cgroup_each_pid(dir, found, NULL) == 0)
            return;
    }
}

int cgroup_dir_kill(const char *dir)
{
    if (access(dir, F_OK) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (cgroup_write(dir, "cgroup.kill", "1") < 0)
        kill_frozen(dir);
    return 0;
}
