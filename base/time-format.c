// See time-format.h.
#include "base/time-format.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"

static void split(walltime t, struct tm *tm, int64_t *nsec)
{
    time_t seconds = (time_t)(t.nsec / NSEC_PER_SEC);
    *nsec = t.nsec % NSEC_PER_SEC;
    if (*nsec < 0) {
        *nsec += NSEC_PER_SEC;
        seconds--;
    }
    gmtime_r(&seconds, tm);
}

char *walltime_format(walltime t, char *buf)
{
    struct tm tm;
    int64_t nsec;
    split(t, &tm, &nsec);
    strftime(buf, RFC3339_NANO_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return buf;
}

char *walltime_format_nano(walltime t, char *buf)
{
    struct tm tm;
    int64_t nsec;
    split(t, &tm, &nsec);
    size_t n = strftime(buf, RFC3339_NANO_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, RFC3339_NANO_SIZE - n, ".%09" PRId64 "Z", nsec);
    return buf;
}

// Reads ".123" behind the seconds into nanoseconds; more than nine digits are cut.
static const char *parse_fraction(const char *s, int64_t *ret_nsec)
{
    int64_t scale = NSEC_PER_SEC / 10, nsec = 0;
    for (; isdigit((unsigned char)*s); s++, scale /= 10)
        nsec += (*s - '0') * scale;
    *ret_nsec = nsec;
    return s;
}

int walltime_parse(const char *s, walltime *ret)
{
    struct tm tm = {0};
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t nsec = 0;
    if (!rest)
        return -EINVAL;
    if (*rest == '.')
        rest = parse_fraction(rest + 1, &nsec);
    int64_t seconds = timegm(&tm);
    if (*rest == 'Z' || *rest == 'z') {
        rest++;
    } else if (*rest == '+' || *rest == '-') {
        int hours, minutes, used = 0;
        if (sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5)
            return -EINVAL;
        seconds -= (*rest == '+' ? 1 : -1) * (hours * 3600LL + minutes * 60LL);
        rest += 1 + used;
    } else {
        return -EINVAL;
    }
    if (*rest != '\0')
        return -EINVAL;
    *ret = (walltime){seconds * NSEC_PER_SEC + nsec};
    return 0;
}

static const struct {
    const char *name;
    int64_t nsec;
} duration_units[] = {
    {"ns", 1},
    {"us", NSEC_PER_USEC},
    {"µs", NSEC_PER_USEC},
    {"ms", NSEC_PER_USEC *USEC_PER_MSEC},
    {"s", NSEC_PER_SEC},
    {"m", 60 * NSEC_PER_SEC},
    {"h", 3600 * NSEC_PER_SEC},
};

static int64_t duration_unit(const char **s)
{
    size_t n = 0;
    while ((*s)[n] && !isdigit((unsigned char)(*s)[n]) && (*s)[n] != '.')
        n++;
    for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++)
        if (strlen(duration_units[i].name) == n && strncmp(*s, duration_units[i].name, n) == 0) {
            *s += n;
            return duration_units[i].nsec;
        }
    return 0;
}

int duration_parse(const char *s, int64_t *ret_nsec)
{
    bool minus = *s == '-';
    int64_t total = 0;
    if (minus || *s == '+')
        s++;
    if (strcmp(s, "0") == 0) {
        *ret_nsec = 0;
        return 0;
    }
    if (!*s)
        return -EINVAL;
    while (*s) {
        int64_t whole = 0, fraction = 0, part;
        const char *digits = s;
        for (; isdigit((unsigned char)*s); s++)
            if (__builtin_mul_overflow(whole, 10, &whole) ||
                __builtin_add_overflow(whole, *s - '0', &whole))
                return -ERANGE;
        bool any = s > digits;
        if (*s == '.') {
            any |= isdigit((unsigned char)s[1]) != 0;
            s = parse_fraction(s + 1, &fraction);
        }
        int64_t unit = any ? duration_unit(&s) : 0;
        if (unit == 0)
            return -EINVAL;
        int64_t small = (int64_t)((__int128)fraction * unit / NSEC_PER_SEC);
        if (__builtin_mul_overflow(whole, unit, &part) ||
            __builtin_add_overflow(part, small, &part) ||
            __builtin_add_overflow(total, part, &total))
            return -ERANGE;
    }
    *ret_nsec = minus ? -total : total;
    return 0;
}

char *duration_format_human(int64_t seconds, char *buf)
{
    long long s = seconds, m = s / 60, h = m / 60, d = h / 24, y = d / 365;
    if (s < -1)
        snprintf(buf, DURATION_SIZE, "<invalid>");
    else if (s < 0)
        snprintf(buf, DURATION_SIZE, "0s");
    else if (s < 120)
        snprintf(buf, DURATION_SIZE, "%llds", s);
    else if (m < 10 && s % 60)
        snprintf(buf, DURATION_SIZE, "%lldm%llds", m, s % 60);
    else if (m < 180)
        snprintf(buf, DURATION_SIZE, "%lldm", m);
    else if (h < 8 && m % 60)
        snprintf(buf, DURATION_SIZE, "%lldh%lldm", h, m % 60);
    else if (h < 48)
        snprintf(buf, DURATION_SIZE, "%lldh", h);
    else if (h < 192 && h % 24)
        snprintf(buf, DURATION_SIZE, "%lldd%lldh", d, h % 24);
    else if (d < 730)
        snprintf(buf, DURATION_SIZE, "%lldd", d);
    else if (d < 8LL * 365 && d % 365)
        snprintf(buf, DURATION_SIZE, "%lldy%lldd", y, d % 365);
    else
        snprintf(buf, DURATION_SIZE, "%lldy", y);
    return buf;
}

// "<whole>[.<fraction>]<unit>" with trailing zeros of the fraction cut; returns what it wrote.
static int format_unit(char *buf, size_t size, uint64_t nsec, uint64_t unit, const char *name)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%09" PRIu64, (nsec % unit) * (NSEC_PER_SEC / unit));
    size_t n = 9;
    while (n > 0 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    return snprintf(buf, size, "%" PRIu64 "%s%s%s", nsec / unit, n ? "." : "", digits, name);
}

char *duration_format_go(int64_t nsec, char *buf)
{
    uint64_t u = nsec < 0 ? 0 - (uint64_t)nsec : (uint64_t)nsec;
    size_t n = 0;
    if (u == 0) {
        snprintf(buf, DURATION_SIZE, "0s");
        return buf;
    }
    if (nsec < 0)
        buf[n++] = '-';
    if (u < NSEC_PER_USEC) {
        snprintf(buf + n, DURATION_SIZE - n, "%" PRIu64 "ns", u);
    } else if (u < NSEC_PER_SEC / 1000) {
        format_unit(buf + n, DURATION_SIZE - n, u, NSEC_PER_USEC, "µs");
    } else if (u < NSEC_PER_SEC) {
        format_unit(buf + n, DURATION_SIZE - n, u, NSEC_PER_SEC / 1000, "ms");
    } else {
        uint64_t minutes = u / (60 * NSEC_PER_SEC);
        if (minutes >= 60)
            n += (size_t)snprintf(buf + n, DURATION_SIZE - n, "%" PRIu64 "h", minutes / 60);
        if (minutes > 0)
            n += (size_t)snprintf(buf + n, DURATION_SIZE - n, "%" PRIu64 "m", minutes % 60);
        format_unit(buf + n, DURATION_SIZE - n, u % (60 * NSEC_PER_SEC), NSEC_PER_SEC, "s");
    }
    return buf;
}
