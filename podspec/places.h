// Where each field of a pod stands in its file, so that a check that runs long after decoding can
// still name line and column.
#pragma once

#include <stddef.h>

#include "base/macro.h"
#include "podspec/diag.h"

struct podspec_places;

// `file` is copied.
struct podspec_places *places_new(const char *file);
struct podspec_places *places_copy(const struct podspec_places *places); // NULL in, NULL out
void places_free(struct podspec_places *places);
DEFINE_CLEANUP(struct podspec_places *, places_free)
#define _cleanup_places_ _cleanup_(cleanup_places_free)

// For a pod that is an element of a List: places_find() puts "items[3]." in front of every path
// that it is asked for, so that whoever checks a pod need not know where it stands.
void places_set_prefix(struct podspec_places *places, const char *prefix);

// Records a path ("spec.containers[0].image"); the first place of a path stays.
void places_add(struct podspec_places *places, const char *path, unsigned line, unsigned column);

// The place of a path, or of its nearest ancestor that is recorded. `.path` is the one that was
// asked for, behind the prefix: it is valid until the next call. `places` may be NULL: the file is
// "" then, and line 0.
struct diag_place places_find(const struct podspec_places *places, const char *path);

// The name given to places_new(); "" where places is NULL.
const char *places_file(const struct podspec_places *places);
