// The files that the agent writes into a volume, and the layout that lets all of them change at
// once (pkg/volume/util/atomic_writer.go). See volumes-internal.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/volumes-internal.h"

static const char data_name[] = "..data", new_data_name[] = "..data_tmp";

enum {
    PATH_LENGTH_MAX = 4096, // maxPathLength
    NAME_LENGTH_MAX = 255,  // maxFileNameLength
    DATA_NAME_SIZE = 64,
    DIRECTORY_MODE = 0755,
    GROUP_FILE_BITS = 0440, // pkg/volume/volume_linux.go, roMask
    GROUP_DIRECTORY_BITS = 02550,
};

static const gid_t no_group = (gid_t)-1;

void payload_clear(struct payload *payload)
{
    LIST_EACH (file, &payload->files) {
        free(file->path);
        free(file->text);
    }
    free(payload->files.items);
    *payload = (struct payload){0};
}

// ---- paths ----

int payload_clean_path(const char *path, char **ret, struct error *err)
{
    _cleanup_buffer_ struct buffer clean = BUFFER_EMPTY;
    if (*path == '/' || strlen(path) > PATH_LENGTH_MAX)
        return error_set(err, EINVAL, "the path %.255s must be relative and shorter than %d bytes",
                         path, PATH_LENGTH_MAX);
    if (str_starts_with(path, ".."))
        return error_set(err, EINVAL, "the path %s must not begin with \"..\"", path);
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && strncmp(part, "..", 2) == 0)
            return error_set(err, EINVAL, "the path %s must not contain \"..\"", path);
        if (length > NAME_LENGTH_MAX)
            return error_set(err, EINVAL, "a part of the path %.255s is longer than %d bytes", path,
                             NAME_LENGTH_MAX);
        bool nothing = length == 0 || (length == 1 && *part == '.');
        // "./..x" is "..x", too.
        if (!nothing && !clean.len && strncmp(part, "..", 2) == 0)
            return error_set(err, EINVAL, "the path %s must not begin with \"..\"", path);
        if (!nothing)
            buffer_printf(&clean, "%s%.*s", clean.len ? "/" : "", (int)length, part);
        part += length + (part[length] == '/');
    }
    if (!clean.len)
        return error_set(err, EINVAL, "the path \"%s\" names no file", path);
    *ret = buffer_take(&clean);
    return 0;
}

int payload_add(struct payload *payload, const char *path, const char *text, mode_t mode,
                struct error *err)
{
    char *clean = NULL;
    int code = payload_clean_path(path, &clean, err);
    if (code < 0)
        return code;
    struct payload_file *file = NULL;
    LIST_EACH (other, &payload->files)
        if (str_equal(other->path, clean))
            file = other;
    if (file) {
        free(file->path);
        free(file->text);
    } else {
        file = LIST_APPEND(&payload->files);
    }
    *file = (struct payload_file){clean, xstrdup(text), mode};
    return 0;
}

// ---- comparing ----

static mode_t mode_of(const struct payload_file *file, gid_t group)
{
    return group == no_group ? file->mode : file->mode | GROUP_FILE_BITS;
}

static bool is_written(int data, const struct payload_file *file, gid_t group)
{
    struct stat st;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    return fstatat(data, file->path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (st.st_mode & 07777) == mode_of(file, group) &&
           (group == no_group || st.st_gid == group) &&
           fs_read_file(data, file->path, strlen(file->text), &text) == 0 &&
           strcmp(buffer_str(&text), file->text) == 0;
}

// "x" of "x/y/z".
static bool is_top_of(const char *name, const char *path)
{
    size_t length = strlen(name);
    return strncmp(path, name, length) == 0 && (!path[length] || path[length] == '/');
}

static bool shows(const struct payload *payload, const char *name)
{
    LIST_EACH (file, &payload->files)
        if (is_top_of(name, file->path))
            return true;
    return false;
}

// Removes what is neither the writer's link, nor the data it leads to, nor a link to a file: an
// older version, what an agent left that died while it wrote, files that are no longer shown.
// Returns whether there was any.
static bool tidy(int dir, const char *current, const struct payload *payload)
{
    bool found = false;
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        const char *name = entry->d_name;
        if (!path_is_name(name) || strcmp(name, data_name) == 0 || strcmp(name, current) == 0 ||
            (!str_starts_with(name, "..") && shows(payload, name)))
            continue;
        found = true;
        fs_remove_tree(dir, name);
    }
    if (entries)
        closedir(entries);
    return found;
}

static bool is_current(int dir, const struct payload *payload, gid_t group)
{
    char current[NAME_LENGTH_MAX + 1];
    ssize_t length = readlinkat(dir, data_name, current, sizeof(current) - 1);
    _cleanup_close_ int data = openat(dir, data_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (length <= 0 || data < 0)
        return false;
    current[length] = '\0';
    LIST_EACH (file, &payload->files)
        if (!is_written(data, file, group))
            return false;
    return !tidy(dir, current, payload);
}

// ---- writing ----

static int give_directory(int fd, gid_t group)
{
    if (fchmod(fd, DIRECTORY_MODE) < 0)
        return -errno;
    if (group == no_group)
        return 0;
    return fchown(fd, (uid_t)-1, group) < 0 || fchmod(fd, DIRECTORY_MODE | GROUP_DIRECTORY_BITS) < 0
               ? -errno
               : 0;
}

// The directories of "a/b/file" below `data`.
static int make_directories(int data, const char *path, gid_t group)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        _cleanup_free_ char *part = xstrndup(path, (size_t)(slash - path));
        if (mkdirat(data, part, DIRECTORY_MODE) < 0 && errno != EEXIST)
            return -errno;
        _cleanup_close_ int fd =
            openat(data, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int code = fd < 0 ? -errno : give_directory(fd, group);
        if (code < 0)
            return code;
    }
    return 0;
}

static int write_one(int data, const struct payload_file *file, gid_t group)
{
    int code = make_directories(data, file->path, group);
    if (code < 0)
        return code;
    _cleanup_close_ int fd =
        openat(data, file->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    code = fs_write_all(fd, file->text, strlen(file->text));
    if (code == 0 && group != no_group && fchown(fd, (uid_t)-1, group) < 0)
        code = -errno;
    if (code == 0 && fchmod(fd, mode_of(file, group)) < 0)
        code = -errno;
    return code;
}

static int write_files(int data, const struct payload *payload, gid_t group, struct error *err)
{
    int code = give_directory(data, group);
    if (code < 0)
        return error_errno(err, code, "cannot make a directory in the volume");
    LIST_EACH (file, &payload->files)
        if ((code = write_one(data, file, group)) < 0)
            return error_errno(err, code, "cannot write %s", file->path);
    return 0;
}

// "..2026_11_21_07_00_05.123456789". Returns the directory's descriptor.
static int make_data(int dir, char name[DATA_NAME_SIZE])
{
    for (int attempt = 0; attempt < 100; attempt++) {
        struct timespec now;
        struct tm tm;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        size_t n = strftime(name, DATA_NAME_SIZE, "..%Y_%m_%d_%H_%M_%S", &tm);
        snprintf(name + n, DATA_NAME_SIZE - n, ".%09ld", now.tv_nsec);
        if (mkdirat(dir, name, 0700) == 0) {
            int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            return fd < 0 ? -errno : fd;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

// An earlier release wrote the files themselves where the links are now.
static int make_link(int dir, const char *target, const char *name)
{
    char found[NAME_LENGTH_MAX + sizeof(data_name) + 1];
    if (symlinkat(target, dir, name) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    ssize_t length = readlinkat(dir, name, found, sizeof(found));
    if (length == (ssize_t)strlen(target) && memcmp(found, target, (size_t)length) == 0)
        return 0;
    int code = fs_remove_tree(dir, name);
    if (code < 0)
        return code;
    return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

static int link_files(int dir, const struct payload *payload)
{
    LIST_EACH (file, &payload->files) {
        size_t length = strcspn(file->path, "/");
        _cleanup_free_ char *name = xstrndup(file->path, length);
        _cleanup_free_ char *target = path_join(data_name, name);
        int code = make_link(dir, target, name);
        if (code < 0)
            return code;
    }
    return 0;
}

static int publish(int dir, const char *current, const struct payload *payload)
{
    int code = link_files(dir, payload);
    if (code < 0)
        return code;
    if (unlinkat(dir, new_data_name, 0) < 0 && errno != ENOENT)
        return -errno;
    if (symlinkat(current, dir, new_data_name) < 0 ||
        renameat(dir, new_data_name, dir, data_name) < 0)
        return -errno;
    tidy(dir, current, payload);
    return 0;
}

int payload_write(const struct payload *payload, const char *dir, gid_t group, struct error *err)
{
    char current[DATA_NAME_SIZE];
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "%s", dir);
    if (is_current(fd, payload, group))
        return 0;
    int code = give_directory(fd, group);
    _cleanup_close_ int data = code < 0 ? code : make_data(fd, current);
    if (data < 0)
        return error_errno(err, data, "cannot make a directory in %s", dir);
    code = write_files(data, payload, group, err);
    if (code < 0)
        return code;
    code = publish(fd, current, payload);
    return code < 0 ? error_errno(err, code, "%s", dir) : 0;
}
