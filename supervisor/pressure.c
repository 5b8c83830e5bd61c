// See pressure.h.
#include "supervisor/pressure.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/work.h"
#include "supervisor/container-spec.h"
#include "supervisor/helper.h"

enum {
    SYSTEMS = 3,
    USERS_MOST = 600, // directories that are measured; the arguments of a process have a limit
    USERS_TOLD = 3,
    SENTENCE_SIZE = 512,
};

struct file_system {
    const char *path;
    dev_t device;
    bool no_room, no_inodes; // is short of it
    bool same;               // as one before it in the list
    struct statvfs vfs;
};

// One directory of a pod, and what is in it.
struct user {
    char *path, *what;
    int64_t bytes;
};

struct pressure {
    struct pressure_options options;
    struct file_system systems[SYSTEMS];
    struct helper *helper;
    struct file_system *measured; // by the helper
    bool due[SYSTEMS];            // to be told, when it has been measured
    LIST_OF(struct user) users;   // of the file system that is measured
};

static const struct event_object the_node;

// ---- what there is ----

static void format_bytes(double bytes, char *out, size_t size)
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, size, unit > 0 ? "%.1f%s" : "%.0f%s", bytes, units[unit]);
}

// "less than 10%", "less than 1.0Gi"
static void describe_limit(const struct disk_limit *limit, bool bytes, char *out, size_t size)
{
    _cleanup_free_ char *text = disk_limit_text(limit);
    if (bytes && limit->amount > 0)
        format_bytes((double)limit->amount, out, size);
    else
        snprintf(out, size, "%s", text);
}

static void describe(const struct pressure *p, const struct file_system *fs, char *out)
{
    char left[32], all[32], limit[32];
    double unit = (double)fs->vfs.f_frsize;
    format_bytes((double)fs->vfs.f_bavail * unit, left, sizeof(left));
    format_bytes((double)fs->vfs.f_blocks * unit, all, sizeof(all));
    describe_limit(fs->no_room ? &p->options.limits.room : &p->options.limits.inodes, fs->no_room,
                   limit, sizeof(limit));
    if (fs->no_room)
        snprintf(out, SENTENCE_SIZE, "%s has %.1f%% of its room left (%s of %s), less than %s",
                 fs->path, 100.0 * (double)fs->vfs.f_bavail / (double)fs->vfs.f_blocks, left, all,
                 limit);
    else
        snprintf(out, SENTENCE_SIZE, "%s has %.1f%% of its inodes left (%llu), less than %s",
                 fs->path, 100.0 * (double)fs->vfs.f_favail / (double)fs->vfs.f_files,
                 (unsigned long long)fs->vfs.f_favail, limit);
}

// ---- who uses most ----

static void forget_users(struct pressure *p)
{
    LIST_EACH (user, &p->users) {
        free(user->path);
        free(user->what);
    }
    free(p->users.items);
    p->users.items = NULL;
    p->users.n = 0;
}

// Takes both strings.
static void add_user(struct pressure *p, char *path, char *what)
{
    struct stat st;
    if (p->users.n < USERS_MOST && stat(path, &st) == 0 && st.st_dev == p->measured->device) {
        *LIST_APPEND(&p->users) = (struct user){.path = path, .what = what};
        return;
    }
    free(path);
    free(what);
}

static void add_pod(struct pressure *p, const struct pod *pod)
{
    const char *uid = pod->metadata.uid, *root = p->options.root_dir;
    struct container_spec_options options = {.log_dir = p->options.log_dir};
    _cleanup_free_ char *name = xasprintf("%s/%s", pod->metadata.namespace, pod->metadata.name);
    add_user(p, container_spec_log_dir(&options, pod), xasprintf("logs of pod %s", name));
    add_user(p, xasprintf("%s/pods/%s/containers", root, uid),
             xasprintf("what containers of pod %s wrote into their roots", name));
    LIST_EACH (volume, &pod->spec.volumes)
        if (volume->emptyDir)
            add_user(
                p,
                xasprintf("%s/pods/%s/volumes/kubernetes.io~empty-dir/%s", root, uid, volume->name),
                xasprintf("emptyDir %s of pod %s", volume->name, name));
}

static int compare_users(const void *a, const void *b)
{
    int64_t left = ((const struct user *)a)->bytes, right = ((const struct user *)b)->bytes;
    return left < right ? 1 : left > right ? -1 : 0;
}

static void add_greatest(struct pressure *p, struct buffer *out)
{
    if (p->users.n > 0)
        qsort(p->users.items, p->users.n, sizeof(p->users.items[0]), compare_users);
    for (size_t i = 0; i < p->users.n && i < USERS_TOLD && p->users.items[i].bytes > 0; i++) {
        char bytes[32];
        format_bytes((double)p->users.items[i].bytes, bytes, sizeof(bytes));
        buffer_printf(out, "%s%s (%s, %s)", i == 0 ? "; most of the pods' part: " : ", ",
                      p->users.items[i].what, bytes, p->users.items[i].path);
    }
}

// ---- telling ----

static void measure_next(struct pressure *p);

static void tell(struct pressure *p, const struct file_system *fs)
{
    char sentence[SENTENCE_SIZE];
    _cleanup_buffer_ struct buffer most = BUFFER_EMPTY;
    if (!fs->no_room && !fs->no_inodes)
        return; // there is room again meanwhile
    describe(p, fs, sentence);
    add_greatest(p, &most);
    event_add(p->options.events, the_node, EVENT_WARNING, "DiskPressure",
              "%s%s. Make room: no pod is evicted, but where there is none, state is not saved and "
              "logs lose lines",
              sentence, buffer_str(&most));
}

static void on_measured(void *userdata, int status, const char *output)
{
    struct pressure *p = userdata;
    p->helper = NULL;
    for (size_t i = 0; i < p->users.n && *output; i++) {
        p->users.items[i].bytes = strtoll(output, NULL, 10);
        output += strcspn(output, "\n");
        output += *output == '\n';
    }
    tell(p, p->measured);
    p->measured = NULL;
    forget_users(p);
    measure_next(p);
}

static int start_helper(struct pressure *p)
{
    char name[] = "mainstay-shim", role[] = "--measure";
    _cleanup_free_ char **argv = xcalloc(p->users.n + 3, sizeof(*argv));
    argv[0] = name;
    argv[1] = role;
    for (size_t i = 0; i < p->users.n; i++)
        argv[i + 2] = p->users.items[i].path;
    return helper_start(p->options.event, p->options.program, argv, on_measured, p, &p->helper,
                        NULL);
}

static void measure(struct pressure *p, struct file_system *fs)
{
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(p->options.pods, &workers);
    p->measured = fs;
    for (size_t i = 0; i < n; i++)
        add_pod(p, workers[i]->pod);
    if (start_helper(p) >= 0)
        return;
    tell(p, fs); // without who uses most
    p->measured = NULL;
    forget_users(p);
}

static void measure_next(struct pressure *p)
{
    for (size_t i = 0; i < SYSTEMS && !p->measured; i++) {
        if (!p->due[i])
            continue;
        p->due[i] = false;
        measure(p, &p->systems[i]);
    }
}

// ---- looking ----

static void look_at(struct pressure *p, size_t i)
{
    struct file_system *fs = &p->systems[i];
    bool before = fs->no_room || fs->no_inodes;
    struct stat st;
    WORK_SCOPE("disk", "file system", NULL, fs->path);
    if (statvfs(fs->path, &fs->vfs) < 0 || stat(fs->path, &st) < 0)
        return; // what follows from that is told by those who need it
    fs->device = st.st_dev;
    fs->same = false;
    for (size_t other = 0; other < i; other++)
        fs->same = fs->same || p->systems[other].device == fs->device;
    uint64_t unit = fs->vfs.f_frsize;
    fs->no_room =
        !fs->same && disk_limit_is_passed(&p->options.limits.room, fs->no_room,
                                          fs->vfs.f_bavail * unit, fs->vfs.f_blocks * unit);
    fs->no_inodes = !fs->same && disk_limit_is_passed(&p->options.limits.inodes, fs->no_inodes,
                                                      fs->vfs.f_favail, fs->vfs.f_files);
    bool now = fs->no_room || fs->no_inodes;
    if (now && !before)
        p->due[i] = true;
    if (before && !now)
        event_add(p->options.events, the_node, EVENT_NORMAL, "DiskPressureOver",
                  "%s has room again", fs->path);
}

void pressure_look(struct pressure *p, void (*found)(void *userdata, const char *sentence),
                   void *userdata)
{
    if (!p)
        return;
    for (size_t i = 0; i < SYSTEMS; i++) {
        char sentence[SENTENCE_SIZE];
        look_at(p, i);
        if (!p->systems[i].no_room && !p->systems[i].no_inodes)
            continue;
        describe(p, &p->systems[i], sentence);
        found(userdata, sentence);
    }
    measure_next(p);
}

struct pressure *pressure_new(const struct pressure_options *options)
{
    struct pressure *p = xcalloc(1, sizeof(*p));
    p->options = *options;
    p->systems[0].path = options->root_dir;
    p->systems[1].path = options->log_dir;
    p->systems[2].path = options->run_dir;
    return p;
}

void pressure_free(struct pressure *p)
{
    if (!p)
        return;
    helper_free(p->helper);
    forget_users(p);
    free(p);
}
