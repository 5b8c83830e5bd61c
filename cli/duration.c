// See duration.h.
#include "cli/duration.h"

#include <string.h>

#include "base/macro.h"

// A word where no time can be shown; every buffer of this file has room for it.
static char *word(char *buf, const char *text)
{
    return memcpy(buf, text, strlen(text) + 1);
}

char *age_since(walltime then, walltime now, char *buf)
{
    if (!walltime_is_set(then))
        return word(buf, "<unknown>");
    int64_t seconds = now.nsec / NSEC_PER_SEC - then.nsec / NSEC_PER_SEC;
    // apimachinery/pkg/util/duration: up to two seconds ahead are clocks that differ a little.
    if (seconds < -1)
        return word(buf, "<invalid>");
    return duration_format_human(MAX(seconds, 0), buf);
}

char *age_of_text(const char *then, walltime now, char *buf)
{
    walltime t = {0};
    if (then && walltime_parse(then, &t) < 0)
        t = (walltime){0};
    return age_since(t, now, buf);
}

char *restarts_format(long long restarts, walltime last, walltime now, char *buf)
{
    char age[DURATION_SIZE];
    if (restarts > 0 && walltime_is_set(last))
        snprintf(buf, AGE_SIZE, "%lld (%s ago)", restarts, age_since(last, now, age));
    else
        snprintf(buf, AGE_SIZE, "%lld", restarts);
    return buf;
}

char *interval_format(long long count, walltime first, walltime last, walltime now, char *buf)
{
    char seen[DURATION_SIZE], over[DURATION_SIZE];
    age_since(walltime_is_set(last) ? last : first, now, seen);
    if (count > 1)
        snprintf(buf, AGE_SIZE, "%s (x%lld over %s)", seen, count, age_since(first, now, over));
    else
        snprintf(buf, AGE_SIZE, "%s", seen);
    return buf;
}

walltime walltime_from_json(const json_t *value)
{
    walltime t;
    const char *text = json_string_value(value);
    return text && walltime_parse(text, &t) == 0 ? t : (walltime){0};
}

char *moment_format(walltime t, char *buf)
{
    struct tm tm;
    time_t seconds = (time_t)(t.nsec / NSEC_PER_SEC);
    if (!walltime_is_set(t) || !localtime_r(&seconds, &tm))
        return word(buf, "<unknown>");
    strftime(buf, AGE_SIZE, "%a, %d %b %Y %H:%M:%S %z", &tm);
    return buf;
}
