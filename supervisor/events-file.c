// The events on disk: one JSON object a line, appended, with PATH.1 as the one old file. The file
// is a convenience for the next agent and for people: whatever is wrong with it, the agent works on
// from memory and says so once.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string-list.h"
#include "base/work.h"
#include "supervisor/events-internal.h"
#include "supervisor/json-text.h"

enum { LINE_MAX_SIZE = 64 << 10, LOAD_MAX = EVENTS_FILE_MAX + LINE_MAX_SIZE };
#define ID_MAX ((json_int_t)1 << 53) // a larger one is damage, not history

struct event_file {
    char *path, *old_path;
    int fd;
    bool torn;       // the last byte of the file is no newline: begin with one
    bool complained; // about a failure that still lasts
};

// ---- one line ----

static char *event_line(const struct event *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_integer((json_int_t)e->id));
    json_object_set_new(o, "first", json_integer(e->first.nsec));
    json_object_set_new(o, "last", json_integer(e->last.nsec));
    json_object_set_new(o, "count", json_integer(e->count));
    json_object_set_new(o, "warning", json_boolean(e->type == EVENT_WARNING));
    json_set_text(o, "reason", e->reason);
    json_set_text(o, "message", e->message);
    json_set_text(o, "namespace", e->namespace_);
    json_set_text(o, "pod", e->pod);
    json_set_text(o, "uid", e->uid);
    json_set_text(o, "container", e->container);
    json_set_text(o, "file", e->file);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static char *member(const json_t *o, const char *key)
{
    return (char *)json_string_value(json_object_get(o, key));
}

static bool parse_line(const json_t *o, struct event *ret)
{
    json_int_t id = json_integer_value(json_object_get(o, "id"));
    json_int_t count = json_integer_value(json_object_get(o, "count"));
    *ret = (struct event){
        .id = (uint64_t)id,
        .first = {json_integer_value(json_object_get(o, "first"))},
        .last = {json_integer_value(json_object_get(o, "last"))},
        .count = (uint32_t)count,
        .type = json_is_true(json_object_get(o, "warning")) ? EVENT_WARNING : EVENT_NORMAL,
        .reason = member(o, "reason"),
        .message = member(o, "message"),
        .namespace_ = member(o, "namespace"),
        .pod = member(o, "pod"),
        .uid = member(o, "uid"),
        .container = member(o, "container"),
        .file = member(o, "file"),
    };
    if (!ret->message)
        ret->message = (char *)"";
    return id > 0 && id < ID_MAX && count > 0 && count <= UINT32_MAX && ret->reason;
}

// ---- reading ----

struct reading {
    void (*found)(void *userdata, const struct event *event);
    void *userdata;
    size_t damaged;
};

static void read_line(struct reading *r, const char *line, size_t len)
{
    struct event e;
    json_t *o = len <= LINE_MAX_SIZE ? json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(o) && parse_line(o, &e))
        r->found(r->userdata, &e);
    else if (len > 0)
        r->damaged++;
    json_decref(o);
}

// True where the file ends in the middle of a line.
static bool read_lines(struct reading *r, const struct buffer *text)
{
    const char *line = buffer_str(text), *end = line + text->len;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline)
            break;
        read_line(r, line, (size_t)(newline - line));
        line = newline + 1;
    }
    if (line == end)
        return false;
    read_line(r, line, (size_t)(end - line));
    return true;
}

static bool read_whole(struct reading *r, const char *path)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, LOAD_MAX, &text);
    if (code < 0 && code != -ENOENT)
        log_warning("events before this start are not shown: %s: %s", path, strerror(-code));
    bool torn = read_lines(r, &text);
    if (r->damaged > 0)
        log_warning("%s: %zu damaged lines were passed over", path, r->damaged);
    r->damaged = 0;
    return torn;
}

// ---- appending ----

static void complain(struct event_file *file, const char *what, int code)
{
    if (!file->complained)
        log_warning("events are kept in memory and in the journal only: %s %s: %s", what,
                    file->path, strerror(code));
    file->complained = true;
}

static void open_current(struct event_file *file)
{
    file->fd =
        open(file->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0600);
    if (file->fd < 0)
        complain(file, "cannot open", errno);
}

static void rotate_when_full(struct event_file *file)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0 || st.st_size < EVENTS_FILE_MAX)
        return;
    if (rename(file->path, file->old_path) < 0) {
        complain(file, "cannot rotate", errno);
        if (ftruncate(file->fd, 0) < 0)
            close(TAKE_FD(file->fd));
        return;
    }
    close(TAKE_FD(file->fd));
    file->torn = false;
    open_current(file);
}

struct event_file *event_file_open(const char *path,
                                   void (*found)(void *userdata, const struct event *event),
                                   void *userdata)
{
    struct event_file *file = xcalloc(1, sizeof(*file));
    struct reading r = {.found = found, .userdata = userdata};
    file->path = xstrdup(path);
    file->old_path = xasprintf("%s.1", path);
    read_whole(&r, file->old_path);
    file->torn = read_whole(&r, file->path);
    open_current(file);
    return file;
}

void event_file_append(struct event_file *file, const struct event *event)
{
    WORK_SCOPE("state", "file", NULL, file->path);
    if (file->fd < 0)
        open_current(file);
    if (file->fd >= 0)
        rotate_when_full(file);
    if (file->fd < 0)
        return;
    _cleanup_free_ char *text = event_line(event);
    _cleanup_free_ char *line = xasprintf("%s%s\n", file->torn ? "\n" : "", text);
    size_t len = strlen(line);
    ssize_t n = write(file->fd, line, len);
    if (n == (ssize_t)len) {
        file->torn = file->complained = false;
        return;
    }
    complain(file, "cannot write", n < 0 ? errno : ENOSPC);
    file->torn = file->torn || n > 0;
}

void event_file_free(struct event_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file->old_path);
    free(file);
}
