// What the templates of the control plane are filled in with.
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "manifests/control-plane-internal.h"
#include "manifests/versions.h"
#include "pki/layout.h"

void plane_values_free(struct plane_values *values)
{
    struct string_list *const lists[] = {&values->strings,        &values->extra_args,
                                         &values->version_args,   &values->allocate_node_cidrs,
                                         &values->pod_cidr,       &values->node_service_cidr,
                                         &values->etcd_ca_file,   &values->etcd_certificate_file,
                                         &values->etcd_key_file,  &values->flex_volume_flag,
                                         &values->etcd_members,   &values->etcd_state,
                                         &values->etcd_discovery, &values->shutdown_delay};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        string_list_free(lists[i]);
    free(values->parameters.items);
}

static void add(struct plane_values *values, const char *name, const char *value)
{
    *LIST_APPEND(&values->parameters) = (struct render_parameter){.name = name, .value = value};
}

static void add_owned(struct plane_values *values, const char *name, char *value)
{
    string_list_add_owned(&values->strings, value);
    add(values, name, value);
}

static void add_list(struct plane_values *values, const char *name, const struct string_list *list)
{
    *LIST_APPEND(&values->parameters) = (struct render_parameter){.name = name, .list = list};
}

static void add_block(struct plane_values *values, const char *name, struct buffer *block)
{
    char *text = buffer_take(block);
    string_list_add_owned(&values->strings, text);
    *LIST_APPEND(&values->parameters) = (struct render_parameter){.name = name, .block = text};
}

// A list of one item, or of none.
static void add_optional(struct plane_values *values, const char *name, struct string_list *list,
                         const char *value)
{
    if (value)
        string_list_add(list, value);
    add_list(values, name, list);
}

static void add_number(struct plane_values *values, const char *name, int number)
{
    add_owned(values, name, xasprintf("%d", number));
}

static bool is_ipv6(const char *address)
{
    return strchr(address, ':') != NULL;
}

static void add_images(struct plane_values *values, const struct control_plane *plane)
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
            xasprintf("%s/%s:%s",
                      i == COMPONENT_ETCD && plane->etcd_image_repository
                          ? plane->etcd_image_repository
                          : plane->image_repository,
                      control_plane_component_name((enum control_plane_component)i),
                      i == COMPONENT_ETCD ? plane->etcd_image_tag : plane->kubernetes_version));
}

// What etcd tells others about where it is, where that was changed (as kubeadm does).
static const char *plane_etcd_servers(const struct control_plane *plane, const char *local)
{
    const char *told = plane_extra(plane, COMPONENT_ETCD, "advertise-client-urls");
    return plane->etcd_servers ? plane->etcd_servers : told ? told : local;
}

// kube-apiserver's side of etcd's TLS.
static void add_etcd_client(struct plane_values *values, const struct control_plane *plane)
{
    bool theirs = plane->external_etcd;
    _cleanup_free_ char *ca = xasprintf("%s/etcd/ca.crt", plane->pki_dir);
    _cleanup_free_ char *crt = xasprintf("%s/apiserver-etcd-client.crt", plane->pki_dir);
    _cleanup_free_ char *key = xasprintf("%s/apiserver-etcd-client.key", plane->pki_dir);
    add_optional(values, "ETCD_CA_FILE", &values->etcd_ca_file, theirs ? plane->etcd_ca_file : ca);
    add_optional(values, "ETCD_CERTIFICATE_FILE", &values->etcd_certificate_file,
                 theirs ? plane->etcd_certificate_file : crt);
    add_optional(values, "ETCD_KEY_FILE", &values->etcd_key_file,
                 theirs ? plane->etcd_key_file : key);
}

static void add_etcd(struct plane_values *values, const struct control_plane *plane,
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
    _cleanup_free_ char *alone = xasprintf("%s=%s", plane->node_name, peer);
    bool listed = !plane->etcd_discovery;
    add_optional(values, "ETCD_INITIAL_CLUSTER", &values->etcd_members,
                 listed ? (plane->etcd_initial_cluster ? plane->etcd_initial_cluster : alone)
                        : NULL);
    add_optional(values, "ETCD_INITIAL_CLUSTER_STATE", &values->etcd_state,
                 listed ? plane->etcd_initial_cluster_state : NULL);
    add_optional(values, "ETCD_DISCOVERY", &values->etcd_discovery, plane->etcd_discovery);
    add_owned(values, "ETCD_SERVERS", xstrdup(plane_etcd_servers(plane, local)));
    add(values, "ETCD_DATA_DIR", plane->etcd_data_dir);
}

// As kubeadm: the controller manager knows the networks only where it hands them out.
static void add_networks(struct plane_values *values, const struct control_plane *plane)
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

// ---- probes ----

// Where the component listens, as far as that was changed. Every address means the pod's own, which
// an empty host stands for.
static const char *bind_host(const struct control_plane *plane,
                             enum control_plane_component component, const char *localhost)
{
    const char *address = plane_extra(plane, component, "bind-address");
    if (!address)
        return localhost;
    return str_equal(address, "0.0.0.0") || str_equal(address, "::") ? "" : address;
}

// The first of etcd's --listen-metrics-urls, where that was changed: scheme, host and port.
static void add_etcd_probe(struct plane_values *values, const struct control_plane *plane,
                           const char *localhost)
{
    const char *url = plane_extra(plane, COMPONENT_ETCD, "listen-metrics-urls");
    const char *scheme = url && str_starts_with(url, "https://") ? "HTTPS" : "HTTP";
    const char *rest = url ? strstr(url, "://") : NULL;
    int port = plane->etcd_metrics_port;
    _cleanup_free_ char *text = rest ? xstrndup(rest + 3, strcspn(rest + 3, ",/")) : NULL;
    char *host = text ? pki_split_endpoint(text, &port, NULL) : NULL;
    add(values, "PROBE_SCHEME", scheme);
    add_owned(values, "PROBE_HOST", host ? host : xstrdup(localhost));
    add_number(values, "PROBE_PORT", port);
}

static void add_etcd_probes(struct plane_values *values, const struct control_plane *plane,
                            const char *localhost, int minor)
{
    const struct etcd_probe_paths *paths = version_etcd_probes(plane->etcd_image_tag, minor);
    struct buffer ready = BUFFER_EMPTY;
    add_etcd_probe(values, plane, localhost);
    add(values, "LIVENESS_PATH", paths->liveness);
    add(values, "STARTUP_PATH", paths->startup);
    if (paths->readiness) {
        const struct render_parameter *port = &values->parameters.items[values->parameters.n - 3];
        buffer_printf(&ready,
                      "readinessProbe:\n  httpGet:\n    scheme: %s\n    host: \"%s\"\n"
                      "    port: %s\n    path: %s\n"
                      "  periodSeconds: 1\n  timeoutSeconds: 15\n  failureThreshold: 3\n",
                      port[-2].value, port[-1].value, port->value, paths->readiness);
    }
    add_block(values, "READINESS_PROBE", &ready);
}

// ---- stopping ----

// How long a request may take (kube-apiserver's --request-timeout), and a little for the rest.
enum { REQUEST_SECONDS = 60, REST_SECONDS = 5 };

// While the balancers leave, kube-apiserver serves on; then what was asked before is answered.
static void add_stopping(struct plane_values *values, const struct control_plane *plane)
{
    const char *said = plane_extra(plane, COMPONENT_KUBE_APISERVER, "shutdown-delay-duration");
    int64_t delay = plane->shutdown_delay_seconds * 1000000000LL;
    struct buffer grace = BUFFER_EMPTY;
    if (said && (duration_parse(said, &delay) < 0 || delay < 0))
        delay = 0;
    _cleanup_free_ char *text =
        plane->shutdown_delay_seconds > 0 ? xasprintf("%ds", plane->shutdown_delay_seconds) : NULL;
    add_optional(values, "SHUTDOWN_DELAY", &values->shutdown_delay, text);
    if (delay > 0)
        buffer_printf(&grace, "terminationGracePeriodSeconds: %lld\n",
                      (long long)(delay / 1000000000) + REQUEST_SECONDS + REST_SECONDS);
    add_block(values, "GRACE_PERIOD", &grace);
    // A node that is shut down stops kube-apiserver first: without its etcd it can neither serve on
    // nor end before the grace period does.
    struct buffer order = BUFFER_EMPTY;
    if (plane->etcd_here && !plane->etcd_servers &&
        !plane_extra(plane, COMPONENT_KUBE_APISERVER, "etcd-servers"))
        buffer_add_str(&order, "mainstay.dev/depends-on: etcd\n");
    add_block(values, "DEPENDS_ON", &order);
}

static void add_pod(struct plane_values *values, const struct control_plane *plane,
                    enum control_plane_component component)
{
    struct buffer env = BUFFER_EMPTY, mounts = BUFFER_EMPTY, volumes = BUFFER_EMPTY;
    plane_env_block(plane, component, &env);
    plane_volume_blocks(plane, component, &mounts, &volumes);
    add_block(values, "ENV", &env);
    add_block(values, "VOLUME_MOUNTS", &mounts);
    add_block(values, "VOLUMES", &volumes);
}

void plane_values_fill(struct plane_values *values, const struct control_plane *plane,
                       enum control_plane_component component, int minor)
{
    const char *localhost = is_ipv6(plane->advertise_address) ? "::1" : "127.0.0.1";
    add(values, "NODE_NAME", plane->node_name);
    add(values, "ADVERTISE_ADDRESS", plane->advertise_address);
    add(values, "LOCALHOST", localhost);
    add(values, "DNS_DOMAIN", plane->dns_domain);
    add(values, "CLUSTER_NAME", plane->cluster_name);
    add(values, "PKI_DIR", plane->pki_dir);
    add(values, "KUBECONFIG_DIR", plane->kubeconfig_dir);
    // The default needs no flag.
    add_optional(values, "FLEX_VOLUME_FLAG", &values->flex_volume_flag,
                 str_equal(plane->flex_volume_dir, FLEX_VOLUME_DIR) ? NULL
                                                                    : plane->flex_volume_dir);
    add_number(values, "API_PORT", plane->api_port);
    add_number(values, "CONTROLLER_MANAGER_PORT", plane->controller_manager_port);
    add_number(values, "SCHEDULER_PORT", plane->scheduler_port);
    add_owned(values, "API_ENDPOINT",
              xasprintf(is_ipv6(plane->advertise_address) ? "[%s]:%d" : "%s:%d",
                        plane->advertise_address, plane->api_port));
    add_images(values, plane);
    add_etcd(values, plane, localhost);
    add_etcd_client(values, plane);
    add_networks(values, plane);
    if (component == COMPONENT_ETCD)
        add_etcd_probes(values, plane, localhost, minor);
    else
        add(values, "PROBE_HOST", bind_host(plane, component, localhost));
    add_stopping(values, plane);
    add_pod(values, plane, component);
    add_list(values, "VERSION_ARGS", &values->version_args);
    add_list(values, "EXTRA_ARGS", &values->extra_args);
}
