// When there is too little room: the threshold, and how much more ends it.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "supervisor/disk-limits.h"

static const struct disk_limit tenth = {.per_mille = 100}, twentieth = {.per_mille = 50};

static void amounts_and_percentages_are_read(void **state)
{
    static const struct {
        const char *item, *expected; // NULL: refused
    } cases[] = {
        {"nodefs.available<15%", "nodefs.available<15%,nodefs.inodesFree<5%"},
        {"nodefs.available: 1Gi", "nodefs.available<1073741824,nodefs.inodesFree<5%"},
        {"nodefs.inodesFree: 2.5%", "nodefs.available<10%,nodefs.inodesFree<2.5%"},
        {"nodefs.available: 0%", "nodefs.available<0%,nodefs.inodesFree<5%"},
        {"memory.available: 100Mi", "nodefs.available<10%,nodefs.inodesFree<5%"},
        {"nodefs.available: 101%", NULL},
        {"nodefs.available: -1", NULL},
        {"nodefs.available: much", NULL},
        {"nodefs.available", NULL},
        {"disk.available: 1%", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        _cleanup_string_list_ struct string_list items = {0};
        struct disk_limits limits = disk_limits_of(DISK_LIMITS_DEFAULT);
        string_list_add(&items, cases[i].item);
        int code = disk_limits_read(&items, &limits, &err);
        assert_int_equal(code, cases[i].expected ? 0 : -EINVAL);
        if (code < 0)
            continue;
        _cleanup_free_ char *text = disk_limits_text(&limits);
        assert_string_equal(text, cases[i].expected);
        struct disk_limits again = disk_limits_of(text);
        assert_memory_equal(&again, &limits, sizeof(limits));
    }
    assert_false(disk_limit_is_passed(&(struct disk_limit){0}, false, 0, 1000000));
    assert_true(disk_limit_is_passed(&(struct disk_limit){.amount = 500}, false, 499, 1000000));
    assert_true(disk_limit_is_passed(&(struct disk_limit){.amount = 500}, true, 599, 1000000));
    assert_false(disk_limit_is_passed(&(struct disk_limit){.amount = 500}, true, 600, 1000000));
}

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
        assert_int_equal(disk_limit_is_passed(&tenth, steps[i].before, steps[i].available, 100000),
                         steps[i].low);
    assert_true(disk_limit_is_passed(&twentieth, false, 4999, 100000));
    assert_false(disk_limit_is_passed(&twentieth, false, 5000, 100000));
}

static void what_cannot_be_counted_is_not_low(void **state)
{
    assert_false(
        disk_limit_is_passed(&tenth, false, 0, 0)); // a file system without inodes to count
    assert_true(disk_limit_is_passed(&tenth, false, UINT64_MAX / 100, UINT64_MAX));
    assert_false(disk_limit_is_passed(&tenth, false, UINT64_MAX, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_and_percentages_are_read),
        cmocka_unit_test(a_threshold_and_a_fifth_more),
        cmocka_unit_test(what_cannot_be_counted_is_not_low),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
