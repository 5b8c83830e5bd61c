// Between the source and the pods: every accepted spec becomes a revision in the pod's history, and
// a changed one that asks for it (mainstay.dev/confirm) is put on trial. Where it fails, the last
// good spec is what the pods are told to run, until the manifest has another content.
//
// The annotation of the new spec counts: a change that takes it away is in force without a trial.
//
// A spec that podmaster guards (mainstay.dev/fence) gives way only to one that is bound to the same
// lease: any other would run whoever holds it. Where there is none it runs on.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/buffer.h"
#include "base/error.h"
#include "supervisor/events.h"
#include "supervisor/history.h"
#include "supervisor/pod-worker.h"
#include "supervisor/pods.h"

struct revisions;

struct revisions_options {
    sd_event *event;
    const char *dir;       // borrowed: <root>/state/history
    const char *node_name; // borrowed
    struct event_log *events;
    struct pods *pods;
    // Appends the manifest that was accepted from the file. A negative errno where it is not at
    // hand.
    int (*manifest)(void *userdata, const char *file, struct buffer *out);
    // How a pod's trial stands has changed.
    void (*changed)(void *userdata, const struct pod_worker *w);
    void *userdata;
};

int revisions_new(const struct revisions_options *options, struct revisions **ret,
                  struct error *err);
void revisions_free(struct revisions *revisions); // flushes
DEFINE_CLEANUP(struct revisions *, revisions_free)

// From the source, instead of pods_set() and pods_removed().
void revisions_set(struct revisions *revisions, struct pod *pod, const char *file);
void revisions_removed(struct revisions *revisions, const char *namespace_, const char *name,
                       const char *uid);

// From the pods. The worker is not touched.
void revisions_pod_changed(struct revisions *revisions, const struct pod_worker *w);

// Writes what is not on disk yet.
void revisions_flush(struct revisions *revisions);

// The history of a pod, also of one that is no more. As history_look_up().
int revisions_look_up(struct revisions *revisions, const char *namespace_, const char *name,
                      struct history *ret, struct error *err);

// How the pod's trial stands, for status.c: {"state":"OnTrial","revision","deadline"} or
// {"state":"Failed","revision","message"}; NULL where there is nothing to tell. A new reference.
json_t *revisions_trial_json(const struct revisions *revisions, const struct pod_worker *w);
