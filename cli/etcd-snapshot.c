// `mainstay etcd snapshot`: the words, and save, verify and list. A snapshot is taken through a
// member that has just answered a linearizable read: so it holds every write that was acknowledged
// before the command began.
#include "cli/etcd-snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "base/time-format.h"
#include "cli/commands.h"
#include "cli/etcd-print.h"
#include "cli/etcd-snapshot-file.h"
#include "cli/etcd-survey.h"
#include "cli/etcd-tool.h"
#include "cli/table.h"

enum { DIRECTORY_MODE = 0700, RETRY_SEC_MOST = 60, RETRY_PART = 10, NAME_TAKEN_MSEC = 100 };

// --- names in a directory: etcd-20261121T174500Z.db

static char *name_of_now(void)
{
    char text[RFC3339_NANO_SIZE];
    struct buffer name = BUFFER_EMPTY;
    buffer_add_str(&name, "etcd-");
    for (const char *c = walltime_format(walltime_now(), text); *c; c++)
        if (*c != '-' && *c != ':')
            buffer_add_char(&name, *c);
    buffer_add_str(&name, ".db");
    return buffer_take(&name);
}

bool etcd_snapshot_is_name(const char *name)
{
    static const char shape[] = "etcd-########T######Z.db";
    size_t i = 0;
    for (; shape[i] && name[i]; i++)
        if (shape[i] == '#' ? name[i] < '0' || name[i] > '9' : name[i] != shape[i])
            return false;
    return !shape[i] && !name[i];
}

static int is_snapshot(const struct dirent *entry)
{
    return etcd_snapshot_is_name(entry->d_name);
}

// The names in the order of their times, the oldest first.
static int list_names(const char *dir, struct string_list *ret, struct error *err)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_snapshot, alphasort);
    if (n < 0)
        return error_errno(err, errno, "%s", dir);
    for (int i = 0; i < n; i++) {
        string_list_add(ret, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static void prune(const char *dir, int64_t keep)
{
    _cleanup_string_list_ struct string_list names = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    if (list_names(dir, &names, &err) < 0)
        return;
    for (size_t i = 0; i + (size_t)keep < names.n; i++) {
        _cleanup_free_ char *path = path_join(dir, names.items[i]);
        if (unlink(path) == 0)
            etcd_say("removed %s (--keep %" PRId64 ")", path, keep);
        else
            fprintf(stderr, "warning: cannot remove %s: %s\n", path, strerror(errno));
    }
}

// --- save

struct source {
    struct etcd_client *client;
    struct etcd_status status;
    char *endpoint;
};

static void source_clear(struct source *source)
{
    etcd_client_free(source->client);
    etcd_status_free(&source->status);
    free(source->endpoint);
    *source = (struct source){0};
}

static int try_source(const struct etcd_session *session, char *endpoint, bool force,
                      struct source *ret, struct error *err)
{
    struct string_list one = {&endpoint, 1};
    int64_t usec = 0;
    int r = etcd_client_beside(session->client, &one, &ret->client, err);
    if (r >= 0 && !force)
        r = etcd_read_through(ret->client, &usec, err);
    if (r >= 0)
        r = etcd_status(ret->client, &ret->status, err);
    if (r >= 0)
        ret->endpoint = xstrdup(endpoint);
    else
        source_clear(ret);
    return r;
}

// The nearest member that is up to date.
static int choose_source(const struct etcd_session *session, bool force, struct source *ret,
                         struct error *err)
{
    _cleanup_buffer_ struct buffer reasons = BUFFER_EMPTY;
    for (size_t i = 0; i < session->access.endpoints.n; i++) {
        _cleanup_error_ struct error why = ERROR_NONE;
        int r = try_source(session, session->access.endpoints.items[i], force, ret, &why);
        if (r >= 0)
            return 0;
        if (r == -ECANCELED)
            return error_set(err, r, "interrupted");
        buffer_printf(&reasons, "%s%s", reasons.len > 0 ? "; " : "", error_message(&why));
    }
    return error_set(err, EAGAIN,
                     "no member answers with a quorum behind it, so a snapshot might lack what was "
                     "acknowledged last%s (%s)",
                     force ? "" : "; --force takes one all the same", buffer_str(&reasons));
}

static int save_to(const struct etcd_session *session, const char *path, bool force,
                   struct error *err)
{
    struct source source = {0};
    _cleanup_snapshot_file_ struct snapshot_file file = SNAPSHOT_FILE_EMPTY;
    char size[ETCD_SIZE_SIZE];
    int r = snapshot_file_begin(path, &file, err);
    if (r >= 0)
        r = choose_source(session, force, &source, err);
    if (r >= 0)
        r = etcd_snapshot(source.client, snapshot_file_add, &file, err);
    if (r >= 0)
        r = snapshot_file_publish(&file, force, err);
    if (r >= 0)
        etcd_say("saved %s: %s, revision %" PRId64 " or later, etcd %s at %s; read back, its "
                 "SHA-256 is right",
                 path, etcd_size_text(file.size, size), source.status.revision,
                 source.status.version, source.endpoint);
    fflush(stdout);
    source_clear(&source);
    return r;
}

// Names have whole seconds: two of one second are not meant to meet.
static int choose_path(const struct etcd_session *session, const char *dir, char **ret,
                       struct error *err)
{
    for (;;) {
        _cleanup_free_ char *name = name_of_now(), *path = path_join(dir, name);
        if (access(path, F_OK) < 0) {
            *ret = TAKE_PTR(path);
            return 0;
        }
        int r = etcd_session_wait(session, NAME_TAKEN_MSEC, err);
        if (r < 0)
            return r;
    }
}

static int save_into(const struct etcd_session *session, const struct etcd_options *options,
                     const char *dir, struct error *err)
{
    _cleanup_free_ char *path = NULL;
    int r = choose_path(session, dir, &path, err);
    if (r < 0)
        return r;
    r = save_to(session, path, options->force, err);
    if (r >= 0 && options->keep > 0)
        prune(dir, options->keep);
    return r;
}

// One at a time: another one's retention must not take what this one has just written.
static int lock_directory(const char *dir, int *ret_fd, struct error *err)
{
    int r = fs_mkdir_parents(AT_FDCWD, dir, DIRECTORY_MODE);
    if (r < 0)
        return error_errno(err, r, "cannot make %s", dir);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "%s", dir);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, EBUSY, "another `mainstay etcd snapshot save` writes to %s", dir);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int save_round(const struct etcd_options *options, const char *dir, int signals,
                      struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    int r = etcd_session_open(options, &session, err);
    if (r < 0)
        return r;
    etcd_client_set_interrupt(session.client, signals);
    return save_into(&session, options, dir, err);
}

// What fails is tried again soon: a member may be restarting.
static int64_t say_failure(int64_t every_msec, const struct error *err)
{
    int64_t soon = RETRY_SEC_MOST * MSEC_PER_SEC;
    int64_t wait = MIN(MAX(every_msec / RETRY_PART, MSEC_PER_SEC), soon);
    fprintf(stderr, "error: %s; trying again in %" PRId64 " s\n", error_message(err),
            wait / MSEC_PER_SEC);
    return wait;
}

// Until it is told to end.
static int save_every(const struct etcd_options *options, const char *dir)
{
    int64_t every = MAX(options->every_nsec / NSEC_PER_USEC / USEC_PER_MSEC, MSEC_PER_SEC);
    _cleanup_close_ int signals = etcd_signals_catch();
    for (;;) {
        _cleanup_error_ struct error err = ERROR_NONE;
        int r = save_round(options, dir, signals, &err);
        if (r == -ECANCELED)
            return CLI_DONE;
        int64_t wait = r < 0 ? say_failure(every, &err) : every;
        if (etcd_signals_wait(signals, wait, NULL) < 0)
            return CLI_DONE;
    }
}

static int save_once(const struct etcd_options *options, const char *dir, const char *file,
                     struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    int r = etcd_session_open(options, &session, err);
    if (r < 0)
        return r;
    etcd_session_catch_signals(&session);
    return file ? save_to(&session, file, options->force, err)
                : save_into(&session, options, dir, err);
}

static int snapshot_save(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_close_ int lock = -1;
    const char *dir = options->dir ? options->dir : ETCD_SNAPSHOT_DIR;
    bool by_time = options->dir || options->keep > 0 || options->every_nsec > 0;
    if (n > 1 || (n > 0 && by_time))
        return etcd_usage("save takes one FILE; and --dir, --keep and --every are for snapshots "
                          "that are named by their time, without a FILE");
    int r = n > 0 ? 0 : lock_directory(dir, &lock, &err);
    if (r >= 0 && options->every_nsec > 0)
        return save_every(options, dir);
    if (r >= 0)
        r = save_once(options, dir, n > 0 ? words[0] : NULL, &err);
    return r < 0 ? etcd_failed(&err) : CLI_DONE;
}

// --- verify

// What etcd's own program says of it; nothing where it is not here.
static void say_contents(const struct etcd_access *access, const char *path)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *tool = NULL;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    if (etcd_tool_find(access, &tool, NULL) < 0)
        return;
    char *const argv[] = {tool,         (char *)"snapshot", (char *)"status",
                          (char *)path, (char *)"-w",       (char *)"json",
                          NULL};
    if (etcd_tool_run(argv, &out, &err) < 0) {
        fprintf(stderr, "warning: %s\n", error_message(&err));
        return;
    }
    json_auto_t *status = json_loads(buffer_str(&out), JSON_DISABLE_EOF_CHECK, NULL);
    if (status)
        etcd_say("  revision %lld, %lld keys (%s)",
                 (long long)json_integer_value(json_object_get(status, "revision")),
                 (long long)json_integer_value(json_object_get(status, "totalKey")),
                 path_base(tool));
}

static int snapshot_verify_one(const char *path)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_access_ struct etcd_access access = {0};
    struct snapshot_sum sum;
    char size[ETCD_SIZE_SIZE];
    if (snapshot_verify(path, &sum, &err) < 0)
        return etcd_failed(&err);
    etcd_say("%s is whole: %s, SHA-256 %s", path, etcd_size_text(sum.size, size), sum.sha256);
    say_contents(&access, path);
    return CLI_DONE;
}

// --- list

struct listed {
    char *path;
    struct snapshot_sum sum;
    struct error err;
};

static void print_list(const struct listed *list, size_t n)
{
    static const char *const headings[] = {"FILE", "SIZE", "WHOLE", NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    char size[ETCD_SIZE_SIZE];
    for (size_t i = 0; i < n; i++) {
        bool whole = list[i].err.code == 0;
        table_row(table);
        table_cell(table, list[i].path);
        table_cell(table, whole ? etcd_size_text(list[i].sum.size, size) : "-");
        table_cell_styled(table, whole ? "yes" : error_message(&list[i].err),
                          whole ? TERM_GREEN : TERM_RED);
    }
    table_print(table, true);
}

static json_t *list_json(const struct listed *list, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        bool whole = list[i].err.code == 0;
        json_t *o = json_pack("{s:s,s:b}", "file", list[i].path, "whole", whole);
        if (whole) {
            json_object_set_new(o, "size", json_integer(list[i].sum.size));
            json_object_set_new(o, "sha256", json_string(list[i].sum.sha256));
        } else {
            json_object_set_new(o, "error", json_string(error_message(&list[i].err)));
        }
        json_array_append_new(array, o);
    }
    return json_pack("{s:o}", "snapshots", array);
}

// Verifies each of them; false where one is not whole.
static bool look_at(struct listed *list, const char *dir, const char *const *names, size_t n)
{
    bool well = true;
    for (size_t i = 0; i < n; i++) {
        list[i].path = dir ? path_join(dir, names[i]) : xstrdup(names[i]);
        well = snapshot_verify(list[i].path, &list[i].sum, &list[i].err) >= 0 && well;
    }
    return well;
}

static void list_free(struct listed *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].path);
        error_clear(&list[i].err);
    }
    free(list);
}

static bool is_for_programs(const struct etcd_options *options)
{
    return options->output && !str_equal(options->output, "wide");
}

static int snapshot_verify_all(const struct etcd_options *options, const char *const *words,
                               size_t n)
{
    int worst = CLI_DONE;
    if (n == 0)
        return etcd_usage("say which: mainstay etcd snapshot verify FILE…");
    if (is_for_programs(options)) {
        struct listed *list = xcalloc(n, sizeof(*list));
        worst = look_at(list, NULL, words, n) ? CLI_DONE : CLI_NO;
        etcd_print_json(list_json(list, n), options->output);
        list_free(list, n);
        return worst;
    }
    for (size_t i = 0; i < n; i++) {
        int status = snapshot_verify_one(words[i]);
        worst = MAX(worst, status);
    }
    return worst;
}

static int snapshot_list(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_string_list_ struct string_list names = {0};
    const char *dir = options->dir ? options->dir : ETCD_SNAPSHOT_DIR;
    if (etcd_no_words("snapshot list", words, n) != 0)
        return CLI_USAGE;
    if (list_names(dir, &names, &err) < 0)
        return etcd_failed(&err);
    struct listed *list = xcalloc(names.n + 1, sizeof(*list));
    bool well = look_at(list, dir, (const char *const *)names.items, names.n);
    if (is_for_programs(options))
        etcd_print_json(list_json(list, names.n), options->output);
    else if (names.n > 0)
        print_list(list, names.n);
    else
        fprintf(stderr, "There are no snapshots in %s; `mainstay etcd snapshot save` takes one.\n",
                dir);
    list_free(list, names.n);
    return well ? CLI_DONE : CLI_NO;
}

// --- the words

static const struct {
    const char *name;
    etcd_fn run;
} rows[] = {
    {"save", snapshot_save},
    {"verify", snapshot_verify_all},
    {"list", snapshot_list},
    {"restore", etcd_snapshot_restore},
};

int etcd_cmd_snapshot(const struct etcd_options *options, const char *const *words, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows) && n > 0; i++)
        if (str_equal(words[0], rows[i].name))
            return rows[i].run(options, words + 1, n - 1);
    return etcd_usage("say what to do: snapshot save, verify, list or restore");
}
