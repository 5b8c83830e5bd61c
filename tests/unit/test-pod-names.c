// The names of a pod, its resolv.conf with its limits, and which kernel parameters it may set.
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
#include "podspec/podspec.h"
#include "supervisor/pod-dns.h"
#include "supervisor/pod-names.h"
#include "supervisor/pod-sysctls.h"

static struct pod *parse(const char *spec)
{
    _cleanup_free_ char *text =
        xasprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n"
                  "spec:\n  containers: [{name: c, image: i}]\n%s",
                  spec);
    _cleanup_pod_list_ struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    int code = podspec_parse("test", text, strlen(text), &pods, &diags);
    if (code < 0 || pods.n != 1)
        fail_msg("%s: %s", spec, diags.n ? diags.items[0].message : "no pod");
    return TAKE_PTR(pods.items[0]);
}

static void host_names(void **state)
{
    static const struct {
        const char *spec, *hostname, *domain, *kernel; // kernel NULL: too long
    } examples[] = {
        {"", "web", NULL, "web"},
        {"  hostname: db\n", "db", NULL, "db"},
        {"  subdomain: s\n", "web", "s.shop.svc.c.local", "web"},
        {"  subdomain: s\n  setHostnameAsFQDN: true\n", "web", "s.shop.svc.c.local",
         "web.s.shop.svc.c.local"},
        {"  setHostnameAsFQDN: true\n", "web", NULL, "web"},
        {"  hostnameOverride: a.b\n", "a.b", NULL, "a.b"},
        {"  subdomain: ssssssssssssssssssssssssssssssssssssssssssssssssssss\n"
         "  setHostnameAsFQDN: true\n",
         "web", "ssssssssssssssssssssssssssssssssssssssssssssssssssss.shop.svc.c.local", NULL},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        struct pod *pod = parse(examples[i].spec);
        _cleanup_free_ char *hostname = pod_names_hostname(pod), *kernel = NULL;
        _cleanup_free_ char *domain = pod_names_domain(pod, "c.local");
        assert_string_equal(hostname, examples[i].hostname);
        assert_string_equal(domain ? domain : "", examples[i].domain ? examples[i].domain : "");
        int code = pod_names_for_kernel(pod, "c.local", &kernel, NULL);
        assert_int_equal(code, examples[i].kernel ? 0 : -ENAMETOOLONG);
        if (kernel)
            assert_string_equal(kernel, examples[i].kernel);
        pod_free(pod);
    }
}

static void a_long_name_is_cut(void **state)
{
    struct pod *pod = parse("");
    free(pod->metadata.name);
    pod->metadata.name = xstrdup("a234567890123456789012345678901234567890123456789012345678901."
                                 "-b");
    _cleanup_free_ char *hostname = pod_names_hostname(pod);
    assert_string_equal(hostname, "a234567890123456789012345678901234567890123456789012345678901");
    pod_free(pod);
}

// ---- resolv.conf ----

static char *resolv(const char *node, struct pod_dns_options options, const char *spec,
                    struct string_list *warnings)
{
    char path[] = "/tmp/mainstay-resolv-XXXXXX";
    struct buffer out = BUFFER_EMPTY;
    struct pod *pod = parse(spec);
    int fd = mkstemp(path);
    assert_int_equal(fs_write_all(fd, node, strlen(node)), 0);
    close(fd);
    if (!options.resolv_conf)
        options.resolv_conf = path;
    assert_int_equal(pod_dns_write(&options, pod, &out, warnings, NULL), 0);
    unlink(path);
    pod_free(pod);
    return buffer_take(&out);
}

static void the_nodes_file(void **state)
{
    static const char node[] = "# comment\n; other\n nameserver  192.0.2.1 x\nnameserver\n"
                               "search lost\nsearch a. b.c\noptions lost\noptions rotate ndots:2\n"
                               "sortlist 1.2.3.4\nnameserver 192.0.2.2";
    _cleanup_string_list_ struct string_list warnings = {0};
    struct pod_dns_options options = {0};
    _cleanup_free_ char *text = resolv(node, options, "  dnsPolicy: Default\n", &warnings);
    assert_string_equal(text, "search a b.c\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n"
                              "options rotate ndots:2\n");
    assert_int_equal(warnings.n, 0);
}

static void no_file_of_the_node(void **state)
{
    _cleanup_free_ char *v4 =
        resolv("", (struct pod_dns_options){.resolv_conf = ""}, "  dnsPolicy: Default\n", NULL);
    assert_string_equal(v4, "search .\nnameserver 127.0.0.1\n");
    _cleanup_free_ char *v6 =
        resolv("", (struct pod_dns_options){.resolv_conf = "", .node_ip = "fd00::1"},
               "  dnsPolicy: Default\n", NULL);
    assert_string_equal(v6, "search .\nnameserver ::1\n");
}

static void limits(void **state)
{
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_buffer_ struct buffer node = BUFFER_EMPTY;
    buffer_add_str(&node, "search");
    for (int i = 0; i < 40; i++)
        buffer_printf(&node, " d%d", i);
    buffer_add_str(&node, "\nnameserver 1.1.1.1\nnameserver 1.1.1.2\n");
    _cleanup_free_ char *text =
        resolv(buffer_str(&node), (struct pod_dns_options){0},
               "  dnsPolicy: Default\n  dnsConfig: {nameservers: [1.1.1.2, 1.1.1.3, 1.1.1.4]}\n",
               &warnings);
    assert_non_null(strstr(text, "nameserver 1.1.1.3\n"));
    assert_null(strstr(text, "1.1.1.4"));
    assert_non_null(strstr(text, " d31\n"));
    assert_int_equal(warnings.n, 2);
    assert_non_null(strstr(warnings.items[0], "1.1.1.1 1.1.1.2 1.1.1.3"));
    assert_non_null(strstr(warnings.items[1], "8 search domains"));
}

static void clusters(void **state)
{
    struct pod_dns_options options = {.cluster_dns = "10.0.0.10,10.0.0.11"};
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_free_ char *bare = resolv("search x\n", options, "", &warnings);
    assert_string_equal(bare, "search x\nnameserver 10.0.0.10\nnameserver 10.0.0.11\n"
                              "options ndots:5\n");
    options.cluster_domain = "c.local";
    _cleanup_free_ char *text = resolv("search c.local x\n", options, "", &warnings);
    assert_string_equal(text, "search shop.svc.c.local svc.c.local c.local x\n"
                              "nameserver 10.0.0.10\nnameserver 10.0.0.11\noptions ndots:5\n");
    assert_int_equal(warnings.n, 0);
    options.cluster_dns = "";
    _cleanup_free_ char *fallback = resolv("nameserver 1.1.1.1\n", options, "", &warnings);
    assert_string_equal(fallback, "nameserver 1.1.1.1\n");
    assert_int_equal(warnings.n, 1);
}

// ---- kernel parameters ----

static void parameters(void **state)
{
    static const struct {
        const char *spec, *name, *allowed, *why; // why NULL: it may be set
    } examples[] = {
        {"", "net.ipv4.tcp_syncookies", NULL, NULL},
        {"", "kernel.shm_rmid_forced", "", NULL},
        {"", "net.core.somaxconn", NULL, "not held for safe"},
        {"", "net.core.somaxconn", "net.core.*", NULL},
        {"", "net.core.somaxconn", "kernel.sem,net.core.somaxconn", NULL},
        {"", "net.core.somaxconn", "net.core", "not held for safe"},
        {"", "vm.swappiness", "vm.*", "not one of the pod's own"},
        {"", "kernel.hostname", NULL, "not one of the pod's own"},
        {"  hostNetwork: true\n", "net.ipv4.tcp_syncookies", NULL, "hostNetwork"},
        {"  hostNetwork: true\n", "kernel.shm_rmid_forced", NULL, NULL},
        {"  hostIPC: true\n", "kernel.msgmax", "kernel.msg*", "hostIPC"},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        _cleanup_free_ char *spec =
            xasprintf("%s  securityContext: {sysctls: [{name: %s, value: \"1\"}]}\n",
                      examples[i].spec, examples[i].name);
        struct pod *pod = parse(spec);
        bool forbidden = pod_sysctls_forbidden(pod, examples[i].allowed, &why);
        if (forbidden != (examples[i].why != NULL) ||
            (forbidden && !strstr(buffer_str(&why), examples[i].why)))
            fail_msg("%s: %s", examples[i].name, buffer_str(&why));
        pod_free(pod);
    }
}

static void parameters_as_paths(void **state)
{
    _cleanup_string_list_ struct string_list words = {0};
    struct pod *pod = parse("  securityContext: {sysctls: [{name: net.core.somaxconn, value: \"1 "
                            "2\"}]}\n");
    pod_sysctls_words(pod, &words);
    assert_int_equal(words.n, 1);
    assert_string_equal(words.items[0], "sysctl=net/core/somaxconn=1 2");
    pod_free(pod);
    assert_true(pod_sysctls_is_namespaced("net.*"));
    assert_true(pod_sysctls_is_namespaced("net/ipv4/conf/eth0.1/*"));
    assert_false(pod_sysctls_is_namespaced("*"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_names),     cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(the_nodes_file), cmocka_unit_test(no_file_of_the_node),
        cmocka_unit_test(limits),         cmocka_unit_test(clusters),
        cmocka_unit_test(parameters),     cmocka_unit_test(parameters_as_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
