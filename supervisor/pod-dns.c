// See pod-dns.h. The limits are those of Kubernetes since 1.28 (ExpandedDNSConfig); older resolvers
// of C libraries than of 2017 took six search domains.
#include "supervisor/pod-dns.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"

enum {
    RESOLV_CONF_MAX = 10 << 20,
    SERVERS_MAX = 3,
    SEARCHES_MAX = 32,
    SEARCHES_LENGTH_MAX = 2048,
};

static const char node_file[] = "/etc/resolv.conf";

enum dns_type { DNS_CLUSTER, DNS_HOST, DNS_NONE };

struct dns {
    struct string_list servers, searches, options;
};

static void dns_clear(struct dns *dns)
{
    string_list_free(&dns->servers);
    string_list_free(&dns->searches);
    string_list_free(&dns->options);
}

static enum dns_type type_of(const struct pod *pod)
{
    const char *policy = pod->spec.dnsPolicy ? pod->spec.dnsPolicy : "ClusterFirst";
    if (strcmp(policy, "None") == 0)
        return DNS_NONE;
    if (strcmp(policy, "ClusterFirstWithHostNet") == 0)
        return DNS_CLUSTER;
    return strcmp(policy, "ClusterFirst") == 0 && !pod->spec.hostNetwork ? DNS_CLUSTER : DNS_HOST;
}

bool pod_dns_differs(const struct pod_dns_options *options, const struct pod *pod)
{
    enum dns_type type = type_of(pod);
    if (type == DNS_NONE || pod->spec.dnsConfig)
        return true;
    if (options->resolv_conf && strcmp(options->resolv_conf, node_file) != 0)
        return true;
    return type == DNS_CLUSTER && !str_empty(options->cluster_dns);
}

// ---- lists ----

static void add_new(struct string_list *list, const char *s)
{
    if (!string_list_contains(list, s))
        string_list_add(list, s);
}

static void add_words(struct string_list *list, const char *text, const char *ends)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ends);
        if (n > 0)
            string_list_add_owned(list, xstrndup(p, n));
        p += n + (p[n] != '\0');
    }
}

static void cut(struct string_list *list, size_t n)
{
    while (list->n > n)
        free(list->items[--list->n]);
}

static char *join(const struct string_list *list)
{
    struct buffer out = BUFFER_EMPTY;
    LIST_EACH (item, list)
        buffer_printf(&out, "%s%s", out.len ? " " : "", *item);
    return buffer_take(&out);
}

// ---- the node's file ----

static void read_line(struct dns *dns, const char *line)
{
    _cleanup_string_list_ struct string_list words = {0};
    add_words(&words, line, " \t\r\v\f");
    if (words.n == 0 || words.items[0][0] == '#')
        return;
    const char *what = words.items[0];
    if (strcmp(what, "nameserver") == 0 && words.n > 1)
        string_list_add(&dns->servers, words.items[1]);
    // Of these the last line counts.
    bool search = strcmp(what, "search") == 0, options = strcmp(what, "options") == 0;
    struct string_list *list = search ? &dns->searches : &dns->options;
    if (search || options)
        string_list_free(list);
    for (size_t i = 1; (search || options) && i < words.n; i++) {
        size_t n = strlen(words.items[i]);
        bool dot = search && n > 0 && words.items[i][n - 1] == '.';
        string_list_add_owned(list, xstrndup(words.items[i], n - dot));
    }
}

static int read_node(const struct pod_dns_options *options, struct dns *dns, struct error *err)
{
    const char *path = options->resolv_conf ? options->resolv_conf : node_file;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_string_list_ struct string_list lines = {0};
    if (!*path)
        return 0;
    int code = fs_read_file(AT_FDCWD, path, RESOLV_CONF_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    add_words(&lines, buffer_str(&text), "\n");
    LIST_EACH (line, &lines)
        read_line(dns, *line);
    return 0;
}

// ---- what the pod asks for ----

// The cluster's name servers alone: they ask others for what they do not know.
static void use_cluster(const struct pod_dns_options *options, const struct pod *pod,
                        struct dns *dns)
{
    const char *domain = options->cluster_domain;
    struct string_list node = dns->searches;
    string_list_free(&dns->servers);
    string_list_free(&dns->options);
    dns->searches = (struct string_list){0};
    add_words(&dns->servers, options->cluster_dns, ",");
    if (!str_empty(domain)) {
        string_list_add_owned(&dns->searches,
                              xasprintf("%s.svc.%s", pod->metadata.namespace, domain));
        string_list_add_owned(&dns->searches, xasprintf("svc.%s", domain));
        string_list_add(&dns->searches, domain);
    }
    LIST_EACH (search, &node)
        if (!str_empty(domain))
            add_new(&dns->searches, *search);
        else
            string_list_add(&dns->searches, *search);
    string_list_free(&node);
    string_list_add(&dns->options, "ndots:5");
}

static void use_loopback(const struct pod_dns_options *options, struct dns *dns)
{
    bool v6 = options->node_ip && strchr(options->node_ip, ':');
    string_list_add(&dns->servers, v6 ? "::1" : "127.0.0.1");
    string_list_add(&dns->searches, ".");
}

// A new value takes the place of the old one.
static void set_option(struct string_list *list, const char *name, const char *value)
{
    size_t length = strlen(name);
    char *text = str_empty(value) ? xstrdup(name) : xasprintf("%s:%s", name, value);
    LIST_EACH (item, list)
        if (strncmp(*item, name, length) == 0 &&
            ((*item)[length] == '\0' || (*item)[length] == ':')) {
            free(*item);
            *item = text;
            return;
        }
    string_list_add_owned(list, text);
}

static void merge(struct dns *dns, const struct pod_dns_config *config)
{
    struct dns old = {.servers = dns->servers, .searches = dns->searches};
    dns->servers = dns->searches = (struct string_list){0};
    LIST_EACH (server, &old.servers)
        add_new(&dns->servers, *server);
    LIST_EACH (server, &config->nameservers)
        add_new(&dns->servers, *server);
    LIST_EACH (search, &old.searches)
        add_new(&dns->searches, *search);
    LIST_EACH (search, &config->searches)
        add_new(&dns->searches, *search);
    LIST_EACH (option, &config->options)
        set_option(&dns->options, option->name ? option->name : "", option->value);
    dns_clear(&old);
}

static void warn(struct string_list *warnings, char *sentence)
{
    if (warnings)
        string_list_add_owned(warnings, sentence);
    else
        free(sentence);
}

static void fit(struct dns *dns, struct string_list *warnings)
{
    size_t searches = dns->searches.n, length = 0;
    if (dns->servers.n > SERVERS_MAX) {
        cut(&dns->servers, SERVERS_MAX);
        _cleanup_free_ char *left = join(&dns->servers);
        warn(warnings, xasprintf("a resolver takes %d name servers: the others were left out, %s "
                                 "stay",
                                 SERVERS_MAX, left));
    }
    cut(&dns->searches, SEARCHES_MAX);
    for (size_t i = 0; i < dns->searches.n; i++) {
        length += strlen(dns->searches.items[i]) + (i > 0);
        if (length > SEARCHES_LENGTH_MAX)
            cut(&dns->searches, i);
    }
    if (dns->searches.n < searches) {
        _cleanup_free_ char *left = join(&dns->searches);
        warn(warnings, xasprintf("%zu search domains were left out, %s stay",
                                 searches - dns->searches.n, left));
    }
}

static void print(const struct dns *dns, struct buffer *out)
{
    _cleanup_free_ char *searches = join(&dns->searches), *options = join(&dns->options);
    if (*searches)
        buffer_printf(out, "search %s\n", searches);
    LIST_EACH (server, &dns->servers)
        buffer_printf(out, "nameserver %s\n", *server);
    if (*options)
        buffer_printf(out, "options %s\n", options);
}

int pod_dns_write(const struct pod_dns_options *options, const struct pod *pod, struct buffer *out,
                  struct string_list *warnings, struct error *err)
{
    struct dns dns = {0};
    enum dns_type type = type_of(pod);
    bool no_cluster = type == DNS_CLUSTER && str_empty(options->cluster_dns);
    if (no_cluster)
        warn(warnings, xasprintf("dnsPolicy %s: clusterDNS is not configured, so the pod gets the "
                                 "node's own name servers, as under Default",
                                 pod->spec.dnsPolicy ? pod->spec.dnsPolicy : "ClusterFirst"));
    int code = type == DNS_NONE ? 0 : read_node(options, &dns, err);
    if (code == 0 && type == DNS_CLUSTER && !no_cluster)
        use_cluster(options, pod, &dns);
    else if (code == 0 && type != DNS_NONE && options->resolv_conf && !*options->resolv_conf)
        use_loopback(options, &dns);
    if (code == 0 && pod->spec.dnsConfig)
        merge(&dns, pod->spec.dnsConfig);
    if (code == 0) {
        fit(&dns, warnings);
        print(&dns, out);
    }
    dns_clear(&dns);
    return code;
}
