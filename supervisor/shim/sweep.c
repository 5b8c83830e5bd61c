// Emptying directories that the agent has put aside. See sweep.h.
#include "supervisor/shim/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"

enum { FD_PATH_SIZE = 32 };

struct sweep {
    int top;         // the directory that is emptied
    uint64_t moved;  // how many directories were moved up into it
    bool progress;   // something went away in this pass
    int first_error; // of this pass
};

static void note(struct sweep *s, int code)
{
    if (code != ENOENT && s->first_error == 0)
        s->first_error = code;
}

// Never through a symlink, and never onto another mount, not even one of the same file system.
static int open_here(int dir, const char *name, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

// ---- mounts ----

// The fifth field of a line of mountinfo, with its octal escapes undone; in place. NULL where there
// is none.
static char *mount_point(char *line)
{
    char *save = NULL, *field = strtok_r(line, " ", &save);
    for (int i = 1; field && i < 5; i++)
        field = strtok_r(NULL, " ", &save);
    if (!field)
        return NULL;
    char *to = field;
    for (const char *from = field; *from; to++) {
        if (*from == '\\' && from[1] && from[2] && from[3]) {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
    return field;
}

static bool unmount_one(const struct sweep *s, const char *path)
{
    char fd_path[FD_PATH_SIZE];
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    _cleanup_close_ int fd = (int)syscall(SYS_openat2, s->top, path, &how, sizeof(how));
    snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
    return fd >= 0 && umount2(fd_path, MNT_DETACH) == 0;
}

// Those that came last, which may be on top of others or below them, go first. Returns how many
// went; of those that stay, their directories will tell.
static size_t unmount_all(const struct sweep *s)
{
    size_t n = 0;
    char fd_path[FD_PATH_SIZE], top[4096], *line = NULL;
    size_t size = 0;
    _cleanup_string_list_ struct string_list points = {0};
    snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", s->top);
    ssize_t length = readlink(fd_path, top, sizeof(top) - 1);
    _cleanup_fclose_ FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (length < 0 || !mounts)
        return 0;
    top[length] = '\0';
    while (getline(&line, &size, mounts) > 0) {
        const char *point = mount_point(line);
        if (point && strncmp(point, top, (size_t)length) == 0 && point[length] == '/')
            string_list_add(&points, point + length + 1);
    }
    free(line);
    for (size_t i = points.n; i > 0; i--)
        n += unmount_one(s, points.items[i - 1]);
    return n;
}

// ---- entries ----

// Where there is no CAP_DAC_OVERRIDE, a directory without permissions (overlayfs makes such) would
// stop even its owner.
static void open_up(int dir, const char *name)
{
    char fd_path[FD_PATH_SIZE];
    if (geteuid() == 0)
        return;
    _cleanup_close_ int fd = open_here(dir, name, O_PATH);
    snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
    if (fd >= 0)
        chmod(fd_path, 0700);
}

// A tree may be as deep as who made it liked. It becomes flat instead of being walked down: every
// directory that is not empty moves up to the top, and has its turn there.
static void move_up(struct sweep *s, int dir, const char *name)
{
    char moved[32];
    do {
        snprintf(moved, sizeof(moved), ".moved-%" PRIu64, s->moved++);
    } while (faccessat(s->top, moved, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    open_up(dir, name);
    if (renameat(dir, name, s->top, moved) == 0)
        s->progress = true;
    else
        note(s, errno);
}

static bool remove_plain(struct sweep *s, int dir, const char *name)
{
    if (unlinkat(dir, name, 0) == 0 || unlinkat(dir, name, AT_REMOVEDIR) == 0) {
        s->progress = true;
        return true;
    }
    return false;
}

// Empties a directory that stands in the top.
static void empty_one(struct sweep *s, const char *name)
{
    open_up(s->top, name);
    int fd = open_here(s->top, name, O_RDONLY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        note(s, errno);
        cleanup_close(&fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!path_is_name(entry->d_name) || remove_plain(s, dirfd(dir), entry->d_name))
            continue;
        if (errno == ENOTEMPTY || errno == EEXIST)
            move_up(s, dirfd(dir), entry->d_name);
        else
            note(s, errno);
    }
    closedir(dir);
}

static void one_pass(struct sweep *s)
{
    int copy = openat(s->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    s->progress = false;
    s->first_error = 0;
    if (!dir) {
        note(s, errno);
        cleanup_close(&copy);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!path_is_name(entry->d_name) || remove_plain(s, s->top, entry->d_name))
            continue;
        if (errno == ENOTEMPTY || errno == EEXIST)
            empty_one(s, entry->d_name);
        if (!remove_plain(s, s->top, entry->d_name))
            note(s, errno);
    }
    closedir(dir);
}

static int sweep(const char *path)
{
    struct sweep s = {.top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (s.top < 0)
        return errno == ENOENT ? 0 : errno;
    flock(s.top, LOCK_EX); // an earlier agent's may still be at it
    // More may be put aside, with mounts in it, while this is at work.
    do {
        unmount_all(&s);
        do
            one_pass(&s);
        while (s.progress);
    } while (s.first_error == EBUSY && unmount_all(&s) > 0);
    close(s.top);
    return s.first_error;
}

int sweep_remove(char *const *dirs)
{
    int first = 0;
    setpriority(PRIO_PROCESS, 0, 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    for (; *dirs; dirs++) {
        int code = sweep(*dirs);
        first = first ? first : code;
    }
    return first;
}
