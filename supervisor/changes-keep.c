// What the containers of each pod know of their files, on disk; see changes.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string-list.h"
#include "supervisor/changes-internal.h"
#include "supervisor/envelope.h"
#include "supervisor/history.h"
#include "supervisor/json-text.h"

enum { VERSION = 1, FILE_SIZE_MAX = 16 << 20 };

static char *file_name(const struct watched_pod *p)
{
    _cleanup_free_ char *name = history_file_name(p->namespace_, p->name);
    return xasprintf("%.*s.files", (int)(strlen(name) - strlen(".history")), name);
}

static char *path_of(const struct changes *ch, const struct watched_pod *p)
{
    _cleanup_free_ char *name = file_name(p);
    return path_join(ch->options.dir, name);
}

void changes_save(const struct changes *ch, const struct watched_pod *p)
{
    _cleanup_free_ char *path = path_of(ch, p);
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    json_t *o = json_object(), *list = json_array();
    json_set_text(o, "namespace", p->namespace_);
    json_set_text(o, "name", p->name);
    json_object_set_new(o, "rolling", json_boolean(p->rolling));
    LIST_EACH (volume, &p->volumes) {
        if (!volume->known)
            continue;
        json_t *item = files_to_json(&volume->files);
        json_object_set_new(item, "volume", json_text(volume->name));
        json_object_set_new(item, "path", json_text(volume->path));
        json_array_append_new(list, item);
    }
    json_object_set_new(o, "volumes", list);
    envelope_write("changes", VERSION, o, &content);
    json_decref(o);
    int r = fs_write_atomic(AT_FDCWD, path, content.data, content.len, 0600, 0);
    if (r == -ENOENT && fs_mkdir_parents(AT_FDCWD, ch->options.dir, 0700) == 0)
        r = fs_write_atomic(AT_FDCWD, path, content.data, content.len, 0600, 0);
    if (r < 0)
        log_warning("%s cannot be written: %s. Files of pod %s that change while no agent is there "
                    "go unnoticed",
                    path, strerror(-r), p->name);
}

static bool take_volume(struct watched_pod *p, const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "volume"));
    const char *path = json_string_value(json_object_get(item, "path"));
    LIST_EACH (volume, &p->volumes) {
        if (!str_equal(volume->name, name) || !str_equal(volume->path, path) || volume->known)
            continue;
        volume->known = files_from_json(item, &volume->files);
        if (!volume->known)
            files_free(&volume->files);
        return volume->known;
    }
    return true; // the pod has it no more
}

static bool take(struct watched_pod *p, const json_t *o)
{
    const json_t *list = json_object_get(o, "volumes");
    bool good = json_is_array(list) &&
                str_equal(json_string_value(json_object_get(o, "name")), p->name) &&
                str_equal(json_string_value(json_object_get(o, "namespace")), p->namespace_);
    for (size_t i = 0; good && i < json_array_size(list); i++)
        good = take_volume(p, json_array_get(list, i));
    p->rolling = good && json_is_true(json_object_get(o, "rolling"));
    return good;
}

void changes_load(const struct changes *ch, struct watched_pod *p)
{
    _cleanup_free_ char *path = path_of(ch, p);
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    int r = fs_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &content);
    if (r == -ENOENT)
        return;
    json_t *o = r < 0 ? NULL : envelope_open("changes", VERSION, buffer_str(&content), content.len);
    if (!o || !take(p, o))
        event_add(ch->options.events,
                  (struct event_object){.namespace_ = p->namespace_, .pod = p->name}, EVENT_WARNING,
                  "StateDamaged",
                  "%s is damaged: files of the pod's volumes that changed while no agent was there "
                  "go unnoticed",
                  path);
    json_decref(o);
}

void changes_forget(const struct changes *ch, const struct watched_pod *p)
{
    _cleanup_free_ char *path = path_of(ch, p);
    unlink(path);
}

static bool is_watched(const struct changes *ch, const char *file)
{
    LIST_EACH (p, &ch->pods) {
        _cleanup_free_ char *name = file_name(p);
        if (strcmp(name, file) == 0)
            return true;
    }
    return false;
}

void changes_sweep(const struct changes *ch)
{
    DIR *dir = opendir(ch->options.dir);
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_type != DT_DIR && !is_watched(ch, entry->d_name))
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}
