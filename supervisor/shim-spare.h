// The shim that waits for the next start (supervisor/shim/shim-wait.h): there is one from the first
// start on, and another a moment after it was taken, once the loop has nothing else to do. Starts
// that come together get it once; the others start a program, as if there were none.
#pragma once

#include <systemd/sd-event.h>

#include "supervisor/shim-link-internal.h"

struct shim_spare;

// Starts nothing yet. The event loop is referenced, the program's path copied.
struct shim_spare *shim_spare_new(sd_event *event, const char *program);
// A shim that still waits is killed and reaped.
void shim_spare_free(struct shim_spare *spare);

// The pid of the shim that waits; 0 where none does.
pid_t shim_spare_pid(const struct shim_spare *spare);

// Gives the waiting shim what shim_spawn() gives a new one, and its pid, which the caller is to
// reap. -ENOENT where none waits, or sendmsg()'s errno.
int shim_spare_take(struct shim_spare *spare, const struct shim_spawn *spawn, pid_t *ret);
