// See state.h. What is saved of the worker's structs stands in three tables, which writing and
// reading share.
#include "supervisor/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/process.h"

enum { STATE_VERSION = 1, STATE_SIZE_MAX = 32 << 20 };

// ---- the tables ----

enum kind {
    KIND_BOOL,
    KIND_INT,
    KIND_U64,
    KIND_I64,
    KIND_PID,
    KIND_STRING,
    KIND_WALLTIME,
    KIND_MONOTIME, // counted from the boot: worth nothing after the next one
};

struct row {
    const char *key;
    enum kind kind;
    size_t offset;
};

#define ROW(type, member, kind)                                                                    \
    {                                                                                              \
#member, kind, offsetof(struct type, member)                                               \
    }

static const struct row pod_rows[] = {
    ROW(pod_worker, removing, KIND_BOOL),
    ROW(pod_worker, held, KIND_BOOL),
    ROW(pod_worker, admitted, KIND_BOOL),
    ROW(pod_worker, waiting_reason, KIND_STRING),
    ROW(pod_worker, waiting_message, KIND_STRING),
    ROW(pod_worker, failed_reason, KIND_STRING),
    ROW(pod_worker, failed_message, KIND_STRING),
    ROW(pod_worker, created_at, KIND_WALLTIME),
    ROW(pod_worker, started_at, KIND_WALLTIME),
    ROW(pod_worker, removed_at, KIND_WALLTIME),
    {"ready_since", KIND_WALLTIME, offsetof(struct pod_worker, ready.since)},
    {"ready", KIND_BOOL, offsetof(struct pod_worker, ready.status)},
    {"initialized_since", KIND_WALLTIME, offsetof(struct pod_worker, initialized.since)},
    {"initialized", KIND_BOOL, offsetof(struct pod_worker, initialized.status)},
    {"prepared_since", KIND_WALLTIME, offsetof(struct pod_worker, prepared.since)},
    {"prepared", KIND_BOOL, offsetof(struct pod_worker, prepared.status)},
    ROW(pod_worker, active_until, KIND_MONOTIME),
    ROW(pod_worker, asked, KIND_INT),
};

static const struct row container_rows[] = {
    ROW(container_worker, deadline, KIND_MONOTIME),
    ROW(container_worker, restart_count, KIND_U64),
    ROW(container_worker, ever_started, KIND_BOOL),
    ROW(container_worker, initialized, KIND_BOOL),
    ROW(container_worker, start_failed, KIND_BOOL),
    ROW(container_worker, over_at, KIND_MONOTIME),
    ROW(container_worker, stop_requested, KIND_BOOL),
    ROW(container_worker, restart_requested, KIND_BOOL),
    ROW(container_worker, restart_asked, KIND_BOOL),
    ROW(container_worker, grace_end, KIND_MONOTIME),
    ROW(container_worker, started_at, KIND_WALLTIME),
    ROW(container_worker, process_at, KIND_MONOTIME),
    {"startup", KIND_INT, offsetof(struct container_worker, probes[PROBE_STARTUP])},
    {"readiness", KIND_INT, offsetof(struct container_worker, probes[PROBE_READINESS])},
    {"liveness", KIND_INT, offsetof(struct container_worker, probes[PROBE_LIVENESS])},
    ROW(container_worker, unhealthy, KIND_BOOL),
    ROW(container_worker, pid, KIND_PID),
    ROW(container_worker, command, KIND_STRING),
    ROW(container_worker, warnings, KIND_STRING),
    ROW(container_worker, waiting_reason, KIND_STRING),
    ROW(container_worker, waiting_message, KIND_STRING),
    ROW(container_worker, backoff.delay_usec, KIND_I64),
    ROW(container_worker, backoff.decided, KIND_MONOTIME),
};

static const struct row exit_rows[] = {
    ROW(container_exit, known, KIND_BOOL),          ROW(container_exit, restart_count, KIND_U64),
    ROW(container_exit, exit_code, KIND_INT),       ROW(container_exit, signal, KIND_INT),
    ROW(container_exit, reason, KIND_STRING),       ROW(container_exit, message, KIND_STRING),
    ROW(container_exit, started_at, KIND_WALLTIME), ROW(container_exit, finished_at, KIND_WALLTIME),
};

static json_t *value_of(const struct row *row, const void *member)
{
    switch (row->kind) {
    case KIND_BOOL:
        return json_boolean(*(const bool *)member);
    case KIND_INT:
        return json_integer(*(const int *)member);
    case KIND_U64:
        return json_integer((json_int_t) * (const uint64_t *)member);
    case KIND_I64:
        return json_integer(*(const int64_t *)member);
    case KIND_PID:
        return json_integer(*(const pid_t *)member);
    case KIND_STRING: {
        const char *s = *(char *const *)member;
        return s ? json_string(s) : json_null();
    }
    case KIND_WALLTIME:
        return json_integer(((const walltime *)member)->nsec);
    case KIND_MONOTIME:
        return json_integer((json_int_t)((const monotime *)member)->usec);
    }
    return NULL;
}

// The cast of MONOTIME_NEVER to a signed number and back gives the same value.
static void set_value(const struct row *row, void *member, const json_t *value, bool rebooted)
{
    json_int_t number = json_integer_value(value);
    switch (row->kind) {
    case KIND_BOOL:
        *(bool *)member = json_is_true(value);
        break;
    case KIND_INT:
        *(int *)member = (int)number;
        break;
    case KIND_U64:
        *(uint64_t *)member = (uint64_t)number;
        break;
    case KIND_I64:
        *(int64_t *)member = number;
        break;
    case KIND_PID:
        *(pid_t *)member = (pid_t)number;
        break;
    case KIND_STRING:
        free(*(char **)member);
        *(char **)member = xstrdup_or_null(json_string_value(value));
        break;
    case KIND_WALLTIME:
        ((walltime *)member)->nsec = number;
        break;
    case KIND_MONOTIME:
        if (!rebooted)
            ((monotime *)member)->usec = (uint64_t)number;
        break;
    }
}

static json_t *rows_to_json(const struct row *rows, size_t n, const void *object)
{
    json_t *json = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(json, rows[i].key,
                            value_of(&rows[i], (const char *)object + rows[i].offset));
    return json;
}

static void rows_from_json(const struct row *rows, size_t n, void *object, const json_t *json,
                           bool rebooted)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(json, rows[i].key);
        if (value)
            set_value(&rows[i], (char *)object + rows[i].offset, value, rebooted);
    }
}

// ---- files ----

static char *state_path(const char *dir, const char *uid, const char *kind)
{
    return xasprintf("%s/%s.%s", dir, uid, kind);
}

static int write_file(const char *dir, const char *uid, const char *kind, json_t *json,
                      struct error *err)
{
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
    _cleanup_free_ char *path = state_path(dir, uid, kind);
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    char hex[DIGEST_HEX_SIZE];
    if (!text)
        return error_set(err, EINVAL, "%s: cannot be written as JSON", path);
    buffer_printf(&content, "mainstay-%s %d %s\n", kind, STATE_VERSION,
                  digest_sha256_hex(text, strlen(text), hex));
    buffer_add_str(&content, text);
    int r = fs_write_atomic(AT_FDCWD, path, content.data, content.len, 0600, 0);
    return r < 0 ? error_errno(err, r, "%s", path) : 0;
}

static json_t *decode(const char *text, const char *kind)
{
    char found[16], hex[DIGEST_HEX_SIZE], real[DIGEST_HEX_SIZE];
    int version, header = 0;
    if (sscanf(text, "mainstay-%15[a-z] %d %64[0-9a-f]%n", found, &version, hex, &header) != 3 ||
        text[header] != '\n' || strcmp(found, kind) != 0 || version != STATE_VERSION)
        return NULL;
    const char *body = text + header + 1;
    if (strcmp(hex, digest_sha256_hex(body, strlen(body), real)) != 0)
        return NULL;
    return json_loads(body, JSON_REJECT_DUPLICATES, NULL);
}

static int read_file(const char *dir, const char *uid, const char *kind, json_t **ret,
                     struct error *err)
{
    _cleanup_free_ char *path = state_path(dir, uid, kind);
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    int r = fs_read_file(AT_FDCWD, path, STATE_SIZE_MAX, &content);
    if (r < 0)
        return error_errno(err, r, "%s", path);
    *ret = decode(buffer_str(&content), kind);
    if (*ret)
        return 0;
    _cleanup_free_ char *aside = xasprintf("%s.damaged", path);
    rename(path, aside);
    return error_set(err, EBADMSG, "%s is damaged and was moved to %s", path, aside);
}

int state_save_pod(const char *dir, const struct pod_worker *w, struct error *err)
{
    json_t *json = json_object();
    json_object_set_new(json, "file", w->file ? json_string(w->file) : json_null());
    json_object_set_new(json, "pod", pod_to_json(w->pod));
    int r = write_file(dir, w->pod->metadata.uid, "pod", json, err);
    json_decref(json);
    return r;
}

static json_t *container_to_json(const struct container_worker *c)
{
    json_t *json = rows_to_json(container_rows, ARRAY_SIZE(container_rows), c);
    json_object_set_new(json, "state", json_string(container_state_name(c->state)));
    json_object_set_new(json, "last", rows_to_json(exit_rows, ARRAY_SIZE(exit_rows), &c->last));
    json_object_set_new(json, "previous",
                        rows_to_json(exit_rows, ARRAY_SIZE(exit_rows), &c->previous));
    return json;
}

int state_save_worker(const char *dir, const struct pod_worker *w, struct error *err)
{
    char boot_id[37];
    json_t *json = rows_to_json(pod_rows, ARRAY_SIZE(pod_rows), w);
    if (w->held_for_exit)
        json_object_set_new(json, "held", json_false());
    json_object_set_new(json, "bootId", json_string(process_boot_id(boot_id)));
    json_object_set_new(json, "state", json_string(pod_state_name(w->state)));
    json_t *containers = json_object();
    for (size_t i = 0; i < w->n_containers; i++)
        json_object_set_new(containers, w->containers[i].spec->name,
                            container_to_json(&w->containers[i]));
    json_object_set_new(json, "containers", containers);
    int r = write_file(dir, w->pod->metadata.uid, "state", json, err);
    json_decref(json);
    return r;
}

void state_remove(const char *dir, const char *uid)
{
    _cleanup_free_ char *pod = state_path(dir, uid, "pod"), *state = state_path(dir, uid, "state");
    unlink(state);
    unlink(pod);
}

// ---- reading ----

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_list(const char *dir, struct string_list *ret, struct error *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", dir);
    for (struct dirent *entry; (entry = readdir(d));)
        if (entry->d_name[0] != '.' && str_ends_with(entry->d_name, ".pod"))
            string_list_add_owned(ret,
                                  xstrndup(entry->d_name, strlen(entry->d_name) - strlen(".pod")));
    closedir(d);
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), compare_names);
    return 0;
}

int state_load_pod(const char *dir, const char *uid, struct pod **ret, char **ret_file,
                   struct error *err)
{
    json_t *json = NULL;
    int r = read_file(dir, uid, "pod", &json, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *text = json_dumps(json_object_get(json, "pod"), JSON_COMPACT);
    _cleanup_free_ char *file = xstrdup_or_null(json_string_value(json_object_get(json, "file")));
    json_decref(json);
    _cleanup_pod_list_ struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    r = text ? podspec_parse("saved pod", text, strlen(text), &pods, &diags) : -EBADMSG;
    if (r < 0 || pods.n != 1 || !str_equal(pods.items[0]->metadata.uid, uid))
        return error_set(err, EBADMSG, "%s/%s.pod: %s", dir, uid,
                         diags.n ? diags.items[0].message : "is not about this pod");
    pod_drop_places(pods.items[0]);
    *ret = TAKE_PTR(pods.items[0]);
    *ret_file = TAKE_PTR(file);
    return 0;
}

static bool state_by_name(const char *name, const char *(*name_of)(int state), int n, int *ret)
{
    for (int i = 0; i < n; i++)
        if (str_equal(name, name_of(i))) {
            *ret = i;
            return true;
        }
    return false;
}

static const char *pod_state_name_of(int state)
{
    return pod_state_name((enum pod_state)state);
}

static const char *container_state_name_of(int state)
{
    return container_state_name((enum container_state)state);
}

static void load_container(struct container_worker *c, const json_t *json, bool rebooted)
{
    int state;
    if (!json || !state_by_name(json_string_value(json_object_get(json, "state")),
                                container_state_name_of, CONTAINER_STATES, &state))
        return;
    c->state = (enum container_state)state;
    rows_from_json(container_rows, ARRAY_SIZE(container_rows), c, json, rebooted);
    rows_from_json(exit_rows, ARRAY_SIZE(exit_rows), &c->last, json_object_get(json, "last"),
                   rebooted);
    rows_from_json(exit_rows, ARRAY_SIZE(exit_rows), &c->previous,
                   json_object_get(json, "previous"), rebooted);
    // A back-off that was counted from an earlier boot has passed.
    if (c->state == CONTAINER_BACKOFF && rebooted)
        c->state = CONTAINER_EXITED;
}

int state_load_worker(const char *dir, struct pod_worker *w, bool *ret_rebooted, struct error *err)
{
    char boot_id[37];
    json_t *json = NULL;
    int state;
    int r = read_file(dir, w->pod->metadata.uid, "state", &json, err);
    if (r < 0)
        return r;
    const char *saved_boot = json_string_value(json_object_get(json, "bootId"));
    *ret_rebooted = !str_equal(saved_boot, process_boot_id(boot_id));
    if (state_by_name(json_string_value(json_object_get(json, "state")), pod_state_name_of,
                      POD_STATES, &state))
        w->state = (enum pod_state)state;
    rows_from_json(pod_rows, ARRAY_SIZE(pod_rows), w, json, *ret_rebooted);
    w->asked_before = w->asked;
    w->asked = 0;
    const json_t *containers = json_object_get(json, "containers");
    for (size_t i = 0; i < w->n_containers; i++)
        load_container(&w->containers[i], json_object_get(containers, w->containers[i].spec->name),
                       *ret_rebooted);
    json_decref(json);
    return 0;
}
