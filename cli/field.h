// Short ways into JSON: dotted paths, and something harmless where a field is missing.
#pragma once

#include <jansson.h>
#include <stdbool.h>

// The value at "status.hostIP"; NULL where it is missing. Borrowed.
json_t *field_at(const json_t *value, const char *path);
// Its text; NULL where it is missing or no string.
const char *field_text(const json_t *value, const char *path);
// Its text; "" likewise.
const char *field_text_or_empty(const json_t *value, const char *path);
// Its number; 0 likewise.
long long field_int(const json_t *value, const char *path);
bool field_true(const json_t *value, const char *path);
// The item of an array whose "name" is this; NULL where there is none. Borrowed.
json_t *field_named(const json_t *array, const char *name);
