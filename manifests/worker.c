// See worker.h.
#include "manifests/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "manifests/balancer-templates.h"
#include "manifests/render.h"
#include "pki/layout.h"

enum { DNS_AT = 10 }; // kubeadm's: the tenth address of the services' network

static const struct file {
    const char *path;
    mode_t mode;
    enum balancer_template template;
} files[] = {
    {"etc/kubernetes/bootstrap-kubelet.conf", 0600, TEMPLATE_BOOTSTRAP_KUBELET_CONF},
    {"var/lib/kubelet/config.yaml", 0644, TEMPLATE_KUBELET_CONFIG},
    {"var/lib/kube-proxy/config.conf", 0644, TEMPLATE_KUBE_PROXY_CONFIG},
    {"var/lib/kube-proxy/kubeconfig.conf", 0600, TEMPLATE_KUBE_PROXY_KUBECONFIG},
};

char *worker_server_url(const struct cluster *cluster)
{
    if (cluster->endpoint_host)
        return pki_url(cluster->endpoint_host, cluster->endpoint_port);
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i].roles & NODE_APISERVER)
            return pki_url(cluster->nodes[i].address, cluster_api_port(cluster));
    return NULL;
}

// The DNS server's address in the first of the services' networks.
static int dns_address(const char *services, char *ret, struct error *err)
{
    unsigned char bytes[sizeof(struct in6_addr)] = {0};
    _cleanup_free_ char *first_network = xstrndup(services, strcspn(services, ","));
    int code = pki_first_address(first_network, ret, err);
    if (code < 0)
        return code;
    int family = strchr(ret, ':') ? AF_INET6 : AF_INET;
    unsigned char *last = &bytes[family == AF_INET6 ? 15 : 3];
    inet_pton(family, ret, bytes);
    if (*last > 255 - (DNS_AT - 1))
        return error_set(err, EINVAL, "serviceSubnet %s: has no tenth address for DNS", services);
    *last = (unsigned char)(*last + DNS_AT - 1);
    inet_ntop(family, bytes, ret, INET6_ADDRSTRLEN);
    return 0;
}

// ${POD_CIDR} may hold two networks, which no word of these files could: they are YAML, and it is
// quoted there.
static int render_all(const struct render_parameter *parameters, size_t n, const char *prefix,
                      struct file_set *out, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        _cleanup_free_ char *path = xasprintf("%s%s", prefix, files[i].path);
        int code = render_template(path_base(files[i].path), balancer_template(files[i].template),
                                   parameters, n, &text, err);
        if (code < 0)
            return code;
        file_set_add(out, path, files[i].mode, &text);
    }
    return 0;
}

int worker_render(const struct cluster *cluster, const char *prefix, struct file_set *out,
                  struct error *err)
{
    static const struct control_plane defaults = CONTROL_PLANE_DEFAULTS;
    const struct kubeadm_config *file = &cluster->file;
    _cleanup_free_ char *url = worker_server_url(cluster);
    _cleanup_string_list_ struct string_list pod_cidr = {0};
    char dns[INET6_ADDRSTRLEN];
    if (!url)
        return error_set(err, EINVAL, "the cluster has no kube-apiserver that a worker could ask");
    int code =
        dns_address(file->service_subnet ? file->service_subnet : defaults.service_cidr, dns, err);
    if (code < 0)
        return code;
    if (file->pod_subnet)
        string_list_add(&pod_cidr, file->pod_subnet);
    const struct render_parameter parameters[] = {
        {.name = "SERVER_URL", .value = url},
        {.name = "CLUSTER_NAME",
         .value = file->cluster_name ? file->cluster_name : defaults.cluster_name},
        {.name = "DNS_DOMAIN", .value = file->dns_domain ? file->dns_domain : defaults.dns_domain},
        {.name = "CLUSTER_DNS", .value = dns},
        {.name = "POD_CIDR", .list = &pod_cidr},
    };
    return render_all(parameters, ARRAY_SIZE(parameters), prefix, out, err);
}
