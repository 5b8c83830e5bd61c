// A container's lines into the journal, in journald's native protocol (systemd.io, JOURNAL_NATIVE_
// PROTOCOL): one datagram a line, waiting for room within bounds only. What journald does not take
// is counted, and once it takes messages again the first one says how many are missing, and since
// when. A machine that never had a journal is left alone: nothing is counted as lost there.
//
// The fields of a line: MESSAGE (its bytes as they are), PRIORITY (shim-priority.h),
// SYSLOG_IDENTIFIER, CONTAINER_NAME and MAINSTAY_CONTAINER (the container's name), MAINSTAY_POD,
// MAINSTAY_NAMESPACE, MAINSTAY_POD_UID, MAINSTAY_RESTART_COUNT (which run of the container), and
// CONTAINER_PARTIAL_MESSAGE=true where the line goes on in the next entry. The marker of a gap has
// MESSAGE_ID and, beside these, MAINSTAY_LOST_LINES (entries that are missing before it),
// MAINSTAY_LOST_SINCE and MAINSTAY_LOST_UNTIL (RFC 3339).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/monotime.h"
#include "supervisor/shim/shim-spec.h"

// The MESSAGE_ID of a gap's marker (its explanation is in packaging/systemd/mainstay.catalog).
#define SHIM_JOURNAL_GAP_ID "cfb8f23a991540fdb21d667b939b2047"

struct shim_journal;

// spec->journal_socket need not exist yet, nor stay.
struct shim_journal *shim_journal_new(const struct shim_spec *spec);

// One line without its newline; `partial`: its rest follows as the next line. The text must live
// until the next shim_journal_flush(), which is called where a batch of lines ends.
void shim_journal_add(struct shim_journal *journal, const char *line, size_t len, bool is_stderr,
                      bool partial);
void shim_journal_flush(struct shim_journal *journal);

// When shim_journal_retry() is due, which tells how many lines are missing without waiting for the
// next one; never, where none is missing or there was no journal yet.
monotime shim_journal_deadline(const struct shim_journal *journal);
void shim_journal_retry(struct shim_journal *journal);

// Lines that never reached the journal, in all; 0 where there never was one.
uint64_t shim_journal_dropped(const struct shim_journal *journal);
// Those of them that the journal does not know about either.
uint64_t shim_journal_unsaid(const struct shim_journal *journal);
void shim_journal_free(struct shim_journal *journal);
