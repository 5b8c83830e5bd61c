// The health registry that every part of the agent reports to: /healthz, /readyz?verbose, the
// watchdog and STATUS= all read it.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/monotime.h"

struct health;

struct health *health_new(void);
void health_free(struct health *health);

// Registers a part ("loop", "source", "pods", …) that must report at least every `max_silence_usec`
// (0: only its explicit state counts). `name` is copied. Returns its index.
size_t health_register(struct health *health, const char *name, int64_t max_silence_usec,
                       monotime now);
void health_alive(struct health *health, size_t part, monotime now);
// message NULL: well again. Copied.
void health_set_failed(struct health *health, size_t part, const char *message);
// A part that must have reported once before the agent is ready.
void health_set_ready(struct health *health, size_t part, bool ready);

bool health_is_live(const struct health *health, monotime now);  // every part well and not silent
bool health_is_ready(const struct health *health, monotime now); // live, and every part ready
// "[+]loop ok\n[-]source failed: silent for 45s\n…healthz check passed", as the kubelet's ?verbose.
void health_describe(const struct health *health, monotime now, bool readiness, struct buffer *out);
// The name of the first part that is not live, or NULL.
const char *health_culprit(const struct health *health, monotime now);

size_t health_count(const struct health *health);
// One part: its name (borrowed), whether it is well and ready, and, where it is not, why (appended
// to `why`).
const char *health_part(const struct health *health, size_t part, monotime now, bool *ret_ok,
                        bool *ret_ready, struct buffer *why);
