// podspec: what YAML scalars mean to the kubelet (gopkg.in/yaml.v2). The expectations were taken
// from sigs.k8s.io/yaml of Kubernetes 1.20.2.
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "podspec/scalar.h"

static char *resolve(const char *text, enum scalar_style style, const char *tag)
{
    struct scalar scalar;
    if (scalar_resolve(text, style, tag, &scalar) < 0)
        return xstrdup("error");
    if (scalar.kind == SCALAR_STRING)
        return xstrdup("string");
    if (scalar.kind == SCALAR_FLOAT && !isfinite(scalar.number))
        return xstrdup(isnan(scalar.number) ? "nan" : scalar.number > 0 ? "inf" : "-inf");
    struct buffer out = BUFFER_EMPTY;
    scalar_to_json(&scalar, &out);
    return buffer_take(&out);
}

static void assert_resolves(const char *text, const char *expected)
{
    _cleanup_free_ char *found = resolve(text, SCALAR_PLAIN, NULL);
    if (strcmp(found, expected) != 0)
        fail_msg("%s: %s instead of %s", text, found, expected);
}

static void words_are_those_of_yaml_1_1(void **state)
{
    static const char *const truths[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                         "True", "TRUE", "on",  "On",  "ON"};
    static const char *const lies[] = {"n",     "N",     "no",  "No",  "NO", "false",
                                       "False", "FALSE", "off", "Off", "OFF"};
    static const char *const strings[] = {"yEs", "tRUE", "oN", "nO", "nil", "NuLL", "t", "f", "-"};
    for (size_t i = 0; i < ARRAY_SIZE(truths); i++)
        assert_resolves(truths[i], "true");
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
        assert_resolves(lies[i], "false");
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        assert_resolves(strings[i], "string");
    assert_resolves("", "null");
    assert_resolves("~", "null");
    assert_resolves("null", "null");
    assert_resolves("Null", "null");
    assert_resolves(".nan", "nan");
    assert_resolves("-.inf", "-inf");
}

static void integers_have_prefixes_and_underscores(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"0", "0"},
        {"-0", "0"},
        {"+7", "7"},
        {"0644", "420"},
        {"-0644", "-420"},
        {"0o644", "420"},
        {"0x1F", "31"},
        {"0b101", "5"},
        {"-0b101", "-5"},
        {"1_000", "1000"},
        {"1__0_", "10"},
        {"08", "8"},
        {"0x", "string"},
        {"0b2", "string"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "9223372036854775808"},
        {"18446744073709551615", "18446744073709551615"},
        {"18446744073709551616", "18446744073709552000"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"-9223372036854775809", "-9223372036854776000"},
        {"1:30", "string"},
        {"10.0.0.1", "string"},
        {"2001-01-01", "string"},
        {"100m", "string"},
        {"-", "string"},
        {"--flag", "string"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_resolves(cases[i].text, cases[i].expected);
}

static void floats_print_as_in_json(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"1.0", "1"},         {"1.5", "1.5"},
        {"-.5", "-0.5"},      {".5", "0.5"},
        {"1e3", "1000"},      {"1E+3", "1000"},
        {"0.1", "0.1"},       {"1e20", "100000000000000000000"},
        {"1e21", "1e+21"},    {"1e-6", "0.000001"},
        {"1e-7", "1e-7"},     {"123456789.125", "123456789.125"},
        {"5e-324", "5e-324"}, {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {".9_9", "0.99"},     {"._9", "string"},
        {".9_", "string"},    {"1e400", "string"},
        {"1e", "string"},     {".", "string"},
        {"1.2.3", "string"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_resolves(cases[i].text, cases[i].expected);
}

static void assert_tagged(const char *text, const char *tag, const char *expected)
{
    _cleanup_free_ char *found = resolve(text, SCALAR_QUOTED, tag);
    if (strcmp(found, expected) != 0)
        fail_msg("%s %s: %s instead of %s", tag ? tag : "", text, found, expected);
}

static void quotes_and_tags_decide(void **state)
{
    assert_tagged("80", NULL, "string");
    assert_tagged("yes", NULL, "string");
    assert_tagged("", NULL, "string");
    assert_tagged("80", "tag:yaml.org,2002:int", "80");
    assert_tagged("x", "tag:yaml.org,2002:int", "error");
    assert_tagged("80", "tag:yaml.org,2002:float", "80");
    assert_tagged("80", "tag:yaml.org,2002:str", "string");
    assert_tagged("on", "tag:yaml.org,2002:bool", "true");
    assert_tagged("1", "tag:yaml.org,2002:bool", "error");
    assert_tagged("~", "tag:yaml.org,2002:null", "null");
    assert_tagged("x", "tag:yaml.org,2002:null", "error");
    assert_tagged("80", "!mine", "string");
    assert_true(scalar_tag_is_binary("tag:yaml.org,2002:binary"));
    assert_false(scalar_tag_is_binary(NULL));
}

static void whole_numbers_are_integers(void **state)
{
    int64_t value = 0;
    assert_true(scalar_to_int(&(struct scalar){SCALAR_FLOAT, .number = 1e3}, &value));
    assert_int_equal(value, 1000);
    assert_false(scalar_to_int(&(struct scalar){SCALAR_FLOAT, .number = 1.5}, &value));
    assert_false(scalar_to_int(&(struct scalar){SCALAR_FLOAT, .number = 1e21}, &value));
    assert_false(scalar_to_int(&(struct scalar){SCALAR_FLOAT, .number = INFINITY}, &value));
    assert_false(scalar_to_int(&(struct scalar){SCALAR_UINT, .natural = UINT64_MAX}, &value));
    assert_false(scalar_to_int(&(struct scalar){SCALAR_BOOL, .boolean = true}, &value));
}

static void assert_key(const char *text, const char *expected)
{
    struct scalar scalar;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_int_equal(scalar_resolve(text, SCALAR_PLAIN, NULL, &scalar), 0);
    assert_int_equal(scalar_to_key(&scalar, text, &out), expected != NULL);
    assert_string_equal(buffer_str(&out), expected ? expected : "");
}

static void keys_become_strings(void **state)
{
    assert_key("image", "image");
    assert_key("on", "true");
    assert_key("N", "false");
    assert_key("0x10", "16");
    assert_key("1.50", "1.5");
    assert_key("0.1", "0.1");
    assert_key("1e6", "1e+06");
    assert_key("123456.5", "123456.5");
    assert_key("1e-5", "1e-05");
    assert_key(".inf", ".inf");
    assert_key("1e300", ".inf");
    assert_key("~", NULL);
    assert_key("18446744073709551615", NULL);
}

static void quotes_are_needed_where_words_mean_something(void **state)
{
    assert_true(scalar_needs_quotes("yes"));
    assert_true(scalar_needs_quotes("0644"));
    assert_true(scalar_needs_quotes(""));
    assert_false(scalar_needs_quotes("yess"));
    assert_false(scalar_needs_quotes("10.0.0.1"));
    assert_true(scalar_needs_quotes("2021-01-13T13:08:40Z"));
    assert_true(scalar_needs_quotes("2021-1-3"));
    assert_false(scalar_needs_quotes("2021-01-13-x"));
    assert_false(scalar_needs_quotes("2021-01"));
    assert_true(scalar_needs_quotes("1:30"));
    assert_true(scalar_needs_quotes("-190:20:30.15"));
    assert_false(scalar_needs_quotes("1:60"));
    assert_false(scalar_needs_quotes("6443:tcp"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_yaml_1_1),
        cmocka_unit_test(integers_have_prefixes_and_underscores),
        cmocka_unit_test(floats_print_as_in_json),
        cmocka_unit_test(quotes_and_tags_decide),
        cmocka_unit_test(whole_numbers_are_integers),
        cmocka_unit_test(keys_become_strings),
        cmocka_unit_test(quotes_are_needed_where_words_mean_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
