// Looks at all files of a volume, a slice at a time, so that the loop is never held up by a big
// one.
//
// Hidden files and backups (.NAME, NAME~) do not count: editors leave them for a moment, and
// directories that are swapped as a whole (..data) hold behind them what other names lead to.
// Symlinks are followed.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "manifests/watch-set.h"
#include "supervisor/files.h"

enum {
    SCAN_FILES_MOST = 1000,      // of a volume; further ones are not looked at
    SCAN_DIRECTORIES_MOST = 250, // likewise
    SCAN_FILE_BYTES = 8 << 20,   // a bigger file is known by its size and time alone
    SCAN_SLICE = 256 << 10,      // bytes of one step
};

struct files_scan;

// `before` (borrowed, may be empty): files that were not written since are not read again. What is
// looked at is watched with `watches` (borrowed), before it is looked at.
struct files_scan *files_scan_new(const char *path, const struct files *before,
                                  struct watch_set *watches);
void files_scan_free(struct files_scan *scan);

// One slice: true where there is more to do.
bool files_scan_step(struct files_scan *scan);

// At the end: the files, now the caller's; and what could not be taken into account, one sentence;
// NULL where that is nothing.
void files_scan_take(struct files_scan *scan, struct files *ret, char **ret_complaint);
