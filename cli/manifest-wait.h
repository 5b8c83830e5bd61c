// Waiting until the agent has judged a manifest that was just written.
#pragma once

#include "base/error.h"
#include "base/monotime.h"
#include "cli/client.h"

// Waits until the agent has read this content (SHA-256 in hex) of the file. 0 where it accepted it;
// -EINVAL with its findings or the conflict where it did not; -ETIMEDOUT with a message.
int manifest_wait(struct client *client, const char *file, const char *sha256, monotime deadline,
                  struct error *err);
