// The quorum guard (mainstay.dev/quorum-guard) as an operator's command meets it: it is waited for,
// and what it says is told; or it is passed over.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "cli/client.h"

// While an order to stop the pod waits for the guard: says on stderr what for, each time that it is
// something else. 0 as soon as none waits (any more), also where the pod is gone.
int guard_wait(struct client *client, const char *namespace_, const char *name, struct error *err);

// The same for somebody who follows the pod himself. *told is what was said last (NULL at first);
// the caller frees it.
void guard_tell(const json_t *pod, char **told);

// --force: what waits for the guard does not, nor (`coming`) what is ordered in a moment. A pod
// that is not there is none that waits.
int guard_force(struct client *client, const char *namespace_, const char *name, bool coming,
                struct error *err);
