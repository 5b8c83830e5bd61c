// The sources of volumes: hostPath types, what is created for them, and sub paths. See mounts.h.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
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
    struct stat st;
    if (lstat(mount->source, &st) == 0 && S_ISLNK(st.st_mode))
        return error_set(err, ENOENT,
                         "volume %s: %s is a symlink to what does not exist, where no directory "
                         "can be made",
                         mount->volume, mount->source);
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

// The longest part of the path that is there, opened; *rest is what is missing behind it. Symlinks
// are followed as long as they stay in the volume.
static int open_existing(int volume, const char *sub_path, const char **rest)
{
    _cleanup_free_ char *part = xstrdup(sub_path);
    for (;;) {
        int fd =
            *part ? fs_open_beneath(volume, part, O_PATH, 0) : fcntl(volume, F_DUPFD_CLOEXEC, 3);
        if (fd != -ENOENT || !*part) {
            *rest = sub_path + strlen(part);
            return fd < 0 && !*part ? -errno : fd;
        }
        char *slash = strrchr(part, '/');
        *(slash ? slash : part) = '\0';
    }
}

// The directory `name`, made where it is missing, but never what a symlink leads to: somebody may
// have put one there since the path was looked up.
static int open_made(int at, const char *name, mode_t mode)
{
    if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

// Takes `at` over.
static int make_sub_directories(int at, const char *rest, mode_t mode)
{
    char name[256];
    while (*(rest += strspn(rest, "/"))) {
        size_t length = strcspn(rest, "/");
        if (length >= sizeof(name)) {
            close(at);
            return -ENAMETOOLONG;
        }
        memcpy(name, rest, length);
        name[length] = '\0';
        rest += length;
        if (strcmp(name, ".") == 0)
            continue;
        int next = open_made(at, name, mode);
        close(at);
        if (next < 0)
            return next;
        at = next;
    }
    return at;
}

int mounts_open_sub_path(int volume, const struct shim_mount *mount, struct error *err)
{
    struct stat st;
    const char *rest = "";
    int fd = open_existing(volume, mount->sub_path, &rest);
    if (fd >= 0 && *rest)
        fd = fstat(volume, &st) < 0 ? -errno : make_sub_directories(fd, rest, st.st_mode & 07777);
    if (fd == -EXDEV || fd == -ELOOP)
        return error_set(err, fd, "volume %s: subPath %s leads out of the volume", mount->volume,
                         mount->sub_path);
    if (fd == -ENOTDIR)
        return error_set(err, fd,
                         "volume %s: subPath %s: a part of it is no directory, or a symlink to "
                         "nothing",
                         mount->volume, mount->sub_path);
    if (fd < 0)
        return error_errno(err, fd, "volume %s: subPath %s", mount->volume, mount->sub_path);
    return fd;
}

// ---- propagation ----

// True where the line of mountinfo (proc(5): "ID PARENT MAJ:MIN ROOT POINT OPTIONS [TAG]... - ...")
// has this tag.
static bool has_tag(const char *line, const char *tag)
{
    const char *end = strstr(line, " - ");
    const char *found = strstr(line, tag);
    return end && found && found < end;
}

// The fifth field, cut off in place.
static const char *mount_point_of(char *line)
{
    char *save = NULL, *field = strtok_r(line, " ", &save);
    for (int i = 1; field && i < 5; i++)
        field = strtok_r(NULL, " ", &save);
    return field ? field : "/";
}

int mounts_check_propagation(int source, const struct shim_mount *mount, struct error *err)
{
    char line[2 * MOUNT_PATH_MAX];
    uint64_t id = mounts_id(source);
    if (!mount->propagate_from_host && !mount->propagate_both)
        return 0;
    _cleanup_fclose_ FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts || !id)
        return 0; // nobody can tell
    while (fgets(line, sizeof(line), mounts)) {
        if (strtoull(line, NULL, 10) != id)
            continue;
        if (has_tag(line, " shared:") || (!mount->propagate_both && has_tag(line, " master:")))
            return 0;
        return error_set(err, EINVAL,
                         "volume %s: mountPropagation %s: what is mounted at %s on the host is no "
                         "shared mount; make it one with: mount --make-rshared %s",
                         mount->volume, mount->propagate_both ? "Bidirectional" : "HostToContainer",
                         mount->source, mount_point_of(line));
    }
    return 0;
}
