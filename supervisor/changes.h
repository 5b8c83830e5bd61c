// Pods that want to be restarted, or sent a signal, when files in their hostPath volumes change
// (mainstay.dev/restart-on-change and mainstay.dev/reload-signal).
//
// The volumes are watched by inotify. Once a burst of news has settled (settle.h) all files are
// looked at, a slice at a time; what counts is another content. A file that is missing holds
// everything back for a minute: renewals delete first and write then; that it stays away is no
// reason to restart. Of the pods that are due, one at a time is restarted on this node, and the
// next waits until it is ready again; what a pod depends on goes first.
//
// What each pod's containers know of the files is kept on disk in <root>/state/changes/, so that
// what changes while no agent is there is seen, and a roll that an agent began is ended by the
// next.
#pragma once

#include <systemd/sd-event.h>

#include "base/error.h"
#include "supervisor/events.h"
#include "supervisor/pod-worker.h"
#include "supervisor/pods.h"

struct changes;

struct changes_options {
    sd_event *event;
    const char *dir; // borrowed: <root>/state/changes
    struct event_log *events;
    struct pods *pods;
};

int changes_new(const struct changes_options *options, struct changes **ret, struct error *err);
void changes_free(struct changes *changes);
DEFINE_CLEANUP(struct changes *, changes_free)

// From the pods: one changed, or (deleted) an instance of it is gone. It is not touched.
void changes_pod_changed(struct changes *changes, const struct pod_worker *w, bool deleted);
// Every pod that is wanted is known: what is kept of others may go.
void changes_synced(struct changes *changes);
