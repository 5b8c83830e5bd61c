// `mainstay logs` from the journal: the entries that the shims sent
// (supervisor/shim/shim-journal.h). What the agent says about a container has no CONTAINER_NAME and
// is not taken for its output.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "cli/logs.h"

DEFINE_CLEANUP(sd_journal *, sd_journal_close)
#define _cleanup_journal_ _cleanup_(cleanup_sd_journal_close)

// One container whose entries are shown.
struct journal_log {
    sd_journal *journal;
    struct logs_sink sink;
    char *uid, *run; // of the run that is shown
    bool mid_line;   // the last entry was a part
    bool begun;      // an entry of the run was seen
    bool over;       // nothing more is to come
    walltime since;  // not set any more once an entry was new enough
    int64_t limit;   // bytes left; -1: no limit
};
struct journal_logs {
    struct journal_log *items;
    size_t n;
};

static void journal_logs_free(struct journal_logs *logs)
{
    LIST_EACH (log, logs) {
        sd_journal_close(log->journal);
        logs_sink_free(&log->sink);
        free(log->uid);
        free(log->run);
    }
    free(logs->items);
}

// ---- fields ----

// The field of the entry that the journal is at, borrowed until the next call; NULL where it has
// none.
static const char *field(sd_journal *journal, const char *name, size_t *ret_len)
{
    const void *data;
    size_t len, skip = strlen(name) + 1;
    if (sd_journal_get_data(journal, name, &data, &len) < 0 || len < skip)
        return NULL;
    *ret_len = len - skip;
    return (const char *)data + skip;
}

static char *field_copy(sd_journal *journal, const char *name)
{
    size_t len = 0;
    const char *value = field(journal, name, &len);
    return value ? xstrndup(value, len) : NULL;
}

static int match(sd_journal *journal, const char *name, const char *value)
{
    if (!value)
        return 0;
    _cleanup_free_ char *text = xasprintf("%s=%s", name, value);
    return sd_journal_add_match(journal, text, 0);
}

static int open_journal(sd_journal **ret, struct error *err)
{
    sd_journal *journal;
    int r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
    if (r < 0)
        return error_errno(err, r, "the journal cannot be opened");
    sd_journal_set_data_threshold(journal, 0); // whole messages
    *ret = journal;
    return 0;
}

// Every value that a field has anywhere in the journal.
static void list_values(sd_journal *journal, const char *name, struct string_list *ret)
{
    const void *data;
    size_t len, skip = strlen(name) + 1;
    if (sd_journal_query_unique(journal, name) < 0)
        return;
    sd_journal_restart_unique(journal);
    while (sd_journal_enumerate_available_unique(journal, &data, &len) > 0)
        if (len > skip)
            string_list_add_owned(ret, xstrndup((const char *)data + skip, len - skip));
}

// Positions at the newest entry that matches; false where there is none.
static bool seek_newest(sd_journal *journal)
{
    return sd_journal_seek_tail(journal) >= 0 && sd_journal_previous(journal) > 0;
}

// ---- whose ----

static int match_pod(sd_journal *journal, const struct logs_whose *whose, const char *pod,
                     const char *container)
{
    sd_journal_flush_matches(journal);
    int r = match(journal, "MAINSTAY_POD", pod);
    if (r >= 0)
        r = match(journal, "MAINSTAY_NAMESPACE", whose->namespace_);
    if (r >= 0)
        r = match(journal, "MAINSTAY_POD_UID", whose->uid);
    return r < 0 ? r : match(journal, "CONTAINER_NAME", container);
}

static int choose_pod(sd_journal *journal, const struct logs_whose *whose, char **ret,
                      struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    const char *name;
    list_values(journal, "MAINSTAY_POD", &names);
    int r = logs_choose_pod(&names, whose->pod, "in the journal", &name, err);
    if (r == 0)
        *ret = xstrdup(name);
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_containers(sd_journal *journal, const struct logs_whose *whose, const char *pod,
                            struct string_list *ret)
{
    _cleanup_string_list_ struct string_list all = {0};
    list_values(journal, "CONTAINER_NAME", &all);
    LIST_EACH (name, &all)
        if (match_pod(journal, whose, pod, *name) >= 0 && seek_newest(journal))
            string_list_add(ret, *name);
    if (ret->n > 1)
        qsort(ret->items, ret->n, sizeof(ret->items[0]), by_name);
}

// ---- which run ----

// The newest one, or the one before; the journal is left at its newest entry, and only its entries
// match (while following, later ones of the container too: they tell that it is over).
static int choose_run(struct journal_log *log, const struct logs_options *options,
                      const char *container, struct error *err)
{
    long long run;
    if (!seek_newest(log->journal))
        return error_set(err, ENOENT, "the journal has no line of container %s", container);
    log->uid = field_copy(log->journal, "MAINSTAY_POD_UID");
    log->run = field_copy(log->journal, "MAINSTAY_RESTART_COUNT");
    if (!log->uid || !log->run || str_to_int(log->run, 0, INT64_MAX, &run) < 0)
        return error_set(err, EBADMSG, "the journal's entries of container %s are not ours",
                         container);
    if (options->follow)
        return 0;
    if (options->previous) {
        free(log->run);
        log->run = xasprintf("%lld", run - 1);
    }
    if (match(log->journal, "MAINSTAY_POD_UID", log->uid) < 0 ||
        match(log->journal, "MAINSTAY_RESTART_COUNT", log->run) < 0 || !seek_newest(log->journal))
        return error_set(err, ENOENT, "the journal has no line of the run before of container %s",
                         container);
    return 0;
}

static bool is_of_run(const struct journal_log *log)
{
    size_t uid_len = 0, run_len = 0;
    const char *uid = field(log->journal, "MAINSTAY_POD_UID", &uid_len);
    if (!uid || uid_len != strlen(log->uid) || memcmp(uid, log->uid, uid_len) != 0)
        return false;
    const char *run = field(log->journal, "MAINSTAY_RESTART_COUNT", &run_len);
    return run && run_len == strlen(log->run) && memcmp(run, log->run, run_len) == 0;
}

static bool is_partial(sd_journal *journal)
{
    size_t len;
    return field(journal, "CONTAINER_PARTIAL_MESSAGE", &len) != NULL;
}

// ---- where to begin ----

// From the newest entry of the run, where the journal is, back to before the last `wanted` lines.
// A line that is not finished yet counts as one.
static void seek_tail_lines(struct journal_log *log, int64_t wanted)
{
    int64_t found = is_partial(log->journal) ? 1 : 0;
    do
        found += is_of_run(log) && !is_partial(log->journal);
    while (found <= wanted && sd_journal_previous(log->journal) > 0);
    if (found <= wanted)
        sd_journal_seek_head(log->journal);
}

static void seek_begin(struct journal_log *log, const struct logs_options *options)
{
    if (options->tail >= 0)
        seek_tail_lines(log, options->tail);
    else if (walltime_is_set(log->since))
        sd_journal_seek_realtime_usec(log->journal, (uint64_t)(log->since.nsec / NSEC_PER_USEC));
    else
        sd_journal_seek_head(log->journal);
}

// ---- showing ----

// When the line was sent, not when journald got to it.
static walltime time_of(sd_journal *journal)
{
    uint64_t usec = 0;
    _cleanup_free_ char *source = field_copy(journal, "_SOURCE_REALTIME_TIMESTAMP");
    if (source)
        usec = strtoull(source, NULL, 10);
    else
        (void)sd_journal_get_realtime_usec(journal, &usec);
    return (walltime){(int64_t)usec * NSEC_PER_USEC};
}

static int put(struct journal_log *log, const char *text, size_t len)
{
    if (log->limit >= 0) {
        len = (size_t)MIN((int64_t)len, log->limit);
        log->limit -= (int64_t)len;
        log->over |= log->limit == 0;
    }
    return logs_sink_write(&log->sink, text, len);
}

static int show_entry(struct journal_log *log, bool timestamps)
{
    char text[RFC3339_NANO_SIZE];
    size_t len = 0;
    int r = 0;
    walltime t = time_of(log->journal);
    if (walltime_is_set(log->since) && t.nsec < log->since.nsec)
        return 0;
    log->since = (walltime){0};
    if (timestamps && !log->mid_line) {
        walltime_format_nano(t, text);
        r = put(log, text, strlen(text));
        r = r == 0 ? put(log, " ", 1) : r;
    }
    const char *message = r == 0 ? field(log->journal, "MESSAGE", &len) : NULL;
    if (message)
        r = put(log, message, len);
    log->mid_line = is_partial(log->journal);
    return r == 0 && !log->mid_line ? put(log, "\n", 1) : r;
}

// All that is there. 0, or a negative errno.
static int read_on(struct journal_log *log, const struct logs_options *options)
{
    int r = 0;
    while (r == 0 && !log->over) {
        int more = sd_journal_next(log->journal);
        if (more <= 0) {
            log->over |= more < 0 || !options->follow;
            r = more;
            break;
        }
        if (is_of_run(log)) {
            log->begun = true;
            r = show_entry(log, options->timestamps);
        } else if (log->begun) {
            log->over = true; // the next run has begun
        }
    }
    if (r == 0 && log->over)
        r = logs_sink_end(&log->sink);
    return r == 0 && fflush(stdout) != 0 ? -EIO : r;
}

static size_t count_open(const struct journal_logs *logs)
{
    size_t n = 0;
    LIST_EACH (log, logs)
        n += !log->over;
    return n;
}

static int wait_for_entries(const struct journal_logs *logs)
{
    _cleanup_free_ struct pollfd *fds = xcalloc(logs->n, sizeof(*fds));
    for (size_t i = 0; i < logs->n; i++)
        fds[i] = (struct pollfd){.fd = sd_journal_get_fd(logs->items[i].journal), .events = POLLIN};
    // Without inotify (a network file system) libsystemd wants to be asked every two seconds.
    int msec = sd_journal_reliable_fd(logs->items[0].journal) > 0 ? -1 : 2000;
    while (poll(fds, logs->n, msec) < 0 && errno == EINTR)
        ;
    for (size_t i = 0; i < logs->n; i++) {
        int r = sd_journal_process(logs->items[i].journal);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_all(struct journal_logs *logs, const struct logs_options *options,
                    struct error *err)
{
    int r = 0;
    // The descriptors before the first look, so that nothing falls in between.
    LIST_EACH (log, logs)
        if (options->follow && r >= 0)
            r = sd_journal_get_fd(log->journal);
    if (r < 0)
        return error_errno(err, r, "the journal cannot be watched");
    r = 0;
    while (r == 0 && count_open(logs) > 0) {
        LIST_EACH (log, logs)
            if (r == 0 && !log->over)
                r = read_on(log, options);
        if (r == 0 && count_open(logs) > 0)
            r = wait_for_entries(logs);
    }
    return r < 0 ? error_errno(err, r, "reading the journal") : 0;
}

static int open_log(const struct logs_options *options, const struct logs_whose *whose,
                    const char *pod, const char *container, size_t n_containers,
                    struct journal_logs *logs, struct error *err)
{
    struct journal_log *log = LIST_APPEND(logs);
    *log = (struct journal_log){.limit = options->limit_bytes > 0 ? options->limit_bytes : -1};
    logs_sink_init(&log->sink, options, pod, container, n_containers);
    int r = open_journal(&log->journal, err);
    if (r < 0)
        return r;
    if ((r = match_pod(log->journal, whose, pod, container)) < 0)
        return error_errno(err, r, "the journal");
    r = choose_run(log, options, container, err);
    if (r < 0)
        return r;
    log->since = logs_since(options);
    seek_begin(log, options);
    return 0;
}

int logs_from_journal(const struct logs_options *options, const struct logs_whose *whose,
                      struct error *err)
{
    _cleanup_journal_ sd_journal *journal = NULL;
    _cleanup_free_ char *pod = NULL;
    _cleanup_string_list_ struct string_list names = {0}, chosen = {0};
    struct journal_logs logs = {0};
    int r = open_journal(&journal, err);
    if (r == 0)
        r = choose_pod(journal, whose, &pod, err);
    if (r == 0) {
        list_containers(journal, whose, pod, &names);
        r = logs_choose_containers(options, pod, &names, &chosen, err);
    }
    for (size_t i = 0; i < chosen.n && r == 0; i++)
        r = open_log(options, whose, pod, chosen.items[i], chosen.n, &logs, err);
    if (r == 0) {
        logs_say_place(whose, "the journal");
        r = read_all(&logs, options, err);
    }
    journal_logs_free(&logs);
    return r;
}
