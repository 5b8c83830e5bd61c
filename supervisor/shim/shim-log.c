// See shim-log.h. One buffer serves both streams: what is read lands behind a head room that takes
// the unfinished line of the stream, so that a line is always in one piece and is copied once more
// only where it was cut by a read.
#include "supervisor/shim/shim-log.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/shim/shim-stamp.h"

enum {
    TAG_LENGTH = SHIM_STAMP_LENGTH + 10, // "<stamp> stdout F "
    HEAD_ROOM = SHIM_LOG_LINE_MAX,
    OUT_SIZE = 64 << 10,
    MAPPED = HEAD_ROOM + SHIM_LOG_BATCH + OUT_SIZE,
    SMALL_BATCH = 4 << 10,
};

struct shim_log {
    struct shim_log_file *file;
    struct shim_journal *journal;
    struct shim_stamp stamp;
    struct buffer unfinished[2]; // at most SHIM_LOG_LINE_MAX bytes without a newline
    struct shim_log_counts counts;
    char *in, *out; // of MAPPED bytes, one mapping
    size_t out_len;
    bool wants_rest;
    char tags[2][2][TAG_LENGTH]; // stream, partial: all but the stamp is there once and for all
};

struct shim_log *shim_log_new(struct shim_log_file *file, struct shim_journal *journal)
{
    static const char *const names[2] = {[SHIM_STDOUT] = " stdout ", [SHIM_STDERR] = " stderr "};
    struct shim_log *log = xcalloc(1, sizeof(*log));
    log->file = file;
    log->journal = journal;
    log->in = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (log->in == MAP_FAILED)
        abort(); // as the allocators do
    log->out = log->in + HEAD_ROOM + SHIM_LOG_BATCH;
    for (int stream = 0; stream < 2; stream++)
        for (int partial = 0; partial < 2; partial++) {
            char *tag = log->tags[stream][partial] + SHIM_STAMP_LENGTH;
            memcpy(tag, names[stream], 8);
            tag[8] = partial ? 'P' : 'F';
            tag[9] = ' ';
        }
    return log;
}

static void set_stamps(struct shim_log *log, enum shim_stream stream)
{
    shim_stamp_set(&log->stamp, walltime_now());
    memcpy(log->tags[stream][0], log->stamp.text, SHIM_STAMP_LENGTH);
    memcpy(log->tags[stream][1], log->stamp.text, SHIM_STAMP_LENGTH);
}

static void flush(struct shim_log *log)
{
    if (log->out_len > 0)
        shim_log_file_write(log->file, log->out, log->out_len);
    log->out_len = 0;
    if (log->journal)
        shim_journal_flush(log->journal);
}

static void log_line(struct shim_log *log, enum shim_stream stream, const char *line, size_t len,
                     bool partial)
{
    if (log->out_len + TAG_LENGTH + len + 1 > OUT_SIZE)
        flush(log);
    char *to = log->out + log->out_len;
    memcpy(to, log->tags[stream][partial], TAG_LENGTH);
    memcpy(to + TAG_LENGTH, line, len);
    to[TAG_LENGTH + len] = '\n';
    log->out_len += TAG_LENGTH + len + 1;
    log->counts.lines += !partial;
    if (log->journal)
        shim_journal_add(log->journal, line, len, stream == SHIM_STDERR, partial);
}

// Logs the lines of [p, end) and returns where the unfinished one begins.
static const char *log_lines(struct shim_log *log, enum shim_stream stream, const char *p,
                             const char *end)
{
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;
        for (; stop - p > SHIM_LOG_LINE_MAX; p += SHIM_LOG_LINE_MAX)
            log_line(log, stream, p, SHIM_LOG_LINE_MAX, true);
        if (!newline)
            break;
        log_line(log, stream, p, (size_t)(newline - p), false);
        p = newline + 1;
    }
    return p;
}

ssize_t shim_log_read(struct shim_log *log, enum shim_stream stream, int fd, size_t max)
{
    struct buffer *unfinished = &log->unfinished[stream];
    char *to = log->in + HEAD_ROOM;
    ssize_t n;
    do
        n = read(fd, to, MIN(max, (size_t)SHIM_LOG_BATCH));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0) {
        shim_log_finish(log, stream);
        return 0;
    }
    log->counts.bytes += (uint64_t)n;
    log->wants_rest |= n > SMALL_BATCH;
    set_stamps(log, stream);
    const char *start = to - unfinished->len;
    if (unfinished->len > 0)
        memcpy(to - unfinished->len, unfinished->data, unfinished->len);
    const char *rest = log_lines(log, stream, start, to + n);
    flush(log);
    buffer_truncate(unfinished, 0);
    if (rest < to + n)
        buffer_add(unfinished, rest, (size_t)(to + n - rest));
    return n;
}

void shim_log_finish(struct shim_log *log, enum shim_stream stream)
{
    struct buffer *unfinished = &log->unfinished[stream];
    if (unfinished->len == 0)
        return;
    set_stamps(log, stream);
    log_line(log, stream, unfinished->data, unfinished->len, true);
    flush(log);
    buffer_free(unfinished);
}

bool shim_log_wants_rest(const struct shim_log *log)
{
    return log->wants_rest;
}

void shim_log_rest(struct shim_log *log)
{
    log->wants_rest = false;
    madvise(log->in, MAPPED, MADV_DONTNEED);
}

struct shim_log_counts shim_log_counts(const struct shim_log *log)
{
    return log->counts;
}

void shim_log_free(struct shim_log *log)
{
    if (!log)
        return;
    munmap(log->in, MAPPED);
    buffer_free(&log->unfinished[SHIM_STDOUT]);
    buffer_free(&log->unfinished[SHIM_STDERR]);
    free(log);
}
