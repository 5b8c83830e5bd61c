// The form of small files of state: a line "mainstay-<kind> <version> <sha256 of the rest>", then
// JSON. What is damaged, of another kind or of another version is not opened.
#pragma once

#include <jansson.h>

#include "base/buffer.h"

void envelope_write(const char *kind, int version, const json_t *json, struct buffer *out);
// A new reference, or NULL.
json_t *envelope_open(const char *kind, int version, const void *data, size_t size);
