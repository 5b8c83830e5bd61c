// See termination-files.h.
#include "supervisor/termination-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/volumes.h"

enum {
    FILE_MODE = 0666,               // whoever the container runs as may write it
    DIRECTORY_MODE = 0700,          // but others on the node do not get there
    LARGE_BLOCKS = (1 << 20) / 512, // what is not removed within the loop
    SPARES_MOST = 8,
    SPARE_USEC = 20 * 1000, // between two that are made: starts that come together go first
};

struct termination_spares {
    char *dir;
    sd_event_source *timer; // NULL while all are there
    sd_event *event;        // borrowed
    unsigned n;             // of ".spare.0", ".spare.1", ...
};

char *termination_file_path(const char *root_dir, const char *pod_uid, const char *container,
                            uint64_t restart_count)
{
    return xasprintf("%s/termination/%s.%s.%" PRIu64, root_dir, pod_uid, container, restart_count);
}

static int open_new(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    return fd < 0 ? -errno : fd;
}

static int make_new(const char *path)
{
    int fd = open_new(path);
    if (fd == -ENOENT) {
        _cleanup_free_ char *dir = xstrndup(path, (size_t)(path_base(path) - path - 1));
        int code = fs_mkdir_parents(AT_FDCWD, dir, DIRECTORY_MODE);
        fd = code < 0 ? code : open_new(path);
    }
    _cleanup_close_ int file = fd;
    if (file >= 0 && fchmod(file, FILE_MODE) < 0) // whatever the umask
        return -errno;
    return fd < 0 ? fd : 0;
}

static char *spare_path(const struct termination_spares *s, unsigned i)
{
    return xasprintf("%s/.spare.%u", s->dir, i);
}

static void make_more_later(struct termination_spares *s);

static int on_time_to_spare(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct termination_spares *s = userdata;
    _cleanup_free_ char *path = spare_path(s, s->n);
    s->timer = sd_event_source_disable_unref(s->timer);
    if (make_new(path) == 0) { // else the next start says why
        s->n++;
        make_more_later(s);
    }
    return 0;
}

static void make_more_later(struct termination_spares *s)
{
    if (s->timer || s->n >= SPARES_MOST ||
        sd_event_add_time_relative(s->event, &s->timer, CLOCK_MONOTONIC, SPARE_USEC, 0,
                                   on_time_to_spare, s) < 0)
        return;
    sd_event_source_set_priority(s->timer, SD_EVENT_PRIORITY_IDLE);
}

// Gives a spare file this name. False where there is none.
static bool take_spare(struct termination_spares *s, const char *path)
{
    bool taken = false;
    while (s->n > 0 && !taken) {
        _cleanup_free_ char *spare = spare_path(s, --s->n);
        taken = rename(spare, path) == 0;
    }
    make_more_later(s);
    return taken;
}

struct termination_spares *termination_spares_new(sd_event *event, const char *root_dir)
{
    struct termination_spares *s = xcalloc(1, sizeof(*s));
    s->dir = path_join(root_dir, "termination");
    s->event = event;
    make_more_later(s); // those of an earlier agent are taken as they are
    return s;
}

void termination_spares_free(struct termination_spares *s)
{
    if (!s)
        return;
    sd_event_source_disable_unref(s->timer);
    free(s->dir);
    free(s);
}

int termination_file_make(struct termination_spares *spares, const char *path, struct error *err)
{
    if (spares && take_spare(spares, path))
        return 0;
    int code = make_new(path);
    return code < 0 ? error_errno(err, code, "cannot make %s", path) : 0;
}

int termination_file_remove(const char *root_dir, const char *path, struct error *err)
{
    struct stat st;
    if (!path)
        return 0;
    int code = lstat(path, &st) < 0 ? -errno : 0;
    if (code == 0 && (S_ISDIR(st.st_mode) || st.st_blocks > LARGE_BLOCKS))
        return volumes_set_aside(root_dir, path, err);
    if (code == 0 && unlink(path) < 0)
        code = -errno;
    return code < 0 && code != -ENOENT ? error_errno(err, code, "cannot remove %s", path) : 0;
}

// The length of the UID in "<uid>.<container>.<n>"; neither of the two behind it has a dot.
static size_t uid_length(const char *name)
{
    size_t length = strlen(name);
    for (int dots = 0; dots < 2; dots++) {
        const char *dot = memrchr(name, '.', length);
        if (!dot)
            return strlen(name);
        length = (size_t)(dot - name);
    }
    return length;
}

int termination_files_remove(const char *root_dir, const char *pod_uid, struct error *err)
{
    _cleanup_free_ char *dir = path_join(root_dir, "termination");
    DIR *stream = opendir(dir);
    int first = stream || errno == ENOENT ? 0 : error_errno(err, errno, "%s", dir);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        size_t length = uid_length(entry->d_name);
        if (*entry->d_name == '.' || length != strlen(pod_uid) ||
            strncmp(entry->d_name, pod_uid, length) != 0)
            continue;
        _cleanup_free_ char *path = path_join(dir, entry->d_name);
        int code = termination_file_remove(root_dir, path, first ? NULL : err);
        first = first ? first : code;
    }
    if (stream)
        closedir(stream);
    return first;
}

int termination_files_list(const char *root_dir, struct string_list *uids, struct error *err)
{
    _cleanup_free_ char *dir = path_join(root_dir, "termination");
    DIR *stream = opendir(dir);
    if (!stream)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", dir);
    for (struct dirent *entry; (entry = readdir(stream));) {
        _cleanup_free_ char *uid = xstrndup(entry->d_name, uid_length(entry->d_name));
        if (*entry->d_name != '.' && !string_list_contains(uids, uid))
            string_list_add_owned(uids, TAKE_PTR(uid));
    }
    closedir(stream);
    return 0;
}
