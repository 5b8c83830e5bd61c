// What the files of `mainstay reset` share: stopping what runs here, and taking files away.
#pragma once

#include "base/monotime.h"
#include "cli/made-files.h"

// Takes these manifests away, and waits until the agent says that their pods are gone. Where no
// agent answers that reads `directory`, it looks for the processes itself: -EBUSY where one runs
// (`force`: not looked for).
int reset_stop(const char *const *manifests, size_t n, const char *directory, const char *socket,
               bool force, monotime deadline, struct error *err);

// Takes a file, or the contents of a directory, away, and says so. 0 also where nothing is there.
int reset_remove(const struct made_item *item, struct error *err);
// Directories that are empty now and that were made for what is gone.
void reset_tidy(const struct node_places *places);
