// What preflight reads out of texts and numbers. Pure, so that it can be tested with any.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

// One socket of /proc/net/tcp or tcp6 that listens at a port.
struct listener {
    uint64_t inode;
};
struct listeners {
    LIST_OF(struct listener) list;
};
// Appends those of `text` at `port` that keep others from listening at `host` ("127.0.0.1", "::"):
// at the same address, or where one of both is the address of all.
void facts_listeners(const char *text, const char *host, int port, struct listeners *ret);
void listeners_free(struct listeners *listeners);
#define _cleanup_listeners_ _cleanup_(listeners_free)

// Bytes of swap in /proc/swaps.
uint64_t facts_swap(const char *text);
// A field of /proc/meminfo ("MemAvailable") in bytes; 0 where it is missing.
uint64_t facts_meminfo(const char *text, const char *field);

// The value below which `percent` of the n lie (the nearest-rank method); sorts them. n > 0.
int64_t facts_percentile(int64_t *values, size_t n, unsigned percent);

struct facts_version {
    long long major, minor, patch;
};
// The first "X.Y.Z" of a text ("Kubernetes v1.20.2", "etcd Version: 3.4.23\n…", "3.4.13-0"): false
// where there is none.
bool facts_version(const char *text, struct facts_version *ret);
static inline bool facts_same_minor(struct facts_version a, struct facts_version b)
{
    return a.major == b.major && a.minor == b.minor;
}

// How far this clock is ahead of another's in microseconds: the other's answer bears a date in
// whole seconds and came between `asked` and `answered` (microseconds since 1970). *ret_doubt is
// how far off that may be.
int64_t facts_skew(int64_t date_sec, int64_t asked_usec, int64_t answered_usec, int64_t *ret_doubt);

// "https://[::1]:2379/x" → "::1" and 2379; 0.0.0.0 and names as they stand. False where it is no
// URL with a port. The caller frees *ret_host.
bool facts_url(const char *url, char **ret_host, int *ret_port);

// True where one of the names ("Port-2380,Swap") is this finding's, its check's or "all"; upper and
// lower case are the same.
bool facts_is_named(const char *names, const char *finding);
