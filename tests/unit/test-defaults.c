// podspec: what a manifest leaves out is filled in as the kubelet does it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "podspec/defaults.h"
#include "podspec/podspec.h"

// A pod from the text of its spec, indented by two blanks. The caller frees.
static struct pod *parse(const char *spec)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    _cleanup_free_ char *text = xasprintf(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  hostNetwork: true\n%s", spec);
    struct pod_list pods = {0};

    if (podspec_parse("web.yaml", text, strlen(text), &pods, &diags) < 0)
        fail_msg("%s: %s", diags.items[0].path, diags.items[0].message);
    assert_int_equal(pods.n, 1);
    struct pod *pod = TAKE_PTR(pods.items[0]);
    pod_list_free(&pods);
    return pod;
}

static void a_bare_pod_gets_the_usual_values(void **state)
{
    _cleanup_pod_ struct pod *pod = parse("  containers:\n"
                                          "  - {name: a, image: web:1}\n");
    const struct pod_spec *spec = &pod->spec;
    const struct container *container = &spec->containers.items[0];

    assert_string_equal(spec->restartPolicy, "Always");
    assert_string_equal(spec->dnsPolicy, "ClusterFirst");
    assert_string_equal(spec->schedulerName, "default-scheduler");
    assert_int_equal(*spec->terminationGracePeriodSeconds, 30);
    assert_true(*spec->enableServiceLinks);
    assert_non_null(spec->securityContext);
    assert_string_equal(container->terminationMessagePath, "/dev/termination-log");
    assert_string_equal(container->terminationMessagePolicy, "File");
    assert_string_equal(container->imagePullPolicy, "IfNotPresent");
}

static void the_pull_policy_follows_the_tag(void **state)
{
    static const char *const always[] = {
        "web",          "web:latest", "a.b:5000/web", "a.b:5000/web:latest", "web:latest@sha256:0",
        "a_b/c__d-e.f", "a--b"};
    static const char *const if_not_present[] = {"web:1",    "a.b:5000/web:1", "web@sha256:0",
                                                 "latest:1", "web:latest1",    "a:latest/web:1"};

    for (size_t i = 0; i < ARRAY_SIZE(always) + ARRAY_SIZE(if_not_present); i++) {
        bool latest = i < ARRAY_SIZE(always);
        const char *image = latest ? always[i] : if_not_present[i - ARRAY_SIZE(always)];
        _cleanup_free_ char *text = xasprintf("  containers: [{name: a, image: \"%s\"}]\n", image);
        _cleanup_pod_ struct pod *pod = parse(text);
        const char *policy = pod->spec.containers.items[0].imagePullPolicy;
        if (strcmp(policy, latest ? "Always" : "IfNotPresent") != 0)
            fail_msg("%s: %s", image, policy);
    }
}

static void probes_and_actions_get_theirs(void **state)
{
    _cleanup_pod_ struct pod *pod =
        parse("  containers:\n"
              "  - name: a\n"
              "    image: web:1\n"
              "    livenessProbe: {httpGet: {port: 80}, periodSeconds: 0}\n"
              "    ports: [{containerPort: 80}]\n"
              "    env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]\n");
    const struct container *container = &pod->spec.containers.items[0];
    const struct probe *probe = container->livenessProbe;

    assert_int_equal(probe->initialDelaySeconds, 0);
    assert_int_equal(probe->timeoutSeconds, 1);
    assert_int_equal(probe->periodSeconds, 10);
    assert_int_equal(probe->successThreshold, 1);
    assert_int_equal(probe->failureThreshold, 3);
    assert_string_equal(probe->httpGet->path, "/");
    assert_string_equal(probe->httpGet->scheme, "HTTP");
    assert_string_equal(container->ports.items[0].protocol, "TCP");
    assert_int_equal(container->ports.items[0].hostPort, 80);
    assert_string_equal(container->env.items[0].valueFrom->fieldRef->apiVersion, "v1");
}

static void requests_come_from_limits(void **state)
{
    _cleanup_pod_ struct pod *pod =
        parse("  containers:\n"
              "  - name: a\n"
              "    image: web:1\n"
              "    resources: {limits: {memory: 1Gi, cpu: 0.1001}, requests: {memory: 1Mi}}\n");
    const struct resource_requirements *resources = &pod->spec.containers.items[0].resources;

    assert_int_equal(resources->requests.n, 2);
    assert_string_equal(resources->requests.items[0].name, "cpu");
    assert_string_equal(resources->requests.items[0].value.text, "101m");
    assert_string_equal(resources->requests.items[1].value.text, "1Mi");
    assert_string_equal(resources->limits.items[0].value.text, "101m");
}

static void volumes_get_a_source_and_modes(void **state)
{
    _cleanup_pod_ struct pod *pod =
        parse("  containers: [{name: a, image: web:1}]\n"
              "  volumes:\n"
              "  - name: nothing\n"
              "  - name: info\n"
              "    downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}\n");
    const struct volume *volumes = pod->spec.volumes.items;

    assert_non_null(volumes[0].emptyDir);
    assert_null(volumes[1].emptyDir);
    assert_int_equal(*volumes[1].downwardAPI->defaultMode, 0644);
}

static void without_host_network_no_host_port_is_taken(void **state)
{
    static const char text[] = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n"
                               "  containers:\n"
                               "  - {name: a, image: i:1, ports: [{containerPort: 80}]}\n";
    _cleanup_diag_list_ struct diag_list diags = {0};
    _cleanup_pod_list_ struct pod_list pods = {0};

    assert_int_equal(podspec_parse("f", text, strlen(text), &pods, &diags), 0);
    assert_int_equal(pods.items[0]->spec.containers.items[0].ports.items[0].hostPort, 0);
}

static void defaults_settle_at_once(void **state)
{
    _cleanup_pod_ struct pod *pod = parse(
        "  containers:\n"
        "  - {name: a, image: web, ports: [{containerPort: 1}], resources: {limits: {cpu: 1}}}\n"
        "  volumes: [{name: v}]\n");
    struct buffer before = BUFFER_EMPTY, after = BUFFER_EMPTY;

    pod_to_yaml(pod, &before);
    podspec_set_defaults(pod);
    pod_to_yaml(pod, &after);
    assert_string_equal(buffer_str(&after), buffer_str(&before));
    buffer_free(&before);
    buffer_free(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_pod_gets_the_usual_values),
        cmocka_unit_test(the_pull_policy_follows_the_tag),
        cmocka_unit_test(probes_and_actions_get_theirs),
        cmocka_unit_test(requests_come_from_limits),
        cmocka_unit_test(volumes_get_a_source_and_modes),
        cmocka_unit_test(without_host_network_no_host_port_is_taken),
        cmocka_unit_test(defaults_settle_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
