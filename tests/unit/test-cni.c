// CNI: which files are configurations, what a plugin is given, what its answers mean.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cni.h"

static void configurations(void **state)
{
    static const struct {
        const char *text;
        bool list;
        const char *wrong; // NULL: it is one
    } examples[] = {
        {"{\"name\":\"n\",\"plugins\":[{\"type\":\"bridge\"}]}", true, NULL},
        {"{\"name\":\"n\",\"type\":\"bridge\"}", false, NULL},
        {"{\"plugins\":[{\"type\":\"bridge\"}]}", true, "no name"},
        {"{\"name\":\"n\",\"plugins\":[]}", true, "no plugins"},
        {"{\"name\":\"n\",\"plugins\":[{}]}", true, "plugins[0] has no type"},
        {"{\"name\":\"n\",\"plugins\":[7]}", true, "plugins[0] is no object"},
        {"{\"name\":\"n\",\"plugins\":[{\"type\":\"../sh\"}]}", true, "no name of a program"},
        {"{\"name\":\"n\",\"plugins\":[{\"type\":\"/bin/sh\"}]}", true, "no name of a program"},
        {"{\"name\":\"n\",\"cniVersion\":1,\"plugins\":[{\"type\":\"a\"}]}", true, "no string"},
        {"{\"name\":\"n\"}", false, "has no type"},
        {"{\"name\":\"n\",\"name\":\"m\",\"type\":\"a\"}", false, "line 1"},
        {"[]", true, "no JSON object"},
        {"{", true, "line 1"},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        json_t *json = NULL;
        int code = cni_config_parse(examples[i].text, strlen(examples[i].text), examples[i].list,
                                    &json, &err);
        if (!examples[i].wrong)
            assert_int_equal(json_array_size(json_object_get(json, "plugins")), 1);
        else if (code != -EINVAL || !strstr(error_message(&err), examples[i].wrong))
            fail_msg("%s: %s", examples[i].text, error_message(&err));
        json_decref(json);
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(dir, name);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, 0), 0);
}

static void the_first_usable_file_counts(void **state)
{
    char dir[] = "/tmp/mainstay-cni-XXXXXX";
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_string_list_ struct string_list skipped = {0};
    _cleanup_free_ char *file = NULL;
    json_t *json = NULL;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(cni_config_load("/nonexistent", &json, &file, &skipped, &err), -ENOENT);
    assert_int_equal(cni_config_load(dir, &json, &file, &skipped, &err), -ENOENT);
    assert_non_null(strstr(error_message(&err), dir));
    write_file(dir, "00-not.txt", "{\"name\":\"a\",\"type\":\"a\"}");
    write_file(dir, ".hidden.conf", "{\"name\":\"a\",\"type\":\"a\"}");
    write_file(dir, "10-bad.conflist", "{\"name\":\"b\",\"plugins\":[]}");
    write_file(dir, "20-c.conf", "{\"name\":\"c\",\"type\":\"c\"}");
    write_file(dir, "30-d.conflist", "{\"name\":\"d\",\"plugins\":[{\"type\":\"d\"}]}");
    assert_int_equal(cni_config_load(dir, &json, &file, &skipped, &err), 0);
    assert_string_equal(path_base(file), "20-c.conf");
    assert_string_equal(json_string_value(json_object_get(json, "name")), "c");
    assert_int_equal(skipped.n, 1);
    assert_non_null(strstr(skipped.items[0], "10-bad.conflist: it has no plugins"));
    json_decref(json);
    fs_remove_tree(AT_FDCWD, dir);
}

static void what_a_plugin_is_given(void **state)
{
    static const char text[] =
        "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"a\",\"x\":1},"
        "{\"type\":\"b\",\"capabilities\":{\"portMappings\":true,\"bandwidth\":false}}]}";
    json_t *list = NULL;
    json_auto_t *capabilities = json_pack("{s:[i],s:{}}", "portMappings", 1, "bandwidth");
    json_auto_t *previous = json_pack("{s:[]}", "ips");
    assert_int_equal(cni_config_parse(text, strlen(text), true, &list, NULL), 0);
    assert_true(cni_config_takes(list, "portMappings"));
    assert_false(cni_config_takes(list, "bandwidth"));
    json_auto_t *first = cni_config_for_plugin(list, 0, capabilities, NULL);
    json_auto_t *second = cni_config_for_plugin(list, 1, capabilities, previous);
    json_auto_t *expected_first =
        json_pack("{s:s,s:s,s:s,s:i}", "name", "n", "cniVersion", "1.0.0", "type", "a", "x", 1);
    assert_true(json_equal(first, expected_first));
    json_auto_t *runtime = json_pack("{s:[i]}", "portMappings", 1);
    assert_true(json_equal(json_object_get(second, "runtimeConfig"), runtime));
    assert_true(json_equal(json_object_get(second, "prevResult"), previous));
    json_decref(list);
}

static void results(void **state)
{
    static const struct {
        const char *text, *ips; // joined by blanks; NULL: it is no result
    } examples[] = {
        {"{\"ips\":[{\"address\":\"10.0.0.2/24\"},{\"address\":\"fd00::2/64\"}]}",
         "10.0.0.2 fd00::2 "},
        {"{\"ip4\":{\"ip\":\"10.0.0.3/24\"},\"ip6\":{\"ip\":\"fd00::3/64\"}}", "10.0.0.3 fd00::3 "},
        {"{\"ips\":[{\"address\":\"10.0.0.256/24\"},{\"address\":7},{},3]}", ""},
        {"{\"ips\":[{\"address\":\"10.0.0.2 evil\"}]}", ""},
        {"{\"ips\":null}", ""},
        {"{}", ""},
        {"{\"ips\":{}}", NULL},
        {"[]", NULL},
        {"", NULL},
        {"null", NULL},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        json_t *json = NULL;
        struct cni_result result = {0};
        _cleanup_buffer_ struct buffer ips = BUFFER_EMPTY;
        int code = cni_result_parse(examples[i].text, strlen(examples[i].text), &json, NULL);
        assert_int_equal(code, examples[i].ips ? 0 : -EBADMSG);
        if (!examples[i].ips)
            continue;
        cni_result_read(json, &result);
        LIST_EACH (ip, &result.ips)
            buffer_printf(&ips, "%s ", *ip);
        assert_string_equal(buffer_str(&ips), examples[i].ips);
        cni_result_free(&result);
        json_decref(json);
    }
}

static void errors(void **state)
{
    static const char *const examples[][3] = {
        // standard output, standard error, what is told
        {"{\"code\":11,\"msg\":\"full\",\"details\":\"no\\nmore\"}", "x",
         "full: no more (code 11)"},
        {"{\"msg\":\"full\"}", "", "full"},
        {"{\"code\":1}", "noise\n", "exited: noise"},
        {"garbage", "", "exited"},
        {"", "a\tb\033[0m\n", "exited: a b [0m"},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        _cleanup_free_ char *text =
            cni_error_text(examples[i][0], strlen(examples[i][0]), examples[i][1], "exited");
        assert_string_equal(text, examples[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations),
        cmocka_unit_test(the_first_usable_file_counts),
        cmocka_unit_test(what_a_plugin_is_given),
        cmocka_unit_test(results),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
