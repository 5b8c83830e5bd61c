// The names and addresses under which a control plane is reached: subject alternative names as
// kubeadm chooses them (cmd/kubeadm/app/util/pkiutil/pki_helpers.go), URLs, the service address.
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "pki/certificate.h"
#include "pki/layout.h"

char *pki_url(const char *host, int port)
{
    bool bare_ipv6 = strchr(host, ':') && host[0] != '[';
    return xasprintf(bare_ipv6 ? "https://[%s]:%d" : "https://%s:%d", host, port);
}

char *pki_split_endpoint(const char *endpoint, int *ret_port, struct error *err)
{
    const char *host = endpoint, *port = NULL;
    size_t len = strlen(endpoint);
    bool closed = true;
    if (endpoint[0] == '[') {
        host = endpoint + 1;
        len = strcspn(host, "]");
        closed = host[len] == ']' && (host[len + 1] == '\0' || host[len + 1] == ':');
        port = closed && host[len + 1] == ':' ? host + len + 2 : NULL;
    } else if (strchr(endpoint, ':') && strchr(endpoint, ':') == strrchr(endpoint, ':')) {
        len = strcspn(endpoint, ":");
        port = endpoint + len + 1;
    }
    long long number = *ret_port;
    _cleanup_free_ char *name = xstrndup(host, len);
    if (closed && certificate_name_is_valid(name) &&
        (!port || str_to_int(port, 1, 65535, &number) == 0)) {
        *ret_port = (int)number;
        return TAKE_PTR(name);
    }
    error_set(err, EINVAL,
              "control-plane endpoint \"%s\": not HOST or HOST:PORT (a lower-case DNS name or an "
              "IP address)",
              endpoint);
    return NULL;
}

char *pki_endpoint_url(const struct pki_layout *layout)
{
    int port = layout->api_port;
    _cleanup_free_ char *host =
        str_empty(layout->control_plane_endpoint)
            ? NULL
            : pki_split_endpoint(layout->control_plane_endpoint, &port, NULL);
    return pki_url(host ? host : layout->advertise_address, port);
}

// Clears the host bits of an address of `size` bytes and sets the last one.
static void first_of_network(unsigned char *bytes, size_t size, long long prefix)
{
    for (size_t i = 0; i < size; i++) {
        long long bits = MIN(MAX(prefix - 8 * (long long)i, 0), 8);
        bytes[i] &= (unsigned char)(0xff00U >> bits);
    }
    bytes[size - 1] |= 1;
}

int pki_first_address(const char *cidr, char *ret, struct error *err)
{
    size_t len = strcspn(cidr, "/");
    _cleanup_free_ char *address = xstrndup(cidr, len);
    unsigned char bytes[sizeof(struct in6_addr)];
    int family = strchr(address, ':') ? AF_INET6 : AF_INET;
    size_t size = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    long long prefix = 0;
    // At least two host bits: the network, its first address, and one to give to a service.
    if (cidr[len] != '/' || inet_pton(family, address, bytes) != 1 ||
        str_to_int(cidr + len + 1, 0, (long long)size * 8 - 2, &prefix) < 0)
        return error_set(err, EINVAL, "\"%s\" is no network such as 10.96.0.0/12", cidr);
    first_of_network(bytes, size, prefix);
    inet_ntop(family, bytes, ret, INET6_ADDRSTRLEN);
    return 0;
}

static void add_all(struct string_list *out, const struct string_list *from)
{
    for (size_t i = 0; from && i < from->n; i++)
        string_list_add(out, from->items[i]);
}

int pki_api_alt_names(const struct pki_layout *layout, struct string_list *out, struct error *err)
{
    char service[INET6_ADDRSTRLEN];
    _cleanup_free_ char *host = NULL;
    int port = 0;
    // With two networks (dual stack) the first one holds the API's address.
    _cleanup_free_ char *cidr = xstrndup(layout->service_cidr, strcspn(layout->service_cidr, ","));
    int code = pki_first_address(cidr, service, err);
    if (code < 0)
        return error_prefix(err, code, "service CIDR");
    if (!str_empty(layout->control_plane_endpoint)) {
        host = pki_split_endpoint(layout->control_plane_endpoint, &port, err);
        if (!host)
            return -EINVAL;
    }
    string_list_add(out, layout->node_name);
    string_list_add(out, "kubernetes");
    string_list_add(out, "kubernetes.default");
    string_list_add(out, "kubernetes.default.svc");
    string_list_add_owned(out, xasprintf("kubernetes.default.svc.%s", layout->dns_domain));
    string_list_add(out, service);
    string_list_add(out, layout->advertise_address);
    if (host)
        string_list_add(out, host);
    add_all(out, layout->api_sans);
    return 0;
}

void pki_etcd_alt_names(const struct pki_layout *layout, const struct string_list *further,
                        struct string_list *out)
{
    string_list_add(out, layout->node_name);
    string_list_add(out, "localhost");
    string_list_add(out, layout->advertise_address);
    string_list_add(out, "127.0.0.1");
    string_list_add(out, "::1");
    add_all(out, further);
}
