// Helper processes of the agent: the shim program in one of its other roles (shim/sweep.h), for
// work that could hold up the loop. Nothing waits for them; a dying agent leaves them running.
#pragma once

#include <systemd/sd-event.h>

#include "base/error.h"

struct helper;

// `status` is the exit status, or -1 where a signal ended it; `output` what it wrote to standard
// output (at most 64 KiB, "" where it was not asked for). The helper is freed afterwards; the
// callback may start the next one.
typedef void helper_done(void *userdata, int status, const char *output);

// Starts `program` with these arguments (NULL-terminated, argv[0] included).
int helper_start(sd_event *event, const char *program, char *const *argv, helper_done *done,
                 void *userdata, struct helper **ret, struct error *err);

// Forgets about it (NULL is allowed): the process goes on, the callback is not called.
void helper_free(struct helper *helper);
