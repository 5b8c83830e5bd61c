// What a container uses, read from its cgroups when somebody asks: CPU, memory, I/O, processes and
// pressure. Where no controller counts, its processes are asked instead (/proc/PID); what nobody
// knows is STATS_UNKNOWN and is left out of every answer, never shown as zero.
// Sources: Documentation/admin-guide/cgroup-v2.rst,
// cgroup-v1/{cpuacct,memory,blkio-controller}.rst, accounting/psi.rst;
// vendor/github.com/google/cadvisor/container/libcontainer/handler.go (working set = usage −
// inactive_file).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"
#include "base/string-list.h"

enum { STATS_UNKNOWN = -1 };

struct stats_pressure_line {
    int64_t total_usec;
    int avg10, avg60, avg300; // hundredths of a per cent
};
struct stats_pressure {
    struct stats_pressure_line some, full;
};

enum stats_resource { STATS_CPU, STATS_MEMORY, STATS_IO, STATS_RESOURCES };

struct stats {
    walltime at;
    monotime clock;
    int64_t cpu_usec, cpu_user_usec, cpu_system_usec;
    int64_t cpu_rate; // billionths of a CPU since the last time somebody asked
    int64_t cpu_periods, cpu_throttled_periods, cpu_throttled_usec;
    int64_t memory_usage, memory_working_set, memory_rss, memory_cache, memory_mapped, memory_swap;
    int64_t memory_limit; // bytes; STATS_UNKNOWN also where there is none
    int64_t memory_failures, oom_kills;
    int64_t page_faults, major_page_faults;
    bool memory_of_processes; // resident sets added up: shared pages count for each
    int64_t read_bytes, written_bytes, reads, writes;
    int64_t processes, threads, threads_limit;
    struct stats_pressure pressure[STATS_RESOURCES];
};

void stats_init(struct stats *stats); // all unknown

// Reads the cgroup directories of a container (v2 first, as in shim_spec.cgroup_dirs), or of a pod.
// With `processes`, what they do not tell is asked of the processes in the first one.
void stats_read(const struct string_list *cgroup_dirs, bool processes, struct stats *ret);

// What the rate of CPU use is computed from between two questions. A question within half a second
// of the last one gets that one's answer, so that several askers do not spoil each other's.
struct stats_rate {
    monotime clock;
    int64_t cpu_usec, rate;
};
void stats_rate_update(struct stats_rate *rate, struct stats *stats); // fills stats->cpu_rate

// a + b where both are known, else the one that is.
int64_t stats_add(int64_t a, int64_t b);
// Adds what can be added: usage and counters (no limits, no pressure).
void stats_add_all(struct stats *sum, const struct stats *one);

// ---- the node ----

struct stats_node {
    walltime at;
    int64_t cpu_usec;
    int64_t memory_total, memory_available, memory_usage, memory_working_set, memory_rss;
    int64_t page_faults, major_page_faults, swap_total, swap_usage;
    int64_t processes, processes_limit;
    int64_t booted_sec; // seconds since 1970
    int cpus;
    struct stats_pressure pressure[STATS_RESOURCES];
};
void stats_read_node(struct stats_node *ret);

// A file system's room in bytes and inodes (statvfs(3)); all unknown where it cannot be asked.
struct stats_fs {
    int64_t capacity, available, used, inodes, inodes_free;
};
void stats_read_fs(const char *path, struct stats_fs *ret);

// ---- the parsers: pure, and safe for any text ----

// The number after `key` in lines of "key number" (or "key: number kB": then in bytes).
int64_t stats_parse_key(const char *text, const char *key);
// A file of one number; "max" and anything else that is none are unknown.
int64_t stats_parse_number(const char *text);
// The lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …" of io.stat, all devices together.
void stats_parse_io(const char *text, struct stats *stats);
// The lines "8:0 Read 1" of blkio.throttle.io_service_bytes (or io_serviced: `counts`).
void stats_parse_blkio(const char *text, bool counts, struct stats *stats);
// "some avg10=0.12 avg60=… avg300=… total=…" and the same with "full".
void stats_parse_pressure(const char *text, struct stats_pressure *ret);
// /proc/PID/stat: user and system time with that of children that were waited for, in ticks; and
// the threads. False where it is no such line.
struct stats_process {
    int64_t user_ticks, system_ticks, faults, major_faults, threads, resident_pages;
};
bool stats_parse_process(const char *text, struct stats_process *ret);
