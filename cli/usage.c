// See usage.h.
#include "cli/usage.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/field.h"

static int64_t number(const json_t *stats, const char *path)
{
    const json_t *value = field_at(stats, path);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : USAGE_UNKNOWN;
}

static double share(const json_t *stats, const char *path)
{
    const json_t *value = field_at(stats, path);
    return json_is_number(value) ? json_number_value(value) : USAGE_UNKNOWN;
}

struct usage usage_read(const json_t *stats)
{
    return (struct usage){
        .cpu_nanocores = number(stats, "cpu.usageNanoCores"),
        .cpu_nsec = number(stats, "cpu.usageCoreNanoSeconds"),
        .memory_bytes = number(stats, "memory.workingSetBytes"),
        .read_bytes = number(stats, "io.readBytes"),
        .written_bytes = number(stats, "io.writeBytes"),
        .threads = number(stats, "process_stats.thread_count"),
        .pressure_cpu = share(stats, "cpu.psi.some.avg10"),
        .pressure_memory = share(stats, "memory.psi.some.avg10"),
        .pressure_io = share(stats, "io.psi.some.avg10"),
    };
}

static char *unknown(char *buf)
{
    snprintf(buf, USAGE_SIZE, "<unknown>");
    return buf;
}

char *usage_format_cpu(int64_t nanocores, char *buf)
{
    if (nanocores < 0)
        return unknown(buf);
    snprintf(buf, USAGE_SIZE, "%" PRId64 "m", nanocores / 1000000 + (nanocores % 1000000 > 0));
    return buf;
}

char *usage_format_memory(int64_t bytes, char *buf)
{
    if (bytes < 0)
        return unknown(buf);
    snprintf(buf, USAGE_SIZE, "%" PRId64 "Mi", bytes >> 20);
    return buf;
}

char *usage_format_rate(int64_t bytes, char *buf)
{
    static const char *const units[] = {"B", "Ki", "Mi", "Gi"};
    double amount = (double)bytes;
    size_t unit = 0;
    if (bytes < 0)
        return unknown(buf);
    for (; amount >= 1024 && unit < 3; unit++)
        amount /= 1024;
    snprintf(buf, USAGE_SIZE, unit > 0 && amount < 10 ? "%.1f%s/s" : "%.0f%s/s", amount,
             units[unit]);
    return buf;
}

char *usage_format_pressure(double percent, char *buf)
{
    if (percent < 0)
        return unknown(buf);
    snprintf(buf, USAGE_SIZE, "%.2f", percent);
    return buf;
}

char *usage_format_number(int64_t n, char *buf)
{
    if (n < 0)
        return unknown(buf);
    snprintf(buf, USAGE_SIZE, "%" PRId64, n);
    return buf;
}
