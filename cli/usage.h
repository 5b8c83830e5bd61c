// What pods use, out of the agent's /stats/summary, in kubectl's words ("12m", "35Mi").
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

enum { USAGE_UNKNOWN = -1, USAGE_SIZE = 32 };

struct usage {
    int64_t cpu_nanocores, cpu_nsec; // the rate just now, and all of it so far
    int64_t memory_bytes;            // working set
    int64_t read_bytes, written_bytes, threads;
    double pressure_cpu, pressure_memory,
        pressure_io; // "some", per cent of ten seconds; < 0 unknown
};

// From a container or pod of the summary; what is missing there is unknown.
struct usage usage_read(const json_t *stats);

// "12m" (rounded up as quantities are), "35Mi" (down, as kubectl top), "1.2Mi/s", "0.25";
// "<unknown>". buf has USAGE_SIZE bytes. Each returns buf.
char *usage_format_cpu(int64_t nanocores, char *buf);
char *usage_format_memory(int64_t bytes, char *buf);
char *usage_format_rate(int64_t bytes_per_second, char *buf);
char *usage_format_pressure(double percent, char *buf);
char *usage_format_number(int64_t n, char *buf);
