// What `mainstay status` shows, as text: the agent and its watchers, directories, pods, manifests
// that are refused, what this host cannot do, and advice. Drawn from the API's JSON and nothing
// else.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/monotime.h"

struct status_view {
    const json_t *status;    // /mainstay/v1/status
    const json_t *pods;      // an array of pods
    const json_t *manifests; // an array of manifests
    const json_t *events;    // an array of events, oldest first, for the live screen; or NULL
};

// `columns`: sentences are broken at this width; 0: never.
void status_render(const struct status_view *view, walltime now, bool color, int columns,
                   struct buffer *out);

// Appends the sentence, each of its lines behind `indent`, broken between words so that no line is
// wider than `columns` (0: not broken) unless a single word is.
void status_wrap(const char *text, const char *indent, int columns, struct buffer *out);

// Whether there is a watcher that does not deny this of itself: "restarts" the agent when it dies,
// "noticesHangs".
bool status_is_watched(const json_t *status, const char *quality);

// The advice alone, one line each without indentation.
void status_advise(const struct status_view *view, struct buffer *out);

// Cuts every line to `columns` and the whole to `rows`, and ends each line by clearing what an
// earlier drawing left behind it. Colour sequences take no room.
void status_fit(const char *text, int rows, int columns, struct buffer *out);
