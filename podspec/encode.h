// A struct that the table describes as JSON, for the files of this room; the face is podspec.h.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "podspec/schema.h"

// A new object with the fields in the order of the table and unset ones left out. Where
// `without_defaults`, also those that have their row's default: what then remains does not change
// when a later release learns of new fields and defaults.
json_t *encode_object(const struct type_schema *type, const void *object, bool without_defaults);
