// The annotation that podmaster puts into a manifest: where it stands, and what is refused.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "manifests/guard.h"
#include "podspec/annotations.h"
#include "podspec/podspec.h"

static const char state_path[] = "/run/s.lease";

static int guard(const char *text, struct buffer *out, struct error *err)
{
    _cleanup_buffer_ struct buffer in = BUFFER_EMPTY;
    buffer_add_str(&in, text);
    return guard_manifest("f.yaml", &in, state_path, out, err);
}

#define FENCE "mainstay.dev/fence: \"/run/s.lease\"\n"

static const struct {
    const char *in, *out;
} rows[] = {
    {"kind: Pod\nmetadata: # of it\n  name: x\nspec: {}\n",
     "kind: Pod\nmetadata: # of it\n  annotations:\n    " FENCE "  name: x\nspec: {}\n"},
    {"kind: Pod\nmetadata:\n    # one\n    name: x\n    annotations:\n      # two\n      a: b\n",
     "kind: Pod\nmetadata:\n    # one\n    name: x\n    annotations:\n      # two\n      " FENCE
     "      a: b\n"},
    {"---\nmetadata:\n  annotations: {\"a\": 'b'}\n  name: x\nkind: Pod\n---\n",
     "---\nmetadata:\n  annotations: {\"mainstay.dev/fence\": \"/run/s.lease\", \"a\": 'b'}\n  "
     "name: "
     "x\nkind: Pod\n---\n"},
    {"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}",
     "{\"kind\":\"Pod\",\"metadata\":{\"annotations\": {\"mainstay.dev/fence\": \"/run/s.lease\"}, "
     "\"name\":\"x\"}}"},
    {"{\"spec\":{\"a\":\"ü€\"},\"kind\":\"Pod\",\"metadata\":{ \"annotations\":{ \"a\":\"b\"}}}",
     "{\"spec\":{\"a\":\"ü€\"},\"kind\":\"Pod\",\"metadata\":{ \"annotations\":{ "
     "\"mainstay.dev/fence\": \"/run/s.lease\", \"a\":\"b\"}}}"},
    {"kind: Pod\r\nmetadata:\r\n  name: x\r\n",
     "kind: Pod\r\nmetadata:\r\n  annotations:\n    " FENCE "  name: x\r\n"},
    {"kind: Pod\nmetadata: &m\n  name: x\nspec: {m: *m}\n",
     "kind: Pod\nmetadata: &m\n  annotations:\n    " FENCE "  name: x\nspec: {m: *m}\n"},
};

static void it_stands_in_front_in_the_manifest_s_own_style(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        _cleanup_error_ struct error err = ERROR_NONE;
        if (guard(rows[i].in, &out, &err) < 0)
            fail_msg("%s: %s", rows[i].in, error_message(&err));
        assert_string_equal(buffer_str(&out), rows[i].out);
        assert_true(guard_is_in(&out));
    }
}

static void the_agent_finds_it(void **state)
{
    static const char pod[] =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  namespace: default\nspec:\n"
        "  hostNetwork: true\n  containers:\n  - name: main\n    image: a/b:1\n";
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    _cleanup_pod_list_ struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    assert_int_equal(guard(pod, &out, NULL), 0);
    assert_int_equal(podspec_parse("f", out.data, out.len, &pods, &diags), 0);
    assert_string_equal(string_map_get(&pods.items[0]->metadata.annotations, ANNOTATION_FENCE),
                        state_path);
    assert_int_equal(pod_annotation_check(pods.items[0], ANNOTATION_FENCE, state_path, NULL), 0);
    assert_int_equal(pod_annotation_check(pods.items[0], ANNOTATION_FENCE, "x/../y", NULL),
                     -EINVAL);
}

static void what_cannot_be_guarded_is_refused(void **state)
{
    static const char *const refused[][2] = {
        {"", "not the manifest of one Pod"},
        {"kind: Pod\n", "not the manifest of one Pod"},
        {"kind: Pod\nmetadata: {}\n", "not the manifest of one Pod"},
        {"kind: Service\nmetadata:\n  name: x\n", "not the manifest of one Pod"},
        {"kind: Pod\nmetadata:\n  name: x\n---\nkind: Pod\nmetadata:\n  name: y\n",
         "not the manifest of one Pod"},
        {"kind: List\nitems:\n- kind: Pod\n  metadata:\n    name: x\n", "not the manifest of one"},
        {"kind: Pod\nmetadata:\n  name: x\n  annotations:\n",
         "f.yaml:4: metadata.annotations is empty"},
        {"kind: Pod\nmetadata:\n  name: x\n  annotations: {}\n", "is empty: leave it out"},
        {"kind: Pod\nmetadata:\n  annotations:\n    mainstay.dev/fence: /other\n", "already"},
        {"kind: Pod\nmetadata: [\n", "f.yaml:"},
        {"kind: Pod\nmetadata:\n  ? name\n  : x\n", "could not be put in"},
        {"\xff\xfek\0i\0", "f.yaml"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        _cleanup_error_ struct error err = ERROR_NONE;
        if (guard(refused[i][0], &out, &err) == 0)
            fail_msg("taken: %s", refused[i][0]);
        if (!strstr(error_message(&err), refused[i][1]))
            fail_msg("%s: %s", refused[i][0], error_message(&err));
        assert_int_equal(out.len, 0);
        assert_false(guard_is_in(&out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stands_in_front_in_the_manifest_s_own_style),
        cmocka_unit_test(the_agent_finds_it),
        cmocka_unit_test(what_cannot_be_guarded_is_refused),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
