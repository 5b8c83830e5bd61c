// The node as a whole: /proc and its file systems. See stats.h.
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "supervisor/stats.h"

enum { PROC_TEXT_MAX = 1 << 20 };

static void read_proc(const char *path, struct buffer *text)
{
    buffer_truncate(text, 0);
    if (fs_read_file(AT_FDCWD, path, PROC_TEXT_MAX, text) < 0)
        buffer_truncate(text, 0);
}

// "cpu  user nice system idle iowait irq softirq steal …": all but idle and iowait, in ticks.
static int64_t busy_ticks(const char *text)
{
    int64_t busy = STATS_UNKNOWN;
    if (strncmp(text, "cpu ", 4) != 0)
        return busy;
    const char *p = text + 4;
    for (int i = 0; i < 8; i++) {
        p += strspn(p, " ");
        int64_t ticks = stats_parse_number(p);
        if (i != 3 && i != 4)
            busy = stats_add(busy, ticks);
        p += strspn(p, "0123456789");
    }
    return busy;
}

static void read_cpu(struct buffer *text, struct stats_node *node)
{
    long hz = sysconf(_SC_CLK_TCK);
    read_proc("/proc/stat", text);
    int64_t ticks = busy_ticks(buffer_str(text));
    node->booted_sec = stats_parse_key(buffer_str(text), "btime");
    if (ticks >= 0 && ticks < INT64_MAX / USEC_PER_SEC)
        node->cpu_usec = ticks * USEC_PER_SEC / (hz > 0 ? hz : 100);
    node->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static int64_t less(int64_t a, int64_t b)
{
    return a < 0 || b < 0 ? STATS_UNKNOWN : a > b ? a - b : 0;
}

// As runc reads the root of v2: usage is what is not free, and the working set is that without
// what is in the cache and was not touched lately.
static void read_memory(struct buffer *text, struct stats_node *node)
{
    read_proc("/proc/meminfo", text);
    const char *info = buffer_str(text);
    node->memory_total = stats_parse_key(info, "MemTotal");
    node->memory_usage = less(node->memory_total, stats_parse_key(info, "MemFree"));
    node->memory_working_set = less(node->memory_usage, stats_parse_key(info, "Inactive(file)"));
    node->memory_available = less(node->memory_total, node->memory_working_set);
    node->memory_rss = stats_parse_key(info, "AnonPages");
    node->swap_total = stats_parse_key(info, "SwapTotal");
    node->swap_usage = less(node->swap_total, stats_parse_key(info, "SwapFree"));
    read_proc("/proc/vmstat", text);
    node->page_faults = stats_parse_key(buffer_str(text), "pgfault");
    node->major_page_faults = stats_parse_key(buffer_str(text), "pgmajfault");
}

static void read_processes(struct buffer *text, struct stats_node *node)
{
    read_proc("/proc/loadavg", text); // "0.1 0.2 0.3 running/all last"
    const char *slash = strchr(buffer_str(text), '/');
    node->processes = stats_parse_number(slash ? slash + 1 : NULL);
    read_proc("/proc/sys/kernel/pid_max", text);
    node->processes_limit = stats_parse_number(buffer_str(text));
}

void stats_read_node(struct stats_node *ret)
{
    static const char *const pressures[STATS_RESOURCES] = {[STATS_CPU] = "/proc/pressure/cpu",
                                                           [STATS_MEMORY] = "/proc/pressure/memory",
                                                           [STATS_IO] = "/proc/pressure/io"};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    *ret = (struct stats_node){.at = walltime_now(), .cpu_usec = STATS_UNKNOWN};
    read_cpu(&text, ret);
    read_memory(&text, ret);
    read_processes(&text, ret);
    for (size_t i = 0; i < STATS_RESOURCES; i++) {
        read_proc(pressures[i], &text);
        stats_parse_pressure(buffer_str(&text), &ret->pressure[i]);
    }
}

void stats_read_fs(const char *path, struct stats_fs *ret)
{
    struct statvfs vfs;
    *ret = (struct stats_fs){STATS_UNKNOWN, STATS_UNKNOWN, STATS_UNKNOWN, STATS_UNKNOWN,
                             STATS_UNKNOWN};
    if (statvfs(path, &vfs) < 0)
        return;
    ret->capacity = (int64_t)(vfs.f_blocks * vfs.f_frsize);
    ret->available = (int64_t)(vfs.f_bavail * vfs.f_frsize);
    ret->used = (int64_t)((vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize);
    ret->inodes = (int64_t)vfs.f_files;
    ret->inodes_free = (int64_t)vfs.f_ffree;
}
