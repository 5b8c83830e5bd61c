// Which manifest files there are: enumeration of the directory, single entries that an event named,
// and what is due after the settle time.
#include "manifests/source-internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"

// The index of the first file whose path is not below `path`.
static size_t lower_bound(const struct manifest_source *source, const char *path)
{
    size_t low = 0, high = source->files.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(source->files.items[middle]->path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct manifest_file *find_file(const struct manifest_source *source, const char *path)
{
    size_t i = lower_bound(source, path);
    bool there = i < source->files.n && strcmp(source->files.items[i]->path, path) == 0;
    return there ? source->files.items[i] : NULL;
}

static struct manifest_file *add_file(struct manifest_source *source, const char *path)
{
    size_t i = lower_bound(source, path);
    size_t after = source->files.n++ - i;
    source->files.items = xreallocarray(source->files.items, source->files.n, sizeof(void *));
    struct manifest_file **at = &source->files.items[i];
    memmove(at + 1, at, after * sizeof(void *));
    *at = manifest_file_new(path);
    return *at;
}

struct manifest_file *source_file(struct manifest_source *source, const char *path)
{
    struct manifest_file *file = find_file(source, path);
    return file ? file : add_file(source, path);
}

// Whether an entry of the directory is one to look at. What is no manifest by its name is shown
// where it is a file (the kubelet would have run it); directories are passed over.
static bool is_candidate(const char *name, const char *path, bool *ret_misnamed)
{
    *ret_misnamed = false;
    switch (manifest_name_class(name)) {
    case MANIFEST_NAME_GOOD:
        return true;
    case MANIFEST_NAME_UNKNOWN: {
        struct stat st;
        *ret_misnamed = true;
        return stat(path, &st) == 0 && S_ISREG(st.st_mode);
    }
    default:
        return false;
    }
}

static void look_at_entry(struct manifest_source *source, const char *name, enum look_trust trust)
{
    _cleanup_free_ char *path = path_join(source->directory, name);
    struct manifest_file *file = find_file(source, path);
    if (!file) {
        bool misnamed;
        struct stat st;
        if (!is_candidate(name, path, &misnamed) || (lstat(path, &st) < 0 && errno == ENOENT))
            return;
        file = add_file(source, path);
        file->misnamed = misnamed;
    }
    file->found = true;
    source_look(source, file, trust);
}

void source_look_at_names(struct manifest_source *source, const struct watch_news *news)
{
    for (size_t i = 0; i < news->names.n; i++) {
        const char *name = news->names.items[i];
        bool closed = string_list_contains(&news->closed, name);
        look_at_entry(source, name, closed ? LOOK_CLOSED : LOOK_NEWS);
    }
}

// Names are gathered first: what is found then does not depend on changes made meanwhile.
static int enumerate(const char *directory, struct string_list *names)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return -errno;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            string_list_add(names, entry->d_name);
    }
    int code = -errno;
    closedir(dir);
    return code;
}

static int look_at_single_file(struct manifest_source *source)
{
    struct manifest_file *file = source_file(source, source->directory);
    file->found = true;
    source_look(source, file, LOOK_RESCAN);
    return 0;
}

static int look_at_all(struct manifest_source *source)
{
    bool directory = true;
    int code = watch_set_follow(&source->watches, source->directory, true, &directory);
    if (code < 0)
        return code;
    if (!directory)
        return look_at_single_file(source);
    _cleanup_string_list_ struct string_list names = {0};
    code = enumerate(source->directory, &names);
    if (code < 0)
        return code;
    for (size_t i = 0; i < names.n; i++) {
        look_at_entry(source, names.items[i], LOOK_RESCAN);
        if (source->ops.progress)
            source->ops.progress(source->userdata);
    }
    return 0;
}

static bool means_absent(int code)
{
    return code == -ENOENT || code == -ENOTDIR;
}

// A directory that cannot be read shows up as a refused manifest of its own; its absence does not.
static void note_trouble(struct manifest_source *source, int code)
{
    bool readable = code == 0 || means_absent(code);
    if (readable && !source->trouble)
        return;
    source->changed = true;
    if (readable) {
        source->trouble->forgotten = true;
        return;
    }
    char *message = source_explain_unreadable(code);
    if (!source->trouble)
        source->trouble = manifest_file_new(source->directory);
    source->trouble->forgotten = false;
    source_refuse(source, source->trouble, message);
}

void source_scan(struct manifest_source *source)
{
    for (size_t i = 0; i < source->files.n; i++)
        source->files.items[i]->found = false;
    watch_set_begin(&source->watches);
    int code = look_at_all(source);
    bool complete = code == 0 || means_absent(code);
    if (complete) {
        for (size_t i = 0; i < source->files.n; i++) {
            if (!source->files.items[i]->found)
                source_look(source, source->files.items[i], LOOK_NEWS);
        }
        source->present = code == 0;
        source->scanned = true;
    }
    watch_set_end(&source->watches, complete);
    note_trouble(source, code);
    source->last_scan = monotime_now();
}

void source_settle(struct manifest_source *source, monotime now)
{
    for (size_t i = 0; i < source->files.n; i++) {
        struct manifest_file *file = source->files.items[i];
        bool second_look = monotime_reached(file->look_at, now);
        bool removal = monotime_reached(file->remove_at, now);
        if (second_look)
            file->look_at = MONOTIME_NEVER;
        if (second_look || removal)
            source_look(source, file, LOOK_NEWS);
        if (removal && file->gone) {
            file->forgotten = true;
            source->changed = true;
        }
    }
}

monotime source_next_due(const struct manifest_source *source)
{
    monotime due = MONOTIME_NEVER;
    for (size_t i = 0; i < source->files.n; i++) {
        const struct manifest_file *file = source->files.items[i];
        due = monotime_min(due, monotime_min(file->look_at, file->remove_at));
    }
    return due;
}

bool source_waits_for_first_judgement(const struct manifest_source *source)
{
    for (size_t i = 0; i < source->files.n; i++) {
        const struct manifest_file *file = source->files.items[i];
        if (!file->judged && !file->has_good && !monotime_is_never(file->deferred_since))
            return true;
    }
    return false;
}
