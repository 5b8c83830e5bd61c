// What a new agent needs to go on where the last one stopped, in <root>/state/pods/:
//
//   <uid>.pod     the pod as it was accepted, written once
//   <uid>.state   what its worker knows: states, counts, back-off, history; replaced with every
//                 change
//
// Each begins with a line "mainstay-<kind> <version> <sha256 of the rest>" and goes on as JSON.
// Files are replaced atomically; they are not synced to disk, since after a power failure nothing
// runs that they could be about. A damaged .state costs the pod's history, a damaged .pod its spec
// until the manifest is read (its shims tell who they are).
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "supervisor/pod-worker.h"

// Both replace an earlier file. 0 or a negative errno.
int state_save_pod(const char *dir, const struct pod_worker *w, struct error *err);
int state_save_worker(const char *dir, const struct pod_worker *w, struct error *err);

void state_remove(const char *dir, const char *uid);

// The UIDs of all pods that have a .pod file, sorted. 0 (also where the directory is missing), or a
// negative errno.
int state_list(const char *dir, struct string_list *ret, struct error *err);

// The pod and the manifest that it came from (*ret_file may become NULL). The caller owns both.
// -EBADMSG where the file is damaged; it is moved aside then ("<uid>.pod.damaged").
int state_load_pod(const char *dir, const char *uid, struct pod **ret, char **ret_file,
                   struct error *err);

// Fills a new worker of that pod with what was saved. Times that are counted from the boot are
// dropped where the machine was restarted since. 0; -ENOENT; -EBADMSG as above.
int state_load_worker(const char *dir, struct pod_worker *w, bool *ret_rebooted, struct error *err);
