// How much room a file system must have left, as evictionHard of the kubelet says it:
// "nodefs.available<10%,nodefs.inodesFree<5%". Here nothing is evicted below it: it is told.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"

// A part of the whole, or an amount (of bytes, of inodes). All zero: no limit.
struct disk_limit {
    unsigned per_mille;
    int64_t amount;
};

struct disk_limits {
    struct disk_limit room, inodes;
};

// K/eviction/defaults_linux.go
#define DISK_LIMITS_DEFAULT "nodefs.available<10%,nodefs.inodesFree<5%"

// Reads items such as "nodefs.available<10%" or "nodefs.available: 1Gi"; what they do not name
// stays as it is in *limits. The kubelet's other signals are known and mean nothing here. -EINVAL
// with *err.
int disk_limits_read(const struct string_list *items, struct disk_limits *limits,
                     struct error *err);
// The same for text that is right and joined by commas.
struct disk_limits disk_limits_of(const char *text);
// As disk_limits_of() takes it. The caller frees.
char *disk_limits_text(const struct disk_limits *limits);

// Below the limit it begins, and it ends when a fifth more than that is there; `low`: it had begun.
bool disk_limit_is_passed(const struct disk_limit *limit, bool low, uint64_t available,
                          uint64_t total);
// "10%" or "1073741824".
char *disk_limit_text(const struct disk_limit *limit);
