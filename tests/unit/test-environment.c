// The environment of containers: order, $(VAR), fieldRef, resourceFieldRef.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "podspec/podspec.h"
#include "supervisor/environment.h"

struct fixture {
    struct pod_list pods;
    struct environment env;
    struct string_list list;
    struct string_map vars;
    struct error err;
};

static const char head[] = "apiVersion: v1\nkind: Pod\n"
                           "metadata:\n  name: p-node\n  namespace: kube-system\n  uid: abc\n"
                           "  labels: {tier: control-plane, component: etcd}\n"
                           "  annotations: {note: \"a \\\"b\\\"\\n\"}\n"
                           "spec:\n  hostNetwork: true\n  nodeName: node\n  containers:\n"
                           "  - name: c\n    image: i\n";

static void load(struct fixture *f, const char *container)
{
    struct diag_list diags = {0};
    _cleanup_free_ char *text = xasprintf("%s%s", head, container);
    if (podspec_parse("test.yaml", text, strlen(text), &f->pods, &diags) < 0)
        fail_msg("the test's own manifest is wrong:\n%s", text);
    diag_list_free(&diags);
    f->env.pod = f->pods.items[0];
    f->env.container = &f->env.pod->spec.containers.items[0];
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->env.node_name = "node";
    f->env.node_ip = "192.0.2.1";
    f->env.hostname = "host";
    f->env.cpu_capacity_milli = 3500;
    f->env.memory_capacity_bytes = 1 << 30;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pod_list_free(&f->pods);
    string_list_free(&f->list);
    string_map_free(&f->vars);
    error_clear(&f->err);
    free(f);
    return 0;
}

static void assert_list(struct fixture *f, const char *const *expected, size_t n)
{
    int code = environment_build(&f->env, &f->list, &f->vars, &f->err);
    if (code < 0)
        fail_msg("%s", error_message(&f->err));
    for (size_t i = 0; i < MIN(n, f->list.n); i++)
        assert_string_equal(f->list.items[i], expected[i]);
    assert_int_equal(f->list.n, n);
}

static void variables_keep_their_order_and_refer_back(void **state)
{
    struct fixture *f = *state;
    load(f, "    env:\n"
            "    - {name: Z, value: last}\n"
            "    - {name: A, value: \"$(Z)-$(LATER)-$$(Z)\"}\n"
            "    - {name: LATER, value: x}\n"
            "    - {name: Z, value: \"$(Z)er\"}\n"
            "    - {name: EMPTY}\n");
    const char *const expected[] = {
        "HOSTNAME=host",
        "Z=laster",
        "A=last-$(LATER)-$(Z)",
        "LATER=x",
        "EMPTY=",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    };
    assert_list(f, expected, ARRAY_SIZE(expected));
}

static void what_runtimes_set_can_be_replaced(void **state)
{
    struct fixture *f = *state;
    load(f, "    env:\n    - {name: PATH, value: /opt}\n    - {name: HOSTNAME, value: other}\n"
            "    tty: true\n");
    const char *const expected[] = {"HOSTNAME=other", "PATH=/opt", "TERM=xterm"};
    assert_list(f, expected, ARRAY_SIZE(expected));
}

static void pods_can_ask_about_themselves(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[][2] = {
        {"metadata.name", "p-node"},
        {"metadata.namespace", "kube-system"},
        {"metadata.uid", "abc"},
        {"spec.nodeName", "node"},
        {"status.hostIP", "192.0.2.1"},
        {"status.podIP", "192.0.2.1"},
        {"metadata.labels['tier']", "control-plane"},
        {"metadata.labels['none']", ""},
        {"metadata.labels", "component=\"etcd\"\ntier=\"control-plane\""},
        {"metadata.annotations", "note=\"a \\\"b\\\"\\n\""},
    };
    load(f, "");
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        char path[64];
        _cleanup_free_ char *value = NULL;
        snprintf(path, sizeof(path), "%s", paths[i][0]);
        struct object_field_selector field = {.fieldPath = path};
        assert_int_equal(environment_field(&f->env, &field, &value, &f->err), 0);
        assert_string_equal(value, paths[i][1]);
    }
    char bad[] = "spec.containers";
    struct object_field_selector field = {.fieldPath = bad};
    char *value = NULL;
    assert_int_equal(environment_field(&f->env, &field, &value, &f->err), -EINVAL);
}

static void assert_resource(struct fixture *f, const char *resource, const char *divisor,
                            const char *expected)
{
    _cleanup_free_ char *value = NULL, *name = xstrdup(resource);
    struct quantity quantity = {0};
    struct resource_field_selector field = {.resource = name};
    if (divisor) {
        assert_int_equal(quantity_parse(divisor, &quantity), 0);
        field.divisor = &quantity;
    }
    assert_int_equal(environment_resource(&f->env, &field, &value, &f->err), 0);
    assert_string_equal(value, expected);
    quantity_clear(&quantity);
}

static void resources_are_rounded_up(void **state)
{
    struct fixture *f = *state;
    load(
        f,
        "    resources:\n      requests: {cpu: 250m, memory: 100Mi}\n      limits: {cpu: 1500m}\n");
    assert_resource(f, "requests.cpu", NULL, "1");
    assert_resource(f, "requests.cpu", "1m", "250");
    assert_resource(f, "limits.cpu", NULL, "2");
    assert_resource(f, "requests.memory", "1Mi", "100");
    assert_resource(f, "requests.memory", "64Mi", "2");
    assert_resource(f, "requests.memory", "0", "104857600");
    assert_resource(f, "limits.memory", "1Mi", "1024"); // what the node has
    char bad[] = "limits.pods";
    struct resource_field_selector field = {.resource = bad};
    char *value = NULL;
    assert_int_equal(environment_resource(&f->env, &field, &value, &f->err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(variables_keep_their_order_and_refer_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_runtimes_set_can_be_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pods_can_ask_about_themselves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resources_are_rounded_up, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
