// `mainstay logs` without the agent: the CRI files as the shims wrote them, found by their names,
// "<dir>/<namespace>_<pod>_<uid>/<container>/<run>.log".
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/logs.h"
#include "supervisor/logread.h"

// ---- the pod's directory ----

struct pod_dir {
    char *path, *namespace_, *pod, *uid;
};
struct pod_dirs {
    struct pod_dir *items;
    size_t n;
};

static void pod_dirs_free(struct pod_dirs *dirs)
{
    LIST_EACH (dir, dirs) {
        free(dir->path);
        free(dir->namespace_);
        free(dir->pod);
        free(dir->uid);
    }
    free(dirs->items);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The names in a directory, sorted; without those that begin with a dot.
static int list_names(const char *path, struct string_list *ret)
{
    DIR *entries = opendir(path);
    if (!entries)
        return -errno;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            string_list_add(ret, entry->d_name);
    closedir(entries);
    if (ret->n > 1)
        qsort(ret->items, ret->n, sizeof(ret->items[0]), by_name);
    return 0;
}

static int list_pods(const char *path, const struct logs_whose *whose, struct pod_dirs *ret,
                     struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    int r = list_names(path, &names);
    if (r < 0)
        return error_errno(err, r == -ENOTDIR ? -ENOENT : r, "%s", path);
    LIST_EACH (name, &names) {
        char *first = strchr(*name, '_'), *last = strrchr(*name, '_');
        if (!first || first == last)
            continue;
        struct pod_dir dir = {
            .path = path_join(path, *name),
            .namespace_ = xstrndup(*name, (size_t)(first - *name)),
            .pod = xstrndup(first + 1, (size_t)(last - first - 1)),
            .uid = xstrdup(last + 1),
        };
        *LIST_APPEND(ret) = dir;
    }
    return 0;
}

static bool is_eligible(const struct pod_dir *dir, const struct logs_whose *whose)
{
    return (!whose->namespace_ || strcmp(dir->namespace_, whose->namespace_) == 0) &&
           (!whose->uid || strcmp(dir->uid, whose->uid) == 0);
}

// When the newest log of the pod was written to.
static int64_t newest_write(const char *dir)
{
    _cleanup_string_list_ struct string_list containers = {0};
    int64_t newest = 0;
    list_names(dir, &containers);
    LIST_EACH (container, &containers) {
        _cleanup_free_ char *path = path_join(dir, *container);
        _cleanup_string_list_ struct string_list files = {0};
        list_names(path, &files);
        LIST_EACH (file, &files) {
            struct stat st;
            _cleanup_free_ char *file_path = path_join(path, *file);
            if (lstat(file_path, &st) == 0)
                newest =
                    MAX(newest, (int64_t)st.st_mtim.tv_sec * NSEC_PER_SEC + st.st_mtim.tv_nsec);
        }
    }
    return newest;
}

// The newest instance of that pod's name.
static int choose_dir(const struct pod_dirs *dirs, const struct logs_whose *whose,
                      const char *where, const struct pod_dir **ret, struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    const char *name;
    int64_t newest = -1;
    LIST_EACH (dir, dirs)
        if (is_eligible(dir, whose))
            string_list_add(&names, dir->pod);
    int r = logs_choose_pod(&names, whose->pod, where, &name, err);
    if (r < 0)
        return r;
    const struct pod_dir *found = NULL;
    LIST_EACH (dir, dirs) {
        if (!is_eligible(dir, whose) || strcmp(dir->pod, name) != 0)
            continue;
        if (found && strcmp(found->namespace_, dir->namespace_) != 0)
            return error_set(err, EINVAL, "pod %s is in the namespaces %s and %s: choose with -n",
                             name, found->namespace_, dir->namespace_);
        int64_t written = newest_write(dir->path);
        if (written > newest) {
            newest = written;
            found = dir;
        }
    }
    *ret = found;
    return found ? 0 : error_set(err, ENOENT, "%s is gone", where);
}

// ---- the run ----

// "3.log", "3.log.20261121-070000": 3; -1 for anything else.
static long long run_of(const char *file)
{
    char *end;
    if (!isdigit((unsigned char)file[0]))
        return -1;
    errno = 0;
    long long run = strtoll(file, &end, 10);
    return errno == 0 && (strcmp(end, ".log") == 0 || str_starts_with(end, ".log.")) ? run : -1;
}

// The newest run below `limit`; -1: there is none.
static long long newest_run(const char *dir, long long limit)
{
    _cleanup_string_list_ struct string_list files = {0};
    long long newest = -1;
    list_names(dir, &files);
    LIST_EACH (file, &files) {
        long long run = run_of(*file);
        if (run < limit)
            newest = MAX(newest, run);
    }
    return newest;
}

// ---- reading ----

struct file_log {
    char *dir; // of the container
    long long run;
    struct log_reader *reader; // NULL: it is over
    struct logs_sink sink;
};
struct file_logs {
    struct file_log *items;
    size_t n;
};

static void file_logs_free(struct file_logs *logs)
{
    LIST_EACH (log, logs) {
        free(log->dir);
        if (log->reader)
            log_reader_free(log->reader);
        logs_sink_free(&log->sink);
    }
    free(logs->items);
}

static int open_log(const struct logs_options *options, const struct pod_dir *pod,
                    const char *container, size_t n_containers, struct file_logs *logs,
                    struct error *err)
{
    _cleanup_free_ char *dir = path_join(pod->path, container);
    long long run = newest_run(dir, INT64_MAX);
    if (options->previous && run >= 0)
        run = newest_run(dir, run);
    if (run < 0)
        return error_set(err, ENOENT, "%s has no log of %s run of the container", dir,
                         options->previous ? "a previous" : "a");
    _cleanup_free_ char *path = xasprintf("%s/%lld.log", dir, run);
    struct log_reader_options how = {
        .path = path,
        .follow = options->follow,
        .timestamps = options->timestamps,
        .tail_lines = options->tail,
        .since = logs_since(options),
        .limit_bytes = options->limit_bytes > 0 ? options->limit_bytes : -1,
    };
    struct log_reader *reader;
    int r = log_reader_open(&how, &reader, err);
    if (r < 0)
        return r;
    struct file_log *log = LIST_APPEND(logs);
    *log = (struct file_log){.dir = TAKE_PTR(dir), .run = run, .reader = reader};
    logs_sink_init(&log->sink, options, pod->pod, container, n_containers);
    return 0;
}

// All that is there. 0, or -EIO where stdout takes no more.
static int read_on(struct file_log *log)
{
    int r = 0;
    enum log_reader_result result = LOG_READER_MORE;
    // A newer run in the directory: this one's last lines are there before it.
    if (newest_run(log->dir, INT64_MAX) > log->run)
        log_reader_finish(log->reader);
    while (r == 0 && result == LOG_READER_MORE) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        result = log_reader_read(log->reader, &out);
        r = logs_sink_write(&log->sink, buffer_str(&out), out.len);
    }
    if (result == LOG_READER_END) {
        log_reader_free(TAKE_PTR(log->reader));
        r = r < 0 ? r : logs_sink_end(&log->sink);
    }
    return fflush(stdout) != 0 ? -EIO : r;
}

static size_t count_open(const struct file_logs *logs)
{
    size_t n = 0;
    LIST_EACH (log, logs)
        n += log->reader != NULL;
    return n;
}

static int wait_for_change(int inotify)
{
    char events[4096];
    struct pollfd pollfd = {.fd = inotify, .events = POLLIN};
    while (poll(&pollfd, 1, -1) < 0 && errno == EINTR)
        ;
    while (read(inotify, events, sizeof(events)) > 0)
        ;
    return 0;
}

static int read_all(struct file_logs *logs, const struct logs_options *options, struct error *err)
{
    _cleanup_close_ int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    uint32_t mask = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR;
    if (inotify < 0)
        return error_errno(err, errno, "inotify");
    LIST_EACH (log, logs)
        if (options->follow && inotify_add_watch(inotify, log->dir, mask) < 0)
            return error_errno(err, errno, "%s cannot be watched", log->dir);
    int r = 0;
    while (r == 0 && count_open(logs) > 0) {
        LIST_EACH (log, logs)
            if (r == 0 && log->reader)
                r = read_on(log);
        if (r == 0 && count_open(logs) > 0)
            r = wait_for_change(inotify);
    }
    return r < 0 ? error_errno(err, r, "standard output") : 0;
}

static int show_pod(const struct logs_options *options, const struct pod_dir *pod,
                    const struct logs_whose *whose, struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0}, chosen = {0};
    struct file_logs logs = {0};
    list_names(pod->path, &names);
    int r = logs_choose_containers(options, pod->pod, &names, &chosen, err);
    for (size_t i = 0; i < chosen.n && r == 0; i++) {
        r = open_log(options, pod, chosen.items[i], chosen.n, &logs, err);
        if (r == -ENOENT && options->all_containers)
            r = 0; // it has not run, or not twice
    }
    if (r == 0 && logs.n == 0)
        r = error_set(err, ENOENT, "%s has no log of that kind", pod->path);
    if (r == 0) {
        logs_say_place(whose, pod->path);
        r = read_all(&logs, options, err);
    }
    file_logs_free(&logs);
    return r;
}

int logs_from_files(const struct logs_options *options, const char *dir,
                    const struct logs_whose *whose, struct error *err)
{
    struct pod_dirs dirs = {0};
    const struct pod_dir *pod = NULL;
    _cleanup_free_ char *where = xasprintf("in %s", dir);
    int r = list_pods(dir, whose, &dirs, err);
    if (r == 0)
        r = choose_dir(&dirs, whose, where, &pod, err);
    if (r == 0 && pod)
        r = show_pod(options, pod, whose, err);
    pod_dirs_free(&dirs);
    return r;
}
