// See shim-stamp.h.
#include "supervisor/shim/shim-stamp.h"

#include <string.h>

enum { SECONDS_PER_DAY = 86400 };

static void put_digits(char *to, int64_t number, int n)
{
    while (n-- > 0) {
        to[n] = (char)('0' + number % 10);
        number /= 10;
    }
}

struct date {
    int64_t year;
    int month, day;
};

// Days since 1970-01-01 to a date of the Gregorian calendar, counted in eras of 400 years that
// begin on the first of March, so that the leap day is the last day of a year.
static struct date date_from_days(int64_t days)
{
    enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 };
    int64_t shifted = days + DAYS_TO_1970;
    int64_t era = shifted / DAYS_PER_ERA, of_era = shifted % DAYS_PER_ERA;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t march_month = (5 * of_year + 2) / 153;
    struct date date = {
        .year = year + era * 400 + (march_month >= 10),
        .month = (int)(march_month < 10 ? march_month + 3 : march_month - 9),
        .day = (int)(of_year - (153 * march_month + 2) / 5 + 1),
    };
    return date;
}

static void put_time(char *to, int64_t second_of_day, const char *separator)
{
    size_t width = 2 + strlen(separator);
    put_digits(to, second_of_day / 3600, 2);
    put_digits(to + width, second_of_day / 60 % 60, 2);
    put_digits(to + 2 * width, second_of_day % 60, 2);
}

void shim_stamp_set(struct shim_stamp *stamp, walltime t)
{
    int64_t second = t.nsec / NSEC_PER_SEC;
    if (second != stamp->second || !stamp->text[0]) {
        struct date date = date_from_days(second / SECONDS_PER_DAY);
        memcpy(stamp->text, "0000-00-00T00:00:00.000000000Z", sizeof(stamp->text));
        put_digits(stamp->text, date.year, 4);
        put_digits(stamp->text + 5, date.month, 2);
        put_digits(stamp->text + 8, date.day, 2);
        put_time(stamp->text + 11, second % SECONDS_PER_DAY, ":");
        stamp->second = second;
    }
    put_digits(stamp->text + 20, t.nsec % NSEC_PER_SEC, 9);
}

char *shim_stamp_suffix(walltime t, char *buf)
{
    int64_t second = t.nsec / NSEC_PER_SEC;
    struct date date = date_from_days(second / SECONDS_PER_DAY);
    put_digits(buf, date.year, 4);
    put_digits(buf + 4, date.month, 2);
    put_digits(buf + 6, date.day, 2);
    buf[8] = '-';
    put_time(buf + 9, second % SECONDS_PER_DAY, "");
    buf[15] = '\0';
    return buf;
}
