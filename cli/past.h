// The accepted specs of a pod (supervisor/history.h), from the agent, or from its directory where
// no agent runs.
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "cli/client.h"
#include "cli/draft.h"

// The object of /mainstay/v1/history (supervisor/api.h). `name` may begin with "pod/". root_dir
// NULL: the agent is asked. 0 and a new reference, or a negative errno as client_get() returns it.
int past_fetch(struct client *client, const char *root_dir, const char *namespace_,
               const char *name, json_t **ret, struct error *err);

// An item by its number, borrowed; NULL: *err says which there are.
const json_t *past_revision(const json_t *past, long long number, struct error *err);
const json_t *past_current(const json_t *past); // NULL where the pod was removed

// The text of the revision's manifest; NULL where it is not known. Borrowed.
const char *past_manifest(const json_t *revision);

// The pod that the revision was, with its defaults: a new reference, or NULL with *err.
json_t *past_pod(const json_t *past, const json_t *revision, struct error *err);
