// Directories and files that are watched by inotify, by path (source-watch.c): whatever could make
// a path lead elsewhere is watched with it. For the manifest source, and for volumes whose files
// matter.
#pragma once

#include <stdbool.h>

#include "base/macro.h"
#include "base/string-list.h"

// One watched directory. Masks only ever grow, so that no event falls into the gap of a change.
struct watch {
    int wd;
    bool wanted;              // by the resolution that is under way
    bool everything;          // every name in it matters
    struct string_list names; // otherwise the names that matter
};

struct watch_set {
    int fd;
    LIST_OF(struct watch) watches;
    bool failed; // a watch could not be had: only the slow rescan sees changes there
};

// What a batch of events asks for.
struct watch_news {
    bool everything;           // look at all: a queue overflow, a directory moved, a link swapped
    struct string_list names;  // entries of watched directories that changed
    struct string_list closed; // those of them whose writer is done (closed or renamed in)
};

int watch_set_open(struct watch_set *set);
void watch_set_close(struct watch_set *set);

// Every watch that is not asked for between these two is dropped, where `drop` is true.
void watch_set_begin(struct watch_set *set);
void watch_set_end(struct watch_set *set, bool drop);

// Follows an absolute path from the root, symlinks included, and watches what could change where
// it leads: each directory on the way for being moved or removed, those that hold a symlink (or
// lack the next part) for that name, and the last one: as a whole where it is a directory (and
// `everything` is asked for), else for the file's name. Watches are in place before anything behind
// them is looked at. Fills *ret_directory. 0, or -ENOENT and the like with the nearest existing
// parent watched.
int watch_set_follow(struct watch_set *set, const char *path, bool everything, bool *ret_directory);

// Reads what is in the queue without blocking.
void watch_set_read(struct watch_set *set, struct watch_news *news);
void watch_news_free(struct watch_news *news);

// True where no event waits in the queue.
bool watch_set_quiet(const struct watch_set *set);
