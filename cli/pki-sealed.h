// The sealed file of `mainstay pki export`, for `pki import` and `join`: the keys that all nodes of
// a control plane share, and the cluster's file.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "pki/transfer.h"

#define SEALED_CLUSTER "cluster.yaml" // its name in there

// Reads and unseals it with the key as `pki export` has printed it ("-": from standard input), and
// checks that it holds what it should and that keys and certificates belong together. 0, or a
// negative errno.
int sealed_read(const char *file, const char *key, struct transfer *ret, struct error *err);

// Borrowed; NULL where it is not in it.
const struct transfer_file *sealed_find(const struct transfer *transfer, const char *name);

// -EEXIST where another file is at the place of one of them. Nothing is changed.
int sealed_check(const char *dir, const struct transfer *transfer, struct error *err);

// Puts the keys and certificates below `dir`, a line for each. What is there and the same is kept;
// what differs is an error before anything is written, or (force) kept under its name and the date.
int sealed_put(const char *dir, const struct transfer *transfer, bool force, struct error *err);
