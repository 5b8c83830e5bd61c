// See logread.h. First the place to begin is found, then the files are read forward from there.
#include "supervisor/logread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "supervisor/logread-internal.h"

enum { LINE_MOST = 256 << 10 }; // a line longer than this is passed on in pieces

struct log_reader {
    char *path;
    bool timestamps, follow, finished;
    walltime since;        // not set any more once a line was new enough
    int64_t limit;         // bytes left; −1: no limit
    struct log_tail *tail; // while the beginning is looked for
    int fd;                // what is read; −1: nothing yet
    bool seen_next;        // a newer file was there before the last read
    bool mid_line;         // the last record was a partial one
    struct buffer carry;   // the beginning of a line whose end was not read yet
};

// ---- output ----

static void put(struct log_reader *r, const char *text, size_t len, struct buffer *out)
{
    if (r->limit >= 0) {
        len = (size_t)MIN((int64_t)len, r->limit);
        r->limit -= (int64_t)len;
    }
    buffer_add(out, text, len);
}

static bool is_too_old(struct log_reader *r, const struct log_record *record)
{
    char text[RFC3339_NANO_SIZE];
    walltime t;
    if (!walltime_is_set(r->since) || record->time_len >= sizeof(text))
        return false;
    memcpy(text, record->time, record->time_len);
    text[record->time_len] = '\0';
    if (walltime_parse(text, &t) < 0)
        return false;
    if (t.nsec < r->since.nsec)
        return true;
    r->since = (walltime){0};
    return false;
}

// What is no record (a line cut off by a full disk, somebody else's writing) passes as it is.
static void put_line(struct log_reader *r, const char *line, size_t len, struct buffer *out)
{
    struct log_record record;
    if (!log_record_parse(line, len, &record)) {
        put(r, line, len, out);
        put(r, "\n", 1, out);
        r->mid_line = false;
        return;
    }
    if (is_too_old(r, &record))
        return;
    if (r->timestamps && !r->mid_line) {
        put(r, record.time, record.time_len, out);
        put(r, " ", 1, out);
    }
    put(r, record.text, record.text_len, out);
    if (!record.partial)
        put(r, "\n", 1, out);
    r->mid_line = record.partial;
}

static void put_lines(struct log_reader *r, struct buffer *out)
{
    const char *line = buffer_str(&r->carry), *end = line + r->carry.len, *newline;
    while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
        put_line(r, line, (size_t)(newline - line), out);
        line = newline + 1;
    }
    buffer_consume(&r->carry, (size_t)(line - r->carry.data));
}

// The end of a file: a line without an end is shown as far as it goes.
static void put_rest(struct log_reader *r, struct buffer *out)
{
    if (r->carry.len > 0)
        put_line(r, r->carry.data, r->carry.len, out);
    buffer_truncate(&r->carry, 0);
}

// ---- files ----

// The first file that may have something to show.
static int open_first(struct log_reader *r)
{
    _cleanup_log_files_ struct log_files files = {0};
    size_t i = 0;
    log_files_list(r->path, &files);
    while (walltime_is_set(r->since) && i + 1 < files.n &&
           files.items[i].modified.nsec < r->since.nsec)
        i++;
    for (; i < files.n; i++) {
        r->fd = log_files_open(r->path, &files.items[i]);
        if (r->fd >= 0)
            return 0;
    }
    return -ENOENT;
}

static void switch_to(struct log_reader *r, const struct log_file_id *id, struct buffer *out)
{
    int fd = log_files_open(r->path, id);
    if (fd < 0)
        return; // renamed or removed just now: found at the next look
    put_rest(r, out);
    close(r->fd);
    r->fd = fd;
    r->seen_next = false;
}

static enum log_reader_result at_end_of_log(struct log_reader *r, struct buffer *out)
{
    if (r->follow && !r->finished)
        return LOG_READER_WAIT;
    put_rest(r, out);
    return LOG_READER_END;
}

// Nothing more in the file that is open: is there a newer one? Before leaving a file it is read
// once more, since the shim may have written to it between our read and its rotation.
static enum log_reader_result at_end_of_file(struct log_reader *r, struct buffer *out)
{
    static const char lost[] = "[mainstay: lines are missing here: the log file was rotated away "
                               "before it could be read]\n";
    _cleanup_log_files_ struct log_files files = {0};
    log_files_list(r->path, &files);
    ssize_t here = log_files_index(&files, r->fd);
    bool has_next = here + 1 < (ssize_t)files.n;
    if (!has_next)
        return at_end_of_log(r, out);
    if (!r->seen_next) {
        r->seen_next = true;
        return LOG_READER_MORE;
    }
    if (here < 0) {
        put_rest(r, out);
        put(r, lost, sizeof(lost) - 1, out);
    }
    switch_to(r, &files.items[here + 1], out);
    return LOG_READER_MORE;
}

// ---- public ----

int log_reader_open(const struct log_reader_options *options, struct log_reader **ret,
                    struct error *err)
{
    _cleanup_log_files_ struct log_files files = {0};
    log_files_list(options->path, &files);
    if (files.n == 0)
        return error_set(err, ENOENT, "there is no log at %s", options->path);
    struct log_reader *r = xcalloc(1, sizeof(*r));
    r->path = xstrdup(options->path);
    r->follow = options->follow;
    r->timestamps = options->timestamps;
    r->since = options->since;
    r->limit = options->limit_bytes;
    r->fd = -1;
    if (options->tail_lines >= 0)
        r->tail = log_tail_new(options->path, options->tail_lines);
    *ret = r;
    return 0;
}

static enum log_reader_result find_beginning(struct log_reader *r)
{
    off_t offset = 0;
    if (!r->tail)
        return open_first(r) < 0 ? LOG_READER_END : LOG_READER_MORE;
    if (!log_tail_step(r->tail, &r->fd, &offset))
        return LOG_READER_MORE;
    log_tail_free(TAKE_PTR(r->tail));
    if (r->fd < 0 || lseek(r->fd, offset, SEEK_SET) < 0)
        return LOG_READER_END;
    return LOG_READER_MORE;
}

enum log_reader_result log_reader_read(struct log_reader *r, struct buffer *out)
{
    if (r->fd < 0)
        return find_beginning(r);
    if (r->limit == 0)
        return LOG_READER_END;
    char *end = buffer_reserve(&r->carry, LOG_SLICE);
    ssize_t n = read(r->fd, end, LOG_SLICE);
    if (n < 0)
        return errno == EINTR ? LOG_READER_MORE : LOG_READER_END;
    if (n == 0)
        return at_end_of_file(r, out);
    r->seen_next = false;
    r->carry.len += (size_t)n;
    r->carry.data[r->carry.len] = '\0';
    put_lines(r, out);
    if (r->carry.len > LINE_MOST) {
        put(r, r->carry.data, r->carry.len, out);
        buffer_truncate(&r->carry, 0);
    }
    return r->limit == 0 ? LOG_READER_END : LOG_READER_MORE;
}

void log_reader_finish(struct log_reader *r)
{
    r->finished = true;
}

void log_reader_free(struct log_reader *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    log_tail_free(r->tail);
    buffer_free(&r->carry);
    free(r->path);
    free(r);
}
