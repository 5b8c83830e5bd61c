// JSON values from text that nobody has checked: file names, messages of programs, times.
#pragma once

#include <jansson.h>

#include "base/monotime.h"

// A JSON string; bytes that are no UTF-8 become U+FFFD, so that no reply is lost because of one bad
// file name. NULL in: JSON null. A new reference.
json_t *json_text(const char *s);

// RFC 3339 in whole seconds, as metav1.Time; null where it is not set.
json_t *json_time(walltime t);

// Sets object[key] to a JSON string, unless `s` is NULL or "": then the field is left out.
void json_set_text(json_t *object, const char *key, const char *s);
// The same for a time that is set.
void json_set_time(json_t *object, const char *key, walltime t);
