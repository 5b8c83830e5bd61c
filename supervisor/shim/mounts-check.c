// The sources of volumes: hostPath types, what is created for them, and sub paths. See mounts.h.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "supervisor/shim/mounts.h"

static const struct {
    mode_t type; // 0: any
    const char *name;
} wanted[] = {
    [SHIM_PATH_ANY] = {0, "file or directory"},
    [SHIM_PATH_DIRECTORY_OR_CREATE] = {S_IFDIR, "directory"},
    [SHIM_PATH_DIRECTORY] = {S_IFDIR, "directory"},
    [SHIM_PATH_FILE_OR_CREATE] = {S_IFREG, "file"},
    [SHIM_PATH_FILE] = {S_IFREG, "file"},
    [SHIM_PATH_SOCKET] = {S_IFSOCK, "socket"},
    [SHIM_PATH_CHAR_DEVICE] = {S_IFCHR, "character device"},
    [SHIM_PATH_BLOCK_DEVICE] = {S_IFBLK, "block device"},
};

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFREG:
        return "a file";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
        return "a character device";
    case S_IFBLK:
        return "a block device";
    case S_IFIFO:
        return "a FIFO";
    default:
        return "something else";
    }
}

static int create_directory(const struct shim_mount *mount, struct error *err)
{
    int code = fs_mkdir_parents(AT_FDCWD, mount->source, 0755);
    if (code < 0)
        return error_errno(err, code, "volume %s: cannot make the directory %s", mount->volume,
                           mount->source);
    return chmod(mount->source, 0755) < 0
               ? error_errno(err, errno, "volume %s: %s", mount->volume, mount->source)
               : 0;
}

static int create_file(const struct shim_mount *mount, struct error *err)
{
    _cleanup_close_ int fd = open(mount->source, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ENOENT,
                         "volume %s: cannot make the file %s: its directory does not exist, and "
                         "FileOrCreate does not make it",
                         mount->volume, mount->source);
    if (fd < 0 || fchmod(fd, 0644) < 0)
        return error_errno(err, errno, "volume %s: cannot make the file %s", mount->volume,
                           mount->source);
    return 0;
}

static int refuse_missing(const struct shim_mount *mount, struct error *err)
{
    if (mount->check == SHIM_PATH_ANY)
        return error_set(err, ENOENT,
                         "volume %s: %s does not exist; set hostPath.type to DirectoryOrCreate or "
                         "FileOrCreate to have it made",
                         mount->volume, mount->source);
    return error_set(err, ENOENT, "volume %s: the %s %s does not exist", mount->volume,
                     wanted[mount->check].name, mount->source);
}

int mounts_check_source(const struct shim_mount *mount, struct error *err)
{
    struct stat st;
    if (stat(mount->source, &st) < 0) {
        if (errno != ENOENT)
            return error_errno(err, errno, "volume %s: %s", mount->volume, mount->source);
        if (mount->check == SHIM_PATH_DIRECTORY_OR_CREATE)
            return create_directory(mount, err);
        if (mount->check == SHIM_PATH_FILE_OR_CREATE)
            return create_file(mount, err);
        return refuse_missing(mount, err);
    }
    mode_t type = wanted[mount->check].type;
    if (type && (st.st_mode & S_IFMT) != type)
        return error_set(err, type == S_IFDIR ? ENOTDIR : EINVAL,
                         "volume %s: %s is %s, but a %s is asked for", mount->volume, mount->source,
                         type_name(st.st_mode), wanted[mount->check].name);
    return 0;
}

static int make_sub_directories(int volume, const char *sub_path, mode_t mode)
{
    _cleanup_close_ int at = fcntl(volume, F_DUPFD_CLOEXEC, 3);
    char name[256];
    for (const char *p = sub_path; at >= 0 && *p;) {
        size_t length = strcspn(p, "/");
        if (length >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, p, length);
        name[length] = '\0';
        p += length + strspn(p + length, "/");
        if (!length)
            continue;
        int next = fs_open_beneath(at, name, O_PATH, 0);
        if (next == -ENOENT) {
            if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
                return -errno;
            next = fs_open_beneath(at, name, O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
        }
        if (next < 0)
            return next;
        close(at);
        at = next;
    }
    return at < 0 ? -errno : 0;
}

int mounts_open_sub_path(int volume, const struct shim_mount *mount, struct error *err)
{
    struct stat st;
    int fd = fs_open_beneath(volume, mount->sub_path, O_PATH, 0);
    if (fd == -ENOENT && fstat(volume, &st) == 0) {
        fd = make_sub_directories(volume, mount->sub_path, st.st_mode & 07777);
        if (fd == 0)
            fd = fs_open_beneath(volume, mount->sub_path, O_PATH, 0);
    }
    if (fd == -EXDEV || fd == -ELOOP)
        return error_set(err, fd, "volume %s: subPath %s leads out of the volume", mount->volume,
                         mount->sub_path);
    if (fd < 0)
        return error_errno(err, fd, "volume %s: subPath %s", mount->volume, mount->sub_path);
    return fd;
}
