// The MESSAGE_ID of each event's reason in the journal. An id never changes and is never used
// again: operators' filters and alerts hang on it. packaging/systemd/mainstay.catalog explains each
// to `journalctl -x`; a new reason needs a row here and an entry there (test_journal.py looks).
#pragma once

#include <stddef.h>

struct event_id {
    const char *reason, *id; // id: 32 hex digits
};

// All of them, in order of reason. The array is static.
const struct event_id *event_ids(size_t *ret_n);

// The id of a reason. What is not in the table shares one.
const char *event_message_id(const char *reason);
