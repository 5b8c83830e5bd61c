// podspec: what makes a pod from a file a static pod of this node.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "podspec/podspec.h"
#include "podspec/schema.h"

#define MANIFEST(metadata, spec)                                                                   \
    "apiVersion: v1\nkind: Pod\nmetadata: {" metadata "}\n"                                        \
    "spec: {hostNetwork: true, containers: [{name: c, image: i:1}]" spec "}\n"

static const struct podspec_node node = {.name = "Node-1", .source = "file"};

static struct pod *parse(const char *text)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct pod_list pods = {0};

    if (podspec_parse("web.yaml", text, strlen(text), &pods, &diags) < 0)
        fail_msg("%s: %s", diags.items[0].path, diags.items[0].message);
    struct pod *pod = TAKE_PTR(pods.items[0]);
    pod_list_free(&pods);
    return pod;
}

static struct pod *make_static(const char *text, const struct podspec_node *on)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct pod *pod = parse(text);

    if (podspec_make_static(pod, on, &diags) < 0)
        fail_msg("%s: %s", diags.items[0].path, diags.items[0].message);
    return pod;
}

static void a_pod_belongs_to_its_node(void **state)
{
    _cleanup_pod_ struct pod *pod = make_static(MANIFEST("name: web", ", nodeName: other"), &node);
    const struct string_map *annotations = &pod->metadata.annotations;

    assert_string_equal(pod->metadata.name, "web-node-1");
    assert_string_equal(pod->metadata.namespace, "default");
    assert_string_equal(pod->spec.nodeName, "node-1");
    assert_int_equal(strlen(pod->metadata.uid), 32);
    assert_string_equal(string_map_get(annotations, "kubernetes.io/config.hash"),
                        pod->metadata.uid);
    assert_string_equal(string_map_get(annotations, "kubernetes.io/config.source"), "file");
    assert_int_equal(pod->spec.tolerations.n, 1);
    assert_string_equal(pod->spec.tolerations.items[0].operator, "Exists");
    assert_string_equal(pod->spec.tolerations.items[0].effect, "NoExecute");
}

static void the_uid_tells_pods_and_nodes_apart(void **state)
{
    static const struct podspec_node other = {.name = "node-2", .source = "file"};
    _cleanup_pod_ struct pod *a = make_static(MANIFEST("name: web", ""), &node);
    _cleanup_pod_ struct pod *same =
        make_static("# a comment\n" MANIFEST("name:   \"web\"", ""), &node);
    _cleanup_pod_ struct pod *elsewhere = make_static(MANIFEST("name: web", ""), &other);
    _cleanup_pod_ struct pod *edited = make_static(MANIFEST("name: web", ", hostPID: true"), &node);
    char hash[33];

    assert_string_equal(a->metadata.uid, same->metadata.uid);
    assert_string_not_equal(a->metadata.uid, elsewhere->metadata.uid);
    assert_string_not_equal(a->metadata.uid, edited->metadata.uid);
    assert_string_equal(pod_hash(a, hash), a->metadata.uid);
}

static void an_explicit_uid_and_namespace_stay(void **state)
{
    _cleanup_pod_ struct pod *pod =
        make_static(MANIFEST("name: web, namespace: kube-system, uid: my-uid", ""), &node);

    assert_string_equal(pod->metadata.uid, "my-uid");
    assert_string_equal(pod->metadata.namespace, "kube-system");
}

static void the_toleration_is_added_once_and_to_files_only(void **state)
{
    static const struct podspec_node url = {.name = "node-1", .source = "http"};
    _cleanup_pod_ struct pod *has =
        make_static(MANIFEST("name: web", ", tolerations: [{operator: Exists, effect: NoExecute, "
                                          "tolerationSeconds: 5}]"),
                    &node);
    _cleanup_pod_ struct pod *from_url = make_static(MANIFEST("name: web", ""), &url);

    assert_int_equal(has->spec.tolerations.n, 1);
    assert_null(has->spec.tolerations.items[0].tolerationSeconds);
    assert_int_equal(from_url->spec.tolerations.n, 0);
}

static void an_exported_mirror_pod_loses_its_marks(void **state)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    _cleanup_pod_ struct pod *pod =
        parse(MANIFEST("name: web, annotations: {kubernetes.io/config.mirror: x, a: b, "
                       "kubernetes.io/config.seen: now, kubernetes.io/config.hash: old}",
                       ""));
    _cleanup_pod_ struct pod *plain =
        make_static(MANIFEST("name: web, annotations: {a: b}", ""), &node);

    assert_int_equal(podspec_make_static(pod, &node, &diags), 0);
    assert_int_equal(diags.warnings, 1);
    assert_non_null(strstr(diags.items[0].message, "exported"));
    assert_int_equal(diags.items[0].line, 3);
    assert_int_equal(pod->metadata.annotations.n, 3);
    assert_string_equal(pod->metadata.uid, plain->metadata.uid);
}

static void the_name_with_its_suffix_is_checked(void **state)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    _cleanup_free_ char *text =
        xasprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"%0250d\"\nspec:\n"
                  "  hostNetwork: true\n  containers: [{name: c, image: i:1}]\n",
                  0);
    _cleanup_pod_ struct pod *pod = parse(text);

    assert_int_equal(podspec_make_static(pod, &node, &diags), -EINVAL);
    assert_int_equal(diags.errors, 1);
    assert_string_equal(diags.items[0].path, "metadata.name");
    assert_int_equal(diags.items[0].line, 4);
    assert_int_equal(diags.items[0].column, 9);
}

static void copies_stand_alone(void **state)
{
    _cleanup_pod_ struct pod *pod = make_static(
        MANIFEST("name: web, labels: {a: b}", ", volumes: [{name: v, hostPath: {path: /x}}]"),
        &node);
    _cleanup_pod_ struct pod *copy = pod_copy(pod);
    struct buffer before = BUFFER_EMPTY, after = BUFFER_EMPTY;

    pod_to_yaml(pod, &before);
    assert_non_null(copy->places);
    pod_drop_places(pod);
    pod_drop_places(pod);
    pod_free(pod);
    pod = NULL;
    pod_to_yaml(copy, &after);
    assert_string_equal(buffer_str(&after), buffer_str(&before));
    pod_drop_places(copy);
    _cleanup_pod_ struct pod *without_places = pod_copy(copy);
    assert_null(without_places->places);
    buffer_free(&before);
    buffer_free(&after);
    pod_free(NULL);
    pod_list_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_belongs_to_its_node),
        cmocka_unit_test(the_uid_tells_pods_and_nodes_apart),
        cmocka_unit_test(an_explicit_uid_and_namespace_stay),
        cmocka_unit_test(the_toleration_is_added_once_and_to_files_only),
        cmocka_unit_test(an_exported_mirror_pod_loses_its_marks),
        cmocka_unit_test(the_name_with_its_suffix_is_checked),
        cmocka_unit_test(copies_stand_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
