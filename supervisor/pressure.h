// Room on the file systems that this node lives on (root, pod logs, run directory): told early, by
// the event DiskPressure with who uses most, and by the part "disk" of the agent's health. Nothing
// is evicted for it.
//
// The kernel does not tell when a file system fills up; it is asked with every health tick, which
// comes anyway. Who uses most is counted by a helper process, not by the agent.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/buffer.h"
#include "supervisor/disk-limits.h"
#include "supervisor/events.h"
#include "supervisor/pods.h"

struct pressure;

struct pressure_options {
    sd_event *event;
    const char *program; // mainstay-shim, which measures
    struct event_log *events;
    const struct pods *pods;
    const char *root_dir, *log_dir, *run_dir;
    struct disk_limits limits;
};

// Strings are borrowed.
struct pressure *pressure_new(const struct pressure_options *options);
void pressure_free(struct pressure *p);

// Looks at the file systems. `found` is called for each that is short of room, with a sentence.
void pressure_look(struct pressure *p, void (*found)(void *userdata, const char *sentence),
                   void *userdata);
