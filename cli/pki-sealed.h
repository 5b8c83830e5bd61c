// The sealed file of `mainstay pki export`, for `pki import` and `join`: the keys that all nodes of
// a control plane share, and the cluster's file.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "cli/pki.h"
#include "pki/transfer.h"

#define SEALED_CLUSTER "cluster.yaml" // its name in there

// Reads and unseals it with the key as `pki export` has printed it ("-": from standard input), and
// checks that it holds what it should and that keys and certificates belong together. 0, or a
// negative errno.
int sealed_read(const char *file, const char *key, struct transfer *ret, struct error *err);

// Borrowed; NULL where it is not in it.
const struct transfer_file *sealed_find(const struct transfer *transfer, const char *name);

// Whether sealed_put() without force would put them there: a file is missing, the same, or a CA's
// next in its rotation (what `pki rotate-ca` has made elsewhere of the one that is here). -EEXIST
// where there is another, -ESTALE where what is sealed is behind what is here, or one of the
// rotation's steps was left out. Nothing is changed.
int sealed_check(const char *dir, const struct transfer *transfer, struct error *err);

// Puts the keys and certificates below `dir`, a line for each; those of one directory all at once,
// and CA-signer.crt with them where there is one. What is there and the same is kept; what is
// replaced stays under its name and the date; what differs without being next (see above) is an
// error before anything is written, other than with `force`.
int sealed_put(const char *dir, const struct transfer *transfer, bool force, struct error *err);

// Where a CA is going to be a bundle here: pki_signer_prepare() for it, before.
int sealed_prepare_signer(const struct pki_options *options, const char *dir,
                          const struct transfer *transfer, struct error *err);
