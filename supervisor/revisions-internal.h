// What the files revisions*.c share; nobody else includes it.
//
//   revisions.c       what the source tells, and the trials
//   revisions-show.c  what others ask
//   revisions-keep.c  the histories on disk: written when the loop has time
#pragma once

#include "supervisor/revisions.h"
#include "supervisor/trial.h"

// A pod that the source wants.
struct tracked {
    char *namespace_, *name;
    char hash[33];    // of the spec that is to run
    bool ready_noted; // it was ready
    bool on_trial;
    bool resumed; // the trial was begun by an earlier agent; the pod was not seen yet
    int64_t window_usec;
    struct history_trial trial;
    struct history history;     // as the trial began, should the disk not have it when it ends
    enum trial_verdict verdict; // to be carried out
    uint64_t failed;            // the revision that the manifest on disk has; 0: it is what runs
    char *failed_message;
};

enum note_kind { NOTE_ACCEPTED, NOTE_READY, NOTE_REMOVED };

// Something that is to go into a history.
struct note {
    enum note_kind kind;
    char *namespace_, *name;
    char hash[33];
    char *uid, *file, *text; // of what was accepted
    bool complete;
    walltime when;
};

struct revisions {
    struct revisions_options options;
    LIST_OF(struct tracked) tracked; // sorted by namespace and name
    LIST_OF(struct note) notes;
    monotime flush_by; // while there are notes: when they are written at the latest
    sd_event_source *flush, *judge, *deadline;
    bool complained; // that histories cannot be written
};

// ---- revisions-show.c ----

// Where it is, or would have to be; and NULL where it is not.
size_t tracked_index(const struct revisions *r, const char *namespace_, const char *name);
struct tracked *tracked_find(const struct revisions *r, const char *namespace_, const char *name);

// ---- revisions-keep.c ----

int revisions_keep_init(struct revisions *r);
void note_clear(struct note *note);
// To be written when the loop has time. Takes what the note owns.
void revisions_note(struct revisions *r, const struct note *note);
// The pod's history with all notes in it; an empty one where there is none, or where it is damaged.
void revisions_load(struct revisions *r, const char *namespace_, const char *name,
                    struct history *ret);
void revisions_save(struct revisions *r, const struct history *history);
