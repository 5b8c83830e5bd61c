// The sealed file of `mainstay pki export`, for `pki import` and `join`: the keys that all nodes of
// a control plane share, and the cluster's file.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "cli/pki.h"
#include "manifests/cluster.h"
#include "pki/replace.h"
#include "pki/transfer.h"

#define SEALED_CLUSTER  "cluster.yaml" // its name in there
#define SEALED_EXTERNAL "external-etcd/"
enum { SEALED_EXTERNALS = 3 };

// Adds the file at `path` under a name. Where it is not there: a warning, or with is_needed an
// error.
int sealed_add_file(struct transfer *transfer, const char *name, const char *path, bool is_needed,
                    struct error *err);
// Adds the CA, the certificate and the key of etcd.external that this node has, other than those
// that are in it already as files of `dir`.
int sealed_add_external(struct transfer *transfer, const char *dir,
                        const struct kubeadm_config *config, struct error *err);

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

// 1: what is at `path` is the file's content; 0: nothing is there; -EEXIST: something else.
int sealed_look_at(const char *path, const struct transfer_file *file, struct error *err);

// Where the files of an external etcd go that are in it (by the cluster's file, which is in it,
// too): CA, certificate, key; NULL for one that is not. -EINVAL for a path that cannot be. Free it
// in either case.
struct sealed_externals {
    struct cluster cluster;
    const char *paths[SEALED_EXTERNALS]; // borrowed from it
};
int sealed_externals_find(const struct transfer *transfer, struct sealed_externals *ret,
                          struct error *err);
void sealed_externals_free(struct sealed_externals *externals);
#define _cleanup_sealed_externals_ _cleanup_(sealed_externals_free)
// sealed_check() and sealed_put() for these alone. `dir` is the directory whose lock is taken.
int sealed_externals_check(const struct transfer *transfer, struct error *err);
int sealed_externals_put(const char *dir, const struct transfer *transfer, struct error *err);

// Where a CA is going to be a bundle here: pki_signer_prepare() for it, before.
int sealed_prepare_signer(const struct pki_options *options, const char *dir,
                          const struct transfer *transfer, struct error *err);
