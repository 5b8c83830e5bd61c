// A pod's history on disk, and as JSON for the API; see history.h.
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
#include "supervisor/envelope.h"
#include "supervisor/history.h"
#include "supervisor/json-text.h"

enum {
    VERSION = 1,
    FILE_SIZE_MAX = 128 << 20, // three manifests of 10 MiB each, escaped
    PLAIN_NAME_MOST = 230,     // longer ones end in a digest
    NAMES_MOST = 4096,         // bytes of the "origin" and "message" that are believed
};

#define SUFFIX ".history"

// ---- writing ----

static json_t *revision_to_json(const struct revision *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "number", json_integer((json_int_t)r->number));
    json_object_set_new(o, "accepted", json_integer(r->accepted.nsec));
    json_object_set_new(o, "ready", json_integer(r->ready.nsec));
    json_object_set_new(o, "ended", json_integer(r->ended.nsec));
    json_object_set_new(o, "verdict", json_integer(r->verdict));
    json_object_set_new(o, "end", json_integer(r->end));
    json_object_set_new(o, "tried", json_boolean(r->tried));
    json_object_set_new(o, "complete", json_boolean(r->complete));
    json_set_text(o, "hash", r->hash);
    json_set_text(o, "uid", r->uid);
    json_set_text(o, "file", r->file);
    json_set_text(o, "origin", r->origin);
    json_set_text(o, "message", r->message);
    json_object_set_new(o, "text", json_text(r->text));
    return o;
}

static json_t *trial_to_json(const struct history_trial *t)
{
    json_t *o = json_object();
    json_object_set_new(o, "number", json_integer((json_int_t)t->number));
    json_object_set_new(o, "deadline", json_integer((json_int_t)t->deadline.usec));
    json_object_set_new(o, "wasReady", json_boolean(t->was_ready));
    json_object_set_new(o, "restarts", json_integer((json_int_t)t->restarts));
    json_set_text(o, "bootId", t->boot_id);
    return o;
}

void history_encode(const struct history *history, struct buffer *out)
{
    json_t *o = json_object(), *list = json_array();
    json_set_text(o, "namespace", history->namespace_);
    json_set_text(o, "name", history->name);
    json_object_set_new(o, "current", json_integer((json_int_t)history->current));
    json_object_set_new(o, "failed", json_integer((json_int_t)history->failed));
    if (history->trial.number)
        json_object_set_new(o, "trial", trial_to_json(&history->trial));
    LIST_EACH (revision, &history->revisions)
        json_array_append_new(list, revision_to_json(revision));
    json_object_set_new(o, "revisions", list);
    envelope_write("history", VERSION, o, out);
    json_decref(o);
}

// ---- reading ----

// A number that is not negative.
static bool get_number(const json_t *o, const char *key, uint64_t *ret)
{
    const json_t *value = json_object_get(o, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

static bool get_time(const json_t *o, const char *key, walltime *ret)
{
    uint64_t number = 0;
    bool good = get_number(o, key, &number);
    *ret = (walltime){(int64_t)number};
    return good;
}

static char *get_text(const json_t *o, const char *key)
{
    return xstrdup_or_null(json_string_value(json_object_get(o, key)));
}

static char *get_short_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? xstrndup(text, NAMES_MOST) : NULL;
}

static bool is_hash(const char *s)
{
    return s && strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static bool revision_from_json(const json_t *o, uint64_t above, struct revision *r)
{
    const char *hash = json_string_value(json_object_get(o, "hash"));
    uint64_t verdict = 0, end = 0;
    r->uid = get_short_text(o, "uid");
    r->file = get_text(o, "file");
    r->origin = get_short_text(o, "origin");
    r->message = get_short_text(o, "message");
    r->text = get_text(o, "text");
    r->tried = json_is_true(json_object_get(o, "tried"));
    r->complete = json_is_true(json_object_get(o, "complete"));
    bool good = get_number(o, "number", &r->number) && r->number > above &&
                get_time(o, "accepted", &r->accepted) && get_time(o, "ready", &r->ready) &&
                get_time(o, "ended", &r->ended) && get_number(o, "verdict", &verdict) &&
                verdict <= HISTORY_FAILED && get_number(o, "end", &end) && end <= HISTORY_REMOVED &&
                is_hash(hash) && r->text;
    if (!good)
        return false;
    r->verdict = (enum history_verdict)verdict;
    r->end = (enum history_end)end;
    memcpy(r->hash, hash, sizeof(r->hash));
    return true;
}

static bool trial_from_json(const json_t *o, struct history_trial *t)
{
    const char *boot_id = json_string_value(json_object_get(o, "bootId"));
    t->was_ready = json_is_true(json_object_get(o, "wasReady"));
    snprintf(t->boot_id, sizeof(t->boot_id), "%s", boot_id ? boot_id : "");
    return get_number(o, "number", &t->number) && get_number(o, "deadline", &t->deadline.usec) &&
           get_number(o, "restarts", &t->restarts);
}

static bool is_consistent(const struct history *history)
{
    const struct history_trial *trial = &history->trial;
    return (!history->current || history_current(history)) &&
           (!history->failed || (history->current && history_find(history, history->failed))) &&
           (!trial->number || trial->number == history->current);
}

static bool from_json(const json_t *o, struct history *history)
{
    const json_t *list = json_object_get(o, "revisions"), *trial = json_object_get(o, "trial");
    uint64_t newest = 0;
    history->namespace_ = get_text(o, "namespace");
    history->name = get_text(o, "name");
    bool good = history->namespace_ && history->name && path_is_name(history->namespace_) &&
                path_is_name(history->name) && get_number(o, "current", &history->current) &&
                get_number(o, "failed", &history->failed) && json_is_array(list) &&
                json_array_size(list) <= HISTORY_REVISIONS_MOST;
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        struct revision *revision = LIST_APPEND(&history->revisions);
        good = revision_from_json(json_array_get(list, i), newest, revision);
        newest = revision->number;
    }
    return good && (!trial || trial_from_json(trial, &history->trial)) && is_consistent(history);
}

int history_decode(const void *data, size_t size, struct history *ret)
{
    struct history history = {0};
    json_t *o = envelope_open("history", VERSION, data, size);
    bool good = o && from_json(o, &history);
    json_decref(o);
    if (!good) {
        history_free(&history);
        return -EBADMSG;
    }
    *ret = history;
    return 0;
}

// ---- files ----

char *history_file_name(const char *namespace_, const char *name)
{
    char hex[DIGEST_HEX_SIZE];
    char *plain = xasprintf("%s_%s" SUFFIX, namespace_, name);
    if (strlen(plain) <= PLAIN_NAME_MOST)
        return plain;
    digest_sha256_hex(plain, strlen(plain), hex);
    free(plain);
    return xasprintf("%.63s_%.120s_%.32s" SUFFIX, namespace_, name, hex);
}

static int load_file(const char *path, struct history *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    int r = fs_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &content);
    if (r < 0)
        return error_errno(err, r, "%s", path);
    r = history_decode(buffer_str(&content), content.len, ret);
    if (r == 0)
        return 0;
    _cleanup_free_ char *aside = xasprintf("%s.damaged", path);
    bool moved = rename(path, aside) == 0;
    return error_set(err, EBADMSG, "%s is damaged%s%s", path, moved ? " and was moved to " : "",
                     moved ? aside : "");
}

int history_load(const char *dir, const char *namespace_, const char *name, struct history *ret,
                 struct error *err)
{
    _cleanup_free_ char *file = history_file_name(namespace_, name);
    _cleanup_free_ char *path = path_join(dir, file);
    struct history history = {0};
    int r = load_file(path, &history, err);
    if (r < 0)
        return r;
    if (!str_equal(history.namespace_, namespace_) || !str_equal(history.name, name)) {
        history_free(&history);
        return error_set(err, EBADMSG, "%s is about another pod", path);
    }
    *ret = history;
    return 0;
}

int history_save(const char *dir, const struct history *history, struct error *err)
{
    _cleanup_free_ char *file = history_file_name(history->namespace_, history->name);
    _cleanup_free_ char *path = path_join(dir, file);
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    history_encode(history, &content);
    int r = fs_write_atomic(AT_FDCWD, path, content.data, content.len, 0600, 0);
    if (r == -ENOENT && fs_mkdir_parents(AT_FDCWD, dir, 0700) == 0)
        r = fs_write_atomic(AT_FDCWD, path, content.data, content.len, 0600, 0);
    return r < 0 ? error_errno(err, r, "%s", path) : 0;
}

// ---- all of them ----

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_files(const char *dir, struct string_list *ret)
{
    DIR *d = opendir(dir);
    if (!d)
        return -errno;
    for (const struct dirent *entry; (entry = readdir(d));)
        if (entry->d_name[0] != '.' && str_ends_with(entry->d_name, SUFFIX))
            string_list_add(ret, entry->d_name);
    closedir(d);
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), compare_names);
    return 0;
}

// Without a node's name a suffix that is another word may pass, too: then several pods are meant.
static bool is_name_of(const char *full, const char *name, const char *node)
{
    size_t len = strlen(name);
    if (strcmp(full, name) == 0)
        return true;
    if (strncmp(full, name, len) != 0 || full[len] != '-')
        return false;
    return !node || strcmp(full + len + 1, node) == 0;
}

// Cheap: by the file's name, as far as it tells.
static bool may_be_about(const char *file, const char *namespace_, const char *name)
{
    size_t space = strcspn(file, "_");
    if (file[space] != '_' ||
        (namespace_ && (strlen(namespace_) != space || strncmp(file, namespace_, space) != 0)))
        return false;
    return strncmp(file + space + 1, name, MIN(strlen(name), (size_t)120)) == 0;
}

static int not_found(const char *namespace_, const char *name, struct error *err)
{
    return error_set(err, ENOENT,
                     "no history of pod \"%s\"%s%s; `mainstay get pods` lists the pods", name,
                     namespace_ ? " in namespace " : "", namespace_ ? namespace_ : "");
}

// 1 where the file is about the pod that is meant; then *ret is its history.
static int look_into(const char *path, const char *node, const char *namespace_, const char *name,
                     struct history *ret, struct error *err)
{
    struct history history = {0};
    int r = load_file(path, &history, err);
    if (r < 0)
        return r;
    if (history.name && is_name_of(history.name, name, node) &&
        (!namespace_ || str_equal(history.namespace_, namespace_))) {
        *ret = history;
        return 1;
    }
    history_free(&history);
    return 0;
}

int history_look_up(const char *dir, const char *node, const char *namespace_, const char *name,
                    struct history *ret, struct error *err)
{
    _cleanup_string_list_ struct string_list files = {0};
    size_t found = 0;
    int r = 0;
    list_files(dir, &files);
    for (size_t i = 0; i < files.n && r >= 0 && found < 2; i++) {
        struct history history = {0};
        _cleanup_free_ char *path = path_join(dir, files.items[i]);
        if (!may_be_about(files.items[i], namespace_, name))
            continue;
        r = look_into(path, node, namespace_, name, &history, err);
        if (r > 0 && found++ == 0)
            *ret = history;
        else
            history_free(&history);
    }
    if (r >= 0 && found == 1)
        return 0;
    if (found > 0)
        history_free(ret);
    if (r < 0)
        return r;
    return found == 0 ? not_found(namespace_, name, err)
                      : error_set(err, ENOTUNIQ,
                                  "several pods are called \"%s\": give the namespace (-n) or the "
                                  "full name",
                                  name);
}

struct aged {
    char *file; // borrowed
    struct timespec changed;
};

static int compare_age(const void *a, const void *b)
{
    const struct aged *x = a, *y = b;
    if (x->changed.tv_sec != y->changed.tv_sec)
        return x->changed.tv_sec < y->changed.tv_sec ? -1 : 1;
    return x->changed.tv_nsec < y->changed.tv_nsec   ? -1
           : x->changed.tv_nsec > y->changed.tv_nsec ? 1
                                                     : 0;
}

void history_sweep(const char *dir, size_t most,
                   bool (*is_wanted)(void *userdata, const char *file), void *userdata)
{
    _cleanup_string_list_ struct string_list files = {0};
    if (list_files(dir, &files) < 0 || files.n <= most)
        return;
    _cleanup_free_ struct aged *aged = xcalloc(files.n, sizeof(*aged));
    size_t n = 0;
    for (size_t i = 0; i < files.n; i++) {
        _cleanup_free_ char *path = path_join(dir, files.items[i]);
        struct stat st;
        if (!is_wanted(userdata, files.items[i]) && stat(path, &st) == 0)
            aged[n++] = (struct aged){files.items[i], st.st_mtim};
    }
    qsort(aged, n, sizeof(*aged), compare_age);
    for (size_t i = 0; i + most < n; i++) {
        _cleanup_free_ char *path = path_join(dir, aged[i].file);
        unlink(path);
    }
}

// ---- for the API ----

static json_t *revision_for_api(const struct history *history, const struct revision *r)
{
    char outcome[HISTORY_OUTCOME_SIZE];
    json_t *o = json_object();
    json_object_set_new(o, "revision", json_integer((json_int_t)r->number));
    json_object_set_new(o, "acceptedAt", json_time(r->accepted));
    json_object_set_new(o, "readyAt", json_time(r->ready));
    json_object_set_new(o, "endedAt", json_time(r->ended));
    json_object_set_new(o, "outcome", json_text(history_outcome(history, r, outcome)));
    json_object_set_new(o, "current", json_boolean(r->number == history->current));
    json_object_set_new(o, "hash", json_text(r->hash));
    json_object_set_new(o, "uid", json_text(r->uid));
    json_object_set_new(o, "file", json_text(r->file));
    json_object_set_new(o, "origin", json_text(r->origin));
    json_object_set_new(o, "message", json_text(r->message));
    json_object_set_new(o, r->complete ? "pod" : "manifest", json_text(r->text));
    return o;
}

json_t *history_to_json(const struct history *history)
{
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "namespace", json_text(history->namespace_));
    json_object_set_new(o, "name", json_text(history->name));
    json_object_set_new(
        o, "current", history->current ? json_integer((json_int_t)history->current) : json_null());
    json_object_set_new(o, "failed",
                        history->failed ? json_integer((json_int_t)history->failed) : json_null());
    LIST_EACH (revision, &history->revisions)
        json_array_append_new(list, revision_for_api(history, revision));
    json_object_set_new(o, "items", list);
    return o;
}
