// How keys and certificates that are there are replaced: one writer at a time in a directory, the
// old files kept, and files that belong together (a key and its certificate) all at once.
//
// Two files cannot be renamed at once, but one symbolic link can be: for a moment each name becomes
// a link through a directory beside it,
//
//   apiserver.key → .apiserver.key.pki-swap/now/apiserver.key      now → old
//   apiserver.crt → .apiserver.key.pki-swap/now/apiserver.crt
//
// so that turning "now" from "old" to "new" replaces all of them in one step; then they become
// plain files again. Whoever opens them at any moment of this, or after a kill at any moment, finds
// the old files or the new ones, and the next one who takes the directory's lock puts the names
// right.
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

// Takes the directory for this process alone (the lock goes with the descriptor), and clears away
// or completes what a killed one has left in it. -EBUSY where another has it.
int replace_lock(const char *dir, int *ret_fd, struct error *err);
// The same for the directory in which `path` lies.
int replace_lock_directory_of(const char *path, int *ret_fd, struct error *err);
// Clears away like replace_lock() and lets go again; where another has the lock, or it is not
// there, nothing happens.
void replace_tidy(const char *dir);

// Keeps what is at `path` beside it, under its name and the date; 0 also where there is nothing.
int replace_keep_old(const char *path, struct error *err);

// What is to be at `path`. All borrowed. A secret gets mode 0600 (and stays readable by its group
// where that is another than root's), anything else 0644; the owner of an old file remains.
struct replacement {
    const char *path;
    const struct buffer *text;
    bool is_secret;
};

enum replace_flags { REPLACE_NONE_THERE = 1 << 0 }; // -EEXIST where one of them is there

// All of them in one step, synced; all in one directory, whose lock the caller has. Old ones are
// kept. On an error nothing has changed, other than where the message says so.
int replace_files(const struct replacement *files, size_t n, unsigned flags, struct error *err);
int replace_file(const char *path, const struct buffer *text, bool is_secret, struct error *err);
