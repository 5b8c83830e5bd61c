// The texts of cgroupfs and /proc. See stats.h.
#include <string.h>

#include "base/macro.h"
#include "supervisor/stats.h"

// The digits at *text, which is moved behind them; unknown where there are none or too many.
static int64_t take_number(const char **text)
{
    int64_t n = 0;
    const char *p = *text;
    bool good = *p >= '0' && *p <= '9';
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n)) {
            good = false;
            n = 0;
        }
    *text = p;
    return good ? n : STATS_UNKNOWN;
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

int64_t stats_parse_number(const char *text)
{
    return text ? take_number(&text) : STATS_UNKNOWN;
}

int64_t stats_parse_key(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line && *line; line = next_line(line)) {
        if (strncmp(line, key, length) != 0 || !line[length] || !strchr(" :\t", line[length]))
            continue;
        const char *p = line + length + strspn(line + length, ": \t");
        int64_t n = take_number(&p);
        bool kilo = strncmp(p, " kB", 3) == 0;
        return n == STATS_UNKNOWN || !kilo || n > INT64_MAX / 1024 ? n : n * 1024;
    }
    return STATS_UNKNOWN;
}

int64_t stats_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

// "name=number" at p: the number goes to *to.
static bool take_pair(const char *p, const char *name, int64_t *to)
{
    size_t length = strlen(name);
    if (strncmp(p, name, length) != 0 || p[length] != '=')
        return false;
    p += length + 1;
    *to = stats_add(*to, take_number(&p));
    return true;
}

void stats_parse_io(const char *text, struct stats *stats)
{
    for (const char *line = text; line && *line; line = next_line(line)) {
        for (const char *p = line; *p && *p != '\n';) {
            p += strcspn(p, " \n");
            p += *p == ' ';
            if (!take_pair(p, "rbytes", &stats->read_bytes) &&
                !take_pair(p, "wbytes", &stats->written_bytes) &&
                !take_pair(p, "rios", &stats->reads))
                (void)take_pair(p, "wios", &stats->writes);
        }
    }
}

void stats_parse_blkio(const char *text, bool counts, struct stats *stats)
{
    int64_t *read = counts ? &stats->reads : &stats->read_bytes;
    int64_t *written = counts ? &stats->writes : &stats->written_bytes;
    for (const char *line = text; line && *line; line = next_line(line)) {
        size_t length = strcspn(line, " \n");
        const char *p = line + length + (line[length] == ' ');
        if (line[length] != ' ' || !memchr(line, ':', length))
            continue; // the total
        bool is_read = strncmp(p, "Read ", 5) == 0;
        if (!is_read && strncmp(p, "Write ", 6) != 0)
            continue;
        p += is_read ? 5 : 6;
        int64_t *to = is_read ? read : written;
        *to = stats_add(*to, take_number(&p));
    }
}

// "0.12" in hundredths.
static int take_hundredths(const char **text)
{
    int64_t whole = take_number(text), fraction = 0;
    if (**text == '.') {
        const char *p = *text + 1;
        for (int i = 0; i < 2; i++)
            fraction = fraction * 10 + (*p >= '0' && *p <= '9' ? *p++ - '0' : 0);
        *text = p;
    }
    return whole < 0 || whole > 100 ? 0 : (int)(whole * 100 + fraction);
}

static void parse_pressure_line(const char *line, struct stats_pressure_line *ret)
{
    for (const char *p = line; *p && *p != '\n';) {
        p += strcspn(p, " \n");
        p += *p == ' ';
        size_t name = strcspn(p, "= \n");
        const char *value = p + name + (p[name] == '=');
        if (strncmp(p, "avg10=", 6) == 0)
            ret->avg10 = take_hundredths(&value);
        else if (strncmp(p, "avg60=", 6) == 0)
            ret->avg60 = take_hundredths(&value);
        else if (strncmp(p, "avg300=", 7) == 0)
            ret->avg300 = take_hundredths(&value);
        else if (strncmp(p, "total=", 6) == 0)
            ret->total_usec = take_number(&value);
    }
}

void stats_parse_pressure(const char *text, struct stats_pressure *ret)
{
    *ret =
        (struct stats_pressure){.some.total_usec = STATS_UNKNOWN, .full.total_usec = STATS_UNKNOWN};
    for (const char *line = text; line && *line; line = next_line(line)) {
        if (strncmp(line, "some ", 5) == 0)
            parse_pressure_line(line, &ret->some);
        else if (strncmp(line, "full ", 5) == 0)
            parse_pressure_line(line, &ret->full);
    }
}

// proc(5): the fields behind the name, which may have blanks and parentheses in it.
bool stats_parse_process(const char *text, struct stats_process *ret)
{
    enum {
        MINFLT = 10,
        CMINFLT,
        MAJFLT,
        CMAJFLT,
        UTIME,
        STIME,
        CUTIME,
        CSTIME,
        THREADS = 20,
        RSS = 24
    };
    int64_t fields[RSS + 1] = {0};
    const char *p = text ? strrchr(text, ')') : NULL;
    if (!p || p[1] != ' ')
        return false;
    p += 2;
    for (int i = 3; i <= RSS; i++) {
        bool negative = *p == '-';
        p += negative;
        fields[i] = take_number(&p);
        if (i == 3) // the state, a letter
            p += strcspn(p, " \n");
        else if (fields[i] < 0)
            return false;
        fields[i] = negative ? 0 : fields[i];
        if (i < RSS && *p++ != ' ')
            return false;
    }
    *ret = (struct stats_process){
        .user_ticks = stats_add(fields[UTIME], fields[CUTIME]),
        .system_ticks = stats_add(fields[STIME], fields[CSTIME]),
        .faults = stats_add(fields[MINFLT], fields[CMINFLT]),
        .major_faults = stats_add(fields[MAJFLT], fields[CMAJFLT]),
        .threads = fields[THREADS],
        .resident_pages = fields[RSS],
    };
    return true;
}
