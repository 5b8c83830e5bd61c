// podspec: resource quantities.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "podspec/quantity.h"

static void assert_parses(const char *text, const char *canonical, int64_t value, int64_t milli)
{
    struct quantity q = {0};

    assert_int_equal(quantity_parse(text, &q), 0);
    assert_string_equal(q.text, canonical);
    assert_int_equal(quantity_value(&q), value);
    assert_int_equal(quantity_milli_value(&q), milli);
    quantity_clear(&q);
    assert_null(q.text);
}

static void amounts_are_exact_and_canonical(void **state)
{
    assert_parses("0", "0", 0, 0);
    assert_parses("-0.000", "0", 0, 0);
    assert_parses("250m", "250m", 1, 250);
    assert_parses("0.25", "250m", 1, 250);
    assert_parses("1.5", "1500m", 2, 1500);
    assert_parses("+2", "2", 2, 2000);
    assert_parses("007", "7", 7, 7000);
    assert_parses("1000m", "1", 1, 1000);
    assert_parses("100u", "100u", 1, 1);
    assert_parses("1000", "1k", 1000, 1000000);
    assert_parses("1500k", "1500k", 1500000, 1500000000);
    assert_parses("  2  ", "2", 2, 2000);
    assert_parses("1.", "1", 1, 1000);
    assert_parses(".5", "500m", 1, 500);
    assert_parses("1E", "1E", INT64_C(1000000000000000000), INT64_MAX);
}

static void binary_suffixes_stay_binary(void **state)
{
    assert_parses("100Mi", "100Mi", 104857600, 104857600000);
    assert_parses("1024Mi", "1Gi", 1073741824, 1073741824000);
    assert_parses("1.5Gi", "1536Mi", 1610612736, 1610612736000);
    assert_parses("0.5Ki", "512", 512, 512000);
    assert_parses("1.0001Ki", "1024102400u", 1025, 1024103);
    assert_parses("2000Ki", "2000Ki", 2048000, 2048000000);
    assert_parses("0.0000000000000000000001Ki", "1n", 1, 1);
}

static void exponents_are_kept(void **state)
{
    assert_parses("1e3", "1e3", 1000, 1000000);
    assert_parses("12E6", "12e6", 12000000, 12000000000);
    assert_parses("123456e-3", "123456e-3", 124, 123456);
    assert_parses("1e+2", "100", 100, 100000);
    assert_parses("0e999999", "0", 0, 0);
}

static void what_is_too_fine_is_rounded_away_from_zero(void **state)
{
    assert_parses("0.1n", "1n", 1, 1);
    assert_parses("1.0000000001", "1000000001n", 2, 1001);
    assert_parses("-1.0000000001", "-1000000001n", -2, -1001);
    assert_parses("1000e-12", "1e-9", 1, 1);
    assert_parses("1e-300", "1e-9", 1, 1);
}

static void binary_amounts_are_capped(void **state)
{
    assert_parses("8Ei", "9223372036854775807", INT64_MAX, INT64_MAX);
    assert_parses("7Ei", "7Ei", INT64_C(7) << 60, INT64_MAX);
    assert_parses("-9999999999999999999999999999999999999999999999Ki", "-9223372036854775807",
                  -INT64_MAX, INT64_MIN);
    assert_parses("9300000000000000000", "9300P", INT64_MAX, INT64_MAX);
}

static void nonsense_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",     "   ",    "m",        "-",   "+",    ".",   "1 Gi",     "1mi",  "1KI",
        "1gib", "0x10",   "1e",       "1e+", "1e-+", "1_0", "--1",      "1..2", "Ki",
        "1Ki3", "1.2.3m", "infinity", "1,5", "1\tM", "1\n", "\xc2\xb5",
    };
    struct quantity q = {.text = NULL, .nanos = 42};

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(quantity_parse(wrong[i], &q), -EINVAL);
    assert_int_equal(quantity_parse("1e30", &q), -ERANGE);
    assert_int_equal(quantity_parse("1e99999999999", &q), -ERANGE);
    assert_int_equal(quantity_parse("99999999999999999999999999999999999999999", &q), -ERANGE);
    assert_int_equal(quantity_parse("0.1111111111111111111111111Ki", &q), -ERANGE);
    assert_true(q.nanos == 42);
}

static void long_numbers_take_no_time(void **state)
{
    _cleanup_free_ char *zeros = xasprintf("0.%0*d", 1000000, 1);
    _cleanup_free_ char *ones = xasprintf("1%0*dm", 1000000, 1);

    assert_parses(zeros, "1n", 1, 1);
    assert_int_equal(quantity_parse(ones, &(struct quantity){0}), -ERANGE);
}

static void amounts_compare_and_round(void **state)
{
    struct quantity a = {0}, b = {0};

    assert_int_equal(quantity_parse("1024", &a), 0);
    assert_int_equal(quantity_parse("1Ki", &b), 0);
    assert_int_equal(quantity_compare(&a, &b), 0);
    quantity_clear(&b);
    assert_int_equal(quantity_parse("1024000001u", &b), 0);
    assert_true(quantity_compare(&a, &b) < 0);
    quantity_round_to_milli(&b);
    assert_string_equal(b.text, "1024001m");
    quantity_clear(&a);
    assert_int_equal(quantity_parse("-1n", &a), 0);
    quantity_round_to_milli(&a);
    assert_string_equal(a.text, "-1m");
    assert_true(quantity_compare(&a, &b) < 0);
    quantity_clear(&a);
    quantity_clear(&b);
    quantity_clear(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_exact_and_canonical),
        cmocka_unit_test(binary_suffixes_stay_binary),
        cmocka_unit_test(exponents_are_kept),
        cmocka_unit_test(what_is_too_fine_is_rounded_away_from_zero),
        cmocka_unit_test(binary_amounts_are_capped),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(long_numbers_take_no_time),
        cmocka_unit_test(amounts_compare_and_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
