// The source of pods: watches the manifest directory with inotify, asks a URL where one is given,
// and tells which pods must run. What comes from the URL counts as one more file, called by the
// URL.
//
// It keeps the last good content of every file: a file that stops parsing or validating keeps its
// last accepted pods (also over an agent restart), only its removal takes them away. Two files that
// claim one pod are a conflict: the one that runs keeps running and the other waits.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/monotime.h"
#include "podspec/podspec.h"

struct manifest_source;

enum manifest_state {
    MANIFEST_ACCEPTED,
    MANIFEST_REFUSED,  // the newest content is wrong; the last good one (if any) is what runs
    MANIFEST_CONFLICT, // it claims a pod that another file already provides
};

// One manifest file as `mainstay get` and the API show it. All borrowed, valid until the next
// turn of the event loop.
struct manifest_status {
    const char *file; // absolute path, or the URL
    enum manifest_state state;
    const struct diag_list *diags; // errors of the newest content, or warnings of the accepted one
    const char *conflict_with;     // the file that keeps the pod, for MANIFEST_CONFLICT
    const struct pod *const *pods; // what of this file is in force (last good)
    size_t n_pods;
    const char *hash; // SHA-256 (hex) of the newest content that was read
    walltime changed; // when that content was first seen
    bool has_last_good;
};

// What the source tells its owner, always from the event loop. Pods are keyed by namespace/name
// (the suffixed name) and by UID.
struct manifest_source_ops {
    // A pod must run with this spec. Also called for every pod at start, and again with a new UID
    // or spec when it changed, and with the same ones when only the file that provides it changed
    // (a rename); never when only comments or layout changed. `pod` is now the callee's; `file` is
    // borrowed.
    void (*pod_set)(void *userdata, struct pod *pod, const char *file);
    // The pod must not run any more.
    void (*pod_removed)(void *userdata, const char *namespace_, const char *name, const char *uid,
                        const char *file);
    // The state, the findings or the conflict of a file changed (once per distinct content).
    void (*file_changed)(void *userdata, const struct manifest_status *status);
    // A look at the whole directory has got on by one file: it may last, on a slow disk. May be
    // NULL. Nothing is to be asked from the source now.
    void (*progress)(void *userdata);
    // A file went away.
    void (*file_removed)(void *userdata, const char *file);
    // The directory has been read completely for the first time (also when it does not exist:
    // `present` is false then and the source goes on waiting for it). Nothing that ran before may
    // be stopped for being absent until this was called with `present`; it is called again when a
    // directory that was missing has been read.
    void (*synced)(void *userdata, bool present);
};

struct manifest_source_options {
    const char *directory; // may be a single file, and may not exist yet
    const char *state_dir; // last good contents live here (made if missing); NULL: memory only
    const char *node_name;
    int64_t rescan_usec; // full rescan; fileCheckFrequency, 20 s by default
    int64_t settle_usec; // a file that fails to parse is looked at again after this (torn writes)
    const char *url;     // asked for a Pod or a PodList (K/config/http.go); NULL: none
    const char *url_headers; // "Name: value" lines; NULL: none
    int64_t url_poll_usec;   // so long after each answer; httpCheckFrequency, 20 s by default
};

// Nothing is read before the loop runs. Options are copied. 0, or a negative errno with *err.
int manifest_source_new(sd_event *event, const struct manifest_source_options *options,
                        const struct manifest_source_ops *ops, void *userdata,
                        struct manifest_source **ret, struct error *err);

// Reads the whole directory again now (from the loop), as after a queue overflow, and asks the URL.
void manifest_source_rescan(struct manifest_source *source);

// All files, sorted by name. The caller frees the array (free()); the content is borrowed.
size_t manifest_source_list(const struct manifest_source *source, struct manifest_status **ret);

// Appends the content of a file that is in force: what was accepted from it last. -ENOENT where
// nothing was, or where it is not kept (without a state directory).
int manifest_source_good_content(const struct manifest_source *source, const char *file,
                                 struct buffer *out);

// For health checks: when the source last finished a look at the directory.
monotime manifest_source_last_scan(const struct manifest_source *source);

void manifest_source_free(struct manifest_source *source);
DEFINE_CLEANUP(struct manifest_source *, manifest_source_free)
