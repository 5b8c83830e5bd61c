// One manifest of podmaster's: its lease, its fence and its life, in a process of its own.
#pragma once

#include "manifests/podmaster-options.h"

// Runs until SIGTERM or SIGINT, which it blocks and reads itself. `index` is the pair's among those
// of the options. Each change of its status is written to `status_fd` as one line, or told to the
// service manager where that is negative. The exit status.
int podmaster_pair_run(const struct podmaster_options *options, size_t index, int status_fd);
