// podspec: the checks of single values.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/checks.h"

struct expectation {
    const char *(*check)(const char *value);
    const char *right[12], *wrong[16]; // NULL-terminated
};

static const struct expectation expectations[] = {
    {check_dns_label,
     {"a", "0", "etcd-0", "a--b"},
     {"", "-a", "a-", "A", "a.b", "a_b", "\xc3\xa9", "a b"}},
    {check_dns_1035_label, {"a", "a-0"}, {"", "0a", "-a", "A"}},
    {check_dns_subdomain,
     {"a", "node-1.example.com", "10.0.0.1"},
     {"", ".", "a.", ".a", "a..b", "A.b", "a.-b", "a_b"}},
    {check_dns_search, {"cluster.local", "cluster.local."}, {"", ".", "a..", "A."}},
    {check_name_prefix, {"a", "a-", "a.b-"}, {"", "-", "a--.", "A-"}},
    {check_api_version, {"v1", "apps/v1", "/v1"}, {"", "apps/", "a/b/c"}},
    {check_qualified_name,
     {"a", "A_b.c-d", "example.com/Name", "0"},
     {"", "/", "a/", "/a", "a/b/c", "Example.com/a", "-a", "a-", "a b", "a/b "}},
    {check_annotation_key, {"Example.COM/a", "x"}, {"", "ex_ample.com/a"}},
    {check_label_value, {"", "a", "A.b_c-0"}, {"-a", "a-", "a/b", " "}},
    {check_finalizer,
     {"kubernetes", "orphan", "foregroundDeletion", "example.com/x"},
     {"other", "", "x/"}},
    {check_env_name,
     {"PATH", "a.b", "a-b", "_x", "-x"},
     {"", "0a", "a b", "a=b", ".", "..", "..a", "\xc3\xa4"}},
    {check_port_name,
     {"http", "a-b", "0a"},
     {"", "0", "a--b", "-a", "a-", "HTTP", "a-very-long-name", "a_b"}},
    {check_http_header_name, {"Host", "X-Header-1"}, {"", "a b", "a:", "x_y"}},
    {check_config_key, {"a.conf", "A-b_c"}, {"", ".", "..", "..a", "a/b"}},
    {check_sysctl_name,
     {"net.core.somaxconn", "kernel.shm_rmid_forced", "a"},
     {"", ".", "a..b", "a.", "A", "net.-x", "net/core"}},
    {check_ip,
     {"10.9.8.7", "::", "2001:db8::1", "::ffff:1.2.3.4"},
     {"", "10.9.8", "1.2.3.4.5", "fe80::1%eth0", "host", "10.9.8.7 "}},
    {check_uid, {"0123abcd", "a.b_c-d"}, {"", "a/b", "..", "-", "a b"}},
    {check_timestamp,
     {"2021-01-13T13:08:40Z", "2021-01-13T13:08:40.5+01:00"},
     {"", "2021-01-13", "2021-01-13T13:08:40", "2021-01-13T13:08:40+0100", "yesterday",
      "2021-01-13T13:08:40.Z"}},
    {check_image, {"etcd", "registry.k8s.io/etcd:3.4.13-0"}, {" etcd", "etcd ", "etcd\n"}},
    {check_capability, {"NET_ADMIN", "CAP_SYS_TIME", "all", "chown"}, {"", "NET", "CAP_"}},
    {check_signal, {"SIGTERM", "SIGUSR1", "SIGHUP"}, {"", "TERM", "15", "SIGNONE", "SIG"}},
    {check_absolute_path, {"/", "/a/../b"}, {"", "a", "./a"}},
    {check_host_path, {"/", "/a..b/..c"}, {"a", "/a/..", "/../a"}},
    {check_relative_path, {"a", "", "a/..b"}, {"/a", "..", "a/../b"}},
    {check_projected_path, {"a/b"}, {"..a", "/a", "../a"}},
    {check_container_resource,
     {"cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "example.com/gpu", "kubernetes.io/x"},
     {"", "gpu", "CPU", "requests.example.com/gpu", "a/b/c"}},
    {check_resource_selector, {"limits.cpu", "requests.memory"}, {"", "cpu", "limits.gpu"}},
    {check_empty_dir_medium, {"", "Memory", "HugePages", "HugePages-2Mi"}, {"memory", "Disk"}},
    {check_csi_driver, {"Example.com"}, {"", "a_b"}},
    {check_env_field_path,
     {"metadata.name", "metadata.labels['a/b']", "metadata.annotations['A.x/b']", "status.podIPs",
      "spec.nodeName"},
     {"", "metadata.labels", "metadata.labels['']", "metadata.name['x']", "spec.containers",
      "metadata.labels[a]"}},
    {check_volume_field_path,
     {"metadata.labels", "metadata.uid", "metadata.labels['x']"},
     {"", "status.hostIP", "spec.nodeName", "metadata.labels['x'"}},
};

static void values_are_judged(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
        const struct expectation *e = &expectations[i];
        for (size_t k = 0; e->right[k]; k++)
            if (e->check(e->right[k]))
                fail_msg("[%zu] \"%s\": %s", i, e->right[k], e->check(e->right[k]));
        for (size_t k = 0; e->wrong[k]; k++)
            if (!e->check(e->wrong[k]))
                fail_msg("[%zu] \"%s\" is accepted", i, e->wrong[k]);
    }
}

static void lengths_are_bounded(void **state)
{
    _cleanup_free_ char *label = xasprintf("%063d", 0), *longer = xasprintf("%064d", 0);
    _cleanup_free_ char *many = xasprintf("%s.%s.%s.%.61s", label, label, label, label);
    _cleanup_free_ char *more = xasprintf("%s0", many);

    assert_null(check_dns_label(label));
    assert_non_null(check_dns_label(longer));
    assert_null(check_label_value(label));
    assert_non_null(check_label_value(longer));
    assert_int_equal(strlen(many), 253);
    assert_null(check_dns_subdomain(many));
    assert_non_null(check_dns_subdomain(more));
    _cleanup_free_ char *key = xasprintf("%s/%s", many, label);
    assert_null(check_qualified_name(key));
    _cleanup_free_ char *key_with_long_name = xasprintf("%s/%s", many, longer);
    assert_non_null(check_qualified_name(key_with_long_name));
    _cleanup_free_ char *key_with_long_prefix = xasprintf("%s/%s", more, label);
    assert_non_null(check_qualified_name(key_with_long_prefix));
}

static void resources_are_told_apart(void **state)
{
    assert_true(resource_is_huge_pages("hugepages-2Mi"));
    assert_true(resource_is_overcommittable("cpu"));
    assert_true(resource_is_overcommittable("kubernetes.io/x"));
    assert_false(resource_is_overcommittable("hugepages-2Mi"));
    assert_false(resource_is_overcommittable("example.com/gpu"));
    assert_true(resource_is_integer("example.com/gpu"));
    assert_false(resource_is_integer("memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_judged),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(resources_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
