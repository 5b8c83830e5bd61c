// What diff, apply and delete must know of the agent before they touch a manifest.
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "cli/client.h"
#include "podspec/pod.h"

struct node_state {
    json_t *status, *manifests; // /mainstay/v1/status, and the items of /mainstay/v1/manifests
};

int node_state_fetch(struct client *client, struct node_state *ret, struct error *err);
void node_state_free(struct node_state *state);
#define _cleanup_node_state_ _cleanup_(node_state_free)

// The node's name and the manifest directory (or the one manifest file); borrowed.
const char *node_state_node(const struct node_state *state);
const char *node_state_directory(const struct node_state *state);

// The item of the manifest that provides this pod now, or NULL. Borrowed.
const json_t *node_state_provider(const struct node_state *state, const char *namespace_,
                                  const char *name);
// The item of a manifest file, or NULL. Borrowed.
const json_t *node_state_manifest(const struct node_state *state, const char *file);
