// See file-set.h.
#include "manifests/file-set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"

void file_set_add(struct file_set *set, const char *path, mode_t mode, struct buffer *text)
{
    *LIST_APPEND(set) = (struct file_set_file){.path = xstrdup(path), .mode = mode, .text = *text};
    *text = (struct buffer)BUFFER_EMPTY;
}

bool file_set_has(const struct file_set *set, const char *path)
{
    for (size_t i = 0; i < set->n; i++)
        if (str_equal(set->items[i].path, path))
            return true;
    return false;
}

// ---- writing ----

// What is there: same bytes and same mode (true), or something else; -errno where that is no plain
// file or cannot be read.
static int is_there(int dir, const struct file_set_file *file, bool *ret_exists)
{
    struct stat st;
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY;
    _cleanup_close_ int fd =
        fs_open_beneath(dir, file->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    *ret_exists = fd != -ENOENT;
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EEXIST;
    int code = fs_read_fd(fd, file->text.len, &old);
    if (code < 0 && code != -EFBIG)
        return code;
    return code == 0 && old.len == file->text.len && (st.st_mode & 07777) == file->mode &&
           memcmp(buffer_str(&old), buffer_str(&file->text), old.len) == 0;
}

// The directories were made or looked at by is_there(): none of them is a symlink.
static int write_file(int dir, const struct file_set_file *file)
{
    int code = fs_mkdir_parents_of(dir, file->path);
    return code < 0 ? code
                    : fs_write_atomic(dir, file->path, buffer_str(&file->text), file->text.len,
                                      file->mode, FS_WRITE_SYNC);
}

int file_set_write(const struct file_set *set, const char *dir, file_set_said said, void *userdata,
                   struct error *err)
{
    int code = fs_mkdir_parents(AT_FDCWD, dir, 0755);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", dir);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "cannot open %s", dir);
    for (size_t i = 0; i < set->n; i++) {
        const struct file_set_file *file = &set->items[i];
        _cleanup_free_ char *path = path_join(dir, file->path);
        bool exists = false;
        int same = is_there(fd, file, &exists);
        code = same < 0 ? same : same > 0 ? 0 : write_file(fd, file);
        if (code < 0)
            return error_errno(err, code, "cannot write %s", path);
        said(userdata, same > 0 ? FILE_SET_KEPT : exists ? FILE_SET_CHANGED : FILE_SET_MADE, path);
    }
    return 0;
}

void file_set_free(struct file_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free(set->items[i].path);
        buffer_free(&set->items[i].text);
    }
    free(set->items);
    *set = (struct file_set){0};
}
