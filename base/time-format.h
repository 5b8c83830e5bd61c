// Times and durations as Kubernetes writes and reads them.
#pragma once

#include <stdint.h>

#include "base/monotime.h"

enum { RFC3339_NANO_SIZE = 36, DURATION_SIZE = 32 };

// "2026-11-21T06:48:19Z" (metav1.Time) in UTC; buf has RFC3339_NANO_SIZE bytes. Returns buf.
char *walltime_format(walltime t, char *buf);

// "2026-11-21T06:48:19.123456789Z" with all nine digits, as in CRI log files. Returns buf.
char *walltime_format_nano(walltime t, char *buf);

// RFC 3339 with any offset and up to nine digits of fraction: 0, or -EINVAL.
int walltime_parse(const char *s, walltime *ret);

// A Go duration ("1h30m", "250ms", "1.5s", also "-5s") in nanoseconds: 0, -EINVAL or -ERANGE.
int duration_parse(const char *s, int64_t *ret_nsec);

// kubectl's short age: 12s, 4m30s, 3h12m, 5d2h, 40d, 2y10d
// (apimachinery/pkg/util/duration/duration.go). buf has DURATION_SIZE bytes. Returns buf.
char *duration_format_human(int64_t seconds, char *buf);

// The exact form of Go's time.Duration.String(): 1m0s, 1.5s, 250ms. Returns buf (DURATION_SIZE).
char *duration_format_go(int64_t nsec, char *buf);
