// See control-plane.h.
#include "manifests/control-plane.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/render.h"
#include "pki/layout.h"

static const char *const component_names[COMPONENTS] = {
    [COMPONENT_ETCD] = "etcd",
    [COMPONENT_KUBE_APISERVER] = "kube-apiserver",
    [COMPONENT_KUBE_CONTROLLER_MANAGER] = "kube-controller-manager",
    [COMPONENT_KUBE_SCHEDULER] = "kube-scheduler",
};

const char *control_plane_component_name(enum control_plane_component component)
{
    return component_names[component];
}

int control_plane_component_parse(const char *name, enum control_plane_component *ret,
                                  struct error *err)
{
    for (int i = 0; i < COMPONENTS; i++) {
        const char *known = component_names[i];
        if (str_equal(name, known) ||
            (str_starts_with(known, "kube-") && str_equal(name, known + strlen("kube-")))) {
            *ret = (enum control_plane_component)i;
            return 0;
        }
    }
    return error_set(err, EINVAL,
                     "no component \"%s\": there are etcd, kube-apiserver, "
                     "kube-controller-manager and kube-scheduler",
                     name);
}

// The values that are put together from others, and their parameters. The lists hold what may be
// absent.
struct values {
    struct string_list strings; // owns what the parameters borrow
    struct string_list extra_args, allocate_node_cidrs, pod_cidr, node_service_cidr;
    LIST_OF(struct render_parameter) parameters;
};

static void values_free(struct values *values)
{
    string_list_free(&values->strings);
    string_list_free(&values->extra_args);
    string_list_free(&values->allocate_node_cidrs);
    string_list_free(&values->pod_cidr);
    string_list_free(&values->node_service_cidr);
    free(values->parameters.items);
}
#define _cleanup_values_ _cleanup_(values_free)

static void add(struct values *values, const char *name, const char *value)
{
    *LIST_APPEND(&values->parameters) = (struct render_parameter){.name = name, .value = value};
}

static void add_owned(struct values *values, const char *name, char *value)
{
    string_list_add_owned(&values->strings, value);
    add(values, name, value);
}

static void add_list(struct values *values, const char *name, const struct string_list *list)
{
    *LIST_APPEND(&values->parameters) = (struct render_parameter){.name = name, .list = list};
}

static void add_number(struct values *values, const char *name, int number)
{
    add_owned(values, name, xasprintf("%d", number));
}

static bool is_ipv6(const char *address)
{
    return strchr(address, ':') != NULL;
}

static void add_images(struct values *values, const struct control_plane *plane)
{
    static const char *const names[COMPONENTS] = {
        [COMPONENT_ETCD] = "ETCD_IMAGE",
        [COMPONENT_KUBE_APISERVER] = "KUBE_APISERVER_IMAGE",
        [COMPONENT_KUBE_CONTROLLER_MANAGER] = "KUBE_CONTROLLER_MANAGER_IMAGE",
        [COMPONENT_KUBE_SCHEDULER] = "KUBE_SCHEDULER_IMAGE",
    };
    for (int i = 0; i < COMPONENTS; i++)
        add_owned(
            values, names[i],
            xasprintf("%s/%s:%s", plane->image_repository, component_names[i],
                      i == COMPONENT_ETCD ? plane->etcd_image_tag : plane->kubernetes_version));
}

static void add_etcd(struct values *values, const struct control_plane *plane,
                     const char *localhost)
{
    _cleanup_free_ char *local = pki_url(localhost, plane->etcd_client_port);
    char *client = pki_url(plane->advertise_address, plane->etcd_client_port);
    char *peer = pki_url(plane->advertise_address, plane->etcd_peer_port);
    add_owned(values, "ETCD_ADVERTISE_CLIENT_URL", client);
    add_owned(values, "ETCD_PEER_URL", peer);
    // etcd cannot listen twice at the same place.
    add_owned(values, "ETCD_LISTEN_CLIENT_URLS",
              str_equal(local, client) ? xstrdup(local) : xasprintf("%s,%s", local, client));
    add_owned(values, "ETCD_METRICS_URL",
              xasprintf(is_ipv6(localhost) ? "http://[%s]:%d" : "http://%s:%d", localhost,
                        plane->etcd_metrics_port));
    add_owned(values, "ETCD_INITIAL_CLUSTER",
              plane->etcd_initial_cluster ? xstrdup(plane->etcd_initial_cluster)
                                          : xasprintf("%s=%s", plane->node_name, peer));
    add(values, "ETCD_INITIAL_CLUSTER_STATE", plane->etcd_initial_cluster_state);
    add_owned(values, "ETCD_SERVERS", xstrdup(plane->etcd_servers ? plane->etcd_servers : local));
    add(values, "ETCD_DATA_DIR", plane->etcd_data_dir);
    add_number(values, "ETCD_METRICS_PORT", plane->etcd_metrics_port);
}

// As kubeadm: the controller manager knows the networks only where it hands them out.
static void add_networks(struct values *values, const struct control_plane *plane)
{
    if (plane->pod_cidr) {
        string_list_add(&values->allocate_node_cidrs, "true");
        string_list_add(&values->pod_cidr, plane->pod_cidr);
        string_list_add(&values->node_service_cidr, plane->service_cidr);
    }
    add_list(values, "ALLOCATE_NODE_CIDRS", &values->allocate_node_cidrs);
    add_list(values, "POD_CIDR", &values->pod_cidr);
    add_list(values, "NODE_SERVICE_CIDR", &values->node_service_cidr);
    add(values, "SERVICE_CIDR", plane->service_cidr);
}

static void fill_values(struct values *values, const struct control_plane *plane)
{
    const char *localhost = is_ipv6(plane->advertise_address) ? "::1" : "127.0.0.1";
    add(values, "NODE_NAME", plane->node_name);
    add(values, "ADVERTISE_ADDRESS", plane->advertise_address);
    add(values, "LOCALHOST", localhost);
    add(values, "DNS_DOMAIN", plane->dns_domain);
    add(values, "CLUSTER_NAME", plane->cluster_name);
    add(values, "PKI_DIR", plane->pki_dir);
    add(values, "KUBECONFIG_DIR", plane->kubeconfig_dir);
    add(values, "FLEX_VOLUME_DIR", plane->flex_volume_dir);
    add_number(values, "API_PORT", plane->api_port);
    add_number(values, "CONTROLLER_MANAGER_PORT", plane->controller_manager_port);
    add_number(values, "SCHEDULER_PORT", plane->scheduler_port);
    add_owned(values, "API_ENDPOINT",
              xasprintf(is_ipv6(plane->advertise_address) ? "[%s]:%d" : "%s:%d",
                        plane->advertise_address, plane->api_port));
    add_images(values, plane);
    add_etcd(values, plane, localhost);
    add_networks(values, plane);
    add_list(values, "EXTRA_ARGS", &values->extra_args);
}

static int check_directory(const char *what, const char *path, struct error *err)
{
    if (path_is_clean_absolute(path) && !(str_ends_with(path, "/")) && !strchr(path, ':'))
        return 0;
    return error_set(err, EINVAL,
                     "%s \"%s\": must be an absolute path without \".\", \"..\", \":\" and without "
                     "a slash at its end",
                     what, path);
}

static int check_plane(const struct control_plane *plane, struct error *err)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, plane->advertise_address, bytes) != 1 &&
        inet_pton(AF_INET6, plane->advertise_address, bytes) != 1)
        return error_set(err, EINVAL, "advertise address \"%s\": not an IP address",
                         plane->advertise_address);
    int code = check_directory("certificate directory", plane->pki_dir, err);
    if (code == 0)
        code = check_directory("kubeconfig directory", plane->kubeconfig_dir, err);
    if (code == 0)
        code = check_directory("etcd data directory", plane->etcd_data_dir, err);
    if (code == 0)
        code = check_directory("flex volume directory", plane->flex_volume_dir, err);
    return code;
}

// Extra arguments with their dashes.
static int normalize_extra_args(const struct string_list *from, struct string_list *to,
                                struct error *err)
{
    for (size_t i = 0; i < from->n; i++) {
        const char *arg = from->items[i] + strspn(from->items[i], "-");
        size_t name = strcspn(arg, "=");
        if (name == 0 || strcspn(arg, " \t\n") < name)
            return error_set(err, EINVAL, "extra argument \"%s\": not FLAG=VALUE", from->items[i]);
        string_list_add_owned(to, xasprintf("--%s", arg));
    }
    return 0;
}

// True for a line `- "--FLAG=…"` whose flag is among the extra arguments.
static bool is_replaced(const char *line, const struct string_list *extra_args)
{
    static const char start[] = "- \"--";
    line += strspn(line, " ");
    if (!str_starts_with(line, start))
        return false;
    line += strlen("- \"");
    size_t len = strcspn(line, "=\"\n");
    for (size_t i = 0; i < extra_args->n; i++) {
        const char *arg = extra_args->items[i];
        if (strcspn(arg, "=") == len && strncmp(arg, line, len) == 0)
            return true;
    }
    return false;
}

// The template without the flags that the extra arguments set. A line that goes leaves an empty
// comment, so that the lines keep their numbers.
static void drop_replaced_flags(const char *text, const struct string_list *extra_args,
                                struct buffer *out)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (is_replaced(text, extra_args))
            buffer_add_char(out, '#');
        else
            buffer_add(out, text, len);
        buffer_add_char(out, '\n');
        text += len + (text[len] == '\n');
    }
}

int control_plane_render(const struct control_plane *plane, enum control_plane_component component,
                         struct buffer *out, struct error *err)
{
    _cleanup_values_ struct values values = {0};
    _cleanup_buffer_ struct buffer template = BUFFER_EMPTY;
    const char *name = component_names[component];
    int code = check_plane(plane, err);
    if (code == 0)
        code = normalize_extra_args(&plane->extra_args[component], &values.extra_args, err);
    if (code < 0)
        return code;
    fill_values(&values, plane);
    drop_replaced_flags(control_plane_template(component), &values.extra_args, &template);
    return render_template(name, buffer_str(&template), values.parameters.items,
                           values.parameters.n, out, err);
}
