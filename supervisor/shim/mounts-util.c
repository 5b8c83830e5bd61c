// The mount system calls, the newer ones (open_tree, mount_setattr, move_mount) with mount(2) as
// the way out, and the bookkeeping of the plan. See mounts.h.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/shim/mounts.h"

enum {
    FD_PATH_SIZE = 32,
    RESOLVE_TRIES = 100,
    SET_GROUP = 0x100, // MOVE_MOUNT_SET_GROUP, Linux 5.15
};

static const char *fd_path(int fd, char *buf)
{
    snprintf(buf, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
    return buf;
}

void mounts_plan_free(struct mount_plan *plan)
{
    LIST_EACH (tree, &plan->trees) {
        cleanup_close(&tree->fd);
        cleanup_close(&tree->peer);
    }
    LIST_EACH (fd, &plan->mirrors)
        cleanup_close(fd);
    cleanup_close(&plan->root);
    plan->root = -1;
    cleanup_close(&plan->termination);
    plan->termination = -1;
    free(plan->trees.items);
    free(plan->writable.items);
    free(plan->mirrors.items);
}

void mounts_warn(const struct mount_plan *plan, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buffer_vprintf(plan->warnings, format, args);
    va_end(args);
    buffer_add_char(plan->warnings, '\n');
}

int mounts_open_in_root(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;
    // EAGAIN: something was renamed meanwhile, so that ".." could not be trusted (openat2(2)).
    for (int i = 0; i < RESOLVE_TRIES; i++) {
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

uint64_t mounts_id(int fd)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
        return 0;
    return st.stx_mnt_id;
}

void mounts_add_writable(struct mount_plan *plan, int fd)
{
    uint64_t id = mounts_id(fd);
    if (id)
        *LIST_APPEND(&plan->writable) = id;
}

bool mounts_is_writable(const struct mount_plan *plan, int fd)
{
    uint64_t id = mounts_id(fd);
    LIST_EACH (known, &plan->writable)
        if (*known == id)
            return true;
    return false;
}

int mounts_new(const char *type, int target, unsigned long flags, const char *options)
{
    char path[FD_PATH_SIZE];
    return mount(type, fd_path(target, path), type, flags, options) < 0 ? -errno : 0;
}

int mounts_clone(const struct mount_plan *plan, int fd)
{
    int tree =
        plan->classic
            ? fcntl(fd, F_DUPFD_CLOEXEC, 3)
            : open_tree(fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return tree < 0 ? -errno : tree;
}

// mount(2) replaces all flags of a mount, and in a user namespace the ones that are set are locked:
// they are read first and given again.
static unsigned long flags_of(const char *path)
{
    static const struct {
        unsigned long have, flag;
    } flags[] = {
        {ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},           {ST_NOEXEC, MS_NOEXEC},
        {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME},
    };
    struct statvfs st;
    unsigned long result = 0;
    if (statvfs(path, &st) < 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (st.f_flag & flags[i].have)
            result |= flags[i].flag;
    return result;
}

int mounts_set_read_only(const struct mount_plan *plan, int fd, bool recursive)
{
    char path[FD_PATH_SIZE];
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    unsigned at = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    if (!plan->classic && mount_setattr(fd, "", at, &attr, sizeof(attr)) == 0)
        return 0;
    if (!plan->classic && errno != ENOSYS && errno != EPERM)
        return -errno;
    if (recursive)
        return -ENOSYS; // before Linux 5.12
    unsigned long flags = flags_of(fd_path(fd, path)) | MS_REMOUNT | MS_BIND | MS_RDONLY;
    return mount(NULL, path, NULL, flags, NULL) < 0 ? -errno : 0;
}

int mounts_set_propagation(int fd, unsigned long type, bool recursive)
{
    char path[FD_PATH_SIZE];
    unsigned long flags = type | (recursive ? MS_REC : 0);
    return mount(NULL, fd_path(fd, path), NULL, flags, NULL) < 0 ? -errno : 0;
}

int mounts_join_peers(int fd, int peer)
{
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | SET_GROUP;
    return move_mount(peer, "", fd, "", flags) < 0 ? -errno : 0;
}

int mounts_bind(int from, int target)
{
    char from_path[FD_PATH_SIZE], target_path[FD_PATH_SIZE];
    return mount(fd_path(from, from_path), fd_path(target, target_path), NULL, MS_BIND | MS_REC,
                 NULL) < 0
               ? -errno
               : 0;
}

int mounts_put(const struct mount_plan *plan, int tree, int target)
{
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    if (plan->classic)
        return mounts_bind(tree, target);
    return move_mount(tree, "", target, "", flags) < 0 ? -errno : 0;
}

int mounts_open_top(const struct mount_plan *plan, int tree, int target)
{
    char path[FD_PATH_SIZE], name[MOUNT_PATH_MAX];
    if (!plan->classic) {
        int fd = fcntl(tree, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
    }
    // The new mount is on top of what `target` shows: it has to be found again by its name.
    ssize_t length = readlink(fd_path(target, path), name, sizeof(name) - 1);
    if (length < 0)
        return -errno;
    name[length] = '\0';
    int fd = open(name, O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int mounts_put_read_only(const struct mount_plan *plan, int tree, int target)
{
    int code = mounts_put(plan, tree, target);
    _cleanup_close_ int top = code < 0 ? code : mounts_open_top(plan, tree, target);
    if (top < 0)
        return top;
    code = mounts_set_read_only(plan, top, true);
    return code == -ENOSYS ? mounts_set_read_only(plan, top, false) : code;
}

int mounts_pivot(int root)
{
    // pivot_root(".", ".") stacks the old root on the new one, from where it is detached
    // (pivot_root(2), "pivot_root(".", ".")").
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        return -errno;
    return chdir("/") < 0 ? -errno : 0;
}
