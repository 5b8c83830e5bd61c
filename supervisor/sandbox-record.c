// See sandbox.h: what a new agent has to know of a sandbox, as JSON. It is written before the first
// plugin is run, so that whatever was begun is taken apart again.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "supervisor/sandbox-internal.h"

enum { RECORD_MAX = 8 << 20 };

static void set_text(json_t *json, const char *key, const char *text)
{
    if (text)
        json_object_set_new(json, key, json_string(text));
}

int sandbox_save(const struct sandbox *s, struct error *err)
{
    json_auto_t *json = json_object();
    set_text(json, "bootId", s->all->boot_id);
    set_text(json, "uid", s->uid);
    set_text(json, "namespace", s->namespace_);
    set_text(json, "pod", s->pod);
    set_text(json, "containerId", s->container_id);
    json_object_set_new(json, "ownNetwork", json_boolean(s->own_network));
    json_object_set_new(json, "complete", json_boolean(s->complete));
    json_object_set_new(json, "pausePid", json_integer(s->pause_pid));
    json_object_set_new(json, "pauseTicks", json_integer((json_int_t)s->pause_ticks));
    if (s->config)
        json_object_set(json, "config", s->config);
    if (s->result)
        json_object_set(json, "result", s->result);
    if (s->capabilities)
        json_object_set(json, "capabilities", s->capabilities);
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
    _cleanup_free_ char *path = path_join(s->all->state_dir, s->uid);
    if (!text)
        return error_set(err, EINVAL, "%s: cannot be written as JSON", path);
    int code = fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, 0);
    return code < 0 ? error_errno(err, code, "%s", path) : 0;
}

void sandbox_forget(const struct sandbox *s)
{
    _cleanup_free_ char *path = path_join(s->all->state_dir, s->uid);
    unlink(path);
}

// ---- reading ----

static char *take_text(const json_t *json, const char *key)
{
    return xstrdup_or_null(json_string_value(json_object_get(json, key)));
}

static json_t *take_object(const json_t *json, const char *key)
{
    json_t *value = json_object_get(json, key);
    return json_is_object(value) ? json_incref(value) : NULL;
}

static void fill(struct sandbox *s, const json_t *json)
{
    const char *boot_id = json_string_value(json_object_get(json, "bootId"));
    s->namespace_ = take_text(json, "namespace");
    s->pod = take_text(json, "pod");
    s->container_id = take_text(json, "containerId");
    s->own_network = json_is_true(json_object_get(json, "ownNetwork"));
    s->complete = json_is_true(json_object_get(json, "complete"));
    s->pause_pid = (pid_t)json_integer_value(json_object_get(json, "pausePid"));
    s->pause_ticks = (uint64_t)json_integer_value(json_object_get(json, "pauseTicks"));
    s->config = take_object(json, "config");
    s->result = take_object(json, "result");
    s->capabilities = take_object(json, "capabilities");
    s->stale = !str_equal(boot_id, s->all->boot_id);
}

static void load_one(struct sandboxes *all, const char *uid)
{
    _cleanup_free_ char *path = path_join(all->state_dir, uid);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (fs_read_file(AT_FDCWD, path, RECORD_MAX, &text) < 0)
        return;
    json_auto_t *json = json_loadb(buffer_str(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json || !str_equal(json_string_value(json_object_get(json, "uid")), uid)) {
        event_add(
            all->options.events, (struct event_object){.uid = uid}, EVENT_WARNING, "StateDamaged",
            "%s is damaged: what CNI plugins have set up for that pod is not taken away", path);
        unlink(path);
        return;
    }
    struct sandbox *s = sandbox_new(all, uid);
    fill(s, json);
    bool pinned = !s->stale && sandbox_is_pinned(s);
    s->stale |= !pinned;
    if (s->complete && pinned) {
        s->state = SANDBOX_UP;
        sandbox_look(s);
    }
}

void sandboxes_load(struct sandboxes *all)
{
    DIR *dir = opendir(all->state_dir);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            load_one(all, entry->d_name);
    closedir(dir);
}
