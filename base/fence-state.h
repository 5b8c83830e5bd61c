// The file by which podmaster tells, and everybody reads, until when the pod that it guards may be
// on this node (manifests/fence.h has the whole argument). A start asks it in the container's first
// process, just before execve() (supervisor/shim/container-fence.c); the shim and the fence kill by
// it.
//
// One line of fixed length, written in one piece over the old one: readers keep it open. Its check
// sum finds a read that met a write halfway. What cannot be read is a deadline that has passed.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/monotime.h"

struct fence_state {
    uint64_t owner;       // which podmaster's life wrote it; 0: nobody has
    monotime start_until; // from then on no process of the pod may begin
    monotime kill_at;     // from then on none may be alive
};

// "BOOT-ID OWNER START-UNTIL KILL-AT CHECK-SUM\n"; microseconds of CLOCK_BOOTTIME.
enum { FENCE_STATE_SIZE = 36 + 4 * 21 + 1 };

int fence_state_write(int fd, const struct fence_state *state);

// 0; -ESTALE where it is of another boot of this machine, -EBADMSG where it is damaged, -errno.
// *ret is all zero then: nothing may begin, nothing may be alive.
int fence_state_read(int fd, struct fence_state *ret);
int fence_state_read_path(const char *path, struct fence_state *ret);

// The directory beside the state file in which the shims name the cgroups of what they are about to
// start: symbolic links that say where. The caller frees.
char *fence_state_cgroups(const char *path);
