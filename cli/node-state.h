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
// 0 where the manifest is a file that may be changed here; -EPERM with what to do where it comes
// from a URL.
int node_state_check_file(const char *file, const char *pod, struct error *err);
// The item of a manifest file, or NULL. Borrowed.
const json_t *node_state_manifest(const struct node_state *state, const char *file);
