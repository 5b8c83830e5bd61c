// podspec: pods and JSON values as YAML, read back; the canonical hashes.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "podspec/podspec.h"
#include "podspec/yaml.h"

static struct pod *parse(const char *text)
{
    struct pod_list pods = {0};
    struct diag_list diags = {0};
    if (podspec_parse("x.yaml", text, strlen(text), &pods, &diags) < 0)
        fail_msg("%s\n%s: %s", text, diags.items[0].path, diags.items[0].message);
    diag_list_free(&diags);
    assert_int_equal(pods.n, 1);
    struct pod *pod = pods.items[0];
    free(pods.items);
    return pod;
}

#define HEAD "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"
#define SPEC "spec: {containers: [{name: a, image: 'x:1'}]}\n"

static void unset_fields_are_left_out(void **state)
{
    _cleanup_pod_ struct pod *pod =
        parse(HEAD "spec:\n  containers:\n  - {name: a, image: 'x:1', args: ['1', b c],"
                   " securityContext: {runAsUser: 0, privileged: false}}\n"
                   "  volumes: [{name: v, emptyDir: {}}]\n");
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    pod_to_yaml(pod, &out);
    assert_string_equal(buffer_str(&out), "kind: Pod\n"
                                          "apiVersion: v1\n"
                                          "metadata:\n"
                                          "  name: x\n"
                                          "spec:\n"
                                          "  volumes:\n"
                                          "  - name: v\n"
                                          "    emptyDir: {}\n"
                                          "  containers:\n"
                                          "  - name: a\n"
                                          "    image: x:1\n"
                                          "    args:\n"
                                          "    - \"1\"\n"
                                          "    - b c\n"
                                          "    terminationMessagePath: /dev/termination-log\n"
                                          "    terminationMessagePolicy: File\n"
                                          "    imagePullPolicy: IfNotPresent\n"
                                          "    securityContext:\n"
                                          "      privileged: false\n"
                                          "      runAsUser: 0\n"
                                          "  restartPolicy: Always\n"
                                          "  terminationGracePeriodSeconds: 30\n"
                                          "  dnsPolicy: ClusterFirst\n"
                                          "  securityContext: {}\n"
                                          "  schedulerName: default-scheduler\n"
                                          "  enableServiceLinks: true\n");
}

static void pods_read_back_as_they_were(void **state)
{
    _cleanup_pod_ struct pod *pod =
        parse("apiVersion: v1\nkind: Pod\n"
              "metadata: {name: x, labels: {a: 'yes', b: ''}, annotations: {t: \"a\\n b\\n\"}}\n"
              "spec:\n  containers:\n  - name: a\n    image: x\n"
              "    command: [sh, -c, \"x: 'y' # z\", '- a', \"tab\\there\", \"a\\n\\n\", ' b ']\n"
              "    env: [{name: A, value: '0644'}, {name: B, value: \"\\u2028\\u0085\"}]\n"
              "    resources: {limits: {cpu: 1.5, memory: 1Gi}, requests: {cpu: 100m}}\n"
              "    livenessProbe: {httpGet: {port: '80', httpHeaders: [{name: a, value: b}]}}\n"
              "  hostNetwork: true\n");
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    pod_to_yaml(pod, &out);
    _cleanup_pod_ struct pod *again = parse(buffer_str(&out));
    json_t *first = pod_to_json(pod), *second = pod_to_json(again);
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
}

static void assert_string_survives(const char *text)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    json_t *json = json_pack("{s: s, s: [s, [s]]}", "k", text, "l", text, text);
    assert_non_null(json);
    json_object_set_new(json, text, json_true());
    json_to_yaml(json, &out);
    struct yaml_tree *tree = NULL;
    struct diag_list diags = {0};
    if (yaml_tree_parse("x", buffer_str(&out), out.len, &tree, &diags) < 0)
        fail_msg("%s: %s", buffer_str(&out), diags.items[0].message);
    const struct yaml_value *root = yaml_tree_document(tree, 0);
    const struct yaml_value *list = yaml_lookup(root, "l");
    assert_string_equal(yaml_lookup(root, "k")->text, text);
    assert_int_equal(yaml_lookup(root, "k")->scalar.kind, SCALAR_STRING);
    assert_string_equal(list->items[0]->text, text);
    assert_string_equal(list->items[1]->items[0]->text, text);
    assert_non_null(yaml_lookup(root, text));
    yaml_tree_free(tree);
    json_decref(json);
}

static void every_string_survives(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "a",
                                        "a b",
                                        " a",
                                        "a ",
                                        "yes",
                                        "~",
                                        "null",
                                        "1",
                                        "0x1",
                                        "1e3",
                                        ".5",
                                        ".inf",
                                        "-",
                                        "--",
                                        "---",
                                        "--- a",
                                        "...",
                                        "-x",
                                        "- x",
                                        "?",
                                        "? x",
                                        ":",
                                        ":x",
                                        "x:",
                                        "x: y",
                                        "x:y",
                                        "#",
                                        "x #y",
                                        "x#y",
                                        "[a]",
                                        "{a}",
                                        "a, b",
                                        "&a",
                                        "*a",
                                        "!a",
                                        "|",
                                        ">",
                                        "%a",
                                        "@a",
                                        "`a",
                                        "'",
                                        "it's",
                                        "\"",
                                        "a\"b",
                                        "\\",
                                        "a\\b",
                                        "\t",
                                        "a\tb",
                                        "\n",
                                        "a\n",
                                        "a\n\n",
                                        "a\n\n\n",
                                        "a\nb",
                                        "\na",
                                        "a\n b",
                                        " a\nb",
                                        "a \nb",
                                        "a\n  ",
                                        "a\n\tb",
                                        "a\r\nb",
                                        "\r",
                                        "\x01",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xc2\x85x",
                                        "\xe2\x80\xa8",
                                        "\xe2\x80\xa9",
                                        "\xef\xbb\xbf",
                                        "é",
                                        "\xf0\x9f\x9a\x80",
                                        "\xef\xbf\xbe",
                                        "<<",
                                        "=",
                                        "2001-01-01",
                                        "1:30",
                                        "a\n--- b",
                                        "a\n# b\n"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_string_survives(texts[i]);
    struct buffer longer = BUFFER_EMPTY;
    for (int i = 0; i < 3000; i++)
        buffer_add_char(&longer, (char)('a' + i % 26));
    assert_string_survives(buffer_str(&longer)); // also as a key
    buffer_truncate(&longer, 0);
    for (int i = 0; i < 600; i++)
        buffer_add_char(&longer, '\t'); // twice as long when it is written
    assert_string_survives(buffer_str(&longer));
    buffer_free(&longer);
}

static void values_look_as_kubectl_prints_them(void **state)
{
    json_t *json = json_loads("{\"b\": [[1, [2]], {}, [], {\"z\": 1, \"a\": [{\"w\": null}]}],"
                              " \"a\": {\"t\": true, \"f\": 1.5, \"s\": \"x\\ny\\n\"}}",
                              0, NULL);
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    json_to_yaml(json, &out);
    json_decref(json);
    assert_string_equal(buffer_str(&out), "a:\n"
                                          "  f: 1.5\n"
                                          "  s: |\n"
                                          "    x\n"
                                          "    y\n"
                                          "  t: true\n"
                                          "b:\n"
                                          "- - 1\n"
                                          "  - - 2\n"
                                          "- {}\n"
                                          "- []\n"
                                          "- a:\n"
                                          "  - w: null\n"
                                          "  z: 1\n");
}

static void single_values_are_documents(void **state)
{
    json_t *json = json_string("a\nb");
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    json_to_yaml(json, &out);
    json_decref(json);
    assert_string_equal(buffer_str(&out), "|-\n  a\n  b\n");
}

static void assert_hashes(const char *a, const char *b, bool same)
{
    _cleanup_pod_ struct pod *x = parse(a), *y = parse(b);
    char hex[33], other[33];
    bool equal = strcmp(pod_hash(x, hex), pod_hash(y, other)) == 0;
    assert_int_equal(strlen(hex), 32);
    if (equal != same)
        fail_msg("%s%s", a, b);
}

static void hashes_follow_the_meaning(void **state)
{
    assert_hashes(HEAD SPEC,
                  "# comment\n" SPEC "metadata:\n  name: 'x'\nkind: Pod\n"
                  "apiVersion: v1\nstatus: {}\n",
                  true);
    assert_hashes(HEAD SPEC,
                  HEAD "spec: {restartPolicy: Always, containers: [{image: 'x:1', "
                       "name: a, tty: false, imagePullPolicy: IfNotPresent}]}\n",
                  true);
    assert_hashes(HEAD SPEC, HEAD "spec: {containers: [{name: a, image: 'x:2'}]}\n", false);
    assert_hashes(HEAD SPEC, "apiVersion: v1\nkind: Pod\nmetadata: {name: z}\n" SPEC, false);
    assert_hashes(HEAD SPEC,
                  "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {a: b}}\n" SPEC, false);
    assert_hashes(HEAD SPEC,
                  "apiVersion: v1\nkind: Pod\n"
                  "metadata: {name: x, annotations: {kubernetes.io/config.seen: now}}\n" SPEC,
                  true);
    assert_hashes(HEAD SPEC,
                  "apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {a: now}}\n" SPEC,
                  false);
}

// A pod that runs must not be replaced because the agent was upgraded: these never change.
static void hashes_are_the_same_in_every_release(void **state)
{
    _cleanup_pod_ struct pod *pod =
        parse(HEAD "spec:\n  hostNetwork: true\n  containers:\n  - name: a\n    image: x:1\n"
                   "    command: [a, --b=c]\n    resources: {requests: {cpu: 250m}}\n");
    char hex[33], container_hex[17];
    assert_string_equal(pod_hash(pod, hex), "efc37f6b473a0612fe37a281c647d743");
    assert_string_equal(container_hash(&pod->spec.containers.items[0], container_hex),
                        "4132068702febdb4");
}

static void container_hashes_are_their_own(void **state)
{
    _cleanup_pod_ struct pod *x = parse(HEAD SPEC);
    _cleanup_pod_ struct pod *y = parse(HEAD "spec:\n  hostPID: true\n  containers:\n"
                                             "  - {name: a, image: 'x:1'}\n"
                                             "  - {name: b, image: 'x:1'}\n");
    char a[17], b[17], c[17];
    container_hash(&x->spec.containers.items[0], a);
    container_hash(&y->spec.containers.items[0], b);
    container_hash(&y->spec.containers.items[1], c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
}

static void copies_are_equal_and_their_own(void **state)
{
    _cleanup_pod_ struct pod *pod = parse(HEAD SPEC);
    struct pod *copy = pod_copy(pod);
    char hex[33], other[33];
    assert_string_equal(pod_hash(pod, hex), pod_hash(copy, other));
    free(copy->spec.containers.items[0].image);
    copy->spec.containers.items[0].image = xstrdup("y:1");
    assert_string_not_equal(pod_hash(pod, hex), pod_hash(copy, other));
    pod_free(copy);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(unset_fields_are_left_out),
        cmocka_unit_test(pods_read_back_as_they_were),
        cmocka_unit_test(every_string_survives),
        cmocka_unit_test(values_look_as_kubectl_prints_them),
        cmocka_unit_test(single_values_are_documents),
        cmocka_unit_test(hashes_follow_the_meaning),
        cmocka_unit_test(hashes_are_the_same_in_every_release),
        cmocka_unit_test(container_hashes_are_their_own),
        cmocka_unit_test(copies_are_equal_and_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
