// See control-plane-options.h.
#include "cli/control-plane-options.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/versions.h"

enum { NODE_NAME_MAX = 253, PORT_MAX = 65535 };

const char *const control_plane_cluster_states[] = {"new", "existing", NULL};

static const char *own(struct control_plane_options *options, char *s)
{
    string_list_add_owned(&options->owned, s);
    return s;
}

// "a//./b/" → "a/b": what does not change the meaning goes; ".." may, so it stays.
static char *squeeze(const char *path)
{
    struct buffer out = BUFFER_EMPTY;
    while (*path) {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        if (len > 0 && !(len == 1 && path[0] == '.')) {
            buffer_add_char(&out, '/');
            buffer_add(&out, path, len);
        }
        path += len;
    }
    return buffer_take(&out);
}

// Relative paths start here; ".." is understood at their start only, where it cannot cross a
// symlink.
static char *absolute(const char *path, struct error *err)
{
    if (path[0] == '/')
        return squeeze(path);
    _cleanup_free_ char *here = getcwd(NULL, 0);
    if (!here) {
        error_errno(err, errno, "cannot tell the working directory");
        return NULL;
    }
    while (str_starts_with(path, "./") || str_starts_with(path, "../") || str_equal(path, "..")) {
        if (path[1] == '.')
            *strrchr(here, '/') = '\0';
        path += strcspn(path, "/");
        path += strspn(path, "/");
        if (!*here)
            break;
    }
    _cleanup_free_ char *joined = xasprintf("%s/%s", here, path);
    return squeeze(joined);
}

const char *control_plane_options_path(struct control_plane_options *options, const char *path,
                                       const char *below, struct error *err)
{
    _cleanup_free_ char *joined =
        path ? NULL : xasprintf("%s%s", options->root ? options->root : "", below);
    char *result = absolute(path ? path : joined, err);
    if (!result)
        return NULL;
    own(options, result);
    if (!path_is_clean_absolute(result)) {
        error_set(err, EINVAL, "\"%s\": not a path that can stand in a manifest",
                  path ? path : joined);
        return NULL;
    }
    return result;
}

static int resolve_directories(struct control_plane_options *options, struct control_plane *plane,
                               struct error *err)
{
    const struct {
        const char **to, *from, *below;
    } rows[] = {
        {&plane->pki_dir, options->pki_dir, "/etc/kubernetes/pki"},
        {&plane->kubeconfig_dir, options->kubeconfig_dir, "/etc/kubernetes"},
        {&plane->etcd_data_dir, options->etcd_data_dir, "/var/lib/etcd"},
        {&plane->flex_volume_dir, NULL, "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        *rows[i].to = control_plane_options_path(options, rows[i].from, rows[i].below, err);
        if (!*rows[i].to)
            return -EINVAL;
    }
    return 0;
}

static int resolve_node_name(struct control_plane_options *options, struct control_plane *plane,
                             struct error *err)
{
    char host[NODE_NAME_MAX + 1] = "";
    plane->node_name = options->node_name;
    if (plane->node_name)
        return 0;
    if (gethostname(host, sizeof(host) - 1) < 0)
        return error_errno(err, errno, "cannot tell the host's name: give --node-name");
    for (char *p = host; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    plane->node_name = own(options, xstrdup(host));
    return 0;
}

// The address that packets to the world would leave from. Connecting a datagram socket sends
// nothing.
static bool default_route_address(char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    socklen_t len = sizeof(address);
    inet_pton(AF_INET, "192.0.2.1", &address.sin_addr); // reserved for documentation
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
           getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
           inet_ntop(AF_INET, &address.sin_addr, text, INET6_ADDRSTRLEN) != NULL;
}

// Without a default route: the first address that other machines could use.
static bool first_interface_address(char *text)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK))
            continue;
        const struct sockaddr_in *address = (const struct sockaddr_in *)(const void *)i->ifa_addr;
        found = inet_ntop(AF_INET, &address->sin_addr, text, INET6_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(all);
    return found;
}

static int resolve_address(struct control_plane_options *options, struct control_plane *plane,
                           struct error *err)
{
    char text[INET6_ADDRSTRLEN];
    plane->advertise_address = options->advertise_address;
    if (plane->advertise_address)
        return 0;
    if (!default_route_address(text) && !first_interface_address(text))
        return error_set(err, EINVAL,
                         "this machine has no address but the loopback's: give "
                         "--advertise-address");
    plane->advertise_address = own(options, xstrdup(text));
    return 0;
}

static int resolve_port(int64_t given, int *to, struct error *err)
{
    if (given > PORT_MAX)
        return error_set(err, EINVAL, "%lld is no port", (long long)given);
    if (given > 0)
        *to = (int)given;
    return 0;
}

static int resolve_ports(const struct control_plane_options *options, struct control_plane *plane,
                         struct error *err)
{
    const struct {
        int64_t given;
        int *to;
    } rows[] = {
        {options->api_port, &plane->api_port},
        {options->controller_manager_port, &plane->controller_manager_port},
        {options->scheduler_port, &plane->scheduler_port},
        {options->etcd_client_port, &plane->etcd_client_port},
        {options->etcd_peer_port, &plane->etcd_peer_port},
        {options->etcd_metrics_port, &plane->etcd_metrics_port},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (resolve_port(rows[i].given, rows[i].to, err) < 0)
            return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t j = 0; j < i; j++) {
            if (*rows[i].to == *rows[j].to)
                return error_set(err, EINVAL, "port %d is given to two components", *rows[i].to);
        }
    }
    return 0;
}

static void resolve_strings(struct control_plane_options *options, struct control_plane *plane)
{
    const struct {
        const char **to, *from;
    } rows[] = {
        {&plane->service_cidr, options->service_cidr},
        {&plane->pod_cidr, options->pod_cidr},
        {&plane->dns_domain, options->dns_domain},
        {&plane->image_repository, options->image_repository},
        {&plane->kubernetes_version, options->kubernetes_version},
        {&plane->etcd_image_tag, options->etcd_image_tag},
        {&plane->etcd_servers, options->etcd_servers},
        {&plane->etcd_initial_cluster, options->etcd_initial_cluster},
        {&plane->etcd_initial_cluster_state, options->etcd_initial_cluster_state},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].from)
            *rows[i].to = rows[i].from;
    }
    if (isdigit((unsigned char)plane->kubernetes_version[0])) // the images' tags have a "v"
        plane->kubernetes_version = own(options, xasprintf("v%s", plane->kubernetes_version));
    plane->extra_args[COMPONENT_ETCD] = options->etcd_args;
    plane->extra_args[COMPONENT_KUBE_APISERVER] = options->api_args;
    plane->extra_args[COMPONENT_KUBE_CONTROLLER_MANAGER] = options->controller_manager_args;
    plane->extra_args[COMPONENT_KUBE_SCHEDULER] = options->scheduler_args;
}

int control_plane_options_resolve(struct control_plane_options *options, struct control_plane *ret,
                                  struct error *err)
{
    struct control_plane plane = CONTROL_PLANE_DEFAULTS;
    int minor = 0;
    resolve_strings(options, &plane);
    if (!options->etcd_image_tag &&
        kubernetes_version_parse(plane.kubernetes_version, &minor, NULL) == 0)
        plane.etcd_image_tag = kubernetes_etcd_tag(minor);
    int code = resolve_directories(options, &plane, err);
    if (code == 0)
        code = resolve_node_name(options, &plane, err);
    if (code == 0)
        code = resolve_address(options, &plane, err);
    if (code == 0)
        code = resolve_ports(options, &plane, err);
    if (code == 0)
        *ret = plane;
    return code;
}

// ---- over what a cluster says ----

static bool is_same_flag(const char *a, const char *b)
{
    a += strspn(a, "-");
    b += strspn(b, "-");
    size_t len = strcspn(a, "=");
    return strcspn(b, "=") == len && strncmp(a, b, len) == 0;
}

// The cluster's arguments, without those that the command line says otherwise, and the command
// line's.
static void overlay_arguments(struct string_list *own_list, const struct string_list *cluster,
                              const struct string_list *given)
{
    for (size_t i = 0; i < cluster->n; i++) {
        bool replaced = false;
        for (size_t j = 0; j < given->n; j++)
            replaced = replaced || is_same_flag(cluster->items[i], given->items[j]);
        if (!replaced)
            string_list_add(own_list, cluster->items[i]);
    }
    for (size_t j = 0; j < given->n; j++)
        string_list_add(own_list, given->items[j]);
}

int control_plane_options_overlay(struct control_plane_options *options,
                                  struct control_plane *plane, struct error *err)
{
    const struct control_plane cluster = *plane;
    const struct {
        const char **to, *from;
    } directories[] = {
        {&plane->pki_dir, options->pki_dir},
        {&plane->kubeconfig_dir, options->kubeconfig_dir},
        {&plane->etcd_data_dir, options->etcd_data_dir},
    };
    resolve_strings(options, plane);
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        if (!directories[i].from)
            continue;
        *directories[i].to = control_plane_options_path(options, directories[i].from, NULL, err);
        if (!*directories[i].to)
            return -EINVAL;
    }
    for (int i = 0; i < COMPONENTS; i++) {
        overlay_arguments(&options->merged_args[i], &cluster.extra_args[i], &plane->extra_args[i]);
        plane->extra_args[i] = options->merged_args[i];
    }
    return resolve_ports(options, plane, err);
}

int control_plane_options_node_name(struct control_plane_options *options, const char **ret,
                                    struct error *err)
{
    struct control_plane plane = {0};
    int code = resolve_node_name(options, &plane, err);
    if (code == 0)
        *ret = plane.node_name;
    return code;
}

int control_plane_options_address(struct control_plane_options *options, const char **ret,
                                  struct error *err)
{
    struct control_plane plane = {0};
    int code = resolve_address(options, &plane, err);
    if (code == 0)
        *ret = plane.advertise_address;
    return code;
}

void control_plane_options_free(struct control_plane_options *options)
{
    for (int i = 0; i < COMPONENTS; i++)
        string_list_free(&options->merged_args[i]);
    string_list_free(&options->owned);
}
