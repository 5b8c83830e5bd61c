// cli: ages and moments as kubectl shows them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "cli/duration.h"

static walltime at(int64_t seconds)
{
    return (walltime){(1700000000 + seconds) * NSEC_PER_SEC};
}

static void ages_are_kubectls(void **state)
{
    static const struct {
        int64_t seconds;
        const char *age;
    } ages[] = {
        {0, "0s"},
        {1, "1s"},
        {119, "119s"},
        {120, "2m"},
        {125, "2m5s"},
        {600, "10m"},
        {3 * 3600, "3h"},
        {3600 + 1800, "90m"},
        {11100, "3h5m"},
        {2 * 86400, "2d"},
        {2 * 86400 + 10800, "2d3h"},
        {9 * 86400, "9d"},
        {800 * 86400, "2y70d"},
    };
    char buf[DURATION_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(ages); i++)
        assert_string_equal(age_since(at(0), at(ages[i].seconds), buf), ages[i].age);
}

static void unknown_and_impossible_times(void **state)
{
    char buf[DURATION_SIZE];
    assert_string_equal(age_since((walltime){0}, at(0), buf), "<unknown>");
    assert_string_equal(age_since(at(1), at(0), buf), "0s");
    assert_string_equal(age_since(at(10), at(0), buf), "<invalid>");
    assert_string_equal(age_of_text(NULL, at(0), buf), "<unknown>");
    assert_string_equal(age_of_text("yesterday", at(0), buf), "<unknown>");
    assert_string_equal(age_of_text("2023-11-14T22:13:20Z", at(300), buf), "5m");
}

static void restarts_say_when(void **state)
{
    char buf[AGE_SIZE];
    assert_string_equal(restarts_format(0, at(0), at(300), buf), "0");
    assert_string_equal(restarts_format(3, at(0), at(300), buf), "3 (5m ago)");
    assert_string_equal(restarts_format(3, (walltime){0}, at(300), buf), "3");
}

static void intervals_say_how_often(void **state)
{
    char buf[AGE_SIZE];
    assert_string_equal(interval_format(1, at(0), at(0), at(300), buf), "5m");
    assert_string_equal(interval_format(3, at(0), at(300), at(600), buf), "5m (x3 over 10m)");
    assert_string_equal(interval_format(1, at(0), (walltime){0}, at(300), buf), "5m");
}

static void times_come_out_of_json(void **state)
{
    json_t *text = json_string("2023-11-14T22:13:20Z"), *number = json_integer(5);
    assert_true(walltime_from_json(text).nsec == at(0).nsec);
    assert_false(walltime_is_set(walltime_from_json(number)));
    assert_false(walltime_is_set(walltime_from_json(NULL)));
    json_decref(text);
    json_decref(number);
}

static void moments_are_local(void **state)
{
    char buf[AGE_SIZE];
    setenv("TZ", "UTC", 1);
    tzset();
    assert_string_equal(moment_format(at(0), buf), "Tue, 14 Nov 2023 22:13:20 +0000");
    assert_string_equal(moment_format((walltime){0}, buf), "<unknown>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ages_are_kubectls),      cmocka_unit_test(unknown_and_impossible_times),
        cmocka_unit_test(restarts_say_when),      cmocka_unit_test(intervals_say_how_often),
        cmocka_unit_test(times_come_out_of_json), cmocka_unit_test(moments_are_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
