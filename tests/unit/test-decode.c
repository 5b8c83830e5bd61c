// podspec: from a manifest to struct pod: what the members hold, where the findings point, what is
// bounded. The findings themselves are compared under tests/golden/podspec.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/places.h"
#include "podspec/podspec.h"

struct parsed {
    struct pod_list pods;
    struct diag_list diags;
};

static int parse(struct parsed *p, const char *text)
{
    *p = (struct parsed){0};
    return podspec_parse("x.yaml", text, strlen(text), &p->pods, &p->diags);
}

static void parsed_free(struct parsed *p)
{
    pod_list_free(&p->pods);
    diag_list_free(&p->diags);
}
#define _cleanup_parsed_ _cleanup_(parsed_free)

#define HEAD      "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"
#define CONTAINER "spec:\n  containers:\n  - name: a\n    image: x:1\n"

static const struct pod *parse_one(struct parsed *p, const char *text)
{
    int r = parse(p, text);
    if (r < 0)
        fail_msg("%s: %s", p->diags.items[0].path, p->diags.items[0].message);
    assert_int_equal(p->pods.n, 1);
    return p->pods.items[0];
}

static void assert_one_error_of(int code, const char *text, const char *path, const char *message)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), code);
    assert_int_equal(p.diags.errors, 1);
    assert_int_equal(p.pods.n, 0);
    assert_string_equal(p.diags.items[0].path ? p.diags.items[0].path : "", path);
    if (!strstr(p.diags.items[0].message, message))
        fail_msg("%s instead of %s", p.diags.items[0].message, message);
}

static void assert_one_error(const char *text, const char *path, const char *message)
{
    assert_one_error_of(-EINVAL, text, path, message);
}

static void members_hold_what_is_written(void **state)
{
    _cleanup_parsed_ struct parsed p;
    const struct pod *pod = parse_one(
        &p, HEAD CONTAINER "    command: [a, b]\n"
                           "    env: [{name: A, value: b}]\n"
                           "    resources: {limits: {memory: 1Gi, cpu: 100m}}\n"
                           "    livenessProbe: {httpGet: {port: http}, periodSeconds: 5}\n"
                           "    readinessProbe: {tcpSocket: {port: 8080}}\n"
                           "    securityContext: {runAsUser: 0, privileged: false}\n"
                           "  hostNetwork: true\n"
                           "  securityContext: {supplementalGroups: [5, 7]}\n"
                           "  nodeSelector: {b: '2', a: '1'}\n");
    const struct container *c = &pod->spec.containers.items[0];
    assert_int_equal(c->command.n, 2);
    assert_string_equal(c->command.items[1], "b");
    assert_string_equal(c->env.items[0].value, "b");
    assert_string_equal(c->resources.limits.items[0].name, "cpu"); // sorted
    assert_string_equal(c->resources.limits.items[1].value.text, "1Gi");
    assert_true(c->livenessProbe->httpGet->port.is_string);
    assert_string_equal(c->livenessProbe->httpGet->port.string, "http");
    assert_string_equal(c->livenessProbe->httpGet->path, "/");
    assert_int_equal(c->livenessProbe->periodSeconds, 5);
    assert_int_equal(c->livenessProbe->failureThreshold, 3);
    assert_int_equal(c->readinessProbe->tcpSocket->port.number, 8080);
    assert_int_equal(*c->securityContext->runAsUser, 0); // set, to zero
    assert_false(*c->securityContext->privileged);
    assert_null(c->securityContext->runAsGroup);
    assert_true(pod->spec.hostNetwork);
    assert_int_equal(pod->spec.securityContext->supplementalGroups.items[1], 7);
    assert_string_equal(pod->spec.nodeSelector.items[0].key, "a");
    assert_int_equal(*pod->spec.terminationGracePeriodSeconds, 30);
    assert_string_equal(pod->spec.restartPolicy, "Always");
}

static void empty_mappings_are_set(void **state)
{
    _cleanup_parsed_ struct parsed p;
    const struct pod *pod =
        parse_one(&p, HEAD CONTAINER "  volumes: [{name: v, emptyDir: {}}]\n  affinity: {}\n");
    assert_non_null(pod->spec.volumes.items[0].emptyDir);
    assert_non_null(pod->spec.affinity);
    assert_null(pod->spec.volumes.items[0].hostPath);
}

static void nulls_are_unset_but_empty_in_lists(void **state)
{
    _cleanup_parsed_ struct parsed p;
    const struct pod *pod = parse_one(&p, "apiVersion: v1\nkind: Pod\n"
                                          "metadata: {name: x, labels: {a: ~}}\n" CONTAINER
                                          "    args: [a, ~]\n    livenessProbe: ~\n");
    assert_string_equal(string_map_get(&pod->metadata.labels, "a"), "");
    assert_string_equal(pod->spec.containers.items[0].args.items[1], "");
    assert_null(pod->spec.containers.items[0].livenessProbe);
}

static void places_outlive_decoding(void **state)
{
    _cleanup_parsed_ struct parsed p;
    const struct pod *pod = parse_one(&p, HEAD CONTAINER "    ports:\n    - containerPort: 80\n");
    struct diag_place place = places_find(pod->places, "spec.containers[0].ports[0].containerPort");
    assert_string_equal(place.file, "x.yaml");
    assert_int_equal(place.line, 9);
    assert_int_equal(place.column, 22); // the value
    place = places_find(pod->places, "spec.containers[0].ports[0].name");
    assert_int_equal(place.line, 9);
    assert_int_equal(place.column, 7); // the item, as the field is not there
    assert_int_equal(places_find(NULL, "spec").line, 0);
    pod_drop_places(p.pods.items[0]);
    assert_int_equal(places_find(pod->places, "spec").line, 0);
}

static void items_of_lists_know_where_they_stand(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p,
                           "apiVersion: v1\nkind: PodList\nitems:\n"
                           "- {metadata: {name: a}, spec: {containers: [{name: a, image: x}]}}\n"
                           "- {metadata: {name: b}, spec: {containers: [{name: a, image: x}]}}\n"),
                     0);
    assert_int_equal(p.pods.n, 2);
    assert_string_equal(p.pods.items[1]->kind, "Pod");
    assert_string_equal(p.pods.items[1]->apiVersion, "v1");
    struct pod *copy = pod_copy(p.pods.items[1]);
    struct diag_place place = places_find(copy->places, "spec.containers");
    assert_string_equal(place.path, "items[1].spec.containers");
    assert_int_equal(place.line, 5);
    pod_free(copy);
}

static void what_is_not_honoured_is_said(void **state)
{
    _cleanup_parsed_ struct parsed p;
    parse_one(&p, HEAD CONTAINER
              "  hostUsers: false\n  securityContext: {seLinuxChangePolicy: Recursive}\n");
    assert_int_equal(p.diags.warnings, 2);
    assert_string_equal(p.diags.items[0].path, "spec.hostUsers");
    _cleanup_parsed_ struct parsed q;
    parse_one(&q, HEAD CONTAINER "  hostUsers: true\n  shareProcessNamespace: false\n"
                                 "  schedulerName: default-scheduler\n  overhead: {}\n");
    assert_int_equal(q.diags.n, 0); // asks for nothing
    assert_one_error(HEAD CONTAINER "  runtimeClassName: kata\n", "spec.runtimeClassName",
                     "cannot be used here: runtime classes");
}

static void field_names_have_a_case(void **state)
{
    assert_one_error(HEAD CONTAINER "  hostnetwork: true\n", "spec.hostnetwork",
                     "did you mean \"hostNetwork\"?");
    assert_one_error(HEAD CONTAINER "    hostPID: true\n", "spec.containers[0].hostPID",
                     "it is a field of PodSpec, so it may be indented too far");
    assert_one_error(HEAD CONTAINER "    zzzzzzzz: true\n", "spec.containers[0].zzzzzzzz",
                     "unknown field \"zzzzzzzz\"");
}

static void required_is_not_said_of_what_is_wrong_already(void **state)
{
    assert_one_error(HEAD "spec: {containers: [{name: 1, image: x}]}\n", "spec.containers[0].name",
                     "expected a string");
    assert_one_error(HEAD "spec: {containers: {}}\n", "spec.containers", "expected a list");
    assert_one_error(HEAD "spec: {containers: []}\n", "spec.containers", "is required");
    assert_one_error("apiVersion: v1\nkind: Pod\nmetadata:\n" CONTAINER, "metadata", "is required");
}

static void numbers_have_ranges(void **state)
{
    assert_one_error(HEAD CONTAINER "  terminationGracePeriodSeconds: -1\n",
                     "spec.terminationGracePeriodSeconds", "must be at least 0");
    assert_one_error(HEAD CONTAINER "    ports: [{containerPort: 65536}]\n",
                     "spec.containers[0].ports[0].containerPort", "between 1 and 65535");
    assert_one_error(HEAD CONTAINER "    livenessProbe: {tcpSocket: {port: 4294967376}}\n",
                     "spec.containers[0].livenessProbe.tcpSocket.port", "32 bits");
    assert_one_error(HEAD CONTAINER "  terminationGracePeriodSeconds: 1e30\n",
                     "spec.terminationGracePeriodSeconds", "expected a whole number");
}

static void only_pods_run(void **state)
{
    assert_one_error("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n", "kind",
                     "\"Service\" cannot be run here");
    assert_one_error("apiVersion: v1beta1\nkind: Pod\nmetadata: {name: x}\n" CONTAINER,
                     "apiVersion", "must be v1, not \"v1beta1\"");
    assert_one_error("apiVersion: 1\nkind: Pod\nmetadata: {name: x}\n" CONTAINER, "apiVersion",
                     "expected a string");
    assert_one_error("x", "", "expected a Pod, which is a mapping, found a string");
    assert_one_error("", "", "no pod in it");
    assert_one_error("~\n---\n", "", "no pod in it");
    assert_one_error_of(-ENODATA, "apiVersion: v1\nkind: List\nitems: []\n", "", "no pod in it");
    assert_one_error("apiVersion: v1\nkind: List\nitems: {}\n", "items", "expected a list");
}

static char *repeat(const char *before, const char *middle, size_t n)
{
    struct buffer out = BUFFER_EMPTY;
    buffer_add_str(&out, before);
    for (size_t i = 0; i < n; i++)
        buffer_add_str(&out, middle);
    return buffer_take(&out);
}

static void lists_are_bounded(void **state)
{
    _cleanup_free_ char *ports =
        repeat(HEAD CONTAINER "    ports:\n", "    - containerPort: 80\n", 1001);
    assert_one_error(ports, "spec.containers[0].ports", "has more than 1000 items");
    struct buffer out = BUFFER_EMPTY;
    buffer_add_str(&out, HEAD CONTAINER "    resources:\n      limits:\n");
    for (int i = 0; i <= 1000; i++)
        buffer_printf(&out, "        example.com/r%d: 1\n", i);
    _cleanup_free_ char *limits = buffer_take(&out);
    assert_one_error(limits, "spec.containers[0].resources.limits", "more than 1000 amounts");
}

// The findings of a hostile file are counted, but neither kept nor computed without end.
static void findings_are_bounded(void **state)
{
    static const char *const hostile[] = {
        "  - {}\n", "  - {nmae: a, livenesProbe: b}\n", "  - 1\n", "  - {name: a, image: x}\n",
        "  - {name: \"\\u00e9\", image: [], env: [{}, {}, {}]}\n"};
    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
        _cleanup_free_ char *text = repeat(HEAD "spec:\n  containers:\n", hostile[i], 1000);
        _cleanup_parsed_ struct parsed p;
        assert_int_equal(parse(&p, text), -EINVAL);
        assert_int_equal(p.diags.n, DIAG_MOST);
        assert_true(p.diags.dropped > 0);
    }
    _cleanup_free_ char *text = repeat("", "---\nkind: x\n", 10000);
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), -EINVAL);
    assert_int_equal(p.diags.n, DIAG_MOST);
}

static void pods_of_a_file_are_bounded(void **state)
{
    _cleanup_free_ char *text = repeat("", "---\n" HEAD CONTAINER, 1001);
    assert_one_error(text, "", "more than 1000 pods");
    text[strlen(text) - strlen("---\n" HEAD CONTAINER)] = '\0';
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), 0);
    assert_int_equal(p.pods.n, 1000);
}

static void findings_show_little_of_long_values(void **state)
{
    _cleanup_free_ char *head = repeat(HEAD CONTAINER "  restartPolicy: ", "é", 10000),
                        *text = repeat(head, "\n", 1);
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, text), -EINVAL);
    assert_true(strlen(p.diags.items[0].message) < 300);
    assert_true(str_is_utf8(p.diags.items[0].message, strlen(p.diags.items[0].message), NULL));
}

static void findings_are_in_the_order_of_the_file(void **state)
{
    _cleanup_parsed_ struct parsed p;
    assert_int_equal(parse(&p, HEAD CONTAINER "    tty: 1\n    x: y\n    tty: 2\n  z: 1\n"),
                     -EINVAL);
    for (size_t i = 1; i < p.diags.n; i++)
        assert_true(p.diags.items[i - 1].line <= p.diags.items[i].line);
    assert_int_equal(p.diags.n, 4);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_hold_what_is_written),
        cmocka_unit_test(empty_mappings_are_set),
        cmocka_unit_test(nulls_are_unset_but_empty_in_lists),
        cmocka_unit_test(places_outlive_decoding),
        cmocka_unit_test(items_of_lists_know_where_they_stand),
        cmocka_unit_test(what_is_not_honoured_is_said),
        cmocka_unit_test(field_names_have_a_case),
        cmocka_unit_test(required_is_not_said_of_what_is_wrong_already),
        cmocka_unit_test(numbers_have_ranges),
        cmocka_unit_test(only_pods_run),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(findings_are_bounded),
        cmocka_unit_test(pods_of_a_file_are_bounded),
        cmocka_unit_test(findings_show_little_of_long_values),
        cmocka_unit_test(findings_are_in_the_order_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
