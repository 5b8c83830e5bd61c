// The histories of revisions.c on disk. What happens to pods is noted in memory and written when
// the starts that go with it are over: no pod starts later because of its history.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "base/work.h"
#include "supervisor/revisions-internal.h"

enum {
    // After the last note, but no later than that after the first: what befalls a pod in its first
    // moments, and a thousand pods that start at once, is one writing for each. Until then a later
    // agent would find out by itself; but for what has no trace elsewhere: a removal, and the
    // revision before another.
    FLUSH_USEC = 250 * 1000,
    FLUSH_MOST_USEC = 5 * 1000 * 1000,
    FLUSH_URGENT_USEC = 20 * 1000,
    FLUSH_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 60,
    NOTES_A_TURN = 16, // of the loop: a thousand pods at once do not hold it up
};

void note_clear(struct note *note)
{
    free(note->namespace_);
    free(note->name);
    free(note->uid);
    free(note->file);
    free(note->text);
}

static void flush_some(struct revisions *r, size_t most);

static void flush_in(struct revisions *r, uint64_t usec)
{
    sd_event_source_set_time_relative(r->flush, usec);
    sd_event_source_set_enabled(r->flush, SD_EVENT_ONESHOT);
}

static int on_flush(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct revisions *r = userdata;
    flush_some(r, NOTES_A_TURN);
    if (r->notes.n > 0)
        flush_in(r, 0);
    return 0;
}

int revisions_keep_init(struct revisions *r)
{
    int code = sd_event_add_time_relative(r->options.event, &r->flush, CLOCK_MONOTONIC, 0, 1000,
                                          on_flush, r);
    if (code >= 0)
        code = sd_event_source_set_priority(r->flush, FLUSH_PRIORITY);
    return code < 0 ? code : sd_event_source_set_enabled(r->flush, SD_EVENT_OFF);
}

static void flush_later(struct revisions *r, bool urgent)
{
    monotime now = monotime_now();
    if (r->notes.n == 0)
        r->flush_by = monotime_add_usec(now, FLUSH_MOST_USEC);
    monotime wanted = monotime_add_usec(now, urgent ? FLUSH_URGENT_USEC : FLUSH_USEC);
    r->flush_by = urgent ? monotime_min(r->flush_by, wanted) : r->flush_by;
    int64_t usec = monotime_since(monotime_min(wanted, r->flush_by), now);
    flush_in(r, (uint64_t)MAX(usec, (int64_t)0));
}

// Behind the last one of the same pod, so that they stand side by side.
void revisions_note(struct revisions *r, const struct note *note)
{
    size_t at = r->notes.n;
    while (at > 0 && (strcmp(r->notes.items[at - 1].name, note->name) != 0 ||
                      strcmp(r->notes.items[at - 1].namespace_, note->namespace_) != 0))
        at--;
    flush_later(r, note->kind == NOTE_REMOVED || (note->kind == NOTE_ACCEPTED && at > 0));
    at = at > 0 ? at : r->notes.n;
    (void)LIST_APPEND(&r->notes);
    struct note *place = &r->notes.items[at];
    memmove(place + 1, place, (r->notes.n - 1 - at) * sizeof(*place));
    *place = *note;
}

static void load(struct revisions *r, const char *namespace_, const char *name, struct history *ret)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = history_load(r->options.dir, namespace_, name, ret, &err);
    if (code == 0)
        return;
    history_init(ret, namespace_, name);
    if (code == -ENOENT)
        return;
    event_add(r->options.events, (struct event_object){.namespace_ = namespace_, .pod = name},
              EVENT_WARNING, "StateDamaged",
              "%s: the pod's earlier revisions are lost, and `mainstay rollback` has none of them",
              error_message(&err));
}

void revisions_load(struct revisions *r, const char *namespace_, const char *name,
                    struct history *ret)
{
    revisions_flush(r);
    load(r, namespace_, name, ret);
}

void revisions_save(struct revisions *r, const struct history *history)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = history_save(r->options.dir, history, &err);
    if (code < 0 && !r->complained)
        event_add(r->options.events,
                  (struct event_object){.namespace_ = history->namespace_, .pod = history->name},
                  EVENT_WARNING, "HistoryNotSaved",
                  "%s; the pod runs on, but there is no going back to this revision: make room, or "
                  "look at the permissions",
                  error_message(&err));
    r->complained = code < 0;
}

// False where the note changes nothing.
static bool enter(struct history *history, const struct note *note)
{
    const struct history_spec spec = {.hash = note->hash,
                                      .uid = note->uid,
                                      .file = note->file,
                                      .text = note->text,
                                      .complete = note->complete};
    struct revision *current = history_current(history);
    switch (note->kind) {
    case NOTE_ACCEPTED: {
        bool same_file = current && str_equal(current->file, note->file);
        uint64_t failed = history->failed;
        return history_accept(history, &spec, note->when) || !same_file || failed;
    }
    case NOTE_READY:
        if (!current || strcmp(current->hash, note->hash) != 0 || walltime_is_set(current->ready))
            return false;
        current->ready = note->when;
        return true;
    case NOTE_REMOVED:
        history_removed(history, note->when);
        return current != NULL;
    }
    return false;
}

static bool is_tracked(void *userdata, const char *file)
{
    const struct revisions *r = userdata;
    LIST_EACH (tracked, &r->tracked) {
        _cleanup_free_ char *name = history_file_name(tracked->namespace_, tracked->name);
        if (strcmp(name, file) == 0)
            return true;
    }
    return false;
}

// Notes about one pod that stand side by side go into its file together. Returns how many did.
static size_t enter_side_by_side(struct revisions *r, const struct note *notes, size_t n)
{
    _cleanup_history_ struct history history = {0};
    bool changed = false;
    size_t i = 0;
    WORK_SCOPE("history", "pod", notes->namespace_, notes->name);
    load(r, notes->namespace_, notes->name, &history);
    for (; i < n && str_equal(notes[i].namespace_, history.namespace_) &&
           str_equal(notes[i].name, history.name);
         i++)
        changed = enter(&history, &notes[i]) || changed;
    if (changed)
        revisions_save(r, &history);
    return i;
}

static void flush_some(struct revisions *r, size_t most)
{
    size_t n = MIN(r->notes.n, most);
    bool removed = false;
    for (size_t i = 0; i < n;)
        i += enter_side_by_side(r, &r->notes.items[i], n - i);
    for (size_t i = 0; i < n; i++) {
        removed = removed || r->notes.items[i].kind == NOTE_REMOVED;
        note_clear(&r->notes.items[i]);
    }
    r->notes.n -= n;
    if (r->notes.n > 0) {
        memmove(r->notes.items, r->notes.items + n, r->notes.n * sizeof(*r->notes.items));
    } else {
        free(r->notes.items);
        r->notes.items = NULL;
    }
    if (removed)
        history_sweep(r->options.dir, HISTORY_REMOVED_MOST, is_tracked, r);
}

void revisions_flush(struct revisions *r)
{
    if (r->notes.n > 0)
        flush_some(r, r->notes.n);
}
