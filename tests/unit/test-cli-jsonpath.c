// cli: JSONPath templates, compared with what kubectl makes of the same.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cli/jsonpath.h"

static const char document[] =
    "{\"kind\":\"List\",\"n\":3,\"pi\":3.5,\"yes\":true,\"nothing\":null,"
    "\"items\":[{\"metadata\":{\"name\":\"a\",\"labels\":{\"app.kubernetes.io/name\":\"etcd\"}},"
    "\"ready\":true,\"port\":80},"
    "{\"metadata\":{\"name\":\"b\"},\"ready\":false,\"port\":443},"
    "{\"metadata\":{\"name\":\"c\"},\"port\":8080,\"phase\":\"Running\"}]}";

static const struct {
    const char *template_, *expected;
} good[] = {
    {"", ""},
    {"plain text", "plain text"},
    {"{.kind}", "List"},
    {"kind={.kind}!", "kind=List!"},
    {"{.n} {.pi} {.yes} {.nothing}", "3 3.5 true null"},
    {"{.items[*].metadata.name}", "a b c"},
    {"{.items[0].metadata.name}", "a"},
    {"{.items[-1].metadata.name}", "c"},
    {"{.items[0:2].metadata.name}", "a b"},
    {"{.items[1:].metadata.name}", "b c"},
    {"{.items[:-1].metadata.name}", "a b"},
    {"{.items[::2].metadata.name}", "a c"},
    {"{.items[0,2].metadata.name}", "a c"},
    {"{.items[5:9].metadata.name}", ""},
    {"{['kind']}", "List"},
    {"{['kind','n']}", "List 3"},
    {"{.items[0]['metadata.name','port']}", "a 80"},
    {"{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "etcd"},
    {"{.items[0].metadata.labels['app\\.kubernetes\\.io/name']}", "etcd"},
    {"{.missing}", ""},
    {"{.missing.below[*].it}", ""},
    {"{..name}", "a b c"},
    {"{.items[*]['metadata.name','port']}", "a b c 80 443 8080"},
    {"{.items[0].metadata.labels..}", "{\"app.kubernetes.io/name\":\"etcd\"}"},
    {"{.items[*]..name}", "a b c"},
    {"{.items[?(@.ready==true)].metadata.name}", "a"},
    {"{.items[?(@.ready)].metadata.name}", "a b"},
    {"{.items[?(@.port>80)].metadata.name}", "b c"},
    {"{.items[?(@.port >= 443)].metadata.name}", "b c"},
    {"{.items[?(@.port<443)].metadata.name}", "a"},
    {"{.items[?(@.port<=443)].metadata.name}", "a b"},
    {"{.items[?(@.port!=443)].metadata.name}", "a c"},
    {"{.items[?(@.phase==\"Running\")].metadata.name}", "c"},
    {"{.items[?(@.metadata.name=='b')].port}", "443"},
    {"{.items[?(@.metadata.name==\"none\")].port}", ""},
    {"{range .items[*]}{.metadata.name}{\"\\t\"}{.port}{\"\\n\"}{end}", "a\t80\nb\t443\nc\t8080\n"},
    {"{range .items[*]}{@.metadata.name},{end}", "a,b,c,"},
    {"{range .items[?(@.port>80)]}<{.port}>{end}", "<443><8080>"},
    {"{range .items[*]}{range .metadata.*}{@} {end};{end}", NULL}, // order of maps is not fixed
    {"{$.items[0].port}", "80"},
    {"{.items[0].metadata}", "{\"labels\":{\"app.kubernetes.io/name\":\"etcd\"},\"name\":\"a\"}"},
    {"{'single'} {\"double \\\" quote\"}", "single double \" quote"},
    {"{ .kind }", "List"},
    {"{.items[*].port}{\"\\n\"}", "80 443 8080\n"},
};

static const char *const bad[] = {
    "{",
    "{.a",
    "{.items[}",
    "{.items[0}",
    "{end}",
    "{range .items[*]}",
    "{.items[?(@.x==)]}",
    "{.items[?(@.x=='y']}",
    "{\"open}",
    "{.items[::0]}",
    "{range .a}{range .b}{end}",
    "{a b",
    "{.items['x}",
    "{.items[?(]}",
    "{.items[a]}",
};

static json_t *load(void)
{
    json_t *value = json_loads(document, 0, NULL);
    assert_non_null(value);
    return value;
}

static void templates_print(void **state)
{
    json_t *root = load();
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_jsonpath_ struct jsonpath *path = NULL;
        _cleanup_error_ struct error err = ERROR_NONE;
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        if (jsonpath_parse(good[i].template_, &path, &err) < 0)
            fail_msg("%s: %s", good[i].template_, error_message(&err));
        assert_int_equal(jsonpath_print(path, root, &out, &err), 0);
        if (good[i].expected && strcmp(buffer_str(&out), good[i].expected) != 0)
            fail_msg("%s gave \"%s\", not \"%s\"", good[i].template_, buffer_str(&out),
                     good[i].expected);
    }
    json_decref(root);
}

static void bad_templates_are_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct jsonpath *path = NULL;
        _cleanup_error_ struct error err = ERROR_NONE;
        if (jsonpath_parse(bad[i], &path, &err) != -EINVAL)
            fail_msg("%s was accepted", bad[i]);
        assert_null(path);
        assert_non_null(strstr(error_message(&err), "JSONPath"));
    }
}

static void braces_may_be_left_out(void **state)
{
    static const char *const same[] = {"kind", ".kind", "{.kind}", "$.kind", "['kind']"};
    json_t *root = load();
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        _cleanup_jsonpath_ struct jsonpath *path = NULL;
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        assert_int_equal(jsonpath_parse_relaxed(same[i], &path, NULL), 0);
        assert_int_equal(jsonpath_print(path, root, &out, NULL), 0);
        assert_string_equal(buffer_str(&out), "List");
    }
    json_decref(root);
}

static void an_index_outside_is_an_error(void **state)
{
    json_t *root = load();
    _cleanup_jsonpath_ struct jsonpath *path = NULL;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_int_equal(jsonpath_parse("{.items[7]}", &path, &err), 0);
    assert_int_equal(jsonpath_print(path, root, &out, &err), -EINVAL);
    assert_string_equal(error_message(&err), "array index out of bounds: index 7, length 3");
    json_decref(root);
}

// Each ".." visits everything below every value: a few dozen of them would take for ever.
static void recursion_upon_recursion_is_refused(void **state)
{
    json_t *root = load();
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, out = BUFFER_EMPTY;
    _cleanup_jsonpath_ struct jsonpath *path = NULL;
    const json_t **found = NULL;
    buffer_add_char(&text, '{');
    for (int i = 0; i < 60; i++)
        buffer_add_str(&text, "..");
    buffer_add_str(&text, "name}");
    assert_int_equal(jsonpath_parse(buffer_str(&text), &path, &err), 0);
    assert_int_equal(jsonpath_print(path, root, &out, &err), -EINVAL);
    assert_non_null(strstr(error_message(&err), "more than 2097152 values"));
    assert_int_equal(jsonpath_find(path, root, &found), 0);
    free(found);
    json_decref(root);
}

static void nesting_is_bounded(void **state)
{
    _cleanup_buffer_ struct buffer deep = BUFFER_EMPTY;
    struct jsonpath *path = NULL;
    for (int i = 0; i < 100000; i++)
        buffer_add_str(&deep, "{range .a}");
    assert_int_equal(jsonpath_parse(buffer_str(&deep), &path, NULL), -EINVAL);
    buffer_truncate(&deep, 0);
    buffer_add_str(&deep, "{.a");
    for (int i = 0; i < 100000; i++)
        buffer_add_str(&deep, "[?(@.a");
    assert_int_equal(jsonpath_parse(buffer_str(&deep), &path, NULL), -EINVAL);
}

static void values_are_found(void **state)
{
    json_t *root = load();
    const json_t **found;
    _cleanup_jsonpath_ struct jsonpath *path = NULL;
    assert_int_equal(jsonpath_parse_relaxed(".items[*].port", &path, NULL), 0);
    assert_int_equal(jsonpath_find(path, root, &found), 3);
    assert_int_equal(json_integer_value(found[1]), 443);
    free(found);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recursion_upon_recursion_is_refused),
        cmocka_unit_test(templates_print),
        cmocka_unit_test(bad_templates_are_refused),
        cmocka_unit_test(braces_may_be_left_out),
        cmocka_unit_test(an_index_outside_is_an_error),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(values_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
