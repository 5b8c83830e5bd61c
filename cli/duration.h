// Ages and moments as kubectl shows them, and small readers of JSON that stand around them.
#pragma once

#include <jansson.h>

#include "base/monotime.h"
#include "base/time-format.h"

// "5m", "2d3h"; "<unknown>" where the time is not set, "<invalid>" where it lies clearly ahead of
// now (kubectl allows two seconds of it). buf has DURATION_SIZE bytes. Returns buf.
char *age_since(walltime then, walltime now, char *buf);

// The same for an RFC 3339 text out of JSON; NULL is not set.
char *age_of_text(const char *then, walltime now, char *buf);

// "3" or "3 (5m ago)": restarts and the last one. `last` may be not set. buf has AGE_SIZE bytes.
enum { AGE_SIZE = 64 };
char *restarts_format(long long restarts, walltime last, walltime now, char *buf);

// "5m" or "5m (x3 over 10m)": an event that was seen `count` times. buf has AGE_SIZE bytes.
char *interval_format(long long count, walltime first, walltime last, walltime now, char *buf);

// A time out of JSON; not set where it is missing or no time.
walltime walltime_from_json(const json_t *value);

// "Mon, 02 Jan 2006 15:04:05 -0700" in local time, as kubectl describe shows it. buf has AGE_SIZE
// bytes. Returns buf ("<unknown>" where not set).
char *moment_format(walltime t, char *buf);
