// The watch over podmaster: a child process that takes the manifest away when its deadline passes,
// also when podmaster hangs, is stopped or has been killed. It knows one file and one point in
// time, and needs nothing else.
//
// The deadline is also kept in a state file, so that a podmaster that comes back in time goes on
// where it was. Whoever runs holds a lock on that file: the watch of a podmaster that has died
// leaves the manifest alone when it sees that another one has taken over.
#pragma once

#include "base/error.h"
#include "base/monotime.h"

struct fence;

// Takes the lock on `state_path` and starts the watch over the file `manifest`. *ret_inherited is
// the deadline that an earlier podmaster left in this boot, or never. -EBUSY where another one runs
// for the same file. Both paths are copied.
int fence_new(const char *state_path, const char *manifest, struct fence **ret,
              monotime *ret_inherited, struct error *err);

// From now on the manifest may be there until `deadline`; MONOTIME_NEVER: it is not there. Starts
// the watch anew where it has died. A negative errno means that nobody watches: then the manifest
// must not be there.
int fence_set(struct fence *fence, monotime deadline, struct error *err);

// Ends the watch; a manifest that is still there stays. Accepts NULL.
void fence_free(struct fence *fence);
DEFINE_CLEANUP(struct fence *, fence_free)
#define _cleanup_fence_ _cleanup_(cleanup_fence_free)
