// A cluster's file: what is read, what is filled in, what is refused, and that writing it and
// reading it again gives the same.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "manifests/cluster.h"
#include "manifests/user-template.h"
#include "manifests/versions.h"

#define KUBEADM "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
#define OURS    "---\napiVersion: mainstay.dev/v1\nkind: Cluster\n"
#define THREE                                                                                      \
    OURS "nodes:\n- {name: m1, address: 10.0.0.1}\n- m2=10.0.0.2\n- {name: m3, address: "          \
         "10.0.0.3}\n"

static int read_text(const char *text, struct cluster *ret, struct string_list *warnings,
                     struct error *err)
{
    return cluster_read("f", text, strlen(text), ret, warnings, err);
}

static struct cluster read_good(const char *text)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct cluster cluster = {0};
    if (read_text(text, &cluster, NULL, &err) < 0 || cluster_resolve(&cluster, NULL, &err) < 0)
        fail_msg("%s", error_message(&err));
    return cluster;
}

// The message of reading or resolving, which must fail.
static char *read_bad(const char *text)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_cluster_ struct cluster cluster = {0};
    int code = read_text(text, &cluster, NULL, &err);
    if (code == 0)
        code = cluster_resolve(&cluster, NULL, &err);
    assert_int_equal(code, -EINVAL);
    return xstrdup(error_message(&err));
}

static void nodes_and_their_roles(void **state)
{
    _cleanup_cluster_ struct cluster three = read_good(KUBEADM THREE);
    assert_int_equal(three.n_nodes, 3);
    assert_int_equal(cluster_count(&three, NODE_ETCD | NODE_CONTROL_PLANE), 3);
    assert_string_equal(cluster_find_node(&three, "m2")->address, "10.0.0.2");
    assert_null(cluster_find_node(&three, "m4"));
    _cleanup_cluster_ struct cluster apart = read_good(
        KUBEADM OURS "nodes:\n- m1=10.0.0.1\n- {name: e1, address: 10.0.0.9, roles: [etcd]}\n"
                     "- {name: a1, address: 10.0.0.8, roles: [apiserver]}\n");
    assert_int_equal(cluster_find_node(&apart, "m1")->roles, NODE_CONTROL_PLANE);
    assert_int_equal(cluster_find_node(&apart, "e1")->roles, NODE_ETCD);
    assert_int_equal(cluster_find_node(&apart, "a1")->roles, NODE_APISERVER);
    assert_true(cluster_runs(NODE_APISERVER, COMPONENT_KUBE_APISERVER));
    assert_false(cluster_runs(NODE_APISERVER, COMPONENT_KUBE_SCHEDULER));
    _cleanup_cluster_ struct cluster external =
        read_good(KUBEADM "etcd: {external: {endpoints: ['https://e:2379']}}\n" OURS
                          "nodes: [m1=10.0.0.1]\n");
    assert_int_equal(external.nodes[0].roles, NODE_CONTROL_PLANE);
}

static void nodes_are_added(void **state)
{
    _cleanup_cluster_ struct cluster cluster = {0};
    assert_int_equal(cluster_add_node(&cluster, "a=10.0.0.1", NODE_ETCD, NULL), 0);
    assert_int_equal(cluster_add_node(&cluster, "a=10.0.0.1", NODE_APISERVER, NULL), 0);
    assert_int_equal(cluster.n_nodes, 1);
    assert_int_equal(cluster.nodes[0].roles, NODE_ETCD | NODE_APISERVER);
    const char *const bad[] = {"",
                               "a",
                               "a=",
                               "=10.0.0.1",
                               "b=10.0.0.1",
                               "b=10.0.",
                               "b=10.0.0.1 ",
                               "B=1.1.1.1",
                               "a=10.0.0.2",
                               "-b=1.1.1.1",
                               "b=::",
                               "b=ff02::1",
                               "b=255.255.255.255",
                               "b..c=1.1.1.1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(cluster_add_node(&cluster, bad[i], 0, NULL), -EINVAL);
    assert_int_equal(cluster.n_nodes, 1);
    for (int i = 0; i < CLUSTER_NODES_MAX - 1; i++) {
        _cleanup_free_ char *word = xasprintf("n%d=10.1.%d.%d", i, i / 250, i % 250 + 1);
        assert_int_equal(cluster_add_node(&cluster, word, 0, NULL), 0);
    }
    assert_int_equal(cluster_add_node(&cluster, "z=10.9.9.9", 0, NULL), -EINVAL);
}

static void the_balancer_is_where_it_makes_sense(void **state)
{
    static const struct {
        const char *text;
        enum balancer_kind kind;
        int port;
        const char *endpoint;
    } rows[] = {
        {KUBEADM THREE, BALANCER_NONE, 6443, NULL},
        {KUBEADM "controlPlaneEndpoint: lb:8443\n" THREE, BALANCER_HAPROXY, 8443, "lb"},
        {KUBEADM "controlPlaneEndpoint: lb\n" THREE, BALANCER_NONE, 6443, "lb"},
        {KUBEADM "controlPlaneEndpoint: 10.0.0.1:8443\n" THREE, BALANCER_NONE, 8443, "10.0.0.1"},
        {KUBEADM "controlPlaneEndpoint: '[fd00::9]:8443'\n" THREE, BALANCER_HAPROXY, 8443,
         "fd00::9"},
        {KUBEADM THREE "loadBalancer: {virtualIP: 10.0.0.9/24}\n", BALANCER_NONE, 6443, "10.0.0.9"},
        {KUBEADM THREE "loadBalancer: {kind: nginx, port: 7443, virtualIP: 10.0.0.9/24}\n",
         BALANCER_NGINX, 7443, "10.0.0.9"},
        {KUBEADM "controlPlaneEndpoint: lb\n" THREE "loadBalancer: {nodes: [l1=10.0.0.9]}\n",
         BALANCER_HAPROXY, 6443, "lb"},
        {KUBEADM "controlPlaneEndpoint: lb:8443\n" THREE "loadBalancer: {kind: none}\n",
         BALANCER_NONE, 8443, "lb"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_cluster_ struct cluster cluster = read_good(rows[i].text);
        assert_int_equal(cluster.balancer.kind, rows[i].kind);
        assert_int_equal(cluster.balancer.port, rows[i].port);
        if (rows[i].endpoint)
            assert_string_equal(cluster.endpoint_host, rows[i].endpoint);
        else
            assert_null(cluster.endpoint_host);
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {KUBEADM THREE "loadBalancer: {kind: haproxy}\n", "both listen at port 6443"},
        {KUBEADM THREE "loadBalancer: {virtualIP: 10.0.0.2/24}\n", "is node m2's own address"},
        {KUBEADM THREE "loadBalancer: {virtualIP: 10.0.0.9/24, kind: none}\n"
                       "---\napiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n",
         "a second ClusterConfiguration"},
        {KUBEADM "controlPlaneEndpoint: 10.0.0.9:8443\n" THREE
                 "loadBalancer: {virtualIP: 10.0.0.9/24, kind: none}\n",
         "nobody listens at the virtual IP's port 8443"},
        {KUBEADM OURS "nodes:\n- {name: a, address: 10.0.0.1, roles: [apiserver]}\n",
         "no node runs etcd"},
        {KUBEADM OURS "nodes: {}\n", "f:6:8: nodes: must be a list"},
        {KUBEADM OURS "nodes: [[]]\n", "nodes: must be a string"},
        {KUBEADM OURS "nodes:\n- {name: a, address: 10.0.0.1, roles: []}\n", "must be a list of"},
        {KUBEADM OURS "loadBalancer: {port: 65536}\n", "must be a port"},
        {KUBEADM OURS "etcdDiscovery: ftp://x\nnodes: [a=10.0.0.1]\n", "not a URL"},
        {KUBEADM "controlPlaneEndpoint: a b\n", "control-plane endpoint"},
        {KUBEADM "etcd: {external: {endpoints: []}}\n" OURS "nodes: [a=10.0.0.1]\n",
         "names no endpoints"},
        {"apiVersion: mainstay.dev/v1\nkind: Cluser\n", "use Cluster"},
        {"apiVersion: mainstay.dev/v1beta1\nkind: Cluster\n", "use mainstay.dev/v1"},
        {"", "holds neither"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *message = read_bad(rows[i].text);
        if (!strstr(message, rows[i].message))
            fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].message, message);
    }
}

static size_t count_warnings(const char *text, const char *word)
{
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_cluster_ struct cluster cluster = {0};
    size_t n = 0;
    assert_int_equal(read_text(text, &cluster, &warnings, NULL), 0);
    assert_int_equal(cluster_resolve(&cluster, &warnings, NULL), 0);
    for (size_t i = 0; i < warnings.n; i++)
        n += strstr(warnings.items[i], word) != NULL;
    return n;
}

static void what_is_likely_not_meant_is_warned_of(void **state)
{
    assert_int_equal(count_warnings(KUBEADM THREE, "odd number"), 0);
    assert_int_equal(count_warnings(KUBEADM THREE, "no controlPlaneEndpoint"), 1);
    assert_int_equal(count_warnings(KUBEADM THREE "- m4=10.0.0.4\n", "odd number"), 1);
    assert_int_equal(count_warnings(KUBEADM OURS
                                    "nodes: [a=1.1.1.1, b=1.1.1.2, c=1.1.1.3, d=1.1.1.4]\n",
                                    "4 etcd members bear no more failures than 3 do (1)"),
                     1);
    assert_int_equal(
        count_warnings(KUBEADM "controlPlaneEndpoint: lb\n" THREE, "no balancer is rendered"), 1);
    assert_int_equal(count_warnings(KUBEADM "contolPlaneEndpoint: lb\n" THREE,
                                    "did you mean \"controlPlaneEndpoint\"?"),
                     1);
}

static void text_and_back(void **state)
{
    static const char text[] =
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
        "kubernetesVersion: v1.31.1\ncontrolPlaneEndpoint: '[fd00::9]:8443'\nimageRepository: r\n"
        "certificatesDir: /p\nclusterName: 'a \"b\" \\'\nencryptionAlgorithm: RSA-2048\n"
        "networking: {serviceSubnet: 10.0.0.0/16, podSubnet: 10.1.0.0/16, dnsDomain: d}\n"
        "etcd: {local: {dataDir: /d, imageTag: t, imageRepository: i, serverCertSANs: [s], "
        "peerCertSANs: [p], extraArgs: [{name: a, value: b}, {name: a, value: c}], "
        "extraEnvs: [{name: E, value: x}]}}\n"
        "apiServer: {certSANs: [xx, yy], extraArgs: [{name: v, value: \"4\"}, {name: w, value: "
        "''}], "
        "extraVolumes: [{name: nn, hostPath: /h, mountPath: /m, readOnly: true, pathType: File}]}\n"
        "---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
        "localAPIEndpoint: {bindPort: 7443, advertiseAddress: 1.2.3.4}\n" THREE
        "- {name: e, address: 10.0.0.5, roles: [etcd]}\n"
        "etcdDiscovery: https://d/x\netcdClientPort: 7379\netcdPeerPort: 7380\n"
        "loadBalancer: {kind: nginx, port: 8443, virtualIP: 'fd00::9/64', interface: eth0, "
        "nodes: [l=10.0.0.7]}\n";
    _cleanup_buffer_ struct buffer first = BUFFER_EMPTY, second = BUFFER_EMPTY;
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_cluster_ struct cluster cluster = {0}, again = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    if (read_text(text, &cluster, &warnings, &err) < 0)
        fail_msg("%s", error_message(&err));
    assert_int_equal(cluster_resolve(&cluster, NULL, NULL), 0);
    cluster_text(&cluster, &first);
    if (read_text(buffer_str(&first), &again, &warnings, &err) < 0)
        fail_msg("%s\n%s", error_message(&err), buffer_str(&first));
    assert_int_equal(cluster_resolve(&again, NULL, NULL), 0);
    cluster_text(&again, &second);
    assert_string_equal(buffer_str(&first), buffer_str(&second));
    assert_int_equal(warnings.n, 0);
    const struct kubeadm_config *file = &again.file;
    assert_string_equal(file->cluster_name, "a \"b\" \\");
    assert_int_equal(file->bind_port, 7443);
    assert_int_equal(file->extra_args[COMPONENT_ETCD].n, 2);
    assert_string_equal(file->extra_args[COMPONENT_ETCD].items[1], "a=c");
    assert_string_equal(file->extra_args[COMPONENT_KUBE_APISERVER].items[1], "w=");
    assert_true(file->extra_volumes[COMPONENT_KUBE_APISERVER].items[0].read_only);
    assert_string_equal(file->extra_envs[COMPONENT_ETCD].items[0].value, "x");
    assert_int_equal(again.nodes[3].roles, NODE_ETCD);
    assert_int_equal(again.nodes[0].roles, NODE_CONTROL_PLANE);
    assert_string_equal(again.balancer.nodes[0].address, "10.0.0.7");
    assert_int_equal(again.balancer.prefix_length, 64);
}

static void planes_of_nodes(void **state)
{
    _cleanup_cluster_ struct cluster cluster =
        read_good(KUBEADM "controlPlaneEndpoint: lb:8443\nkubernetesVersion: 1.25.3\n" THREE);
    _cleanup_string_list_ struct string_list owned = {0};
    struct control_plane plane;
    assert_int_equal(cluster_plane(&cluster, &cluster.nodes[1], "/r", &plane, &owned, NULL), 0);
    assert_string_equal(plane.node_name, "m2");
    assert_string_equal(plane.etcd_initial_cluster,
                        "m1=https://10.0.0.1:2380,m2=https://10.0.0.2:2380,"
                        "m3=https://10.0.0.3:2380");
    assert_null(plane.etcd_servers); // its own
    assert_string_equal(plane.kubernetes_version, "v1.25.3");
    assert_string_equal(plane.etcd_image_tag, "3.5.4-0");
    assert_string_equal(plane.pki_dir, "/r/etc/kubernetes/pki");
    assert_true(plane.shutdown_delay_seconds > 0);
    cluster_set_text(&cluster, &cluster.file.kubernetes_version, "latest");
    assert_int_equal(cluster_plane(&cluster, &cluster.nodes[1], NULL, &plane, &owned, NULL),
                     -EINVAL);
}

static void versions_are_read(void **state)
{
    static const struct {
        const char *text;
        int minor; // -1: refused
    } rows[] = {{"v1.20.2", 20},
                {"1.19.0", 19},
                {"v1.31.0-rc.1", 31},
                {"v1.33.1+k3s1", 33},
                {"v1.99.0", 99},
                {"v1.18.9", -1},
                {"v2.0.0", -1},
                {"1.20", -1},
                {"stable-1", -1},
                {"", -1},
                {"v", -1},
                {"v1.20.2x", -1},
                {"v1.-3.0", -1},
                {"v1.99999.0", -1}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int minor = -1;
        int code = kubernetes_version_parse(rows[i].text, &minor, NULL);
        assert_int_equal(code, rows[i].minor < 0 ? -EINVAL : 0);
        assert_int_equal(minor, rows[i].minor);
    }
}

static bool knows(enum control_plane_component component, int minor, const char *tag,
                  const char *flag)
{
    _cleanup_string_list_ struct string_list args = {0};
    const struct control_plane plane = {.dns_domain = "d", .pki_dir = "/p", .etcd_image_tag = tag};
    bool found = false;
    version_arguments(&plane, component, minor, &args);
    for (size_t i = 0; i < args.n; i++)
        found |= str_starts_with(args.items[i], flag);
    return found;
}

static void flags_come_and_go(void **state)
{
    static const struct {
        enum control_plane_component component;
        int minor;
        const char *tag, *flag;
        bool known;
    } rows[] = {
        {COMPONENT_KUBE_APISERVER, 21, NULL, "insecure-port=0", true},
        {COMPONENT_KUBE_APISERVER, 22, NULL, "insecure-port", false},
        {COMPONENT_KUBE_APISERVER, 24, NULL, "insecure-port", false},
        {COMPONENT_KUBE_APISERVER, 19, NULL, "service-account-issuer", false},
        {COMPONENT_KUBE_APISERVER, 20, NULL,
         "service-account-issuer=https://kubernetes.default.svc.d", true},
        {COMPONENT_KUBE_APISERVER, 34, NULL, "service-account-signing-key-file=/p/sa.key", true},
        {COMPONENT_KUBE_SCHEDULER, 22, NULL, "port=0", true},
        {COMPONENT_KUBE_SCHEDULER, 23, NULL, "port", false},
        {COMPONENT_KUBE_CONTROLLER_MANAGER, 19, NULL, "port=0", true},
        {COMPONENT_ETCD, 20, NULL, "experimental", false},
        {COMPONENT_ETCD, 20, "3.5.9-0", "experimental-initial-corrupt-check=true", true},
        {COMPONENT_ETCD, 30, "3.4.23", "experimental", false},
        {COMPONENT_ETCD, 30, "my-etcd", "experimental-initial-corrupt-check=true", true},
        {COMPONENT_ETCD, 34, NULL, "feature-gates=InitialCorruptCheck=true", true},
        {COMPONENT_ETCD, 34, "v3.6.5", "experimental", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (knows(rows[i].component, rows[i].minor, rows[i].tag, rows[i].flag) != rows[i].known)
            fail_msg("row %zu: %s in 1.%d", i, rows[i].flag, rows[i].minor);
    assert_string_equal(kubernetes_etcd_tag(19), "3.4.13-0");
    assert_string_equal(kubernetes_etcd_tag(33), "3.5.24-0");
    assert_string_equal(kubernetes_etcd_tag(40), "3.6.5-0");
    assert_string_equal(version_etcd_probes("3.4.13-0", 20)->liveness, "/health");
    assert_string_equal(version_etcd_probes("3.5.24-0", 33)->readiness, "/readyz");
    assert_null(version_etcd_probes("3.5.4-0", 25)->readiness);
}

static void templates_of_the_users_own(void **state)
{
    const struct cluster_node node = {.name = (char[]){"m1"}, .address = (char[]){"10.0.0.1"}};
    static const struct cluster cluster = {0};
    static const struct control_plane plane = {.cluster_name = "c", .pki_dir = "/p"};
    const struct user_template_values values = {&cluster, &node, &plane, NULL};
    static const struct {
        const char *text, *expected, *message;
    } rows[] = {
        {"a ${NODE_NAME}=${NODE_IP}${PKI_DIR}\n", "a m1=10.0.0.1/p\n", NULL},
        {"$${NODE_NAME} $(X) $X ${CLUSTER_NAME}", "${NODE_NAME} $(X) $X c", NULL},
        {"", "", NULL},
        {"\n\n x ${nODE}", NULL, "t:3:4: there is no ${nODE}"},
        {"${", NULL, "t:1:1: there is no ${}"},
        {"${NODE_NAME", NULL, "t:1:1: "},
        {"${DISCOVERY_TOKEN}", NULL, "give --discovery-token TOKEN"},
        {"${NODE_NAMES}", NULL, "did you mean ${NODE_NAME}?"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        _cleanup_error_ struct error err = ERROR_NONE;
        int code = user_template_fill("t", rows[i].text, &values, &out, &err);
        assert_int_equal(code, rows[i].expected ? 0 : -EINVAL);
        if (rows[i].expected)
            assert_string_equal(buffer_str(&out), rows[i].expected);
        else
            assert_non_null(strstr(error_message(&err), rows[i].message));
    }
}

static void discovery_tokens(void **state)
{
    _cleanup_cluster_ struct cluster cluster = {0};
    assert_int_equal(cluster_set_discovery(&cluster, NULL, NULL, NULL), 0);
    assert_null(cluster.etcd_discovery);
    assert_int_equal(cluster_set_discovery(&cluster, "https://d/${DISCOVERY_TOKEN}", NULL, NULL),
                     -EINVAL);
    assert_int_equal(cluster_set_discovery(&cluster, "https://d/${DISCOVERY_TOKEN}", "a/b", NULL),
                     -EINVAL);
    assert_int_equal(
        cluster_set_discovery(&cluster, "https://d/${DISCOVERY_TOKEN}?x", "a-b_1", NULL), 0);
    assert_string_equal(cluster.etcd_discovery, "https://d/a-b_1?x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_and_their_roles),
        cmocka_unit_test(nodes_are_added),
        cmocka_unit_test(the_balancer_is_where_it_makes_sense),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(what_is_likely_not_meant_is_warned_of),
        cmocka_unit_test(text_and_back),
        cmocka_unit_test(planes_of_nodes),
        cmocka_unit_test(versions_are_read),
        cmocka_unit_test(flags_come_and_go),
        cmocka_unit_test(templates_of_the_users_own),
        cmocka_unit_test(discovery_tokens),
    };
    return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
