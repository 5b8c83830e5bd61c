// Templates: the rules of filling in, and the control plane's manifests as the pod spec reads them.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "manifests/control-plane.h"
#include "manifests/render.h"
#include "podspec/podspec.h"

static char first[] = "a b", second[] = "c\"d";
static char *items[] = {first, second};
static const struct string_list two = {items, 2}, none = {NULL, 0};

static const struct render_parameter parameters[] = {
    {.name = "NAME", .value = "x: \"y\" #\\ \n${PORT}"},
    {.name = "PORT", .value = "80"},
    {.name = "WORD", .value = "80a"},
    {.name = "EMPTY", .value = ""},
    {.name = "LATIN1", .value = "\xe9"},
    {.name = "TWO", .list = &two},
    {.name = "NONE", .list = &none},
};

static int fill(const char *template, struct buffer *out, struct error *err)
{
    return render_template("t", template, parameters, ARRAY_SIZE(parameters), out, err);
}

static void values_are_filled_in(void **state)
{
    const struct {
        const char *template, *expected;
    } rows[] = {
        {"a: \"${NAME}\"\n", "a: \"x: \\\"y\\\" #\\\\ \\x0a${PORT}\"\n"}, // not filled in again
        {"# a comment with ${ANYTHING}\nport: ${PORT}\n", "port: 80\n"},
        {"a: \"${PORT}:${PORT}\" \"${EMPTY}\"", "a: \"80:80\" \"\"\n"},
        {"- \"--x=${TWO}\"\n", "- \"--x=a b\"\n- \"--x=c\\\"d\"\n"},
        {"a:\n- \"${NONE}\"\nb:\n", "a:\nb:\n"},
        {"$HOME $(POD) $ {X}\n", "$HOME $(POD) $ {X}\n"},
        {"\n\n", "\n\n"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        assert_int_equal(fill(rows[i].template, &out, NULL), 0);
        assert_string_equal(buffer_str(&out), rows[i].expected);
    }
}

static void mistakes_name_the_line(void **state)
{
    const char *const rows[] = {
        "a\nb: \"${NOSUCH}\"\n",
        "a\nb: ${NAME}\n",
        "a\nb: ${WORD}\n",
        "a\nb: ${EMPTY}\n",
        "a\nb: \"${name}\"",
        "a\nb: \"${}\"",
        "a\nb: \"${NAME\"\n",
        "a\nb: \"${NAME",
        "a\nb: \"${TWO}${NONE}\"\n",
        "a\nb: ${TWO}\n",
        "a\nb: \"open\n",
        "a\nb: \"${LATIN1}\"\n",
        "a\nb: ${",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        _cleanup_error_ struct error err = ERROR_NONE;
        assert_int_equal(fill(rows[i], &out, &err), -EINVAL);
        assert_non_null(strstr(error_message(&err), "t line 2: "));
    }
}

static struct control_plane plane(void)
{
    struct control_plane plane = CONTROL_PLANE_DEFAULTS;
    plane.node_name = "m0";
    plane.advertise_address = "10.0.0.5";
    plane.pki_dir = "/etc/kubernetes/pki";
    plane.kubeconfig_dir = "/etc/kubernetes";
    plane.etcd_data_dir = "/var/lib/etcd";
    plane.flex_volume_dir = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
    return plane;
}

// The one pod of the manifest, which must be without errors. (Warnings name what this release does
// not do yet.)
static struct pod *parse(const struct buffer *text)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct pod_list list = {0};
    int code = podspec_parse("t.yaml", text->data, text->len, &list, &diags);
    for (size_t i = 0; i < diags.n && diags.errors > 0; i++)
        print_error("%u:%u %s: %s\n", diags.items[i].line, diags.items[i].column,
                    diags.items[i].path ? diags.items[i].path : "", diags.items[i].message);
    assert_int_equal(code, 0);
    assert_int_equal(diags.errors, 0);
    assert_int_equal(list.n, 1);
    struct pod *pod = TAKE_PTR(list.items[0]);
    pod_list_free(&list);
    return pod;
}

static struct pod *render(const struct control_plane *plane, enum control_plane_component component)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    if (control_plane_render(plane, component, &text, &err) < 0)
        fail_msg("%s", error_message(&err));
    return parse(&text);
}

// How often the word is in the container's command.
static size_t count_word(const struct pod *pod, const char *word)
{
    const struct container *container = &pod->spec.containers.items[0];
    size_t n = 0;
    for (size_t i = 0; i < container->command.n; i++)
        n += str_equal(container->command.items[i], word);
    return n;
}

static void components_are_pods_of_kubeadms_shape(void **state)
{
    struct control_plane defaults = plane();
    for (int i = 0; i < COMPONENTS; i++) {
        const char *name = control_plane_component_name((enum control_plane_component)i);
        _cleanup_pod_ struct pod *pod = render(&defaults, (enum control_plane_component)i);
        const struct container *container = &pod->spec.containers.items[0];
        assert_string_equal(pod->metadata.name, name);
        assert_string_equal(pod->metadata.namespace, "kube-system");
        assert_string_equal(pod->spec.priorityClassName, "system-node-critical");
        assert_true(pod->spec.hostNetwork);
        assert_string_equal(pod->spec.securityContext->seccompProfile->type, "RuntimeDefault");
        assert_string_equal(container->name, name);
        assert_string_equal(container->command.items[0], name);
        assert_string_equal(container->imagePullPolicy, "IfNotPresent");
        assert_non_null(strstr(container->image, name));
        assert_non_null(container->livenessProbe);
        assert_non_null(container->startupProbe);
        assert_int_equal(container->readinessProbe != NULL, i == COMPONENT_KUBE_APISERVER);
        assert_int_equal(container->volumeMounts.n, pod->spec.volumes.n);
        _cleanup_diag_list_ struct diag_list diags = {0};
        const struct podspec_node node = {.name = "m0", .source = "file"};
        assert_int_equal(podspec_make_static(pod, &node, &diags), 0);
        assert_int_equal(diags.errors, 0);
    }
}

static void paths_ports_and_networks_arrive(void **state)
{
    struct control_plane p = plane();
    p.pki_dir = "/srv/a \"b\"/pki";
    p.kubeconfig_dir = "/srv/k";
    p.api_port = 7443;
    p.scheduler_port = 7259;
    p.etcd_client_port = 7379;
    p.etcd_metrics_port = 7381;
    p.pod_cidr = "10.244.0.0/16";
    _cleanup_pod_ struct pod *etcd = render(&p, COMPONENT_ETCD);
    _cleanup_pod_ struct pod *api = render(&p, COMPONENT_KUBE_APISERVER);
    _cleanup_pod_ struct pod *manager = render(&p, COMPONENT_KUBE_CONTROLLER_MANAGER);
    _cleanup_pod_ struct pod *scheduler = render(&p, COMPONENT_KUBE_SCHEDULER);
    assert_int_equal(count_word(etcd, "--cert-file=/srv/a \"b\"/pki/etcd/server.crt"), 1);
    assert_int_equal(count_word(etcd, "--listen-client-urls=https://127.0.0.1:7379,https://"
                                      "10.0.0.5:7379"),
                     1);
    assert_int_equal(count_word(etcd, "--initial-cluster=m0=https://10.0.0.5:2380"), 1);
    assert_int_equal(count_word(api, "--etcd-servers=https://127.0.0.1:7379"), 1);
    assert_int_equal(count_word(api, "--secure-port=7443"), 1);
    assert_int_equal(count_word(manager, "--cluster-cidr=10.244.0.0/16"), 1);
    assert_int_equal(count_word(manager, "--allocate-node-cidrs=true"), 1);
    assert_int_equal(count_word(manager, "--service-cluster-ip-range=10.96.0.0/12"), 1);
    assert_int_equal(count_word(scheduler, "--kubeconfig=/srv/k/scheduler.conf"), 1);
    assert_int_equal(count_word(scheduler, "--secure-port=7259"), 1);
}

static void without_pod_networks_none_are_handed_out(void **state)
{
    struct control_plane p = plane();
    _cleanup_pod_ struct pod *manager = render(&p, COMPONENT_KUBE_CONTROLLER_MANAGER);
    const struct string_list *command = &manager->spec.containers.items[0].command;
    for (size_t i = 0; i < command->n; i++)
        assert_null(strstr(command->items[i], "cidr"));
}

static void ipv6_gets_its_brackets(void **state)
{
    struct control_plane p = plane();
    p.advertise_address = "fd00::5";
    _cleanup_pod_ struct pod *etcd = render(&p, COMPONENT_ETCD);
    _cleanup_pod_ struct pod *scheduler = render(&p, COMPONENT_KUBE_SCHEDULER);
    assert_int_equal(
        count_word(etcd, "--listen-client-urls=https://[::1]:2379,https://[fd00::5]:2379"), 1);
    assert_int_equal(count_word(etcd, "--listen-metrics-urls=http://[::1]:2381"), 1);
    assert_int_equal(count_word(scheduler, "--bind-address=::1"), 1);
}

static void etcd_does_not_listen_twice_at_one_place(void **state)
{
    struct control_plane p = plane();
    p.advertise_address = "127.0.0.1";
    _cleanup_pod_ struct pod *etcd = render(&p, COMPONENT_ETCD);
    assert_int_equal(count_word(etcd, "--listen-client-urls=https://127.0.0.1:2379"), 1);
}

static void extra_arguments_replace_or_add(void **state)
{
    struct control_plane p = plane();
    struct string_list *args = &p.extra_args[COMPONENT_KUBE_APISERVER];
    string_list_add(args, "authorization-mode=AlwaysAllow");
    string_list_add(args, "--v=4");
    string_list_add(args, "audit-log-path=/a: b \"c\"");
    _cleanup_pod_ struct pod *api = render(&p, COMPONENT_KUBE_APISERVER);
    assert_int_equal(count_word(api, "--authorization-mode=AlwaysAllow"), 1);
    assert_int_equal(count_word(api, "--authorization-mode=Node,RBAC"), 0);
    assert_int_equal(count_word(api, "--v=4"), 1);
    assert_int_equal(count_word(api, "--audit-log-path=/a: b \"c\""), 1);
    string_list_add(args, "=4");
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_int_equal(control_plane_render(&p, COMPONENT_KUBE_APISERVER, &out, NULL), -EINVAL);
    string_list_free(args);
}

static void bad_directories_and_addresses_are_refused(void **state)
{
    struct control_plane rows[] = {plane(), plane(), plane(), plane(), plane()};
    rows[0].advertise_address = "m0.example.org";
    rows[1].pki_dir = "pki";
    rows[2].kubeconfig_dir = "/etc/../kubernetes";
    rows[3].etcd_data_dir = "/var/lib/etcd/";
    rows[4].pki_dir = "/a:b";
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
        assert_int_equal(control_plane_render(&rows[i], COMPONENT_ETCD, &out, NULL), -EINVAL);
    }
}

static void files_that_are_no_yaml_take_words_only(void **state)
{
    static const char *const refused[] = {"",     "a  b", " a",  "a ",  "a;b", "a\nb",
                                          "a\tb", "a\"b", "a'b", "a#b", "a{b", "a}b",
                                          "a\\b", "$a",   "a|b", "\xe9"};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const char *template = "## not copied\n# \"copied ${V}\nserver ${V}\n";
    struct render_parameter value = {.name = "V", .value = "m1 [fd00::1]:6443"};
    assert_int_equal(render_text_template("t", template, &value, 1, &text, NULL), 0);
    assert_string_equal(buffer_str(&text),
                        "# \"copied m1 [fd00::1]:6443\nserver m1 [fd00::1]:6443\n");
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_buffer_ struct buffer nothing = BUFFER_EMPTY;
        _cleanup_error_ struct error err = ERROR_NONE;
        value.value = refused[i];
        assert_int_equal(render_text_template("t", template, &value, 1, &nothing, &err), -EINVAL);
        assert_non_null(strstr(error_message(&err), "t line 2: ${V} cannot be"));
    }
}

static void components_have_names(void **state)
{
    enum control_plane_component component = COMPONENT_ETCD;
    assert_int_equal(control_plane_component_parse("scheduler", &component, NULL), 0);
    assert_int_equal(component, COMPONENT_KUBE_SCHEDULER);
    assert_int_equal(control_plane_component_parse("kube-apiserver", &component, NULL), 0);
    assert_int_equal(component, COMPONENT_KUBE_APISERVER);
    assert_int_equal(control_plane_component_parse("kubelet", &component, NULL), -EINVAL);
    assert_int_equal(control_plane_component_parse("", &component, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_filled_in),
        cmocka_unit_test(mistakes_name_the_line),
        cmocka_unit_test(components_are_pods_of_kubeadms_shape),
        cmocka_unit_test(paths_ports_and_networks_arrive),
        cmocka_unit_test(without_pod_networks_none_are_handed_out),
        cmocka_unit_test(ipv6_gets_its_brackets),
        cmocka_unit_test(etcd_does_not_listen_twice_at_one_place),
        cmocka_unit_test(extra_arguments_replace_or_add),
        cmocka_unit_test(bad_directories_and_addresses_are_refused),
        cmocka_unit_test(files_that_are_no_yaml_take_words_only),
        cmocka_unit_test(components_have_names),
    };
    return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
