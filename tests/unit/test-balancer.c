// The balancer's and a worker's files from a cluster's file, and what etcd keeps of a node.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "manifests/balancer.h"
#include "manifests/worker.h"
#include "podspec/podspec.h"

#define KUBEADM(endpoint)                                                                          \
    "apiVersion: kubeadm.k8s.io/v1beta2\n"                                                         \
    "kind: ClusterConfiguration\n"                                                                 \
    "controlPlaneEndpoint: \"" endpoint "\"\n"                                                     \
    "---\n"                                                                                        \
    "apiVersion: mainstay.dev/v1\n"                                                                \
    "kind: Cluster\n"
#define THREE                                                                                      \
    "nodes:\n- {name: m1, address: 10.0.0.1}\n- {name: m2, address: 10.0.0.2}\n"                   \
    "- {name: m3, address: 10.0.0.3}\n"

static struct cluster cluster_of(const char *text)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct cluster cluster = {0};
    if (cluster_read("t.yaml", text, strlen(text), &cluster, NULL, &err) < 0 ||
        cluster_resolve(&cluster, NULL, &err) < 0)
        fail_msg("%s", error_message(&err));
    return cluster;
}

static struct file_set render(const struct cluster *cluster, const char *node,
                              const struct node_entries *entries, const char *root)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct file_set files = {0};
    const struct cluster_node *found = balancer_find_node(cluster, node);
    assert_non_null(found);
    if (balancer_render(cluster, found, root, entries, BALANCER_ALL, &files, &err) < 0)
        fail_msg("%s", error_message(&err));
    return files;
}

static const char *file_text(const struct file_set *files, const char *path)
{
    for (size_t i = 0; i < files->n; i++)
        if (str_equal(files->items[i].path, path))
            return buffer_str(&files->items[i].text);
    return NULL;
}

static void assert_says(const struct file_set *files, const char *path, const char *words)
{
    const char *text = file_text(files, path);
    if (!text || !strstr(text, words))
        fail_msg("%s does not say \"%s\":\n%s", path, words, text ? text : "(it is not there)");
}

// Every rendered manifest is a static pod without errors; returns how many there are.
static size_t check_manifests(const struct file_set *files)
{
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++) {
        _cleanup_diag_list_ struct diag_list diags = {0};
        struct pod_list list = {0};
        const struct file_set_file *file = &files->items[i];
        const struct podspec_node node = {.name = "m1", .source = "file"};
        if (!str_starts_with(file->path, "etc/kubernetes/manifests/"))
            continue;
        n++;
        assert_int_equal(podspec_parse(file->path, file->text.data, file->text.len, &list, &diags),
                         0);
        assert_int_equal(list.n, 1);
        assert_int_equal(podspec_make_static(list.items[0], &node, &diags), 0);
        for (size_t k = 0; k < diags.n; k++)
            fail_msg("%s: %s", file->path, diags.items[k].message);
        pod_list_free(&list);
    }
    return n;
}

static void haproxy_and_keepalived_before_three_nodes(void **state)
{
    _cleanup_cluster_ struct cluster cluster = cluster_of(KUBEADM(
        "10.0.0.100:8443") THREE "loadBalancer: {virtualIP: 10.0.0.100/24, interface: eth0}\n");
    _cleanup_file_set_ struct file_set files = render(&cluster, "m2", NULL, NULL);
    const char *cfg = "etc/haproxy/haproxy.cfg", *vrrp = "etc/keepalived/keepalived.conf";
    assert_int_equal(files.n, 7);
    assert_int_equal(check_manifests(&files), 3);
    assert_says(&files, cfg, "\n    bind 0.0.0.0:8443 ");
    assert_says(&files, cfg,
                "\n    server m1 10.0.0.1:6443\n    server m2 10.0.0.2:6443\n"
                "    server m3 10.0.0.3:6443\n");
    assert_says(&files, cfg, "ca-file /etc/kubernetes/pki/ca.crt verifyhost kubernetes");
    assert_says(&files, cfg, "uri /readyz");
    assert_says(&files, vrrp,
                "unicast_src_ip 10.0.0.2\n    unicast_peer {\n        10.0.0.1\n"
                "        10.0.0.3\n    }");
    assert_says(&files, vrrp, "interface eth0\n    virtual_router_id 100\n");
    assert_says(&files, vrrp, "        10.0.0.100/24\n");
    assert_says(&files, "etc/keepalived/check-apiserver", "https://kubernetes:8443/readyz");
    assert_says(&files, "etc/keepalived/check-balancer",
                "}\nask --fail \"http://127.0.0.1:8404/livez\"\n");
    assert_null(strstr(file_text(&files, "etc/keepalived/check-balancer"), "connects"));
    // What all nodes may lack at once never takes the address from all of them.
    assert_says(&files, vrrp,
                "/check-apiserver\"\n    interval 2\n    timeout 4\n    fall 2\n"
                "    rise 1\n    weight -50\n}");
    assert_null(strstr(file_text(&files, vrrp), "\n    nopreempt"));
    // Of two that took it at once, the one that keeps it has the last word in time.
    assert_says(&files, vrrp,
                "\n    vrrp_higher_prio_send_advert true\n"
                "    vrrp_garp_master_delay 1\n"
                "    vrrp_garp_lower_prio_delay 1\n"
                "    vrrp_garp_master_refresh 10\n");
    assert_says(&files, "etc/kubernetes/manifests/balancer-follow.yaml", "--node-name=m2");
    _cleanup_file_set_ struct file_set again = render(&cluster, "m2", NULL, NULL);
    for (size_t i = 0; i < files.n; i++)
        assert_string_equal(file_text(&again, files.items[i].path),
                            buffer_str(&files.items[i].text));
}

static void paths_have_the_root_before_them(void **state)
{
    _cleanup_cluster_ struct cluster cluster =
        cluster_of(KUBEADM("balancer.example:8443") THREE "loadBalancer: {kind: haproxy}\n");
    _cleanup_file_set_ struct file_set files = render(&cluster, "m1", NULL, "/tmp/trial");
    assert_int_equal(files.n, 3);
    for (size_t i = 0; i < files.n; i++)
        for (const char *p = buffer_str(&files.items[i].text); (p = strstr(p, " /etc/")); p++)
            fail_msg("%s: not below the root: %.40s", files.items[i].path, p);
    assert_says(&files, "etc/haproxy/haproxy.cfg", "ca-file /tmp/trial/etc/kubernetes/pki/ca.crt");
    assert_says(&files, "etc/kubernetes/manifests/balancer-follow.yaml", "--root=/tmp/trial");
    assert_int_equal(check_manifests(&files), 2);
}

static void ipv6_gets_its_brackets(void **state)
{
    const char *nodes = KUBEADM("[fd00::64]:8443") "nodes:\n- {name: a, address: \"fd00::1\"}\n"
                                                   "- {name: b, address: \"fd00::2\"}\n";
    _cleanup_free_ char *haproxy =
        xasprintf("%sloadBalancer: {virtualIP: \"fd00::64/64\", interface: eth0}\n", nodes);
    _cleanup_free_ char *nginx = xasprintf("%sloadBalancer: {kind: nginx}\n", nodes);
    _cleanup_cluster_ struct cluster one = cluster_of(haproxy);
    _cleanup_cluster_ struct cluster other = cluster_of(nginx);
    _cleanup_file_set_ struct file_set files = render(&one, "a", NULL, NULL);
    assert_says(&files, "etc/haproxy/haproxy.cfg", "\n    bind [::]:8443 v4v6 ");
    assert_says(&files, "etc/haproxy/haproxy.cfg", "\n    server b [fd00::2]:6443\n");
    assert_says(&files, "etc/keepalived/keepalived.conf", "unicast_src_ip fd00::1\n");
    assert_says(&files, "etc/keepalived/keepalived.conf", "virtual_router_id 100\n");
    assert_says(&files, "etc/keepalived/check-apiserver", "kubernetes:8443:[::1]\" ");
    _cleanup_file_set_ struct file_set more = render(&other, "a", NULL, NULL);
    assert_says(&more, "etc/nginx/kube-apiserver.conf",
                "listen 0.0.0.0:8443 so_keepalive=30s:10s:3;\n        listen [::]:8443 ");
    assert_says(&more, "etc/nginx/kube-apiserver.conf", "server [fd00::2]:6443 max_fails");
    assert_null(file_text(&more, "etc/haproxy/haproxy.cfg"));
    assert_int_equal(check_manifests(&more), 2);
}

static void machines_of_their_own(void **state)
{
    _cleanup_cluster_ struct cluster cluster = cluster_of(
        KUBEADM("10.0.0.100:6443") THREE "loadBalancer: {virtualIP: 10.0.0.100/24, interface: "
                                         "eth0, nodes: [lb1=10.0.0.8, lb2=10.0.0.9]}\n");
    _cleanup_file_set_ struct file_set files = render(&cluster, "lb1", NULL, NULL);
    assert_says(&files, "etc/haproxy/haproxy.cfg", "bind 0.0.0.0:6443 ");
    assert_says(&files, "etc/keepalived/keepalived.conf",
                "unicast_peer {\n        10.0.0.9\n    }");
    // A machine that only balances has no business in etcd.
    assert_null(file_text(&files, "etc/kubernetes/manifests/balancer-follow.yaml"));
    _cleanup_file_set_ struct file_set none = render(&cluster, "m1", NULL, NULL);
    assert_int_equal(none.n, 0);
    assert_false(balancer_runs_on(&cluster, balancer_find_node(&cluster, "m1")));
}

static void keepalived_alone_asks_kube_apiserver_itself(void **state)
{
    _cleanup_cluster_ struct cluster cluster =
        cluster_of(KUBEADM("10.0.0.100:6443") THREE
                   "loadBalancer: {kind: none, virtualIP: 10.0.0.100/24, interface: eth0}\n");
    _cleanup_file_set_ struct file_set files = render(&cluster, "m1", NULL, NULL);
    assert_int_equal(files.n, 5);
    assert_says(&files, "etc/keepalived/check-apiserver", "https://kubernetes:6443/readyz");
    assert_says(&files, "etc/keepalived/check-balancer", " \"https://127.0.0.1:6443/livez\" ");
    assert_null(strstr(file_text(&files, "etc/keepalived/check-balancer"), "ask --fail"));
    assert_int_equal(check_manifests(&files), 2);
}

static void without_anonymous_requests_an_answer_is_enough(void **state)
{
    const char *rest = "loadBalancer: {virtualIP: 10.0.0.100/24, interface: eth0}\n";
    _cleanup_free_ char *open = xasprintf("%s%s", KUBEADM("10.0.0.100:8443") THREE, rest);
    _cleanup_free_ char *closed =
        xasprintf("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n"
                  "apiServer: {extraArgs: {anonymous-auth: \"false\"}}\ncontrolPlaneEndpoint: "
                  "10.0.0.100:8443\n"
                  "---\napiVersion: mainstay.dev/v1\nkind: Cluster\n%s%s",
                  THREE, rest);
    _cleanup_cluster_ struct cluster one = cluster_of(open);
    _cleanup_cluster_ struct cluster other = cluster_of(closed);
    _cleanup_file_set_ struct file_set files = render(&one, "m1", NULL, NULL);
    _cleanup_file_set_ struct file_set more = render(&other, "m1", NULL, NULL);
    assert_says(&files, "etc/haproxy/haproxy.cfg", "expect status 200\n");
    assert_says(&files, "etc/keepalived/check-apiserver", "in\n\"200\") exit 0 ;;\nesac");
    assert_says(&more, "etc/haproxy/haproxy.cfg", "expect status 200,401\n");
    assert_says(&more, "etc/keepalived/check-apiserver",
                "in\n\"200\") exit 0 ;;\n\"401\") exit 0 ;;\nesac");
}

// ---- what etcd knows ----

static void add_kv(struct etcd_range *range, const char *name, const char *value)
{
    struct etcd_kv *kv = LIST_APPEND(&range->kvs);
    buffer_printf(&kv->key, NODE_ENTRY_PREFIX "%s", name);
    buffer_add_str(&kv->value, value);
}

static void entries_decide_over_the_file(void **state)
{
    _cleanup_cluster_ struct cluster cluster = cluster_of(KUBEADM(
        "10.0.0.100:8443") THREE "loadBalancer: {virtualIP: 10.0.0.100/24, interface: eth0}\n");
    _cleanup_etcd_range_ struct etcd_range range = {0};
    _cleanup_node_entries_ struct node_entries entries = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    add_kv(&range, "m9",
           "{\"address\":\"10.0.0.9\",\"roles\":[\"apiserver\",\"new\"],\"apiServerPort\":7443,"
           "\"more\":1}");
    add_kv(
        &range, "m1",
        "{\"address\":\"10.0.0.1\",\"roles\":[\"control-plane\",\"etcd\"],\"apiServerPort\":6443}");
    add_kv(&range, "e1", "{\"address\":\"10.0.0.7\",\"roles\":[\"etcd\"]}");
    assert_int_equal(node_entries_read(&range, &entries, &err), 0);
    assert_int_equal(entries.n, 3);
    assert_string_equal(entries.items[0].name, "e1");
    _cleanup_file_set_ struct file_set files = render(&cluster, "m1", &entries, NULL);
    assert_says(&files, "etc/haproxy/haproxy.cfg",
                "\n    server m1 10.0.0.1:6443\n    server m9 10.0.0.9:7443\n");
    assert_null(strstr(file_text(&files, "etc/haproxy/haproxy.cfg"), "10.0.0.2"));
    assert_says(&files, "etc/keepalived/keepalived.conf",
                "unicast_peer {\n        10.0.0.9\n    }");
}

static void entries_come_back_as_they_were_written(void **state)
{
    const struct cluster_node node = {.name = (char *)"m1",
                                      .address = (char *)"fd00::1",
                                      .roles = NODE_CONTROL_PLANE | NODE_ETCD};
    _cleanup_etcd_range_ struct etcd_range range = {0};
    _cleanup_node_entries_ struct node_entries entries = {0};
    _cleanup_free_ char *text = node_entry_text(&node, 6443), *key = node_entry_key("m1");
    assert_string_equal(key, "/mainstay/nodes/m1");
    assert_string_equal(text, "{\"address\":\"fd00::1\",\"roles\":[\"control-plane\",\"etcd\"],"
                              "\"apiServerPort\":6443}");
    add_kv(&range, "m1", text);
    assert_int_equal(node_entries_read(&range, &entries, NULL), 0);
    assert_int_equal(entries.items[0].roles, node.roles);
    assert_int_equal(entries.items[0].api_port, 6443);
    assert_string_equal(entries.items[0].address, "fd00::1");
}

static void entries_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *name, *value, *why;
    } rows[] = {
        {"m1", "", "is no JSON object"},
        {"m1", "[]", "is no JSON object"},
        {"m1", "{\"address\":\"10.0.0.1\",\"address\":\"10.0.0.2\"}", "is no JSON object"},
        {"m1", "{\"roles\":[\"etcd\"]}", "m1: address: must be an IP address"},
        {"m1", "{\"address\":\"10.0.0.1:80\",\"roles\":[]}", "address: must be an IP address"},
        {"m1", "{\"address\":\"10.0.0.1\\n server evil 1.2.3.4:1\",\"roles\":[]}", "address: must"},
        {"m1", "{\"address\":\"10.0.0.1\",\"roles\":\"etcd\"}", "roles: must be a list"},
        {"m1", "{\"address\":\"10.0.0.1\",\"roles\":[1]}", "roles: must be a list"},
        {"m1", "{\"address\":\"10.0.0.1\",\"roles\":[\"apiserver\"]}", "apiServerPort: must be"},
        {"m1", "{\"address\":\"10.0.0.1\",\"roles\":[\"apiserver\"],\"apiServerPort\":65536}",
         "apiServerPort: must be"},
        {"m1 check", "{\"address\":\"10.0.0.1\",\"roles\":[]}", "is no node's name"},
        {"", "{\"address\":\"10.0.0.1\",\"roles\":[]}", "is no node's name"},
        {"M1", "{\"address\":\"10.0.0.1\",\"roles\":[]}", "is no node's name"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_range_ struct etcd_range range = {0};
        _cleanup_node_entries_ struct node_entries entries = {0};
        _cleanup_error_ struct error err = ERROR_NONE;
        add_kv(&range, rows[i].name, rows[i].value);
        assert_int_equal(node_entries_read(&range, &entries, &err), -EBADMSG);
        if (!strstr(error_message(&err), rows[i].why))
            fail_msg("row %zu: %s", i, error_message(&err));
    }
}

// ---- what is not rendered ----

static void assert_refused(const struct cluster *cluster, const char *root,
                           const struct node_entries *entries, int code, const char *why)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_file_set_ struct file_set files = {0};
    const struct cluster_node *node = balancer_find_node(cluster, "m1");
    assert_int_equal(balancer_render(cluster, node, root, entries, BALANCER_ALL, &files, &err),
                     code);
    if (!strstr(error_message(&err), why))
        fail_msg("%s", error_message(&err));
}

static void what_makes_no_sense_is_refused(void **state)
{
    _cleanup_cluster_ struct cluster cluster = cluster_of(KUBEADM(
        "10.0.0.100:8443") THREE "loadBalancer: {virtualIP: 10.0.0.100/24, interface: eth0}\n");
    _cleanup_node_entries_ struct node_entries entries = {0};
    assert_refused(&cluster, NULL, &entries, -ENODATA, "no kube-apiserver");
    assert_refused(&cluster, "/tmp/a b\nc", NULL, -EINVAL, "only letters");
    char *interface = cluster.balancer.interface;
    cluster.balancer.interface = NULL;
    assert_refused(&cluster, NULL, NULL, -EINVAL, "loadBalancer.interface");
    static char hostile[] = "eth0 } x {";
    cluster.balancer.interface = hostile;
    assert_refused(&cluster, NULL, NULL, -EINVAL, "is no network interface's name");
    cluster.balancer.interface = interface;
    int port = cluster.balancer.port;
    cluster.balancer.port = 6443;
    assert_refused(&cluster, NULL, NULL, -EINVAL, "cannot listen on port 6443");
    cluster.balancer.port = port;
    char *name = cluster.nodes[1].name, *address = cluster.nodes[2].address;
    static char evil[] = "m2 10.6.6.6:1\n    server x", nowhere[] = "10.0.0.300";
    cluster.nodes[1].name = evil;
    assert_refused(&cluster, NULL, NULL, -EINVAL, "is no node's name");
    cluster.nodes[1].name = name;
    cluster.nodes[2].address = nowhere;
    assert_refused(&cluster, NULL, NULL, -EINVAL, "is no IP address");
    cluster.nodes[2].address = address;
}

static void many_nodes(void **state)
{
    _cleanup_cluster_ struct cluster cluster =
        cluster_of(KUBEADM("balancer.example:8443") THREE "loadBalancer: {kind: haproxy}\n");
    _cleanup_node_entries_ struct node_entries entries = {0};
    for (int i = 0; i < CLUSTER_NODES_MAX; i++)
        *LIST_APPEND(&entries) = (struct node_entry){.name = xasprintf("n%d", i),
                                                     .address = xasprintf("10.0.1.%d", i),
                                                     .roles = NODE_APISERVER,
                                                     .api_port = 6443};
    _cleanup_file_set_ struct file_set files = render(&cluster, "m1", &entries, NULL);
    size_t n = 0;
    for (const char *p = file_text(&files, "etc/haproxy/haproxy.cfg");
         (p = strstr(p, "\n    server n")); p++)
        n++;
    assert_int_equal(n, CLUSTER_NODES_MAX);
}

// ---- workers ----

static void workers_ask_the_endpoint(void **state)
{
    _cleanup_cluster_ struct cluster cluster =
        cluster_of("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n"
                   "controlPlaneEndpoint: api.example:8443\nclusterName: \"my \\\"own\\\"\"\n"
                   "networking: {serviceSubnet: 10.96.0.0/12, podSubnet: 10.244.0.0/16, dnsDomain: "
                   "k.example}\n---\napiVersion: mainstay.dev/v1\nkind: Cluster\n" THREE);
    _cleanup_file_set_ struct file_set files = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    if (worker_render(&cluster, "worker/", &files, &err) < 0)
        fail_msg("%s", error_message(&err));
    assert_int_equal(files.n, 4);
    const char *bootstrap = "worker/etc/kubernetes/bootstrap-kubelet.conf";
    assert_says(&files, bootstrap, "server: \"https://api.example:8443\"");
    assert_says(&files, bootstrap, "cluster: \"my \\\"own\\\"\"");
    assert_says(&files, "worker/var/lib/kubelet/config.yaml", "clusterDNS:\n- \"10.96.0.10\"\n");
    assert_says(&files, "worker/var/lib/kubelet/config.yaml", "clusterDomain: \"k.example\"");
    assert_says(&files, "worker/var/lib/kube-proxy/config.conf", "clusterCIDR: \"10.244.0.0/16\"");
    assert_says(&files, "worker/var/lib/kube-proxy/kubeconfig.conf",
                "server: \"https://api.example:8443\"");
    for (size_t i = 0; i < files.n; i++)
        assert_null(strstr(buffer_str(&files.items[i].text), "${"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(haproxy_and_keepalived_before_three_nodes),
        cmocka_unit_test(paths_have_the_root_before_them),
        cmocka_unit_test(ipv6_gets_its_brackets),
        cmocka_unit_test(machines_of_their_own),
        cmocka_unit_test(keepalived_alone_asks_kube_apiserver_itself),
        cmocka_unit_test(without_anonymous_requests_an_answer_is_enough),
        cmocka_unit_test(entries_decide_over_the_file),
        cmocka_unit_test(entries_come_back_as_they_were_written),
        cmocka_unit_test(entries_that_are_none_are_refused),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(many_nodes),
        cmocka_unit_test(workers_ask_the_endpoint),
    };
    return cmocka_run_group_tests_name("balancer", tests, NULL, NULL);
}
