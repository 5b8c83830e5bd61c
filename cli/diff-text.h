// Two texts as a unified diff.
#pragma once

#include <stdbool.h>

#include "base/buffer.h"

enum {
    DIFF_CONTEXT = 3,      // unchanged lines around a change
    DIFF_EDITS_MAX = 3000, // above it, what differs is shown as one replacement
};

// Appends the diff ("--- old_name", "+++ new_name", "@@ … @@", lines) and returns true; returns
// false, and appends nothing, where the texts are equal.
bool diff_text(const char *old_name, const char *old_text, const char *new_name,
               const char *new_text, bool color, struct buffer *out);
