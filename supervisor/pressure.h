// Room on the file systems that this node lives on (root, pod logs, run directory): told early, by
// the event DiskPressure with who uses most, and by the part "disk" of the agent's health. Nothing
// is evicted for it. The thresholds are the kubelet's for nodefs (K/eviction/defaults_linux.go).
//
// The kernel does not tell when a file system fills up; it is asked with every health tick, which
// comes anyway. Who uses most is counted by a helper process, not by the agent.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/buffer.h"
#include "supervisor/events.h"
#include "supervisor/pods.h"

struct pressure;

struct pressure_options {
    sd_event *event;
    const char *program; // mainstay-shim, which measures
    struct event_log *events;
    const struct pods *pods;
    const char *root_dir, *log_dir, *run_dir;
};

// Strings are borrowed.
struct pressure *pressure_new(const struct pressure_options *options);
void pressure_free(struct pressure *p);

// Looks at the file systems. `found` is called for each that is short of room, with a sentence.
void pressure_look(struct pressure *p, void (*found)(void *userdata, const char *sentence),
                   void *userdata);

// Whether there is too little of something, where before there was (`low`) or was not: below
// `percent` of the total it begins, and it ends when a fifth more than that is there.
static inline bool pressure_is_low(bool low, uint64_t available, uint64_t total, unsigned percent)
{
    uint64_t limit = total / 1000 * percent * (low ? 12 : 10);
    return total >= 1000 && available < limit;
}
