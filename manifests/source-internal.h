// What the files of the directory source share. The way of a change:
//
//   source-watch.c  inotify: which directories are watched, and what an event is about
//   source-scan.c   which files there are (enumeration, the settling of removals)
//   source-file.c   one file: read, parsed, accepted, refused or looked at again
//   source-pods.c   from all accepted contents to the pods that must run, and to the callbacks
//   source-store.c  last good contents on disk
//   source-url.c    the manifest that is fetched from a URL
//   source.c        the public face and the event sources that drive it all
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/string-list.h"
#include "manifests/source.h"
#include "manifests/watch-set.h"

enum { POD_HASH_SIZE = 33 };

// ---- source-names.c

enum manifest_name {
    MANIFEST_NAME_GOOD,    // read
    MANIFEST_NAME_PASSED,  // hidden or a backup: passed over without a word
    MANIFEST_NAME_UNKNOWN, // no manifest by its name: passed over with a finding
};

enum manifest_name manifest_name_class(const char *name);

// ---- the source's own state

// By which a file is known not to have changed.
struct file_signature {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct manifest_file {
    char *path;     // absolute; what the file is known by
    bool misnamed;  // no manifest by its name: never read
    bool remote;    // `path` is a URL, and there is no file to look at
    bool found;     // by the enumeration under way
    bool gone;      // not there at the last look; forgotten when remove_at is reached
    bool forgotten; // its pods and its status go with the next reconciliation

    bool steady;                     // `signature` can be trusted to tell a change
    struct file_signature signature; // of the content that was read last

    monotime deferred_since; // the newest content may be torn: not judged yet. NEVER: nothing waits
    monotime look_at;        // look again then
    monotime remove_at;      // a gone file is forgotten then

    // The newest content that was judged.
    bool judged;
    bool refused;
    char hash[DIGEST_HEX_SIZE]; // "" where it could not be read
    walltime changed;
    struct diag_list diags;

    // What was accepted last.
    bool has_good;
    struct pod_list good;
    char (*pod_hashes)[POD_HASH_SIZE]; // of the pods in `good`

    bool store_known;                  // the store was asked for this file
    char stored_hash[DIGEST_HEX_SIZE]; // of what is in the store; "" where nothing is
    struct buffer unsaved;             // accepted content on its way to the store

    // What the owner is told.
    const struct pod **in_force; // into good.items, those that this file provides
    size_t n_in_force;
    char *conflict_with; // NULL where there is none
    char *reported;      // what file_changed told last; NULL before the first time
};

// A pod that the owner was told to run.
struct running_pod {
    char *namespace_, *name, *uid;
    char hash[POD_HASH_SIZE];
    char *file; // the path of the file that provides it
};

struct manifest_source {
    sd_event *event;
    char *directory; // absolute
    char *state_dir; // NULL: nothing is stored
    char *node_name;
    int64_t rescan_usec, settle_usec;
    // Time that did not pass (manifest_source_skip_time()), and when that was.
    int64_t skipped_usec;
    struct timespec skipped_at;
    struct manifest_source_ops ops;
    void *userdata;

    sd_event_source *inotify_source, *settle_timer, *rescan_timer, *scan_request;
    bool scan_wanted;
    struct watch_set watches;
    bool watches_damped; // failing watches were logged
    bool store_damped;   // a failing store was logged

    bool present;        // the path was there at the last scan
    bool synced_present; // it was there when `synced` was told
    bool scanned;        // at least once, completely
    bool synced;         // the owner was told
    bool settled;        // pods were settled once; until then the store says who ran before
    bool swept;          // the store was rid of what belongs to no file
    bool changed;        // something happened that the pods may depend on
    monotime last_scan;

    LIST_OF(struct manifest_file *) files; // sorted by path
    struct source_url *url;                // NULL where none is asked
    struct manifest_file *trouble;         // the directory itself, where it cannot be read; or NULL
    LIST_OF(struct running_pod) running;   // sorted by namespace and name
    char *contests; // "namespace/name<TAB>path" lines: who provides each contested pod, as stored
};

// The time that everything here goes by.
static inline monotime source_now(const struct manifest_source *source)
{
    return monotime_add_usec(monotime_now(), source->skipped_usec);
}

// ---- source-scan.c

// Looks at everything: resolves the path again, enumerates, looks at each file.
void source_scan(struct manifest_source *source);
// Looks at the named entries of the directory.
void source_look_at_names(struct manifest_source *source, const struct watch_news *news);
// Does what is due: second looks and removals.
void source_settle(struct manifest_source *source, monotime now);
// When the next of these is due.
monotime source_next_due(const struct manifest_source *source);
// True while a file that was not judged yet may still turn out to be a good one.
bool source_waits_for_first_judgement(const struct manifest_source *source);
// The file of this path, made where there is none.
struct manifest_file *source_file(struct manifest_source *source, const char *path);

// ---- source-file.c

// How sure it is that nobody is writing the file just now.
enum look_trust {
    LOOK_RESCAN, // nothing is known: files that look unchanged are passed over
    LOOK_NEWS,   // something happened to the file
    LOOK_CLOSED, // its writer closed it, or it was renamed into place
};

struct manifest_file *manifest_file_new(const char *path);
void manifest_file_free(struct manifest_file *file);

// Reads the file where it changed, and judges it, or defers the judgement.
void source_look(struct manifest_source *source, struct manifest_file *file, enum look_trust trust);

// Refuses the file (or the directory) for something else than its content. The last good one stays.
void source_refuse(struct manifest_source *source, struct manifest_file *file, char *message);

// A file that stands for a URL, with what was accepted from there before the agent was restarted.
void source_add_remote(struct manifest_source *source, struct manifest_file *file);
// Judges what was fetched (taken out of the buffer); nothing at all means no pods.
void source_judge_remote(struct manifest_source *source, struct manifest_file *file,
                         struct buffer *content);

// Why a path cannot be read and what to do about it; the caller frees. `code`: the negative errno.
char *source_explain_unreadable(int code);

// ---- source-pods.c

// Brings what runs in line with what the files say, and tells the owner of every difference.
void source_reconcile(struct manifest_source *source);
// False where there is nothing to show yet.
bool source_fill_status(const struct manifest_file *file, struct manifest_status *ret);
void running_pod_clear(struct running_pod *running);

// ---- source-store.c

// Appends the stored content of a file; -ENOENT where there is none, -EBADMSG where it is damaged
// or another path's.
int source_store_load(const struct manifest_source *source, const char *path, struct buffer *out);
void source_store_remove(const struct manifest_source *source, const char *path);
// Writes what was accepted in this turn.
void source_store_flush(struct manifest_source *source);
// Drops what is stored for files that are not there any more.
void source_store_sweep(const struct manifest_source *source);
void source_store_load_contests(struct manifest_source *source);
void source_store_save_contests(struct manifest_source *source, const char *text);

// ---- source-url.c

int source_url_new(struct manifest_source *source, const struct manifest_source_options *options,
                   struct source_url **ret, struct error *err);
void source_url_ask(struct source_url *url); // now, where it is not being asked
void source_url_free(struct source_url *url);

// ---- source.c, for tests

// As though so much more time had passed since everything that happened so far.
void manifest_source_skip_time(struct manifest_source *source, int64_t usec);

// True where nothing is under way: no event waits, no file is deferred or about to be forgotten.
bool manifest_source_idle(const struct manifest_source *source);
