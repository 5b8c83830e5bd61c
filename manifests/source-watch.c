// The directories that the source watches. inotify watches inodes, not paths, so a path is followed
// one part at a time and everything is watched that could make it lead elsewhere: the way of a
// ConfigMap-style directory is  etcd.yaml → ..data/etcd.yaml → ..2026_11_21/etcd.yaml  and the
// rename of a new ..data over the old one is what must be seen.
#include "manifests/watch-set.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/fs.h"

enum {
    LINKS_MOST = 40,  // as the kernel
    TRIES_MOST = 100, // of a part that changes under our hands
    MASK_SELF = IN_DELETE_SELF | IN_MOVE_SELF,
    MASK_NAMES = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE,
    MASK_FILES = MASK_SELF | MASK_NAMES | IN_CLOSE_WRITE | IN_ATTRIB,
};

int watch_set_open(struct watch_set *set)
{
    set->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return set->fd < 0 ? -errno : 0;
}

static void watch_clear(struct watch *watch)
{
    string_list_free(&watch->names);
}

void watch_set_close(struct watch_set *set)
{
    LIST_EACH (watch, &set->watches)
        watch_clear(watch);
    free(set->watches.items);
    if (set->fd >= 0)
        close(set->fd);
    *set = (struct watch_set){.fd = -1};
}

static struct watch *find_watch(struct watch_set *set, int wd)
{
    LIST_EACH (watch, &set->watches) {
        if (watch->wd == wd)
            return watch;
    }
    return NULL;
}

static void forget_watch(struct watch_set *set, struct watch *watch)
{
    size_t index = (size_t)(watch - set->watches.items);
    watch_clear(watch);
    memmove(watch, watch + 1, (set->watches.n - index - 1) * sizeof(*watch));
    set->watches.n--;
}

void watch_set_begin(struct watch_set *set)
{
    set->failed = false;
    LIST_EACH (watch, &set->watches)
        watch->wanted = false;
}

void watch_set_end(struct watch_set *set, bool drop)
{
    for (size_t i = set->watches.n; i-- > 0;) {
        struct watch *watch = &set->watches.items[i];
        if (!drop)
            watch->wanted = true;
        if (watch->wanted)
            continue;
        inotify_rm_watch(set->fd, watch->wd);
        forget_watch(set, watch);
    }
}

// Watches the directory behind a descriptor. `name` NULL: the directory itself.
static void want(struct watch_set *set, int fd, uint32_t mask, const char *name, bool everything)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int wd = inotify_add_watch(set->fd, path, mask | IN_ONLYDIR | IN_MASK_ADD);
    if (wd < 0) {
        set->failed = true;
        return;
    }
    struct watch *watch = find_watch(set, wd);
    if (!watch) {
        watch = LIST_APPEND(&set->watches);
        watch->wd = wd;
    }
    if (!watch->wanted) {
        string_list_free(&watch->names);
        watch->everything = false;
    }
    watch->wanted = true;
    watch->everything |= everything;
    if (name && !string_list_contains(&watch->names, name))
        string_list_add(&watch->names, name);
}

// A path on its way from the root.
struct walk {
    struct watch_set *set;
    bool everything;
    int fd;     // the directory that was reached
    char *rest; // what is still to be followed
    unsigned links, tries;
    bool directory; // what was reached in the end
};

static int walk_from_root(struct walk *walk)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (walk->fd >= 0)
        close(walk->fd);
    walk->fd = fd;
    want(walk->set, fd, MASK_SELF, NULL, false);
    return 0;
}

static int walk_link(struct walk *walk, const char *name, const char *rest)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(walk->fd, name, target, sizeof(target) - 1);
    if (n < 0)
        return errno == EINVAL || errno == ENOENT ? -EAGAIN : -errno; // replaced just now
    target[n] = '\0';
    if (++walk->links > LINKS_MOST)
        return -ELOOP;
    char *all = xasprintf("%s/%s", target, rest);
    if (strlen(all) >= (size_t)2 * PATH_MAX) {
        free(all);
        return -ENAMETOOLONG;
    }
    free(walk->rest);
    walk->rest = all;
    return target[0] == '/' ? walk_from_root(walk) : 0;
}

static int walk_directory(struct walk *walk, const char *name, const struct stat *st, bool last)
{
    _cleanup_close_ int fd = openat(walk->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? -EAGAIN : -errno;
    bool all = last && walk->everything;
    want(walk->set, fd, all ? MASK_FILES : MASK_SELF, NULL, all);
    // It may have been moved away before the watch was there: its parent tells.
    struct stat now;
    if (strcmp(name, "..") != 0 && (fstatat(walk->fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
                                    now.st_dev != st->st_dev || now.st_ino != st->st_ino))
        return -EAGAIN;
    close(walk->fd);
    walk->fd = TAKE_FD(fd);
    walk->directory = last;
    return 0;
}

// One part. -EAGAIN: it changed meanwhile, try again.
static int walk_part(struct walk *walk, const char *name, const char *rest)
{
    bool last = !rest[strspn(rest, "/")];
    struct stat st;
    if (fstatat(walk->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return -errno;
        want(walk->set, walk->fd, MASK_SELF | MASK_NAMES, name, false);
        return fstatat(walk->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? -EAGAIN : -ENOENT;
    }
    if (S_ISLNK(st.st_mode)) {
        want(walk->set, walk->fd, MASK_SELF | MASK_NAMES, name, false);
        return walk_link(walk, name, rest);
    }
    if (S_ISDIR(st.st_mode)) {
        int code = walk_directory(walk, name, &st, last);
        if (code < 0)
            return code;
        memmove(walk->rest, rest, strlen(rest) + 1);
        return 0;
    }
    want(walk->set, walk->fd, MASK_FILES, name, false);
    if (!last)
        return -ENOTDIR;
    walk->directory = false;
    *walk->rest = '\0';
    return 0;
}

static int walk_all(struct walk *walk)
{
    int code = walk_from_root(walk);
    while (code == 0 || code == -EAGAIN) {
        if (code == -EAGAIN && ++walk->tries > TRIES_MOST)
            return -EAGAIN;
        const char *part = walk->rest + strspn(walk->rest, "/");
        size_t n = strcspn(part, "/");
        if (n == 0)
            return 0;
        _cleanup_free_ char *name = xstrndup(part, n);
        if (strcmp(name, ".") == 0)
            memmove(walk->rest, part + n, strlen(part + n) + 1);
        code = strcmp(name, ".") == 0 ? 0 : walk_part(walk, name, part + n);
    }
    return code;
}

int watch_set_follow(struct watch_set *set, const char *path, bool everything, bool *ret_directory)
{
    struct walk walk = {
        .set = set, .everything = everything, .fd = -1, .rest = xstrdup(path), .directory = true};
    int code = walk_all(&walk);
    free(walk.rest);
    if (walk.fd >= 0)
        close(walk.fd);
    if (code == 0 && ret_directory)
        *ret_directory = walk.directory;
    return code;
}

static void note_name(struct string_list *list, const char *name)
{
    if (!string_list_contains(list, name))
        string_list_add(list, name);
}

static void note_event(struct watch_set *set, const struct inotify_event *event,
                       struct watch_news *news)
{
    if (event->mask & IN_Q_OVERFLOW) {
        news->everything = true;
        return;
    }
    struct watch *watch = find_watch(set, event->wd);
    if (!watch)
        return; // one that was dropped
    if (event->mask & IN_IGNORED)
        forget_watch(set, watch);
    if (event->len == 0) { // the directory itself
        news->everything = true;
        return;
    }
    if (string_list_contains(&watch->names, event->name))
        news->everything = true;
    if (!watch->everything)
        return;
    note_name(&news->names, event->name);
    if (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
        note_name(&news->closed, event->name);
}

void watch_set_read(struct watch_set *set, struct watch_news *news)
{
    _Alignas(struct inotify_event) char data[16384];
    for (;;) {
        ssize_t n = read(set->fd, data, sizeof(data));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        for (const char *p = data; p < data + n;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)p;
            note_event(set, event, news);
            p += sizeof(*event) + event->len;
        }
        // A long burst is quicker to enumerate than to remember by name.
        if (news->names.n > 256)
            news->everything = true;
        if (news->everything)
            watch_news_free(news);
    }
}

void watch_news_free(struct watch_news *news)
{
    string_list_free(&news->names);
    string_list_free(&news->closed);
}

bool watch_set_quiet(const struct watch_set *set)
{
    int waiting = 0;
    return ioctl(set->fd, FIONREAD, &waiting) < 0 || waiting == 0;
}
