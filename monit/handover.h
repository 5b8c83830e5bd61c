// Listening sockets that outlive the process, so that no client is refused while the agent is
// restarted: they come from the service manager that kept them (sd_listen_fds_with_names(3),
// FDSTORE= in sd_notify(3)), or from the same process before it executed its program anew.
//
// Nothing else has to outlive the agent's death: whatever belongs to a container is held by its
// shim, and what the agent knows is on disk.
#pragma once

#include "base/macro.h"

struct handover;

// Takes what this process was given, and clears it from the environment, so that no child takes it
// for its own. Every descriptor is close-on-exec.
struct handover *handover_receive(void);
void handover_free(struct handover *handover); // closes what is left
DEFINE_CLEANUP(struct handover *, handover_free)

// The next descriptor of that name, now the caller's; -1 where there is none.
// `handover` may be NULL.
int handover_claim(struct handover *handover, const char *name);
// For the program to come; takes `fd`. A name has no space, '=' or ','.
void handover_add(struct handover *handover, const char *name, int fd);

// Directly before this process executes another program that calls handover_receive(). The
// descriptors that were added and not claimed stay open over it.
void handover_pass(struct handover *handover);
