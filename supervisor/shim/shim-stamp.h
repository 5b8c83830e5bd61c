// Time as text for every batch of log lines: what walltime_format_nano() gives, but without libc's
// time zones (which would cost the shim's memory) and with the seconds worked out once a second.
#pragma once

#include "base/monotime.h"

enum { SHIM_STAMP_LENGTH = 30 }; // "2026-11-21T07:00:00.000000000Z"

struct shim_stamp {
    int64_t second; // that `text` is about; 0 at first
    char text[SHIM_STAMP_LENGTH + 1];
};

void shim_stamp_set(struct shim_stamp *stamp, walltime t);

// "20261121-070000", the suffix of a rotated log (K/logs/container_log_manager.go), in UTC. buf has
// 16 bytes. Returns buf.
char *shim_stamp_suffix(walltime t, char *buf);
