// Reading a container's cgroups, and its processes where they are all there is. See stats.h.
#include "supervisor/stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cgroup-internal.h"

enum {
    TEXT_MAX = 16 << 10,     // of a file of numbers; the kernel's are below 4 KiB
    PROCESSES_MOST = 1024,   // that are asked one by one; of more, nothing is told
    RATE_LEAST_USEC = 500000 // between two samples of a rate
};

static const char *const resource_names[STATS_RESOURCES] = {
    [STATS_CPU] = "cpu", [STATS_MEMORY] = "memory", [STATS_IO] = "io"};

static void init_pressure(struct stats_pressure *pressure)
{
    for (size_t i = 0; i < STATS_RESOURCES; i++)
        stats_parse_pressure(NULL, &pressure[i]);
}

void stats_init(struct stats *stats)
{
    *stats = (struct stats){
        .at = walltime_now(),
        .clock = monotime_now(),
        .cpu_usec = STATS_UNKNOWN,
        .cpu_user_usec = STATS_UNKNOWN,
        .cpu_system_usec = STATS_UNKNOWN,
        .cpu_rate = STATS_UNKNOWN,
        .cpu_periods = STATS_UNKNOWN,
        .cpu_throttled_periods = STATS_UNKNOWN,
        .cpu_throttled_usec = STATS_UNKNOWN,
        .memory_usage = STATS_UNKNOWN,
        .memory_working_set = STATS_UNKNOWN,
        .memory_rss = STATS_UNKNOWN,
        .memory_cache = STATS_UNKNOWN,
        .memory_mapped = STATS_UNKNOWN,
        .memory_swap = STATS_UNKNOWN,
        .memory_limit = STATS_UNKNOWN,
        .memory_failures = STATS_UNKNOWN,
        .oom_kills = STATS_UNKNOWN,
        .page_faults = STATS_UNKNOWN,
        .major_page_faults = STATS_UNKNOWN,
        .read_bytes = STATS_UNKNOWN,
        .written_bytes = STATS_UNKNOWN,
        .reads = STATS_UNKNOWN,
        .writes = STATS_UNKNOWN,
        .processes = STATS_UNKNOWN,
        .threads = STATS_UNKNOWN,
        .threads_limit = STATS_UNKNOWN,
    };
    init_pressure(stats->pressure);
}

// The text of a small file, or NULL.
static const char *read_text(int dir, const char *name, char *buf)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t n = 0;
    ssize_t got;
    if (fd < 0)
        return NULL;
    while (n < TEXT_MAX - 1 && (got = read(fd, buf + n, TEXT_MAX - 1 - n)) > 0)
        n += (size_t)got;
    buf[n] = '\0';
    return n > 0 ? buf : NULL;
}

static int64_t read_number(int dir, const char *name)
{
    char buf[TEXT_MAX];
    return stats_parse_number(read_text(dir, name, buf));
}

static void set_working_set(struct stats *s, int64_t inactive_file)
{
    if (s->memory_usage < 0 || inactive_file < 0)
        return;
    s->memory_working_set = MAX(s->memory_usage - inactive_file, (int64_t)0);
}

static int64_t per_thousand(int64_t nsec)
{
    return nsec < 0 ? nsec : nsec / NSEC_PER_USEC;
}

// ---- v2 ----

static void read_cpu_v2(int dir, char *buf, struct stats *s)
{
    const char *text = read_text(dir, "cpu.stat", buf);
    s->cpu_usec = stats_parse_key(text, "usage_usec");
    s->cpu_user_usec = stats_parse_key(text, "user_usec");
    s->cpu_system_usec = stats_parse_key(text, "system_usec");
    s->cpu_periods = stats_parse_key(text, "nr_periods");
    s->cpu_throttled_periods = stats_parse_key(text, "nr_throttled");
    s->cpu_throttled_usec = stats_parse_key(text, "throttled_usec");
}

static void read_memory_v2(int dir, char *buf, struct stats *s)
{
    s->memory_usage = read_number(dir, "memory.current");
    if (s->memory_usage < 0)
        return;
    s->memory_limit = read_number(dir, "memory.max");
    s->memory_swap = read_number(dir, "memory.swap.current");
    const char *text = read_text(dir, "memory.stat", buf);
    set_working_set(s, stats_parse_key(text, "inactive_file"));
    s->memory_rss = stats_parse_key(text, "anon");
    s->memory_cache = stats_parse_key(text, "file");
    s->memory_mapped = stats_parse_key(text, "file_mapped");
    s->page_faults = stats_parse_key(text, "pgfault");
    s->major_page_faults = stats_parse_key(text, "pgmajfault");
    text = read_text(dir, "memory.events", buf);
    s->memory_failures = stats_parse_key(text, "max");
    s->oom_kills = stats_parse_key(text, "oom_kill");
}

static void read_v2(int dir, struct stats *s)
{
    char buf[TEXT_MAX], name[32];
    read_cpu_v2(dir, buf, s);
    read_memory_v2(dir, buf, s);
    stats_parse_io(read_text(dir, "io.stat", buf), s);
    s->threads = read_number(dir, "pids.current");
    s->threads_limit = read_number(dir, "pids.max");
    for (size_t i = 0; i < STATS_RESOURCES; i++) {
        snprintf(name, sizeof(name), "%s.pressure", resource_names[i]);
        stats_parse_pressure(read_text(dir, name, buf), &s->pressure[i]);
    }
}

// ---- v1: each directory has the files of its hierarchy's controllers ----

static void read_cpu_v1(int dir, char *buf, struct stats *s)
{
    int64_t nsec = read_number(dir, "cpuacct.usage");
    if (s->cpu_usec < 0 && nsec >= 0) {
        s->cpu_usec = per_thousand(nsec);
        s->cpu_user_usec = per_thousand(read_number(dir, "cpuacct.usage_user"));
        s->cpu_system_usec = per_thousand(read_number(dir, "cpuacct.usage_sys"));
    }
    const char *text = read_text(dir, "cpu.stat", buf);
    if (!text)
        return;
    s->cpu_periods = stats_parse_key(text, "nr_periods");
    s->cpu_throttled_periods = stats_parse_key(text, "nr_throttled");
    s->cpu_throttled_usec = per_thousand(stats_parse_key(text, "throttled_time"));
}

static void read_memory_v1(int dir, char *buf, struct stats *s)
{
    int64_t limit = read_number(dir, "memory.limit_in_bytes");
    int64_t usage = read_number(dir, "memory.usage_in_bytes");
    if (usage < 0)
        return;
    s->memory_usage = usage;
    if (limit < INT64_MAX / 4096 * 4096) // that is how "none" is written
        s->memory_limit = limit;
    const char *text = read_text(dir, "memory.stat", buf);
    set_working_set(s, stats_parse_key(text, "total_inactive_file"));
    s->memory_rss = stats_parse_key(text, "total_rss");
    s->memory_cache = stats_parse_key(text, "total_cache");
    s->memory_mapped = stats_parse_key(text, "total_mapped_file");
    s->memory_swap = stats_parse_key(text, "total_swap");
    s->page_faults = stats_parse_key(text, "total_pgfault");
    s->major_page_faults = stats_parse_key(text, "total_pgmajfault");
    s->memory_failures = read_number(dir, "memory.failcnt");
    s->oom_kills = stats_parse_key(read_text(dir, "memory.oom_control", buf), "oom_kill");
}

static void read_v1(int dir, struct stats *s)
{
    char buf[TEXT_MAX];
    read_cpu_v1(dir, buf, s);
    read_memory_v1(dir, buf, s);
    stats_parse_blkio(read_text(dir, "blkio.throttle.io_service_bytes", buf), false, s);
    stats_parse_blkio(read_text(dir, "blkio.throttle.io_serviced", buf), true, s);
    if (s->threads < 0) {
        s->threads = read_number(dir, "pids.current");
        s->threads_limit = read_number(dir, "pids.max");
    }
}

// ---- processes ----

struct process_sum {
    struct stats_process all;
    int64_t n, read_bytes, written_bytes, reads, writes;
    bool each; // they are to be asked one by one
};

static void add_process_io(int dir, char *buf, struct process_sum *sum)
{
    const char *text = read_text(dir, "io", buf);
    sum->read_bytes = stats_add(sum->read_bytes, stats_parse_key(text, "read_bytes"));
    sum->written_bytes = stats_add(sum->written_bytes, stats_parse_key(text, "write_bytes"));
}

static int add_process(pid_t pid, void *userdata)
{
    struct process_sum *sum = userdata;
    struct stats_process one;
    char buf[TEXT_MAX], path[32];
    sum->n++;
    if (!sum->each)
        return 0;
    if (sum->n > PROCESSES_MOST) {
        sum->each = false;
        return 0;
    }
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    _cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || !stats_parse_process(read_text(dir, "stat", buf), &one))
        return 0; // it has just ended
    sum->all.user_ticks = stats_add(sum->all.user_ticks, one.user_ticks);
    sum->all.system_ticks = stats_add(sum->all.system_ticks, one.system_ticks);
    sum->all.faults = stats_add(sum->all.faults, one.faults);
    sum->all.major_faults = stats_add(sum->all.major_faults, one.major_faults);
    sum->all.threads = stats_add(sum->all.threads, one.threads);
    sum->all.resident_pages = stats_add(sum->all.resident_pages, one.resident_pages);
    add_process_io(dir, buf, sum);
    return 0;
}

static int64_t ticks_to_usec(int64_t ticks)
{
    static const int64_t second = USEC_PER_SEC;
    long hz = sysconf(_SC_CLK_TCK);
    return ticks < INT64_MAX / second ? ticks * second / (hz > 0 ? hz : 100) : STATS_UNKNOWN;
}

// Resident sets added up are more than is used where pages are shared; better than nothing, and
// told as what it is.
static void fill_from_processes(const struct process_sum *sum, struct stats *s)
{
    if (s->cpu_usec < 0) {
        s->cpu_user_usec = ticks_to_usec(sum->all.user_ticks);
        s->cpu_system_usec = ticks_to_usec(sum->all.system_ticks);
        s->cpu_usec = stats_add(s->cpu_user_usec, s->cpu_system_usec);
    }
    if (s->memory_usage < 0) {
        int64_t resident = sum->all.resident_pages * sysconf(_SC_PAGESIZE);
        s->memory_usage = s->memory_working_set = s->memory_rss = resident;
        s->memory_of_processes = true;
        s->page_faults = sum->all.faults;
        s->major_page_faults = sum->all.major_faults;
    }
    if (s->read_bytes < 0 && s->written_bytes < 0) {
        s->read_bytes = sum->read_bytes;
        s->written_bytes = sum->written_bytes;
    }
    if (s->threads < 0)
        s->threads = sum->all.threads;
}

static void ask_processes(const char *dir, struct stats *s)
{
    bool each = s->cpu_usec < 0 || s->memory_usage < 0 || s->read_bytes < 0 || s->threads < 0;
    struct process_sum sum = {
        .each = each, .read_bytes = STATS_UNKNOWN, .written_bytes = STATS_UNKNOWN};
    cgroup_each_pid(dir, add_process, &sum);
    s->processes = sum.n;
    if (each && sum.each && sum.n > 0)
        fill_from_processes(&sum, s);
}

void stats_read(const struct string_list *cgroup_dirs, bool processes, struct stats *ret)
{
    stats_init(ret);
    for (size_t i = 0; i < cgroup_dirs->n; i++) {
        _cleanup_close_ int dir = open(cgroup_dirs->items[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            continue;
        if (faccessat(dir, "cgroup.events", F_OK, 0) == 0)
            read_v2(dir, ret);
        else
            read_v1(dir, ret);
    }
    if (processes && cgroup_dirs->n > 0)
        ask_processes(cgroup_dirs->items[0], ret);
}

// ---- rates and sums ----

void stats_rate_update(struct stats_rate *rate, struct stats *stats)
{
    bool known = rate->clock.usec != 0 && stats->cpu_usec >= rate->cpu_usec;
    int64_t since = monotime_since(stats->clock, rate->clock);
    if (stats->cpu_usec < 0)
        return;
    if (known && since < RATE_LEAST_USEC) {
        stats->cpu_rate = rate->rate;
        return;
    }
    __int128 used = (__int128)(stats->cpu_usec - rate->cpu_usec) * NSEC_PER_SEC;
    rate->rate = known ? (int64_t)(used / since) : STATS_UNKNOWN;
    rate->clock = stats->clock;
    rate->cpu_usec = stats->cpu_usec;
    stats->cpu_rate = rate->rate;
}

void stats_add_all(struct stats *sum, const struct stats *one)
{
    static const size_t members[] = {
        offsetof(struct stats, cpu_usec),
        offsetof(struct stats, cpu_user_usec),
        offsetof(struct stats, cpu_system_usec),
        offsetof(struct stats, cpu_rate),
        offsetof(struct stats, memory_usage),
        offsetof(struct stats, memory_working_set),
        offsetof(struct stats, memory_rss),
        offsetof(struct stats, memory_cache),
        offsetof(struct stats, memory_swap),
        offsetof(struct stats, page_faults),
        offsetof(struct stats, major_page_faults),
        offsetof(struct stats, read_bytes),
        offsetof(struct stats, written_bytes),
        offsetof(struct stats, reads),
        offsetof(struct stats, writes),
        offsetof(struct stats, processes),
        offsetof(struct stats, threads),
        offsetof(struct stats, oom_kills),
    };
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        int64_t *to = (int64_t *)((char *)sum + members[i]);
        *to = stats_add(*to, *(const int64_t *)((const char *)one + members[i]));
    }
    sum->memory_of_processes |= one->memory_of_processes;
}
