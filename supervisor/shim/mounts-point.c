// Mount points, and the mirrors that spare the host's file system: a tmpfs over a directory of the
// host, in this mount namespace only, into which every entry of that directory is bound, so that
// there is room for one more. See mounts.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/shim/mounts.h"

enum { MIRROR_ENTRIES_MAX = 20000 };

static int make_entry(int dir, const char *name, bool directory, mode_t mode)
{
    if (directory) {
        if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
            return -errno;
        int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    close(fd);
    fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int mirror_link(int from, int to, const char *name)
{
    char target[MOUNT_PATH_MAX];
    ssize_t length = readlinkat(from, name, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    return symlinkat(target, to, name) < 0 ? -errno : 0;
}

static int mirror_entry(int from, int to, const char *name)
{
    struct stat st;
    _cleanup_close_ int original = openat(from, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (original < 0 || fstat(original, &st) < 0)
        return errno == ENOENT ? 0 : -errno; // it went away meanwhile
    if (S_ISLNK(st.st_mode))
        return mirror_link(from, to, name);
    _cleanup_close_ int point = make_entry(to, name, S_ISDIR(st.st_mode), st.st_mode & 0777);
    return point < 0 ? point : mounts_bind(original, point);
}

static int mirror_entries(int from, int to, const char *path, struct error *err)
{
    int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        int code = error_errno(err, errno, "cannot read %s", path);
        cleanup_close(&copy);
        return code;
    }
    int code = 0;
    size_t n = 0;
    for (struct dirent *entry; code == 0 && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (++n > MIRROR_ENTRIES_MAX)
            code = error_set(err, E2BIG, "%s has too many entries to be mirrored", path);
        else if ((code = mirror_entry(from, to, entry->d_name)) < 0)
            error_errno(err, code, "cannot mirror %s/%s", path, entry->d_name);
    }
    closedir(dir);
    return code;
}

// What is written to a directory like /tmp or /run is gone one day anyway, so its mirror may be
// written to as well. In any other mirror a new file would be lost with the container.
static bool keeps_what_is_written(int fd, const struct stat *st)
{
    struct statfs fs;
    if (st->st_mode & S_ISVTX)
        return false;
    return fstatfs(fd, &fs) < 0 || (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC);
}

// Mirrors the directory `from` into the fresh tmpfs `to`.
static int fill_mirror(struct mount_plan *plan, int from, int to, const char *path,
                       struct error *err)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return error_errno(err, errno, "%s", path);
    _cleanup_close_ int dir = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fchmod(dir, st.st_mode & 07777) < 0)
        return error_errno(err, errno, "%s", path);
    // In a user namespace the owner may not be mapped; then it stays the container's root.
    if (fchown(dir, st.st_uid, st.st_gid) < 0 && errno != EINVAL && errno != EPERM)
        return error_errno(err, errno, "%s", path);
    int code = mirror_entries(from, to, path, err);
    if (code < 0)
        return code;
    mounts_add_writable(plan, to);
    bool seal = keeps_what_is_written(from, &st);
    if (seal)
        *LIST_APPEND(&plan->mirrors) = fcntl(to, F_DUPFD_CLOEXEC, 3);
    // In "/" itself nobody makes anything; there the error of one who does is clear enough.
    if (strcmp(path, "/") != 0)
        mounts_warn(
            plan,
            "%s is a mirror of the host's in this container, %s, because a mount point in it "
            "does not exist on the host",
            path, seal ? "read-only" : "private");
    return 0;
}

// Over the directory `from`, which is `path` in the root. Returns the mirror's descriptor.
static int make_mirror(struct mount_plan *plan, int from, const char *path, struct error *err)
{
    if (strcmp(path, "/") == 0)
        return error_set(err, ENOTSUP,
                         "a symlink on the way leads to a place that is missing in /");
    int code = mounts_new("tmpfs", from, MS_NOSUID | MS_NODEV, "mode=0755");
    if (code < 0)
        return error_errno(err, code, "cannot mount a tmpfs over %s", path);
    int mirror = mounts_open_in_root(plan->root, path, O_PATH | O_DIRECTORY);
    if (mirror < 0)
        return error_errno(err, mirror, "%s", path);
    code = fill_mirror(plan, from, mirror, path, err);
    if (code < 0) {
        close(mirror);
        return code;
    }
    return mirror;
}

// The nearest existing directory above `path` (which is cut to it); *rest is what is missing.
static int open_nearest(const struct mount_plan *plan, char *path, const char *full,
                        const char **rest)
{
    for (;;) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) {
            path[1] = '\0';
            *rest = full + 1;
            return mounts_open_in_root(plan->root, "/", O_PATH | O_DIRECTORY);
        }
        *slash = '\0';
        int fd = mounts_open_in_root(plan->root, path, O_PATH | O_DIRECTORY);
        if (fd != -ENOENT) {
            *rest = full + (slash - path) + 1;
            return fd;
        }
    }
}

static int make_parts(int dir, const char *rest, bool directory)
{
    char name[256];
    while (*rest) {
        size_t length = strcspn(rest, "/");
        if (length >= sizeof(name)) {
            close(dir);
            return -ENAMETOOLONG;
        }
        memcpy(name, rest, length);
        name[length] = '\0';
        rest += length + strspn(rest + length, "/");
        bool last = !*rest;
        int next = make_entry(dir, name, directory || !last, directory || !last ? 0755 : 0644);
        close(dir);
        if (next < 0)
            return next;
        dir = next;
    }
    return dir;
}

int mounts_point(struct mount_plan *plan, const char *path, bool directory, struct error *err)
{
    int fd = mounts_open_in_root(plan->root, path, O_PATH);
    if (fd != -ENOENT)
        return fd < 0 ? error_errno(err, fd, "mount point %s", path) : fd;

    _cleanup_free_ char *nearest = xstrdup(path);
    const char *rest = NULL;
    int parent = open_nearest(plan, nearest, path, &rest);
    if (parent < 0)
        return error_errno(err, parent, "mount point %s", path);
    if (!mounts_is_writable(plan, parent)) {
        int mirror = make_mirror(plan, parent, nearest, err);
        close(parent);
        if (mirror < 0)
            return error_prefix(err, mirror, "mount point %s", path);
        parent = mirror;
    }
    fd = make_parts(parent, rest, directory);
    return fd < 0 ? error_errno(err, fd, "cannot make the mount point %s", path) : fd;
}

static bool missing_in_root(const struct mount_plan *plan, const char *path)
{
    char name[256];
    path += strspn(path, "/");
    size_t length = strcspn(path, "/");
    if (length >= sizeof(name))
        return false;
    memcpy(name, path, length);
    name[length] = '\0';
    return length > 0 && faccessat(plan->root, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

bool mounts_needs_root_mirror(const struct mount_plan *plan)
{
    const struct shim_spec *spec = plan->spec;
    LIST_EACH (mount, &spec->mounts)
        if (missing_in_root(plan, mount->destination))
            return true;
    return spec->termination_path && spec->termination_file &&
           missing_in_root(plan, spec->termination_path);
}

int mounts_mirror_root(struct mount_plan *plan, struct error *err)
{
    int code = mounts_new("tmpfs", plan->root, MS_NODEV, "mode=0755");
    if (code < 0)
        return error_errno(err, code, "cannot mount a tmpfs over /");
    // ".." of the root is the root, but with what is mounted on it.
    int top = open("/..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return error_errno(err, errno, "cannot open the mirror of /");
    code = fill_mirror(plan, plan->root, top, "/", err);
    if (code == 0 && (code = mounts_pivot(top)) < 0)
        error_errno(err, code, "cannot make the mirror of / the root");
    close(plan->root);
    plan->root = top;
    return code;
}

void mounts_seal_mirrors(struct mount_plan *plan)
{
    LIST_EACH (fd, &plan->mirrors)
        if (mounts_set_read_only(plan, *fd, false) < 0)
            mounts_warn(plan, "a mirror of a host directory could not be made read-only");
}
