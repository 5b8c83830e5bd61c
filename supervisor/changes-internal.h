// What the files changes*.c share; nobody else includes it. The way of a change:
//
//   changes.c        which pods and volumes there are; news, and when they have settled
//   files-scan.c     the files, a slice at a time
//   changes-judge.c  what that means for each pod
//   changes-roll.c   one pod after the other
//   changes-keep.c   what containers know of the files, on disk
#pragma once

#include "podspec/annotations.h"
#include "supervisor/changes.h"
#include "supervisor/files-scan.h"
#include "supervisor/settle.h"

enum {
    MISSING_USEC = 60000000,        // how long a file that is missing holds everything back
    ROLL_PATIENCE_USEC = 300000000, // how long a restarted pod may take to be ready again
    STEADY_USEC = 2000000,          // ready is who stays so this long without another restart
    POLL_USEC = 60000000,           // where not everything can be watched
};

// A path that is looked at, for however many volumes.
struct target {
    char *path;
    struct files files; // as of the newest whole look
    bool looked;
    monotime changed; // when the look began that saw them first as they are; 0: all looks did
    char *complaint;  // that was told
    bool wanted;
};

struct volume_use {
    char *name, *path;
    bool known;             // what its containers know is
    struct files files;     // what they know
    bool changed, replaced; // of the newest judgement: the files; the root itself
};

struct watched_pod {
    char *namespace_, *name;
    struct string_list depends_on;
    LIST_OF(struct volume_use) volumes;
    monotime since;      // when this began: containers that are older are an earlier agent's
    monotime missing;    // since when a file is; 0: none is
    monotime content_at; // containers that began before it have not seen the new files
    char *why;           // which files changed
    int signal;          // 0: restart
    char hash[33];
    bool gone;    // the instance is; another one may come
    bool due;     // to be restarted when it is its turn
    bool rolling; // it is this pod's turn now
};

struct roll {
    bool on;                  // a pod has its turn (the one with `rolling`)
    bool told;                // that it does not become ready
    monotime steady;          // since when it is ready; 0: it is not
    uint64_t steady_restarts; // how many there were then
    monotime deadline;        // when it is told that it does not become ready
    uint64_t restarts;        // of its containers, when it began
    size_t restarted;         // how many containers are to come back
};

struct changes {
    struct changes_options options;
    LIST_OF(struct watched_pod) pods;
    LIST_OF(struct target) targets;
    struct watch_set watches;
    bool watching;   // there is an inotify descriptor
    bool complained; // that not everything can be watched
    sd_event_source *inotify, *timer, *work, *next;
    struct settle settle;
    monotime poll;           // the next look where not everything can be watched; MONOTIME_NEVER
    struct files_scan *scan; // of targets.items[at]
    size_t at;
    bool looking;
    bool look_now;      // volumes of which nothing is known yet
    bool settled;       // the look under way began after all was quiet
    monotime looked_at; // when the look under way began
    struct roll roll;
};

struct target *changes_target(const struct changes *ch, const char *path);
struct watched_pod *changes_pod(const struct changes *ch, const char *namespace_, const char *name);
const struct pod_worker *changes_worker(const struct changes *ch, const struct watched_pod *p);
// The pod is not watched any more; `forget`: nor is it ever going to be.
void changes_drop(struct changes *ch, struct watched_pod *p, bool forget);
// Sets the timer anew.
void changes_arm(struct changes *ch);

// ---- changes-judge.c ----

// After a whole look: which pods are due.
void changes_judge(struct changes *ch, monotime now);
// What is seen now is what the containers of pods that are new know.
void changes_meet(struct changes *ch);
// When a missing file stops to hold a pod back.
monotime changes_missing_due(const struct changes *ch);

// ---- changes-roll.c ----

// In the loop's next turn: whether the pod whose turn it is is ready, and whose is next.
void changes_roll_on(struct changes *ch);
int changes_on_next(sd_event_source *source, void *userdata);
monotime changes_roll_due(const struct changes *ch);

// ---- changes-keep.c ----

void changes_save(const struct changes *ch, const struct watched_pod *p);
// Fills in what is known of the pod's volumes.
void changes_load(const struct changes *ch, struct watched_pod *p);
void changes_forget(const struct changes *ch, const struct watched_pod *p);
// Drops what is kept of pods that are not watched.
void changes_sweep(const struct changes *ch);
