// cli: what pods look like to an operator (kubectl's STATUS), selectors, -o formats, the status
// screen.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/columns.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "cli/printers.h"
#include "cli/selector.h"
#include "cli/status-screen.h"

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, 0, &error);
    if (!value)
        fail_msg("%s: %s", text, error.text);
    return value;
}

#define SPEC "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}"
#define TWO(first, second)                                                                         \
    "{" SPEC ",\"status\":{\"phase\":\"Running\",\"containerStatuses\":[" first "," second "]}}"
#define UP "{\"name\":\"a\",\"ready\":true,\"restartCount\":1,\"state\":{\"running\":{}}}"

static const struct {
    const char *pod, *status;
    long long ready, total, restarts;
} views[] = {
    {"{" SPEC ",\"status\":{\"phase\":\"Pending\"}}", "Pending", 0, 2, 0},
    {"{" SPEC ",\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\"}}", "Evicted", 0, 2, 0},
    {TWO(UP, UP), "Running", 2, 2, 2},
    {TWO(UP, "{\"restartCount\":4,\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}}"),
     "CrashLoopBackOff", 1, 2, 5},
    {TWO(UP, "{\"state\":{\"terminated\":{\"exitCode\":3}}}"), "ExitCode:3", 1, 2, 1},
    {TWO(UP, "{\"state\":{\"terminated\":{\"exitCode\":137,\"signal\":9}}}"), "Signal:9", 1, 2, 1},
    {TWO("{\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\"}}}", UP), "NotReady",
     1, 2, 1},
    {"{\"spec\":{\"initContainers\":[{\"name\":\"i\"},{\"name\":\"j\"}],\"containers\":[{}]},"
     "\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"state\":{\"terminated\":{"
     "\"exitCode\":0}}},{\"state\":{\"running\":{}}}]}}",
     "Init:1/2", 0, 1, 0},
    {"{\"spec\":{\"initContainers\":[{\"name\":\"i\"}],\"containers\":[{}]},"
     "\"status\":{\"initContainerStatuses\":[{\"restartCount\":2,\"state\":{\"waiting\":{"
     "\"reason\":\"CrashLoopBackOff\"}}}]}}",
     "Init:CrashLoopBackOff", 0, 1, 2},
    {"{\"spec\":{\"initContainers\":[{\"name\":\"i\"}],\"containers\":[{}]},"
     "\"status\":{\"initContainerStatuses\":[{\"state\":{\"terminated\":{\"exitCode\":1}}}]}}",
     "Init:ExitCode:1", 0, 1, 0},
    {"{\"spec\":{\"initContainers\":[{\"name\":\"side\",\"restartPolicy\":\"Always\"}],"
     "\"containers\":"
     "[{}]},\"status\":{\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"side\","
     "\"started\":"
     "true,\"ready\":true,\"state\":{\"running\":{}}}],\"containerStatuses\":[" UP "]}}",
     "Running", 2, 2, 1},
    {"{" SPEC ",\"status\":{\"phase\":\"Running\"},\"mainstay\":{\"state\":\"Stopping\"}}",
     "Terminating", 0, 2, 0},
    {"{" SPEC ",\"status\":{\"phase\":\"Pending\"},\"mainstay\":{\"state\":\"Held\"}}", "Held", 0,
     2, 0},
    {"{" SPEC ",\"status\":{\"phase\":\"Pending\"},\"mainstay\":{\"state\":\"Waiting\",\"reason\":"
     "\"NetworkNotReady\"}}",
     "NetworkNotReady", 0, 2, 0},
    {"{" SPEC
     ",\"status\":{\"phase\":\"Running\"},\"mainstay\":{\"manifest\":{\"state\":\"Refused\"}}}",
     "Running,Refused", 0, 2, 0},
    {"{}", "", 0, 0, 0},
};

static void statuses_are_kubectls(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
        struct pod_view view;
        json_t *pod = load(views[i].pod);
        pod_view_read(pod, &view);
        assert_string_equal(view.status, views[i].status);
        assert_int_equal(view.ready, views[i].ready);
        assert_int_equal(view.total, views[i].total);
        assert_int_equal(view.restarts, views[i].restarts);
        json_decref(pod);
    }
}

static void names_with_and_without_the_node(void **state)
{
    json_t *pod = load("{\"metadata\":{\"name\":\"etcd-n1\",\"namespace\":\"kube-system\"},"
                       "\"spec\":{\"nodeName\":\"n1\"}}");
    assert_true(pod_is_named(pod, NULL, "etcd"));
    assert_true(pod_is_named(pod, "kube-system", "etcd-n1"));
    assert_false(pod_is_named(pod, "default", "etcd"));
    assert_false(pod_is_named(pod, NULL, "etc"));
    assert_false(pod_is_named(pod, NULL, "etcd-"));
    json_decref(pod);
}

static void reasons_are_told(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    json_t *pod =
        load("{\"mainstay\":{\"reason\":\"Waiting\",\"message\":\"no "
             "CNI\"},\"status\":{\"containerStatuses\""
             ":[{\"name\":\"etcd\",\"restartCount\":2,\"state\":{\"waiting\":{\"reason\":"
             "\"CrashLoopBackOff\","
             "\"message\":\"back-off 20s\"}},\"lastState\":{\"terminated\":{\"exitCode\":1}}},"
             "{\"name\":\"fine\",\"ready\":true}]}}");
    pod_explain_unready(pod, &out);
    assert_string_equal(
        buffer_str(&out),
        "  Waiting: no CNI\n  container etcd: CrashLoopBackOff: back-off 20s; its last "
        "run: exit status 1; 2 restart(s)\n");
    json_decref(pod);
}

static void selectors_select(void **state)
{
    static const struct {
        const char *text;
        bool fits;
    } selectors[] = {
        {"", true},
        {"app=etcd", true},
        {"app==etcd", true},
        {"app!=etcd", false},
        {"app", true},
        {"!app", false},
        {"!other", true},
        {"other!=x", true},
        {"app in (kube, etcd)", true},
        {"app notin (etcd)", false},
        {" tier = demo , app in (etcd)", true},
        {"tier=demo,app=web", false},
    };
    static const char *const bad[] = {"=x", "a in x", "a in (x", "a,", "a b", "!"};
    json_t *pod = load("{\"metadata\":{\"labels\":{\"app\":\"etcd\",\"tier\":\"demo\"}}}");
    for (size_t i = 0; i < ARRAY_SIZE(selectors); i++) {
        _cleanup_selector_ struct selector *selector = NULL;
        assert_int_equal(selector_parse(selectors[i].text, &selector, NULL), 0);
        if (selector_matches(selector, pod) != selectors[i].fits)
            fail_msg("%s", selectors[i].text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct selector *selector = NULL;
        if (selector_parse(bad[i], &selector, NULL) != -EINVAL)
            fail_msg("%s was accepted", bad[i]);
    }
    json_decref(pod);
}

static void formats_are_known(void **state)
{
    static const char *const good[] = {"json",
                                       "yaml",
                                       "wide",
                                       "name",
                                       "jsonpath={.kind}",
                                       "custom-columns=A:.a,B:.b[0,1],C:.c[?(@.x==\"a,b\")].d"};
    static const char *const bad[] = {"xml", "jsonpath={", "custom-columns=A", "custom-columns=:x",
                                      "custom-columns=A:{"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_output_ struct output output = {0};
        if (output_parse(good[i], &output, NULL) != 0)
            fail_msg("%s", good[i]);
        if (str_starts_with(good[i], "custom"))
            assert_int_equal(output.columns.n, 3);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_output_ struct output output = {0};
        _cleanup_error_ struct error err = ERROR_NONE;
        if (output_parse(bad[i], &output, &err) != -EINVAL)
            fail_msg("%s was accepted", bad[i]);
    }
}

static void tables_of_every_kind_take_anything(void **state)
{
    static const char *const kinds[] = {"pods", "events", "manifests", "nodes"};
    static const char *const objects[] = {"{}", "{\"metadata\":5,\"status\":[]}",
                                          "{\"spec\":{\"containers\":{}},\"mainstay\":null}"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct resource *resource = resource_find(kinds[i]);
        const struct columns columns = {.wide = true, .namespaces = true, .labels = true};
        assert_non_null(resource);
        _cleanup_table_ struct table *table = resource->table(columns);
        for (size_t j = 0; j < ARRAY_SIZE(objects); j++) {
            json_t *object = load(objects[j]);
            resource->row(table, columns, object, walltime_now());
            json_decref(object);
        }
        assert_int_equal(table_rows(table), ARRAY_SIZE(objects));
    }
    assert_null(resource_find("pots"));
    assert_string_equal(resource_nearest("pots"), "pods");
}

static void the_node_comes_from_the_status(void **state)
{
    json_t *status =
        load("{\"node\":\"n1\",\"nodeIP\":\"10.0.0.1\",\"ready\":true,\"version\":\"0.1.0\","
             "\"startedAt\":\"2026-11-21T06:48:19Z\",\"counts\":{\"pods\":3}}");
    json_t *node = node_from_status(status);
    assert_non_null(node);
    assert_string_equal(field_text(node, "metadata.name"), "n1");
    json_decref(node);
    json_t *nothing = json_object();
    node = node_from_status(nothing);
    assert_non_null(node);
    json_decref(node);
    json_decref(nothing);
    json_decref(status);
}

static void advice_fits_the_trouble(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    json_t *status =
        load("{\"live\":true,\"synced\":true,\"manifestsPresent\":false,\"watchers\":[{}],"
             "\"directories\":{\"manifests\":\"/m\"}}");
    json_t *manifests =
        load("[{\"file\":\"/m/a.yaml\",\"state\":\"Refused\",\"lastGood\":true},"
             "{\"file\":\"/m/b.yaml\",\"state\":\"Conflict\",\"conflictWith\":\"/m/c\"}]");
    json_t *pods =
        load("[{\"metadata\":{\"name\":\"etcd-n1\"},\"status\":{\"phase\":\"Running\","
             "\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},"
             "\"lastState\":{\"terminated\":{\"exitCode\":2}}}]}}]");
    const struct status_view view = {status, pods, manifests, NULL};
    status_advise(&view, &out);
    assert_string_equal(
        buffer_str(&out),
        "The manifest directory does not exist: `mkdir -p /m`.\n"
        "/m/a.yaml is refused, the last good one runs on: mend it and check it with `mainstay "
        "validate "
        "/m/a.yaml`.\n"
        "/m/b.yaml claims a pod that /m/c provides: remove one of the two.\n"
        "etcd-n1 keeps ending (last exit status 2): see `mainstay logs -p etcd-n1`; once mended, "
        "`mainstay retry etcd-n1` tries at once.\n");
    json_decref(status);
    json_decref(manifests);
    json_decref(pods);
}

static void advice_depends_on_who_watches(void **state)
{
    static const struct {
        const char *watchers, *advice;
    } cases[] = {
        {"[]", "Nobody restarts the agent if it dies"},
        {"[{\"restarts\":false,\"noticesHangs\":false}]", "Nobody restarts the agent if it dies"},
        {"[{\"restarts\":true,\"noticesHangs\":false}]", "Nobody notices if the agent hangs"},
        {"[{\"restarts\":true,\"noticesHangs\":false},{\"restarts\":true,\"noticesHangs\":true}]",
         ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        _cleanup_free_ char *text = xasprintf("{\"live\":true,\"watchers\":%s}", cases[i].watchers);
        json_t *status = load(text);
        const struct status_view view = {status, NULL, NULL, NULL};
        status_advise(&view, &out);
        if (!str_starts_with(buffer_str(&out), cases[i].advice) ||
            (!*cases[i].advice && out.len > 0))
            fail_msg("%s: %s", cases[i].watchers, buffer_str(&out));
        json_decref(status);
    }
}

static void sentences_are_broken_between_words(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    status_wrap("mend it and check it", "  ", 12, &out);
    status_wrap("averyveryverylongword at the beginning", "  ", 12, &out);
    status_wrap("not broken at all", "  ", 0, &out);
    assert_string_equal(buffer_str(&out), "  mend it\n  and check\n  it\n"
                                          "  averyveryverylongword\n  at the\n  beginning\n"
                                          "  not broken at all\n");
}

static void screens_are_cut_to_size(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    status_fit("short\n\033[31mred and long\033[0m\nthird\nfourth\n", 3, 5, &out);
    assert_string_equal(buffer_str(&out),
                        "short\033[K\r\n\033[31mred a\033[0m\033[K\r\nthird\033[K");
    buffer_truncate(&out, 0);
    status_fit("é€xyz", 1, 3, &out);
    assert_string_equal(buffer_str(&out), "é€x\033[K");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_are_kubectls),
        cmocka_unit_test(names_with_and_without_the_node),
        cmocka_unit_test(reasons_are_told),
        cmocka_unit_test(selectors_select),
        cmocka_unit_test(formats_are_known),
        cmocka_unit_test(tables_of_every_kind_take_anything),
        cmocka_unit_test(the_node_comes_from_the_status),
        cmocka_unit_test(advice_fits_the_trouble),
        cmocka_unit_test(screens_are_cut_to_size),
        cmocka_unit_test(advice_depends_on_who_watches),
        cmocka_unit_test(sentences_are_broken_between_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
