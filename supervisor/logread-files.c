// The files of a log, and where in them the last lines begin.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/logread-internal.h"

// ---- the list ----

// "20261121-070000", "20261121-070000.001": what the shim puts behind the name of a rotated file.
static bool is_rotation_suffix(const char *s)
{
    size_t day = strspn(s, "0123456789");
    if (day != 8 || s[day] != '-')
        return false;
    size_t end = day + 1 + strspn(s + day + 1, "0123456789");
    if (s[end] == '.')
        end += 1 + strspn(s + end + 1, "0123456789");
    return s[end] == '\0';
}

static void add_file(struct log_files *files, const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    struct log_file_id *id = LIST_APPEND(files);
    id->path = xstrdup(path);
    id->device = st.st_dev;
    id->inode = st.st_ino;
    id->modified = (walltime){st.st_mtim.tv_sec * NSEC_PER_SEC + st.st_mtim.tv_nsec};
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct log_file_id *)a)->path, ((const struct log_file_id *)b)->path);
}

void log_files_list(const char *live_path, struct log_files *ret)
{
    const char *base = path_base(live_path);
    size_t base_len = strlen(base);
    _cleanup_free_ char *dir = xstrndup(live_path, (size_t)(base - live_path));
    *ret = (struct log_files){0};
    DIR *entries = opendir(dir);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        const char *name = entry->d_name;
        if (strncmp(name, base, base_len) != 0 || name[base_len] != '.' ||
            !is_rotation_suffix(name + base_len + 1))
            continue;
        _cleanup_free_ char *path = path_join(dir, name);
        add_file(ret, path);
    }
    closedir(entries);
    if (ret->n > 1)
        qsort(ret->items, ret->n, sizeof(ret->items[0]), by_path);
    add_file(ret, live_path);
}

void log_files_free(struct log_files *files)
{
    LIST_EACH (id, files)
        free(id->path);
    free(files->items);
    *files = (struct log_files){0};
}

static ssize_t index_of(const struct log_files *files, dev_t device, ino_t inode)
{
    for (size_t i = 0; i < files->n; i++)
        if (files->items[i].device == device && files->items[i].inode == inode)
            return (ssize_t)i;
    return -1;
}

ssize_t log_files_index(const struct log_files *files, int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? -1 : index_of(files, st.st_dev, st.st_ino);
}

static int open_if_same(const char *path, const struct log_file_id *id)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || st.st_dev != id->device || st.st_ino != id->inode)
        return -ENOENT;
    return TAKE_FD(fd);
}

int log_files_open(const char *live_path, const struct log_file_id *id)
{
    int fd = open_if_same(id->path, id);
    if (fd != -ENOENT)
        return fd;
    _cleanup_log_files_ struct log_files now = {0};
    log_files_list(live_path, &now);
    ssize_t i = index_of(&now, id->device, id->inode);
    return i < 0 || !now.items ? -ENOENT : open_if_same(now.items[i].path, id);
}

// ---- records ----

bool log_record_parse(const char *line, size_t len, struct log_record *ret)
{
    const char *end = line + len;
    const char *stream = memchr(line, ' ', len);
    if (!stream || !isdigit((unsigned char)line[0]))
        return false;
    size_t left = (size_t)(end - ++stream);
    if (left < 9 || (memcmp(stream, "stdout ", 7) != 0 && memcmp(stream, "stderr ", 7) != 0))
        return false;
    // Tags are separated by colons; only the first one means something today.
    const char *tags = stream + 7;
    const char *text = memchr(tags, ' ', (size_t)(end - tags));
    bool single = tags + 1 < end && (tags[1] == ' ' || tags[1] == ':');
    if (!text || !single || (tags[0] != 'P' && tags[0] != 'F'))
        return false;
    *ret = (struct log_record){
        .time = line,
        .time_len = (size_t)(stream - 1 - line),
        .partial = tags[0] == 'P',
        .text = text + 1,
        .text_len = (size_t)(end - text - 1),
    };
    return true;
}

// ---- the tail ----

enum { RECORD_HEAD = 64 }; // enough of a record to see its tag

struct log_tail {
    char *live_path;
    struct log_files files;
    size_t next_file; // files[next_file − 1] is scanned next
    int fd;
    off_t size, end; // of this file; records that begin at `end` or later are counted
    off_t after;     // where the record behind the one that is looked at next begins
    int64_t wanted, found;
    bool any; // a record was looked at
};

struct log_tail *log_tail_new(const char *live_path, int64_t wanted)
{
    struct log_tail *tail = xcalloc(1, sizeof(*tail));
    tail->live_path = xstrdup(live_path);
    tail->wanted = wanted;
    tail->fd = -1;
    log_files_list(live_path, &tail->files);
    tail->next_file = tail->files.n;
    return tail;
}

void log_tail_free(struct log_tail *tail)
{
    if (!tail)
        return;
    if (tail->fd >= 0)
        close(tail->fd);
    log_files_free(&tail->files);
    free(tail->live_path);
    free(tail);
}

// Opens the next older file. False: there is none; the one that is open stays open.
static bool open_older(struct log_tail *tail)
{
    struct stat st;
    if (tail->next_file == 0)
        return false;
    int fd = log_files_open(tail->live_path, &tail->files.items[tail->next_file - 1]);
    if (fd < 0)
        return false;
    tail->next_file--;
    if (tail->fd >= 0)
        close(tail->fd);
    tail->fd = fd;
    tail->size = tail->end = tail->after = fstat(fd, &st) == 0 ? st.st_size : 0;
    return true;
}

// True where the last `wanted` lines begin right behind the record that starts here.
static bool count_record(struct log_tail *tail, const char *head, size_t len)
{
    struct log_record record;
    const char *newline = memchr(head, '\n', len);
    bool is_record = log_record_parse(head, newline ? (size_t)(newline - head) : len, &record);
    bool ends_line = !is_record || !record.partial;
    if (!tail->any && !ends_line)
        tail->found++; // a line that is not finished yet counts as one
    tail->any = true;
    return ends_line && ++tail->found > tail->wanted;
}

// Looks at the records that begin in (start, end], and at 0 where the file begins.
static bool scan_block(struct log_tail *tail, const char *block, off_t start, size_t len)
{
    for (off_t at = MIN(tail->end, tail->size - 1); at >= start; at--) {
        bool begins = at == 0 || (at > start && block[at - 1 - start] == '\n');
        if (!begins)
            continue;
        size_t head = MIN((size_t)RECORD_HEAD, len - (size_t)(at - start));
        if (count_record(tail, block + (at - start), head))
            return true;
        tail->after = at;
    }
    return false;
}

// One slice towards the beginning of the file. True: found, at `after`.
static bool scan_slice(struct log_tail *tail)
{
    off_t start = MAX(tail->end - LOG_SLICE, (off_t)0);
    size_t len = (size_t)(tail->end - start) + RECORD_HEAD;
    _cleanup_free_ char *block = xmalloc(len);
    ssize_t n = pread(tail->fd, block, len, start);
    if (n < tail->end - start) {
        tail->end = 0; // cut off meanwhile, or unreadable: what was seen so far is what there is
        return false;
    }
    if (scan_block(tail, block, start, (size_t)n))
        return true;
    tail->end = start;
    return false;
}

bool log_tail_step(struct log_tail *tail, int *ret_fd, off_t *ret_offset)
{
    bool found = false;
    if (tail->fd >= 0 && tail->end > 0)
        found = tail->wanted == 0 || scan_slice(tail);
    else if (!open_older(tail))
        found = true;
    else
        found = tail->wanted == 0;
    if (!found)
        return false;
    *ret_fd = TAKE_FD(tail->fd);
    *ret_offset = tail->after;
    return true;
}
