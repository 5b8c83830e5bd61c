// See etcd-snapshot-file.h.
#include "cli/etcd-snapshot-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"

enum { MODE = 0600, CHUNK = 1 << 20, SECTOR = 512, MAGIC_AT = 16 };

// Of a bbolt database's first page.
static const unsigned char magic[] = {0xed, 0xda, 0x0c, 0xed};

static bool has_no_unnamed_files(int error)
{
    return error == EOPNOTSUPP || error == EISDIR || error == ENOENT || error == EINVAL;
}

int snapshot_file_begin(const char *path, struct snapshot_file *ret, struct error *err)
{
    const char *base = path_base(path);
    _cleanup_free_ char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    if (!path_is_name(base))
        return error_set(err, EISDIR, "%s: not the name of a file", path);
    ret->path = xstrdup(path);
    ret->directory_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->directory_fd < 0)
        return error_errno(err, errno, "%s", dir);
    ret->fd = openat(ret->directory_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
    if (ret->fd < 0 && has_no_unnamed_files(errno)) {
        ret->temporary = xasprintf(".%s.part-%d", base, (int)getpid());
        ret->fd = openat(ret->directory_fd, ret->temporary,
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    }
    if (ret->fd < 0)
        return error_errno(err, errno, "cannot write in %s", dir);
    ret->digest = digest_new();
    return 0;
}

// The last 32 bytes are the sum, and which are the last is known only at the end.
static void take_into_sum(struct snapshot_file *file, const unsigned char *data, size_t len)
{
    size_t all = file->tail_len + len;
    size_t settled = all > SNAPSHOT_SUM_SIZE ? all - SNAPSHOT_SUM_SIZE : 0;
    size_t of_tail = MIN(settled, file->tail_len), of_data = settled - of_tail;
    digest_add(file->digest, file->tail, of_tail);
    digest_add(file->digest, data, of_data);
    memmove(file->tail, file->tail + of_tail, file->tail_len - of_tail);
    file->tail_len -= of_tail;
    memcpy(file->tail + file->tail_len, data + of_data, len - of_data);
    file->tail_len += len - of_data;
}

int snapshot_file_add(void *userdata, const void *data, size_t len, struct error *err)
{
    struct snapshot_file *file = userdata;
    if (len == 0)
        return 0;
    int r = fs_write_all(file->fd, data, len);
    if (r < 0)
        return error_errno(err, r, "cannot write %s", file->path);
    take_into_sum(file, data, len);
    file->size += (int64_t)len;
    return 0;
}

static void tail_hex(const unsigned char *tail, char *hex)
{
    for (size_t i = 0; i < SNAPSHOT_SUM_SIZE; i++)
        snprintf(hex + i * 2, 3, "%02x", tail[i]);
}

// Reads the file from its beginning; its sum as it should be in `expected`, as it is in *ret.
static int read_back(int fd, int64_t size, struct snapshot_sum *ret, char *expected)
{
    unsigned char tail[SNAPSHOT_SUM_SIZE];
    _cleanup_free_ char *chunk = xmalloc(CHUNK);
    struct digest *digest = digest_new();
    int64_t at = 0, end = size - SNAPSHOT_SUM_SIZE;
    int r = 0;
    while (at < end && r == 0) {
        ssize_t n = pread(fd, chunk, (size_t)MIN(end - at, (int64_t)CHUNK), at);
        if (n <= 0)
            r = n < 0 && errno == EINTR ? 0 : n < 0 ? -errno : -EIO;
        else
            digest_add(digest, chunk, (size_t)n);
        at += MAX(n, (ssize_t)0);
    }
    digest_end(digest, ret->sha256);
    if (r == 0 && pread(fd, tail, sizeof(tail), end) != (ssize_t)sizeof(tail))
        r = -EIO;
    tail_hex(tail, expected);
    ret->size = size;
    return r;
}

static int check_shape(int fd, int64_t size, const char *path, struct error *err)
{
    unsigned char head[sizeof(magic)];
    bool database = pread(fd, head, sizeof(head), MAGIC_AT) == (ssize_t)sizeof(head) &&
                    memcmp(head, magic, sizeof(magic)) == 0;
    if (!database)
        return error_set(err, EBADMSG, "%s is no snapshot of etcd's", path);
    if (size % SECTOR == 0)
        return error_set(err, EBADMSG,
                         "%s has no checksum behind it: it is a copy of a database file, or it was "
                         "cut off",
                         path);
    if (size % SECTOR != SNAPSHOT_SUM_SIZE)
        return error_set(err, EBADMSG, "%s is not whole: %lld bytes are no snapshot's size", path,
                         (long long)size);
    return 0;
}

static int check_fd(int fd, const char *path, struct snapshot_sum *ret, struct error *err)
{
    char expected[DIGEST_HEX_SIZE];
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, EBADMSG, "%s is no file", path);
    int r = check_shape(fd, st.st_size, path, err);
    if (r < 0)
        return r;
    r = read_back(fd, st.st_size, ret, expected);
    if (r < 0)
        return error_errno(err, r, "cannot read %s", path);
    if (!str_equal(ret->sha256, expected))
        return error_set(err, EBADMSG, "%s is damaged: its SHA-256 is %s and should be %s", path,
                         ret->sha256, expected);
    return 0;
}

int snapshot_verify(const char *path, struct snapshot_sum *ret, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? error_errno(err, errno, "%s", path) : check_fd(fd, path, ret, err);
}

// What etcd has sent is what its sum says.
static int check_stream(struct snapshot_file *file, struct error *err)
{
    char is[DIGEST_HEX_SIZE], expected[DIGEST_HEX_SIZE];
    digest_end(TAKE_PTR(file->digest), is);
    tail_hex(file->tail, expected);
    if (file->size <= SNAPSHOT_SUM_SIZE || !str_equal(is, expected))
        return error_set(err, EBADMSG,
                         "the snapshot did not arrive as etcd has sent it (its SHA-256 is %s and "
                         "should be %s); nothing was written",
                         is, expected);
    return 0;
}

static int give_name(struct snapshot_file *file, bool replace)
{
    const char *base = path_base(file->path);
    _cleanup_free_ char *beside = xasprintf(".%s.part-%d", base, (int)getpid());
    if (!file->temporary) {
        char self[32];
        snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
        const char *name = replace ? beside : base;
        if (linkat(AT_FDCWD, self, file->directory_fd, name, AT_SYMLINK_FOLLOW) < 0)
            return -errno;
        if (!replace)
            return 0;
        file->temporary = TAKE_PTR(beside);
    }
    unsigned how = replace ? 0 : RENAME_NOREPLACE;
    if (renameat2(file->directory_fd, file->temporary, file->directory_fd, base, how) < 0)
        return -errno;
    free(TAKE_PTR(file->temporary));
    return 0;
}

int snapshot_file_publish(struct snapshot_file *file, bool replace, struct error *err)
{
    struct snapshot_sum sum;
    int r = check_stream(file, err);
    if (r < 0)
        return r;
    if (fsync(file->fd) < 0)
        return error_errno(err, errno, "cannot write %s", file->path);
    // So that it comes from the disk.
    posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
    r = check_fd(file->fd, file->path, &sum, err);
    if (r < 0)
        return error_prefix(err, -EIO, "read back");
    r = give_name(file, replace);
    if (r == 0 && fsync(file->directory_fd) < 0)
        r = -errno;
    if (r == -EEXIST)
        return error_set(err, EEXIST, "%s is there already; --force replaces it", file->path);
    return r < 0 ? error_errno(err, r, "cannot write %s", file->path) : 0;
}

void snapshot_file_abandon(struct snapshot_file *file)
{
    if (file->temporary)
        unlinkat(file->directory_fd, file->temporary, 0);
    if (file->fd >= 0)
        close(file->fd);
    if (file->directory_fd >= 0)
        close(file->directory_fd);
    digest_end(file->digest, NULL);
    free(file->path);
    free(file->temporary);
    *file = (struct snapshot_file)SNAPSHOT_FILE_EMPTY;
}
