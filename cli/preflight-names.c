// See preflight-internal.h: whether addresses are this machine's, and names mean what they should.
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "cli/preflight-internal.h"

enum { LOOKUP_SEC = 5 };

// ---- addresses ----

static const void *bytes_of(const struct sockaddr *address, size_t *ret_size)
{
    bool six = address->sa_family == AF_INET6;
    *ret_size = six ? sizeof(struct in6_addr) : sizeof(struct in_addr);
    return six ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
               : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
}

// Every address of 127.0.0.0/8 is this host's.
static bool is_loopback(int family, const unsigned char *bytes)
{
    return family == AF_INET && bytes[0] == 127;
}

static bool is_of_this_host(int family, const unsigned char *bytes, struct string_list *all)
{
    struct ifaddrs *list = NULL;
    bool found = is_loopback(family, bytes);
    if (getifaddrs(&list) < 0)
        return true;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        size_t size;
        if (!i->ifa_addr ||
            (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
            continue;
        const void *own = bytes_of(i->ifa_addr, &size);
        if (i->ifa_addr->sa_family == family && memcmp(own, bytes, size) == 0)
            found = true;
        if (!(i->ifa_flags & IFF_LOOPBACK) && i->ifa_addr->sa_family == family &&
            inet_ntop(family, own, text, sizeof(text)))
            string_list_add(all, text);
    }
    freeifaddrs(list);
    return found;
}

static char *join(const struct string_list *list, const char *none)
{
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < list->n; i++)
        buffer_printf(&text, "%s%s", i == 0 ? "" : ", ", list->items[i]);
    if (list->n == 0)
        buffer_add_str(&text, none);
    return buffer_take(&text);
}

void preflight_address(struct preflight *p)
{
    const char *address = p->subject->plane->advertise_address;
    unsigned char bytes[sizeof(struct in6_addr)];
    int family = strchr(address, ':') ? AF_INET6 : AF_INET;
    _cleanup_string_list_ struct string_list all = {0};
    if (inet_pton(family, address, bytes) != 1) {
        preflight_find(p, PREFLIGHT_ERROR, NULL, "%s is no IP address", address);
        return;
    }
    bool ours = is_of_this_host(family, bytes, &all);
    _cleanup_free_ char *others = join(&all, "none but the loopback's");
    if (!ours)
        preflight_find(p, PREFLIGHT_ERROR, NULL,
                       "%s is no address of this machine, which has %s: give --advertise-address, "
                       "or correct the node's address in the file",
                       address, others);
    else if (is_loopback(family, bytes) && p->subject->n_peers > 0)
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "%s is the loopback's: other machines cannot reach it", address);
    else
        preflight_find(p, PREFLIGHT_GOOD, NULL, "%s is an address of this machine", address);
}

// ---- names ----

// The addresses of a name, and 0; or an EAI_ code, EAI_INPROGRESS where nobody answered in time.
// The request is left to itself then.
static int look_up(const char *name, struct string_list *ret)
{
    struct request {
        struct gaicb cb;
        struct addrinfo hints;
    } *request = xcalloc(1, sizeof(*request));
    const struct timespec limit = {.tv_sec = LOOKUP_SEC};
    request->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    request->cb = (struct gaicb){.ar_name = xstrdup(name), .ar_request = &request->hints};
    struct gaicb *list[] = {&request->cb};
    int r = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
    if (r == 0) {
        gai_suspend((const struct gaicb *const *)list, 1, &limit);
        r = gai_error(&request->cb);
    }
    if (r == EAI_INPROGRESS && gai_cancel(&request->cb) != EAI_CANCELED)
        return r;
    for (struct addrinfo *i = r == 0 ? request->cb.ar_result : NULL; i; i = i->ai_next) {
        char text[INET6_ADDRSTRLEN];
        size_t size;
        if ((i->ai_family == AF_INET || i->ai_family == AF_INET6) &&
            inet_ntop(i->ai_family, bytes_of(i->ai_addr, &size), text, sizeof(text)))
            string_list_add(ret, text);
    }
    if (r == 0)
        freeaddrinfo(request->cb.ar_result);
    free((char *)request->cb.ar_name);
    free(request);
    return r;
}

static const char *why(int code)
{
    return code == EAI_INPROGRESS ? "no answer within 5 s" : gai_strerror(code);
}

// A name that has an address should have this one.
static void judge_node(struct preflight *p, const char *what, const char *name, const char *address,
                       const struct string_list *found)
{
    _cleanup_free_ char *all = join(found, "nothing");
    if (!string_list_contains(found, address))
        preflight_find(p, PREFLIGHT_WARNING, what,
                       "the node's name \"%s\" means %s here, and the node is at %s: correct "
                       "/etc/hosts or the DNS",
                       name, all, address);
    else
        preflight_find(p, PREFLIGHT_GOOD, what, "\"%s\" means %s", name, address);
}

void preflight_hostname(struct preflight *p)
{
    const struct control_plane *plane = p->subject->plane;
    _cleanup_string_list_ struct string_list found = {0};
    int r = look_up(plane->node_name, &found);
    if (r == 0)
        judge_node(p, NULL, plane->node_name, plane->advertise_address, &found);
    else
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "the node's name \"%s\" has no address (%s): people and tools will want it. "
                       "Put \"%s %s\" into /etc/hosts or the DNS",
                       plane->node_name, why(r), plane->advertise_address, plane->node_name);
}

static char *host_of(const char *endpoint)
{
    if (endpoint[0] == '[')
        return xstrndup(endpoint + 1, strcspn(endpoint + 1, "]"));
    const char *colon = strchr(endpoint, ':');
    return colon && !strchr(colon + 1, ':') ? xstrndup(endpoint, (size_t)(colon - endpoint))
                                            : xstrdup(endpoint);
}

static void check_endpoint(struct preflight *p)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    _cleanup_string_list_ struct string_list found = {0};
    _cleanup_free_ char *host = host_of(p->subject->endpoint);
    if (inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1)
        return;
    int r = look_up(host, &found);
    _cleanup_free_ char *all = join(&found, "nothing");
    if (r != 0)
        preflight_find(
            p, PREFLIGHT_ERROR, "endpoint",
            "the control plane's endpoint \"%s\" has no address (%s), and the kubeconfigs "
            "point there: put it into the DNS or /etc/hosts",
            host, why(r));
    else
        preflight_find(p, PREFLIGHT_GOOD, "endpoint", "\"%s\" means %s", host, all);
}

// The other nodes are reached by their addresses: their names are wanted by people.
static void check_peers(struct preflight *p)
{
    _cleanup_buffer_ struct buffer unknown = BUFFER_EMPTY;
    for (size_t i = 0; i < p->subject->n_peers; i++) {
        const struct preflight_peer *peer = &p->subject->peers[i];
        _cleanup_string_list_ struct string_list found = {0};
        if (str_equal(peer->name, p->subject->plane->node_name))
            continue;
        if (look_up(peer->name, &found) != 0)
            buffer_printf(&unknown, "%s%s (%s)", unknown.len > 0 ? ", " : "", peer->name,
                          peer->address);
        else
            judge_node(p, peer->name, peer->name, peer->address, &found);
    }
    if (unknown.len > 0)
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "these nodes' names have no address here: %s. Put them into /etc/hosts or "
                       "the DNS",
                       buffer_str(&unknown));
}

void preflight_names(struct preflight *p)
{
    if (p->subject->endpoint)
        check_endpoint(p);
    check_peers(p);
}
