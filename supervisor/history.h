// Which specs of a pod were accepted, and what became of each: the newest few, on disk in
// <root>/state/history/, one file for each namespace and name. They outlive the agent, and the pod.
//
// A revision keeps the manifest as it was written, so that going back to it gives back exactly
// that. The files begin with a line "mainstay-history <version> <sha256 of the rest>" and go on as
// JSON; they are replaced atomically. A damaged one costs that pod's history, and is moved aside.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/monotime.h"
#include "podspec/podspec.h"

enum {
    HISTORY_REVISIONS_MOST = 10,
    HISTORY_BYTES_MOST = 1 << 20, // of manifests; the revisions that are needed stay beyond it
    HISTORY_REMOVED_MOST = 50,    // pods that are no more
};

enum history_verdict {
    HISTORY_UNJUDGED,
    HISTORY_CONFIRMED, // passed its trial
    HISTORY_FAILED,    // failed it
};

enum history_end {
    HISTORY_NO_END, // it is the current one
    HISTORY_REPLACED,
    HISTORY_REMOVED, // with its manifest
};

struct revision {
    uint64_t number; // from 1, growing
    walltime accepted;
    walltime ready; // when it was ready for the first time; not set: never (yet)
    walltime ended;
    enum history_verdict verdict;
    enum history_end end;
    bool tried;    // it was put on trial
    char hash[33]; // pod_hash()
    char *uid;
    char *file;    // NULL where unknown
    char *origin;  // "rollback to 3"; NULL where it is an ordinary edit
    char *message; // why it failed its trial; or NULL
    char *text;    // the whole manifest
    bool complete; // `text` is the pod as it ran instead: its manifest was not at hand
};

// A trial that is under way (trial.h), as it must be known to the next agent.
struct history_trial {
    uint64_t number; // of the revision; 0: there is none
    char boot_id[37];
    monotime deadline;
    bool was_ready;
    uint64_t restarts; // that were counted when it was ready
};

struct history {
    char *namespace_, *name; // with the node's suffix
    uint64_t current;        // what runs, or is to; 0: the pod was removed
    uint64_t failed;         // the manifest on disk failed its trial: it is not what runs; 0: it is
    LIST_OF(struct revision) revisions; // oldest first
    struct history_trial trial;
};

// ---- in memory ----

void history_init(struct history *history, const char *namespace_, const char *name);
void history_free(struct history *history);
#define _cleanup_history_ _cleanup_(history_free)

struct revision *history_find(const struct history *history, uint64_t number);
struct revision *history_current(const struct history *history); // NULL where there is none
// The newest one with this hash, or NULL.
struct revision *history_with_hash(const struct history *history, const char *hash);

// What a failed trial of the current revision goes back to: the newest other spec that was
// confirmed, or was ready without having been on trial; else the newest that was ready at all and
// did not fail. NULL where there is none.
struct revision *history_good(const struct history *history);
// The same among those that fit. NULL: all do.
struct revision *history_good_that(const struct history *history,
                                   bool (*fits)(void *userdata, const struct revision *revision),
                                   void *userdata);

// A spec as it comes from the source. Strings are borrowed.
struct history_spec {
    const char *hash, *uid, *file;
    const char *text;
    bool complete;
};

// The spec is in force from now on. True where that is news: another spec than the current one. One
// that was removed and comes back unchanged is the old revision again. The number of revisions
// stays bounded.
bool history_accept(struct history *history, const struct history_spec *spec, walltime now);
void history_removed(struct history *history, walltime now);
void history_confirmed(struct history *history);
// The current one has failed its trial: `good` runs from now on; NULL: the same one goes on.
void history_failed(struct history *history, struct revision *good, const char *why, walltime now);

// The revision as the pod that ran. 0, or -EBADMSG with *err where this release refuses it.
int history_pod(const struct history *history, const struct revision *revision,
                const char *node_name, struct pod **ret, struct error *err);

// "Running,OnTrial", "Replaced", "Confirmed", "FailedTrial", …; buf has HISTORY_OUTCOME_SIZE.
enum { HISTORY_OUTCOME_SIZE = 64 };
const char *history_outcome(const struct history *history, const struct revision *revision,
                            char *buf);

// As the API shows it (api.h). A new reference.
json_t *history_to_json(const struct history *history);

// ---- on disk ----

void history_encode(const struct history *history, struct buffer *out);
// 0 and a history to be freed, or -EBADMSG.
int history_decode(const void *data, size_t size, struct history *ret);

// -ENOENT where there is none; -EBADMSG where it is damaged (*err says where it was moved to).
int history_load(const char *dir, const char *namespace_, const char *name, struct history *ret,
                 struct error *err);
int history_save(const char *dir, const struct history *history, struct error *err);

// The pod that somebody means, also one that is no more: NAME with or without "-<node>" (node NULL:
// any), namespace NULL: any. 0, -ENOENT or -ENOTUNIQ with *err, or what history_load() says.
int history_look_up(const char *dir, const char *node, const char *namespace_, const char *name,
                    struct history *ret, struct error *err);

// Drops the oldest files beyond `most` that `is_wanted` does not ask for.
void history_sweep(const char *dir, size_t most,
                   bool (*is_wanted)(void *userdata, const char *file), void *userdata);
// The name of the file below the directory. The caller frees.
char *history_file_name(const char *namespace_, const char *name);
