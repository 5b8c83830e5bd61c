// See shim-log-file.h. The file only ever holds whole lines: what a failed write left of a line is
// cut off again.
#include "supervisor/shim/shim-log-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim/shim-log-rotate.h"
#include "supervisor/shim/shim-stamp.h"

enum {
    KEPT_MAX = 256 << 10,     // memory for lines that the disk does not take
    RETRY_USEC = 1000 * 1000, // the kernel does not tell when a disk has room again
};

struct shim_log_file {
    char *path;
    int fd; // -1 where it could not be opened
    int64_t size, max_bytes, max_files;
    int64_t rotate_at;                   // size of the next rotation; INT64_MAX never
    struct buffer kept;                  // whole lines, oldest first
    uint64_t unsaid_lines, unsaid_bytes; // lost since the last marker, older than all of `kept`
    struct shim_log_losses losses;
    monotime retry_at;
};

static void failed(struct shim_log_file *file, int code)
{
    file->losses.failing = true;
    file->losses.code = code;
    file->retry_at = monotime_add_usec(monotime_now(), RETRY_USEC);
}

static int open_file(struct shim_log_file *file)
{
    struct stat st;
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
    int fd = open(file->path, flags, 0640);
    if (fd < 0 && errno == ENOENT && fs_mkdir_parents_of(AT_FDCWD, file->path) == 0)
        fd = open(file->path, flags, 0640);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    cleanup_close(&file->fd);
    file->fd = fd;
    file->size = st.st_size;
    file->rotate_at = file->max_bytes > 0 ? file->max_bytes : INT64_MAX;
    return 0;
}

struct shim_log_file *shim_log_file_new(const char *path, int64_t max_bytes, int64_t max_files)
{
    struct shim_log_file *file = xcalloc(1, sizeof(*file));
    *file = (struct shim_log_file){
        .path = xstrdup(path),
        .fd = -1,
        .max_bytes = max_bytes,
        .max_files = max_files,
        .retry_at = MONOTIME_NEVER,
    };
    int code = open_file(file);
    if (code < 0)
        failed(file, code);
    return file;
}

// Cuts off what a failed write left behind the last whole line.
static void cut_torn_line(struct shim_log_file *file, size_t torn)
{
    struct stat st;
    if (torn > 0 && fstat(file->fd, &st) == 0 && st.st_size >= (off_t)torn)
        (void)!ftruncate(file->fd, st.st_size - (off_t)torn);
}

// Appends lines to the file. Returns how many bytes of whole lines are in it now; less than len
// means that the file fails, and *ret_code says why.
static size_t append(struct shim_log_file *file, const char *lines, size_t len, int *ret_code)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(file->fd, lines + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            *ret_code = n < 0 ? -errno : -EIO;
            const char *newline = done ? memrchr(lines, '\n', done) : NULL;
            size_t whole = newline ? (size_t)(newline + 1 - lines) : 0;
            cut_torn_line(file, done - whole);
            done = whole;
            break;
        }
        done += (size_t)n;
    }
    file->size += (int64_t)done;
    return done;
}

static uint64_t count_lines(const char *p, size_t len)
{
    uint64_t lines = 0;
    const char *end = p + len;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        lines++;
        p++;
    }
    return lines;
}

static void lose(struct shim_log_file *file, const char *lines, size_t len)
{
    uint64_t n = count_lines(lines, len);
    file->unsaid_lines += n;
    file->unsaid_bytes += len;
    file->losses.lines += n;
    file->losses.bytes += len;
}

// Keeps lines for later, losing the oldest where there is no room.
static void keep(struct shim_log_file *file, const char *lines, size_t len)
{
    struct buffer *kept = &file->kept;
    if (kept->len + len > KEPT_MAX && kept->len > 0) {
        size_t least = MIN(kept->len + len - KEPT_MAX, kept->len);
        const char *newline = memchr(kept->data + least - 1, '\n', kept->len - least + 1);
        size_t gone = newline ? (size_t)(newline + 1 - kept->data) : kept->len;
        lose(file, kept->data, gone);
        buffer_consume(kept, gone);
    }
    buffer_add(kept, lines, len);
}

// The line that tells a reader of the log what is missing at its place.
static bool write_marker(struct shim_log_file *file, int *ret_code)
{
    struct shim_stamp stamp = {0};
    char line[256];
    if (file->unsaid_lines == 0)
        return true;
    shim_stamp_set(&stamp, walltime_now());
    int n =
        snprintf(line, sizeof(line),
                 "%s stderr F mainstay: %" PRIu64 " lines (%" PRIu64
                 " bytes) of this log were lost here: %s\n",
                 stamp.text, file->unsaid_lines, file->unsaid_bytes, strerror(-file->losses.code));
    if (append(file, line, (size_t)n, ret_code) == 0)
        return false;
    file->unsaid_lines = file->unsaid_bytes = 0;
    return true;
}

void shim_log_file_retry(struct shim_log_file *file)
{
    int code = file->fd >= 0 ? 0 : open_file(file);
    if (code < 0 || !write_marker(file, &code)) {
        failed(file, code);
        return;
    }
    size_t done = append(file, buffer_str(&file->kept), file->kept.len, &code);
    if (done < file->kept.len) {
        buffer_consume(&file->kept, done);
        failed(file, code);
        return;
    }
    buffer_free(&file->kept);
    file->losses.failing = false;
    file->retry_at = MONOTIME_NEVER;
}

// Where a file cannot be rotated now, the same file goes on and the next try is a file later.
static void rotate(struct shim_log_file *file)
{
    _cleanup_free_ char *rotated = NULL;
    file->rotate_at = file->size + file->max_bytes;
    if (shim_log_rename(file->path, walltime_now(), &rotated) < 0)
        return;
    if (open_file(file) < 0) {
        // Back to its name, so that no line stands where nobody looks.
        (void)!renameat2(AT_FDCWD, rotated, AT_FDCWD, file->path, RENAME_NOREPLACE);
        return;
    }
    shim_log_remove_excess(file->path, file->max_files);
}

void shim_log_file_reopen(struct shim_log_file *file)
{
    int code = open_file(file);
    if (code < 0 && file->fd < 0)
        failed(file, code);
}

// Somebody may have truncated the file, or removed it: then nobody could read what goes there.
static void look_at_file(struct shim_log_file *file)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return;
    file->size = st.st_size;
    if (st.st_nlink == 0)
        shim_log_file_reopen(file);
}

void shim_log_file_write(struct shim_log_file *file, const char *lines, size_t len)
{
    int code = 0;
    if (file->losses.failing) {
        keep(file, lines, len);
        return;
    }
    look_at_file(file);
    size_t done = append(file, lines, len, &code);
    if (done < len) {
        keep(file, lines + done, len - done);
        failed(file, code);
    } else if (file->size >= file->rotate_at) {
        rotate(file);
    }
}

monotime shim_log_file_deadline(const struct shim_log_file *file)
{
    return file->retry_at;
}

const struct shim_log_losses *shim_log_file_losses(const struct shim_log_file *file)
{
    return &file->losses;
}

void shim_log_file_close(struct shim_log_file *file)
{
    if (file->losses.failing)
        shim_log_file_retry(file);
    if (file->kept.len > 0)
        lose(file, file->kept.data, file->kept.len);
    buffer_free(&file->kept);
}

void shim_log_file_free(struct shim_log_file *file)
{
    if (!file)
        return;
    cleanup_close(&file->fd);
    buffer_free(&file->kept);
    free(file->path);
    free(file);
}
