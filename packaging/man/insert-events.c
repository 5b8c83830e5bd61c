// The MESSAGE_IDs of the journal's catalogue with what it calls each, and the events' reasons.
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"
#include "supervisor/event-ids.h"

enum { CATALOGUE_MOST = 1 << 20 };

// "A container of pod @MAINSTAY_POD@ …": the fields are shown as what stands for something.
static void add_subject(struct buffer *out, const char *subject)
{
    static const char mark[] = "@MAINSTAY_";
    for (const char *p; (p = strstr(subject, mark)); subject = p) {
        roff_text(out, subject, (size_t)(p - subject));
        p += strlen(mark);
        size_t n = strcspn(p, "@");
        _cleanup_free_ char *name = xstrndup(p, n);
        roff_italic(out, name);
        p += n + (p[n] == '@');
    }
    roff_words(out, subject);
    buffer_add_str(out, ".\n");
}

// The reason of the event that has this id; NULL where it is no event's.
static const char *reason_of(const char *id)
{
    size_t n;
    const struct event_id *ids = event_ids(&n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(ids[i].id, id))
            return ids[i].reason;
    return str_equal(event_message_id(""), id) ? "(any other event)" : NULL;
}

// An entry begins with a line "-- ID" and one "Subject: …".
static void add_entry(struct buffer *out, const char *entry)
{
    static const char subject[] = "Subject: ";
    size_t n = strcspn(entry, "\n");
    _cleanup_free_ char *id = xstrndup(entry, n);
    entry += n + (entry[n] == '\n');
    if (!str_starts_with(entry, subject)) {
        fprintf(stderr, "mainstay-man: the catalogue's entry %s has no subject\n", id);
        exit(EXIT_FAILURE);
    }
    entry += strlen(subject);
    _cleanup_free_ char *line = xstrndup(entry, strcspn(entry, "\n"));
    const char *reason = reason_of(id);
    roff_item(out);
    if (reason) {
        roff_bold(out, reason);
        buffer_add_char(out, ' ');
    }
    buffer_printf(out, "%s\n", id);
    add_subject(out, line);
}

void insert_events(struct buffer *out, const char *templates)
{
    static const char mark[] = "\n-- ";
    _cleanup_free_ char *path = path_join(templates, "../systemd/mainstay.catalog");
    _cleanup_buffer_ struct buffer catalogue = BUFFER_EMPTY;
    int r = fs_read_file(AT_FDCWD, path, CATALOGUE_MOST, &catalogue);
    if (r < 0) {
        fprintf(stderr, "mainstay-man: %s: %s\n", path, strerror(-r));
        exit(EXIT_FAILURE);
    }
    for (const char *p = buffer_str(&catalogue); (p = strstr(p, mark));) {
        p += strlen(mark);
        add_entry(out, p);
    }
}
