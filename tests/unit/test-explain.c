// podspec: `mainstay explain`, and that the table says something about every field.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/podspec.h"

static char *explain(const char *path, bool recursive)
{
    struct buffer out = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    if (podspec_explain(path, recursive, &out, &err) < 0)
        fail_msg("%s: %s", path, error_message(&err));
    return buffer_take(&out);
}

static void assert_says(const char *path, const char *words)
{
    _cleanup_free_ char *text = explain(path, false);
    if (!strstr(text, words))
        fail_msg("%s: no \"%s\" in\n%s", path, words, text);
}

static void assert_unknown(const char *path, const char *message)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(podspec_explain(path, false, &out, &err), -ENOENT);
    assert_string_equal(error_message(&err), message);
    assert_int_equal(out.len, 0);
}

static void the_shape_is_that_of_kubectl(void **state)
{
    _cleanup_free_ char *text = explain("pod.spec.containers.livenessProbe", false);
    assert_true(str_starts_with(text, "KIND:     Pod\nVERSION:  v1\n\n"
                                      "RESOURCE: livenessProbe <Object>\n\nDESCRIPTION:\n     "));
    assert_non_null(strstr(text, "\n\nFIELDS:\n   exec\t<Object>\n     "));
    assert_says("pod.spec.containers.image", "FIELD:    image <string>\n\nDESCRIPTION:\n     ");
    assert_says("pod.spec", "   containers\t<[]Object> -required-\n");
    assert_says("po", "KIND:     Pod\nVERSION:  v1\n\nDESCRIPTION:\n");
}

static void lines_are_short(void **state)
{
    _cleanup_free_ char *text = explain("pod.spec", false);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        assert_true(strcspn(line, "\n") <= 80);
}

static void facts_come_from_the_rows(void **state)
{
    assert_says("pod.spec.restartPolicy", "One of: Always, OnFailure, Never. Default: Always.");
    assert_says("pod.spec.containers.ports.containerPort", "Between 1 and 65535.");
    assert_says("pod.spec.runtimeClassName", "Refused: ");
    assert_says("pod.spec.containers.resizePolicy", "Accepted with a warning: ");
    assert_says("pod.spec.affinity", "Means nothing to a static pod");
}

static void paths_of_findings_are_understood(void **state)
{
    assert_says("pod.spec.containers[0].env[3].name", "FIELD:    name <string>");
    assert_says("pods.metadata.labels", "map[string]string");
}

static void recursion_shows_the_tree(void **state)
{
    _cleanup_free_ char *text = explain("pod.spec.containers", true);
    assert_non_null(strstr(text, "   livenessProbe\t<Object>\n      exec\t<Object>\n"
                                 "         command\t<[]string>"));
}

static void unknown_names_get_the_nearest(void **state)
{
    assert_unknown("pod.spec.containers.livenesProbe",
                   "pod.spec.containers has no field \"livenesProbe\", did you mean "
                   "\"livenessProbe\"?");
    assert_unknown("pod.zzzzz", "pod has no field \"zzzzz\"");
    assert_unknown("service", "only pods are known here: start with \"pod\", not \"service\"");
    assert_unknown("", "only pods are known here: start with \"pod\", not \"\"");
    assert_unknown("pod.spec.hostNetwork.x", "pod.spec.hostNetwork has no fields");
    assert_unknown("pod..x", "pod has no field \"\"");
}

static void assert_complete(const struct type_schema *type, unsigned depth)
{
    assert_true(depth < 20); // no circles
    assert_non_null(type->doc);
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct field_schema *field = &type->fields[i];
        bool said = field->support == SUPPORT_FULL || field->support == SUPPORT_IGNORED;
        if (!field->doc || (!said && !field->note))
            fail_msg("%s.%s has no text", type->name, field->name);
        if (field->sub)
            assert_complete(field->sub, depth + 1);
    }
}

static void every_field_is_explained(void **state)
{
    assert_complete(&pod_schema, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shape_is_that_of_kubectl),
        cmocka_unit_test(lines_are_short),
        cmocka_unit_test(facts_come_from_the_rows),
        cmocka_unit_test(paths_of_findings_are_understood),
        cmocka_unit_test(recursion_shows_the_tree),
        cmocka_unit_test(unknown_names_get_the_nearest),
        cmocka_unit_test(every_field_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
