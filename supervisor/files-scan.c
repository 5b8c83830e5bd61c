// See files-scan.h.
#include "supervisor/files-scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/string-list.h"

enum { NAMES_A_STEP = 32 };

struct visited {
    dev_t device;
    ino_t inode;
};

struct files_scan {
    char *path;
    const struct files *before;
    struct watch_set *watches;
    struct files files;
    struct string_list names;        // below the path; "" for itself; still to be looked at
    LIST_OF(struct visited) visited; // directories
    char *complaint;
    // A file that is being read.
    int fd;
    struct digest *digest;
    char *name;
    struct stat st;
};

struct files_scan *files_scan_new(const char *path, const struct files *before,
                                  struct watch_set *watches)
{
    struct files_scan *scan = xcalloc(1, sizeof(*scan));
    scan->path = xstrdup(path);
    scan->before = before;
    scan->watches = watches;
    scan->fd = -1;
    string_list_add(&scan->names, "");
    return scan;
}

static void end_file(struct files_scan *scan, char *hex)
{
    digest_end(TAKE_PTR(scan->digest), hex);
    if (scan->fd >= 0)
        close(TAKE_FD(scan->fd));
}

void files_scan_free(struct files_scan *scan)
{
    if (!scan)
        return;
    end_file(scan, NULL);
    files_free(&scan->files);
    string_list_free(&scan->names);
    free(scan->visited.items);
    free(scan->complaint);
    free(scan->name);
    free(scan->path);
    free(scan);
}

static void complain(struct files_scan *scan, char *sentence)
{
    if (scan->complaint)
        free(sentence); // the first one is told
    else
        scan->complaint = sentence;
}

static char *full_path(const struct files_scan *scan, const char *name)
{
    return *name ? path_join(scan->path, name) : xstrdup(scan->path);
}

// ---- files ----

static void set_signature(struct file_entry *entry, const struct stat *st)
{
    entry->device = st->st_dev;
    entry->inode = st->st_ino;
    entry->size = st->st_size;
    entry->modified = st->st_mtim;
    entry->changed = st->st_ctim;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// Written within the clock's grain of the last look, it may have changed unseen; but then the
// kernel has told of it, and it is looked at again after it was left alone for longer than that.
static bool is_unwritten(const struct file_entry *entry, const struct stat *st)
{
    return entry->device == st->st_dev && entry->inode == st->st_ino &&
           entry->size == st->st_size && is_same_time(entry->modified, st->st_mtim) &&
           is_same_time(entry->changed, st->st_ctim);
}

static void keep(struct files_scan *scan, const char *name, const char *digest,
                 const struct stat *st)
{
    set_signature(files_add(&scan->files, name, digest), st);
}

static void take_big_file(struct files_scan *scan, const char *path, const char *name,
                          const struct stat *st)
{
    char text[FILE_DIGEST_SIZE];
    snprintf(text, sizeof(text), "%" PRIx64 "-%" PRIx64, (uint64_t)st->st_size,
             (uint64_t)st->st_mtim.tv_sec);
    keep(scan, name, text, st);
    complain(scan, xasprintf("%s is larger than %d MiB: its size and time count, not its content",
                             path, SCAN_FILE_BYTES >> 20));
}

static void look_at_file(struct files_scan *scan, const char *path, const char *name,
                         const struct stat *st)
{
    const struct file_entry *known = files_find(scan->before, name);
    if (scan->files.items.n >= SCAN_FILES_MOST) {
        complain(scan, xasprintf("%s has more than %d files: only the first of them are watched",
                                 scan->path, SCAN_FILES_MOST));
        return;
    }
    if (known && is_unwritten(known, st)) {
        keep(scan, name, known->digest, st);
        return;
    }
    if (st->st_size > SCAN_FILE_BYTES) {
        take_big_file(scan, path, name, st);
        return;
    }
    errno = 0;
    scan->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (scan->fd < 0 || fstat(scan->fd, &scan->st) < 0 || !S_ISREG(scan->st.st_mode)) {
        if (errno && errno != ENOENT)
            complain(scan, xasprintf("%s cannot be read: %s", path, strerror(errno)));
        end_file(scan, NULL);
        return;
    }
    free(scan->name);
    scan->name = xstrdup(name);
    scan->digest = digest_new();
}

// False where the file is over. One that grows while it is read is looked at again: its writer is
// not done.
static bool read_slice(struct files_scan *scan)
{
    char hex[DIGEST_HEX_SIZE], data[16384];
    for (size_t done = 0; done < SCAN_SLICE; done += sizeof(data)) {
        ssize_t n = read(scan->fd, data, sizeof(data));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            complain(scan, xasprintf("%s/%s cannot be read: %s", scan->path, scan->name,
                                     strerror(errno)));
            end_file(scan, NULL);
            return false;
        }
        if (n == 0 || lseek(scan->fd, 0, SEEK_CUR) > (off_t)2 * SCAN_FILE_BYTES) {
            end_file(scan, hex);
            hex[FILE_DIGEST_SIZE - 1] = '\0';
            keep(scan, scan->name, hex, &scan->st);
            return false;
        }
        digest_add(scan->digest, data, (size_t)n);
    }
    return true;
}

// ---- directories ----

static bool was_visited(struct files_scan *scan, const struct stat *st)
{
    LIST_EACH (known, &scan->visited)
        if (known->device == st->st_dev && known->inode == st->st_ino)
            return true;
    *LIST_APPEND(&scan->visited) = (struct visited){st->st_dev, st->st_ino};
    return false;
}

static bool counts(const char *name)
{
    return name[0] != '.' && !str_ends_with(name, "~");
}

static void look_at_directory(struct files_scan *scan, const char *path, const char *name,
                              const struct stat *st)
{
    size_t most = (size_t)2 * SCAN_FILES_MOST;
    if (was_visited(scan, st))
        return; // a symlink leads back
    if (scan->visited.n > SCAN_DIRECTORIES_MOST) {
        complain(scan, xasprintf("%s has more than %d directories: only the first of them are "
                                 "watched",
                                 scan->path, SCAN_DIRECTORIES_MOST));
        return;
    }
    watch_set_follow(scan->watches, path, true, NULL);
    DIR *dir = opendir(path);
    if (!dir) {
        if (errno != ENOENT)
            complain(scan, xasprintf("%s cannot be read: %s", path, strerror(errno)));
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) && scan->names.n < most;)
        if (counts(entry->d_name))
            string_list_add_owned(&scan->names,
                                  *name ? path_join(name, entry->d_name) : xstrdup(entry->d_name));
    closedir(dir);
}

static void look_at(struct files_scan *scan, const char *name)
{
    _cleanup_free_ char *path = full_path(scan, name);
    struct stat st;
    bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    if (link || !*name) // before it is looked at, so that no change is missed
        watch_set_follow(scan->watches, path, !*name, NULL);
    if (stat(path, &st) < 0)
        return; // it may come, or come back
    if (!*name) {
        scan->files.device = st.st_dev;
        scan->files.inode = st.st_ino;
    }
    if (S_ISDIR(st.st_mode))
        look_at_directory(scan, path, name, &st);
    else if (S_ISREG(st.st_mode))
        look_at_file(scan, path, name, &st);
}

bool files_scan_step(struct files_scan *scan)
{
    if (scan->digest && read_slice(scan))
        return true;
    for (size_t i = 0; i < NAMES_A_STEP && scan->names.n > 0 && !scan->digest; i++) {
        _cleanup_free_ char *name = scan->names.items[--scan->names.n];
        look_at(scan, name);
    }
    return scan->names.n > 0 || scan->digest;
}

void files_scan_take(struct files_scan *scan, struct files *ret, char **ret_complaint)
{
    *ret = scan->files;
    scan->files = (struct files){0};
    *ret_complaint = TAKE_PTR(scan->complaint);
}
