// When there is too little room: the threshold, and how much more ends it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "supervisor/pressure.h"

static void a_threshold_and_a_fifth_more(void **state)
{
    static const struct {
        bool before;
        uint64_t available;
        bool low;
    } steps[] = {
        {false, 100000, false}, {false, 10000, false}, {false, 9999, true},   {true, 10000, true},
        {true, 11999, true},    {true, 12000, false},  {false, 11000, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        assert_int_equal(pressure_is_low(steps[i].before, steps[i].available, 100000, 10),
                         steps[i].low);
    assert_true(pressure_is_low(false, 4999, 100000, 5));
    assert_false(pressure_is_low(false, 5000, 100000, 5));
}

static void what_cannot_be_counted_is_not_low(void **state)
{
    assert_false(pressure_is_low(false, 0, 0, 10)); // a file system without inodes to count
    assert_true(pressure_is_low(false, UINT64_MAX / 100, UINT64_MAX, 10));
    assert_false(pressure_is_low(false, UINT64_MAX, UINT64_MAX, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_threshold_and_a_fifth_more),
        cmocka_unit_test(what_cannot_be_counted_is_not_low),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
