// podspec: $(VAR) expansion.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "podspec/expand.h"

static void assert_expands(const struct string_map *vars, const char *text, const char *expected)
{
    _cleanup_free_ char *result = expand_references(text, vars);

    assert_string_equal(result, expected);
}

static void references_are_expanded_once(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"$(A)", "alpha"},
        {"x$(A)y$(B)z", "xalphay$(A)z"},
        {"$(C)", "$(C)"},
        {"$$(A)", "$(A)"},
        {"$$$(A)", "$alpha"},
        {"$$$$(A)", "$$(A)"},
        {"$", "$"},
        {"$$", "$"},
        {"a$", "a$"},
        {"$A", "$A"},
        {"$(A", "$(A"},
        {"$(A$(B)", "$(A$(B)"},
        {"$()", "$()"},
        {"$(empty)|", "|"},
        {"$($(A))", "$($(A))"},
        {"$(A)$", "alpha$"},
        {"${A}", "${A}"},
        {"$ (A)", "$ (A)"},
        {"$\xc3\xa9$(A)", "$\xc3\xa9"
                          "alpha"},
    };
    struct string_map vars = {0};

    string_map_set(&vars, "A", "alpha");
    string_map_set(&vars, "B", "$(A)");
    string_map_set(&vars, "empty", "");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_expands(&vars, cases[i][0], cases[i][1]);
    string_map_free(&vars);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_expanded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
