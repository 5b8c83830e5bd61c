// See fs.h.
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

enum { RESOLVE_TRIES = 100 };

int fs_read_fd(int fd, size_t max, struct buffer *out)
{
    size_t start = out->len;
    for (;;) {
        char *end = buffer_reserve(out, 4096);
        size_t room = MIN(out->cap - out->len - 1, max + 1 - (out->len - start));
        ssize_t n = read(fd, end, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = -errno;
            buffer_truncate(out, start);
            return code;
        }
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len - start > max) {
            buffer_truncate(out, start);
            return -EFBIG;
        }
        if (n == 0)
            return 0;
    }
}

int fs_read_file(int dirfd, const char *path, size_t max, struct buffer *out)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if ((uintmax_t)st.st_size > max)
        return -EFBIG;
    return fs_read_fd(fd, max, out);
}

int fs_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int sync_directory_of(int dirfd, const char *path)
{
    const char *base = path_base(path);
    _cleanup_free_ char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    _cleanup_close_ int fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_and_publish(int dirfd, int fd, const char *temporary, const char *path,
                             const void *data, size_t len, unsigned flags)
{
    int code = fs_write_all(fd, data, len);
    if (code < 0)
        return code;
    if ((flags & FS_WRITE_SYNC) && fsync(fd) < 0)
        return -errno;
    unsigned how = flags & FS_WRITE_EXCLUSIVE ? RENAME_NOREPLACE : 0;
    if (renameat2(dirfd, temporary, dirfd, path, how) < 0)
        return -errno;
    return flags & FS_WRITE_SYNC ? sync_directory_of(dirfd, path) : 0;
}

// A new file that has no name until it is whole, so that not even a kill leaves a part of it
// behind. -EOPNOTSUPP where the file system (or a missing /proc) does not let one.
static int write_unnamed(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                         unsigned flags)
{
    const char *base = path_base(path);
    _cleanup_free_ char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    _cleanup_close_ int fd = openat(dirfd, dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
    if (fd < 0)
        return errno == EISDIR || errno == EINVAL ? -EOPNOTSUPP : -errno;
    int code = fchmod(fd, mode) < 0 ? -errno : fs_write_all(fd, data, len);
    if (code == 0 && (flags & FS_WRITE_SYNC) && fsync(fd) < 0)
        code = -errno;
    if (code < 0)
        return code;
    _cleanup_free_ char *self = xasprintf("/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, self, dirfd, path, AT_SYMLINK_FOLLOW) < 0)
        return errno == ENOENT ? -EOPNOTSUPP : -errno;
    return flags & FS_WRITE_SYNC ? sync_directory_of(dirfd, path) : 0;
}

// Half-written files of this name whose writers were killed: nobody holds their locks any more.
static void remove_left_behind(int dirfd, const char *path)
{
    const char *base = path_base(path);
    _cleanup_free_ char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path)),
                        *prefix = xasprintf(".%s.tmp-", base);
    int fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        _cleanup_close_ int file =
            openat(fd, entry->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0)
            unlinkat(fd, entry->d_name, 0);
    }
    if (stream)
        closedir(stream);
    else if (fd >= 0)
        close(fd);
}

// True where the new file is ours alone: nobody has taken it for one that was left behind.
static bool lock_new(int fd)
{
    struct stat st;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

static int write_named(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                       unsigned flags)
{
    const char *base = path_base(path);
    _cleanup_free_ char *temporary = NULL;
    _cleanup_close_ int fd = -1;
    if (flags & FS_WRITE_SYNC)
        remove_left_behind(dirfd, path);
    for (unsigned attempt = 0; fd < 0; attempt++) {
        free(temporary);
        temporary =
            xasprintf("%.*s.%s.tmp-%d-%u", (int)(base - path), path, base, (int)getpid(), attempt);
        fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0 && (errno != EEXIST || attempt > 100))
            return -errno;
        if (fd >= 0 && (flags & FS_WRITE_SYNC) && !lock_new(fd) && attempt < 100) {
            close(fd);
            fd = -1;
        }
    }
    int code = fchmod(fd, mode) < 0 ? -errno : 0;
    if (code == 0)
        code = write_and_publish(dirfd, fd, temporary, path, data, len, flags);
    if (code < 0)
        unlinkat(dirfd, temporary, 0);
    return code;
}

int fs_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                    unsigned flags)
{
    int code = flags & FS_WRITE_EXCLUSIVE ? write_unnamed(dirfd, path, data, len, mode, flags)
                                          : -EOPNOTSUPP;
    return code == -EOPNOTSUPP ? write_named(dirfd, path, data, len, mode, flags) : code;
}

static int make_directory(int dirfd, const char *path, mode_t mode)
{
    struct stat st;
    if (mkdirat(dirfd, path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (fstatat(dirfd, path, &st, 0) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int make_all(int dirfd, char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int code = make_directory(dirfd, path, 0755);
        *slash = '/';
        if (code < 0)
            return code;
    }
    return make_directory(dirfd, path, 0755);
}

int fs_mkdir_parents_of(int dirfd, const char *path)
{
    const char *last = strrchr(path, '/');
    if (!last || last == path)
        return 0;
    _cleanup_free_ char *parent = xstrndup(path, (size_t)(last - path));
    // Most of the time it is there, or only the last part is missing.
    int code = make_directory(dirfd, parent, 0755);
    return code == -ENOENT ? make_all(dirfd, parent) : code;
}

int fs_mkdir_parents(int dirfd, const char *path, mode_t mode)
{
    if (strcmp(path, "/") == 0)
        return 0;
    int code = make_directory(dirfd, path, mode);
    if (code != -ENOENT)
        return code;
    code = fs_mkdir_parents_of(dirfd, path);
    return code < 0 ? code : make_directory(dirfd, path, mode);
}

static int open_empty(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

int fs_open_empty(const char *path, mode_t mode, mode_t dir_mode)
{
    int fd = open_empty(path, mode);
    if (fd == -ENOENT) {
        _cleanup_free_ char *dir = xstrndup(path, (size_t)(path_base(path) - path));
        int code = fs_mkdir_parents(AT_FDCWD, dir, dir_mode);
        fd = code < 0 ? code : open_empty(path, mode);
    }
    if (fd >= 0 && fchmod(fd, mode) < 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}

static int remove_entries(int fd, dev_t device);

static int remove_entry(int dirfd, const char *name, dev_t device)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int code = errno == ENOENT ? 0 : -errno;
        if (fd >= 0)
            close(fd);
        return code;
    }
    if (st.st_dev != device) {
        close(fd);
        return -EXDEV;
    }
    int code = remove_entries(fd, device); // closes fd
    if (code < 0)
        return code;
    return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_entries(int fd, dev_t device)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    int first = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int code = remove_entry(dirfd(dir), entry->d_name, device);
        if (code < 0 && first == 0)
            first = code;
    }
    closedir(dir);
    return first;
}

int fs_remove_tree(int dirfd, const char *path)
{
    struct stat st;
    if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return remove_entry(dirfd, path, st.st_dev);
}

int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)flags | O_CLOEXEC,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;
    // EAGAIN: something was renamed meanwhile, so that ".." could not be trusted (openat2(2)).
    for (int i = 0; i < RESOLVE_TRIES; i++) {
        fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

int fs_set_nonblocking(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    bool root = n == 1 && dir[0] == '/';
    return xasprintf("%.*s%s%s", (int)n, dir, root ? "" : "/", name);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_is_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool path_is_clean_absolute(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *part = path + 1; *part;) {
        size_t n = strcspn(part, "/");
        if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += n + (part[n] == '/');
    }
    return true;
}
