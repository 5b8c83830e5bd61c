// See replace.h. What a killed one leaves is told by its name: ".NAME.pki-new", ".NAME.pki-swap",
// and ".NAME.tmp-PID-N" of fs_write_atomic().
#include "pki/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string-list.h"

#define NEW_SUFFIX  ".pki-new"
#define SWAP_SUFFIX ".pki-swap"

enum {
    MODE_PUBLIC = 0644,
    MODE_SECRET = 0600,
    MODE_PASSAGE = 0711,
    BACKUPS_OF_A_SECOND = 100,
    LINK_MAX = 1024
};

static char *directory_of(const char *path)
{
    const char *base = path_base(path);
    return base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
}

static int sync_at(int dirfd, const char *path)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

// ---- what a killed one has left ----

// ".apiserver.key.tmp-1234-0", which fs_write_atomic() writes into before it renames: true where
// it is one of ours and its writer is no more.
static bool is_left_behind(const char *name)
{
    static const char *const ours[] = {".key", ".crt", ".cert", ".pub",  ".conf", ".csr",
                                       ".csv", ".pem", ".next", ".yaml", ".yml",  ".json"};
    const char *mark = strstr(name, ".tmp-");
    long long pid = 0;
    if (name[0] != '.' || !mark)
        return name[0] == '.' && str_ends_with(name, NEW_SUFFIX);
    _cleanup_free_ char *stem = xstrndup(name, (size_t)(mark - name));
    const char *digits = mark + strlen(".tmp-");
    _cleanup_free_ char *number = xstrndup(digits, strcspn(digits, "-"));
    if (str_to_int(number, 1, INT32_MAX, &pid) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (str_ends_with(stem, ours[i]))
            return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
    return false;
}

// The name becomes a plain file again, where it is still our link.
static int settle_name(int dirfd, const char *swap, const char *side, const char *name)
{
    char target[LINK_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
    _cleanup_free_ char *ours = xasprintf("%s/now/%s", swap, name);
    if (n < 0 || (size_t)n != strlen(ours) || memcmp(target, ours, (size_t)n) != 0)
        return 0;
    _cleanup_free_ char *file = xasprintf("%s/%s/%s", swap, side, name);
    if (renameat(dirfd, file, dirfd, name) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    return unlinkat(dirfd, name, 0) < 0 ? -errno : 0; // there was none
}

static int settle_names(int dirfd, const char *swap, const char *side, const char *listed)
{
    _cleanup_free_ char *path = path_join(swap, listed);
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), code = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; dir && code == 0 && (entry = readdir(dir));)
        if (path_is_name(entry->d_name))
            code = settle_name(dirfd, swap, side, entry->d_name);
    if (dir)
        closedir(dir);
    return code;
}

// Completes a swap that has been turned, takes back one that has not.
static int settle(int dirfd, const char *swap)
{
    char side[LINK_MAX] = "";
    _cleanup_free_ char *now = path_join(swap, "now");
    ssize_t n = readlinkat(dirfd, now, side, sizeof(side) - 1);
    int code = 0;
    if (n > 0 && (str_equal(side, "old") || str_equal(side, "new"))) {
        code = settle_names(dirfd, swap, side, "names");
        if (code == 0)
            code = sync_at(dirfd, ".");
    }
    return code < 0 ? code : fs_remove_tree(dirfd, swap);
}

static void tidy(int dirfd)
{
    _cleanup_string_list_ struct string_list swaps = {0}, files = {0};
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' && str_ends_with(entry->d_name, SWAP_SUFFIX))
            string_list_add(&swaps, entry->d_name);
        else if (is_left_behind(entry->d_name))
            string_list_add(&files, entry->d_name);
    }
    LIST_EACH (swap, &swaps)
        settle(dirfd, *swap);
    LIST_EACH (file, &files)
        unlinkat(dirfd, *file, 0);
    if (dir)
        closedir(dir);
}

// ---- the lock ----

int replace_lock(const char *dir, int *ret_fd, struct error *err)
{
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "%s", dir);
    int code = lock_take(fd);
    if (code == -EWOULDBLOCK)
        return error_set(err, EBUSY, "another `mainstay pki` writes into %s; try again", dir);
    if (code < 0)
        return error_errno(err, code, "%s", dir);
    tidy(fd);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int replace_lock_directory_of(const char *path, int *ret_fd, struct error *err)
{
    _cleanup_free_ char *dir = directory_of(path);
    return replace_lock(dir, ret_fd, err);
}

void replace_tidy(const char *dir)
{
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && lock_take(fd) == 0)
        tidy(fd);
}

// ---- pieces of a replacement ----

int replace_keep_old(const char *path, struct error *err)
{
    char date[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof(date), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
    for (int i = 0; i < BACKUPS_OF_A_SECOND; i++) {
        _cleanup_free_ char *backup =
            i == 0 ? xasprintf("%s.%s", path, date) : xasprintf("%s.%s.%d", path, date, i);
        if (link(path, backup) == 0 || errno == ENOENT)
            return 0;
        if (errno != EEXIST)
            return error_errno(err, errno, "%s cannot be kept as %s", path, backup);
    }
    return error_set(err, EEXIST, "%s: too many backups within a second", path);
}

static int fill(int fd, const struct replacement *file)
{
    struct stat old;
    mode_t mode = file->is_secret ? MODE_SECRET : MODE_PUBLIC;
    bool there = stat(file->path, &old) == 0;
    if (there && file->is_secret && old.st_gid != 0)
        mode |= old.st_mode & S_IRGRP;
    int code = fs_write_all(fd, buffer_str(file->text), file->text->len);
    if (code < 0)
        return code;
    if (there && (old.st_uid != geteuid() || old.st_gid != getegid()) &&
        fchown(fd, old.st_uid, old.st_gid) < 0)
        return -errno;
    return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

// At `new`, whole and synced, and with the owner of what is at file->path.
static int write_new(const char *new, const struct replacement *file, struct error *err)
{
    unlink(new);
    _cleanup_close_ int fd =
        open(new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE_SECRET);
    int code = fd < 0 ? -errno : fill(fd, file);
    if (code < 0 && fd >= 0)
        unlink(new);
    return code < 0 ? error_errno(err, code, "cannot write %s", file->path) : 0;
}

// ---- one file ----

int replace_file(const char *path, const struct buffer *text, bool is_secret, struct error *err)
{
    const struct replacement file = {path, text, is_secret};
    const char *base = path_base(path);
    _cleanup_free_ char *new = xasprintf("%.*s.%s%s", (int)(base - path), path, base, NEW_SUFFIX);
    _cleanup_free_ char *dir = directory_of(path);
    int code = write_new(new, &file, err);
    if (code < 0)
        return code;
    code = replace_keep_old(path, err);
    if (code == 0 && rename(new, path) < 0)
        code = error_errno(err, errno, "%s cannot become %s", new, path);
    if (code < 0)
        unlink(new);
    else if ((code = sync_at(AT_FDCWD, dir)) < 0)
        code = error_errno(err, code, "%s is in place, but not known to be on the disk", path);
    return code;
}

// ---- several ----

struct swap {
    const struct replacement *files;
    size_t n;
    unsigned flags;
    char *dir, *name, *path; // of the directory beside them
    int fd;                  // of `dir`
};

static void swap_free(struct swap *swap)
{
    free(swap->dir);
    free(swap->name);
    free(swap->path);
    cleanup_close(&swap->fd);
}

static int fail(const struct swap *swap, const char *what, const char *path, struct error *err)
{
    return error_errno(err, errno, "%s: %s %s", swap->dir, what, path);
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

// What is behind a link rather than the link, which would lead elsewhere from another directory.
static int hold(const char *path, const char *old)
{
    if (linkat(AT_FDCWD, path, AT_FDCWD, old, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return link(path, old) == 0 || errno == ENOENT ? 0 : -errno;
}

// The old file under old/, the new one under new/.
static int prepare_file(const struct swap *swap, const struct replacement *file, struct error *err)
{
    const char *name = path_base(file->path);
    _cleanup_free_ char *listed = xasprintf("%s/names/%s", swap->path, name);
    _cleanup_free_ char *old = xasprintf("%s/old/%s", swap->path, name);
    _cleanup_free_ char *new = xasprintf("%s/new/%s", swap->path, name);
    if (is_there(file->path) && (swap->flags & REPLACE_NONE_THERE))
        return error_set(err, EEXIST,
                         "%s is there already and is left alone; nothing was written. With "
                         "--force it is kept under its name and the date",
                         file->path);
    if (symlink(name, listed) < 0)
        return fail(swap, "cannot note", name, err);
    if (hold(file->path, old) < 0)
        return fail(swap, "cannot hold", name, err);
    return write_new(new, file, err);
}

static int prepare(const struct swap *swap, struct error *err)
{
    static const char *const parts[] = {"names", "old", "new"};
    int code = mkdir(swap->path, MODE_PASSAGE) < 0 ? fail(swap, "cannot make", swap->name, err) : 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts) && code == 0; i++) {
        _cleanup_free_ char *part = path_join(swap->path, parts[i]);
        if (mkdir(part, MODE_PASSAGE) < 0 || chmod(part, MODE_PASSAGE) < 0)
            code = fail(swap, "cannot make", swap->name, err);
    }
    if (code == 0 && chmod(swap->path, MODE_PASSAGE) < 0)
        code = fail(swap, "cannot make", swap->name, err);
    for (size_t i = 0; i < swap->n && code == 0; i++)
        code = prepare_file(swap, &swap->files[i], err);
    _cleanup_free_ char *now = path_join(swap->path, "now");
    if (code == 0 && symlink("old", now) < 0)
        code = fail(swap, "cannot make", now, err);
    for (size_t i = 0; i < ARRAY_SIZE(parts) && code == 0; i++) {
        _cleanup_free_ char *part = path_join(swap->name, parts[i]);
        if (sync_at(swap->fd, part) < 0)
            code = fail(swap, "cannot sync", part, err);
    }
    return code == 0 && sync_at(swap->fd, swap->name) < 0
               ? fail(swap, "cannot sync", swap->name, err)
               : code;
}

// The name becomes a link to what it was.
static int lead_through(const struct swap *swap, const struct replacement *file, struct error *err)
{
    const char *name = path_base(file->path);
    _cleanup_free_ char *target = xasprintf("%s/now/%s", swap->name, name);
    _cleanup_free_ char *link_path = path_join(swap->path, "link");
    _cleanup_free_ char *old = xasprintf("%s/old/%s", swap->path, name);
    unsigned how = is_there(old) ? 0 : RENAME_NOREPLACE;
    if (symlink(target, link_path) < 0 ||
        renameat2(AT_FDCWD, link_path, AT_FDCWD, file->path, how) < 0)
        return fail(swap, "cannot swap", name, err);
    return 0;
}

static int turn(const struct swap *swap, struct error *err)
{
    _cleanup_free_ char *next = path_join(swap->path, "next");
    _cleanup_free_ char *now = path_join(swap->path, "now");
    if (sync_at(swap->fd, ".") < 0 || symlink("new", next) < 0 || rename(next, now) < 0)
        return fail(swap, "cannot swap", swap->name, err);
    return 0;
}

static int run(const struct swap *swap, struct error *err)
{
    int code = prepare(swap, err);
    for (size_t i = 0; i < swap->n && code == 0; i++)
        code = replace_keep_old(swap->files[i].path, err);
    for (size_t i = 0; i < swap->n && code == 0; i++)
        code = lead_through(swap, &swap->files[i], err);
    if (code == 0)
        code = turn(swap, err);
    if (code < 0) {
        settle(swap->fd, swap->name);
        return code;
    }
    if (sync_at(swap->fd, swap->name) == 0)
        code = settle(swap->fd, swap->name);
    return code < 0
               ? error_errno(err, code,
                             "%s: what is new is in place, but by links into %s, which the next "
                             "`mainstay pki` that writes there takes away",
                             swap->dir, swap->name)
               : 0;
}

int replace_files(const struct replacement *files, size_t n, unsigned flags, struct error *err)
{
    if (n == 1 && !(flags & REPLACE_NONE_THERE))
        return replace_file(files[0].path, files[0].text, files[0].is_secret, err);
    _cleanup_(swap_free) struct swap swap = {.files = files, .n = n, .flags = flags};
    swap.dir = directory_of(files[0].path);
    swap.name = xasprintf(".%s%s", path_base(files[0].path), SWAP_SUFFIX);
    swap.path = path_join(swap.dir, swap.name);
    swap.fd = open(swap.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return swap.fd < 0 ? error_errno(err, errno, "%s", swap.dir) : run(&swap, err);
}
