// A container's lines into the journal, in journald's native protocol (systemd.io, JOURNAL_NATIVE_
// PROTOCOL): one datagram a line, waiting for room within bounds only. What journald does not take
// is counted, and once it takes messages again the first one says how many are missing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/monotime.h"
#include "supervisor/shim/shim-spec.h"

struct shim_journal;

// spec->journal_socket need not exist yet, nor stay.
struct shim_journal *shim_journal_new(const struct shim_spec *spec);

// One line without its newline; `partial`: its rest follows as the next line. The text must live
// until the next shim_journal_flush(), which is called where a batch of lines ends.
void shim_journal_add(struct shim_journal *journal, const char *line, size_t len, bool is_stderr,
                      bool partial);
void shim_journal_flush(struct shim_journal *journal);

// When shim_journal_retry() is due, which tells how many lines are missing without waiting for the
// next one; never, where none is.
monotime shim_journal_deadline(const struct shim_journal *journal);
void shim_journal_retry(struct shim_journal *journal);

// Lines that never reached the journal, in all.
uint64_t shim_journal_dropped(const struct shim_journal *journal);
// Those of them that the journal does not know about either.
uint64_t shim_journal_unsaid(const struct shim_journal *journal);
void shim_journal_free(struct shim_journal *journal);
