// The reasons of events with their MESSAGE_IDs, and what the journal's catalogue calls each.
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string-list.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"
#include "supervisor/event-ids.h"
#include "supervisor/shim/shim-journal.h"

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

// The entry's first line is "-- ID", the next "Subject: …".
static void add_meaning(struct buffer *out, const char *catalogue, const char *id)
{
    static const char subject[] = "\nSubject: ";
    const char *entry = strstr(catalogue, id);
    const char *start = entry ? strstr(entry, subject) : NULL;
    if (!start) {
        fprintf(stderr, "mainstay-man: the catalogue has no entry for %s\n", id);
        exit(EXIT_FAILURE);
    }
    start += strlen(subject);
    _cleanup_free_ char *line = xstrndup(start, strcspn(start, "\n"));
    add_subject(out, line);
}

static void add_event(struct buffer *out, const char *catalogue, const char *reason, const char *id)
{
    roff_item(out);
    roff_bold(out, reason);
    buffer_printf(out, " %s\n", id);
    add_meaning(out, catalogue, id);
}

void insert_events(struct buffer *out, const char *templates)
{
    _cleanup_free_ char *path = path_join(templates, "../systemd/mainstay.catalog");
    _cleanup_buffer_ struct buffer catalogue = BUFFER_EMPTY;
    int r = fs_read_file(AT_FDCWD, path, CATALOGUE_MOST, &catalogue);
    if (r < 0) {
        fprintf(stderr, "mainstay-man: %s: %s\n", path, strerror(-r));
        exit(EXIT_FAILURE);
    }
    size_t n;
    const struct event_id *ids = event_ids(&n);
    for (size_t i = 0; i < n; i++)
        add_event(out, buffer_str(&catalogue), ids[i].reason, ids[i].id);
    add_event(out, buffer_str(&catalogue), "(any other event)", event_message_id(""));
    add_event(out, buffer_str(&catalogue), "(a gap in a container's lines)", SHIM_JOURNAL_GAP_ID);
    add_event(out, buffer_str(&catalogue), "(a gap in the agent's messages)", LOG_GAP_ID);
}
