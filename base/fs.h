// Files and directories. Every descriptor is close-on-exec; paths are relative to dirfd where there
// is one (AT_FDCWD works everywhere).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

// Appends the whole regular file to `out`. -EFBIG where it is larger than `max` bytes (nothing is
// appended then), -EINVAL where it is no regular file (it is opened O_NONBLOCK, so a FIFO does not
// hang), else open's and read's errno.
int fs_read_file(int dirfd, const char *path, size_t max, struct buffer *out);
int fs_read_fd(int fd, size_t max, struct buffer *out);

enum fs_write_flags {
    FS_WRITE_SYNC = 1 << 0,      // fsync the file and its directory before returning
    FS_WRITE_EXCLUSIVE = 1 << 1, // -EEXIST where the target exists
};

// Writes beside the target (".NAME.tmp-PID-N", mode `mode`) and renames over it: a reader sees the
// old file or the new one, and a full disk leaves the old one. With FS_WRITE_EXCLUSIVE the new file
// has no name until it is whole, where the file system can do that: a kill leaves nothing behind.
int fs_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                    unsigned flags);

// mkdir -p. The last part gets `mode`, missing parents 0755. -ENOTDIR where a file is in the way.
int fs_mkdir_parents(int dirfd, const char *path, mode_t mode);
// The same for the parents of path only.
int fs_mkdir_parents_of(int dirfd, const char *path);

// Opens an empty file for writing: a new one, or one that was there and is emptied. It has exactly
// `mode`, whatever the umask; its directory, where that is missing, gets `dir_mode`. -ELOOP where a
// symlink is in the way.
int fs_open_empty(const char *path, mode_t mode, mode_t dir_mode);

// rm -rf that stays on one file system and never follows a symlink. 0 where nothing was there.
int fs_remove_tree(int dirfd, const char *path);

// openat2(): fails with -EXDEV/-ELOOP where `path` leaves `dirfd` by "..", a symlink or a magic
// link.
int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode);

// Writes all of it to a descriptor (restarting after EINTR and short writes).
int fs_write_all(int fd, const void *data, size_t len);

int fs_set_nonblocking(int fd, bool on);

// "a/b" + "c" → "a/b/c". The caller frees.
char *path_join(const char *dir, const char *name);
// Borrowed: what follows the last slash.
const char *path_base(const char *path);
// True where a path is absolute and has no "." or ".." part.
bool path_is_clean_absolute(const char *path);
// True for one path component: not empty, not "." or "..", no slash.
bool path_is_name(const char *name);
