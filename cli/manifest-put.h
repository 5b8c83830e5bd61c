// Putting a manifest into the agent's directory, and seeing it through: for apply and rollback.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/monotime.h"
#include "cli/client.h"
#include "podspec/podspec.h"

// Replaces the file in one step, keeping its mode. *ret_verb is "created", "configured" or
// "unchanged".
int manifest_put(const char *target, const struct buffer *content, const char **ret_verb,
                 struct error *err);

// Waits until the agent has read the file with this SHA-256, its pods are ready and stay so for
// `settle_usec`, and the trial of those that ask for one (mainstay.dev/confirm) is over; says so on
// stdout. The time that trials take comes on top of the deadline. Else as pods_wait().
int manifest_settle(struct client *client, const char *file, const char *sha256,
                    const struct pod_list *pods, int64_t settle_usec, monotime deadline,
                    struct error *err);
