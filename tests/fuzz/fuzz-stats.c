// Any text as each of the files of cgroupfs and /proc that statistics are read from. The first byte
// says which; no number that comes out is below "unknown".
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int64_t n)
{
    if (n < STATS_UNKNOWN)
        abort();
}

static void check_pressure(const char *text)
{
    struct stats_pressure p;
    stats_parse_pressure(text, &p);
    expect(p.some.total_usec);
    expect(p.full.total_usec);
    if (p.some.avg10 < 0 || p.some.avg10 > 10099 || p.full.avg300 < 0 || p.full.avg300 > 10099)
        abort();
}

static void check_io(const char *text, int which)
{
    struct stats s;
    stats_init(&s);
    if (which == 0)
        stats_parse_io(text, &s);
    else
        stats_parse_blkio(text, which == 1, &s);
    expect(s.read_bytes);
    expect(s.written_bytes);
    expect(s.reads);
    expect(s.writes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stats_process process;
    if (size < 1 || size > 16 << 10)
        return 0;
    char *text = malloc(size); // exactly as long as it is, so that the sanitizer sees a read behind
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 6) {
    case 0:
    case 1:
    case 2:
        check_io(text, data[0] % 6);
        break;
    case 3:
        check_pressure(text);
        break;
    case 4:
        if (stats_parse_process(text, &process)) {
            expect(process.user_ticks);
            expect(process.resident_pages);
        }
        break;
    default:
        expect(stats_parse_number(text));
        expect(stats_parse_key(text, "usage_usec"));
        expect(stats_parse_key(text, ""));
    }
    free(text);
    return 0;
}
