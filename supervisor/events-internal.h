// What the files events*.c share; nobody else includes it.
#pragma once

#include "supervisor/events.h"

// The file of JSON lines, in events-file.c.
struct event_file;

// Calls `found` for every whole line of the old file and the current one, oldest first, and opens
// the current one for appending. Never NULL: without a file, appending does nothing.
struct event_file *event_file_open(const char *path,
                                   void (*found)(void *userdata, const struct event *event),
                                   void *userdata);
void event_file_append(struct event_file *file, const struct event *event);
void event_file_free(struct event_file *file);

// Identifies what a repetition must share with its original: object, type, reason and message.
uint64_t event_key_hash(const struct event *event);
bool event_same_key(const struct event *a, const struct event *b);

// ---- events-count.c ----

enum { EVENT_REASONS_MOST = 256 };

struct event_count {
    char *reason;
    uint64_t n[2]; // by type
};
struct event_counts {
    struct event_count *items;
    size_t n;
};

void event_counts_add(struct event_counts *counts, const char *reason, enum event_type type);
void event_counts_each(struct event_counts *counts, event_count_fn each, void *userdata);
void event_counts_free(struct event_counts *counts);
