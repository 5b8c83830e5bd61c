// The manifest as podmaster puts it into the directory: the source as it was written, comments and
// all, with one annotation more, mainstay.dev/fence (podspec/annotations.h), that binds each start
// of the pod to the lease.
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

// Appends the guarded manifest to *out. -EINVAL where the text is no manifest of one pod, or where
// the annotation cannot be put in; `file` names it in the message.
int guard_manifest(const char *file, const struct buffer *text, const char *state_path,
                   struct buffer *out, struct error *err);

// True where the manifest has the annotation.
bool guard_is_in(const struct buffer *text);
