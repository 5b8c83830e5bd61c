// The files of a volume, known by the digests of their contents: what changed is a file with
// another content or a new one, not one that was touched or written again as it was.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/macro.h"

enum { FILE_DIGEST_SIZE = 33 };

struct file_entry {
    char *name; // below the volume's root; "" where the volume is one file
    char digest[FILE_DIGEST_SIZE];
    // By which it is known not to have been written since; not on disk.
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct files {
    LIST_OF(struct file_entry) items; // sorted by name
    // The root itself: where it was replaced, containers that mount it still see the old one.
    unsigned long long device, inode;
};

void files_free(struct files *files);
void files_copy(struct files *to, const struct files *from); // `to` is empty

// Adds or replaces; name is copied. Borrowed until the next call.
struct file_entry *files_add(struct files *files, const char *name, const char *digest);
const struct file_entry *files_find(const struct files *files, const char *name);

struct files_difference {
    size_t changed, missing; // how many
    bool root_replaced;
};

// What of `now` is new or has another content than in `then`, appended to `names` (the first few,
// with "," between), and what of `then` is not there.
void files_compare(const struct files *then, const struct files *now, struct buffer *names,
                   struct files_difference *ret);

// `then` becomes what `now` is, and keeps what is missing there: it may come back.
void files_apply(struct files *then, const struct files *now);

json_t *files_to_json(const struct files *files);            // a new reference
bool files_from_json(const json_t *json, struct files *ret); // false: it is damaged
