// The event log: every restart, refusal, kill and failure is an event with a reason, as under the
// kubelet. Kept in memory (bounded), on disk (over an agent restart), and written to the journal
// with a MESSAGE_ID of its own per reason (event-ids.h).
//
// The fields of an event in the journal: MESSAGE, PRIORITY (4 for a warning, else 6), MESSAGE_ID,
// SYSLOG_IDENTIFIER=mainstayd, MAINSTAY_EVENT (the reason), MAINSTAY_EVENT_ID (its number, as
// `mainstay get events -o json` shows it), MAINSTAY_EVENT_COUNT (more than 1: repeated), and what
// it is about, as far as it applies: MAINSTAY_POD, MAINSTAY_NAMESPACE, MAINSTAY_POD_UID,
// MAINSTAY_CONTAINER, MAINSTAY_MANIFEST. The lines of the containers have CONTAINER_NAME besides
// (supervisor/shim/shim-journal.h), which tells the two apart.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/monotime.h"

struct event_log;

enum event_type { EVENT_NORMAL, EVENT_WARNING };

// What an event is about; all borrowed, NULL where it does not apply. Without a pod it is about the
// node, or about the manifest `file`.
struct event_object {
    const char *namespace_, *pod, *uid, *container, *file;
};

// One event as it is kept. A repetition (same object, type, reason and message as an event that is
// still in memory) raises `count` and `last` and gets a new id, as kubectl shows it.
struct event {
    uint64_t id; // grows with every addition and repetition
    walltime first, last;
    uint32_t count;
    enum event_type type;
    char *reason, *message;
    char *namespace_, *pod, *uid, *container, *file;
};

enum {
    EVENTS_MOST = 2048,        // kept in memory; older ones are on disk and in the journal only
    EVENT_MESSAGE_MAX = 4096,  // bytes of a message; a longer one is cut and ends in "…"
    EVENTS_FILE_MAX = 1 << 20, // bytes of the file before it becomes the old one
};

// `path`: the file of JSON lines, NULL for memory only; made if missing, rotated at a bounded size
// (one old file, PATH.1, is kept). A damaged line costs itself. Never fails for want of the file:
// it says so through log_warning() and works from memory.
struct event_log *event_log_open(const char *path, const char *node_name);
void event_log_free(struct event_log *log);

void event_add(struct event_log *log, struct event_object about, enum event_type type,
               const char *reason, const char *format, ...) _printf_(5, 6);

// In order of `id`, those with id > after. The array is the caller's (free()), its content borrowed
// until the next event_add().
size_t event_log_since(const struct event_log *log, uint64_t after, const struct event ***ret);

// How many are in memory; the newest id given (0: none yet); the highest id that was dropped from
// memory for want of room, so that a reader who comes later than that knows that it missed some.
size_t event_log_count(const struct event_log *log);
uint64_t event_log_newest(const struct event_log *log);
uint64_t event_log_forgotten(const struct event_log *log);

// How many there were since the log was opened, repetitions included: for each reason and type of
// which there was any, sorted by reason.
typedef void (*event_count_fn)(void *userdata, const char *reason, enum event_type type,
                               uint64_t n);
void event_log_each_count(struct event_log *log, event_count_fn each, void *userdata);

// As a v1 Event object. A new reference.
json_t *event_to_json(const struct event *event, const char *node_name);

// Called after each addition or repetition (the API's watchers hang on it).
void event_log_set_listener(struct event_log *log,
                            void (*added)(void *userdata, const struct event *event),
                            void *userdata);
