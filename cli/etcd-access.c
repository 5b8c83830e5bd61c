// See etcd-access.h.
#include "cli/etcd-access.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "manifests/cluster.h"

// --- endpoints

// Without the slash at the end, and with the scheme that etcdctl would take.
static void add_endpoint(struct etcd_access *access, const char *text, size_t len)
{
    while (len > 0 && text[len - 1] == '/')
        len--;
    if (len == 0)
        return;
    _cleanup_free_ char *plain = xstrndup(text, len);
    const char *scheme = strstr(plain, "://") ? "" : access->cacert ? "https://" : "http://";
    _cleanup_free_ char *url = xasprintf("%s%s", scheme, plain);
    if (!string_list_contains(&access->endpoints, url))
        string_list_add(&access->endpoints, url);
}

static void add_endpoints(struct etcd_access *access, const char *urls)
{
    while (urls && *urls) {
        size_t len = strcspn(urls, ",");
        add_endpoint(access, urls, len);
        urls += len + (urls[len] == ',');
    }
}

// The other members are likely to listen for clients where this node's member does, each on the
// host that it has for its peers. So this node finds them while its own member is down.
static void add_peers(struct etcd_access *access)
{
    const char *own = access->local.client_urls, *list = access->local.initial_cluster;
    const char *port = own ? strrchr(own, ':') : NULL;
    if (!port || !list || strchr(own, ',') || strspn(port + 1, "0123456789") == 0)
        return;
    size_t scheme = strcspn(own, ":");
    while (*list) {
        size_t len = strcspn(list, ",");
        const char *url = memmem(list, len, "://", 3);
        const char *colon = url ? memrchr(list, ':', len) : NULL;
        if (url && colon > url) {
            _cleanup_free_ char *peer =
                xasprintf("%.*s%.*s%s", (int)scheme, own, (int)(colon - url), url, port);
            add_endpoint(access, peer, strlen(peer));
        }
        list += len + (list[len] == ',');
    }
}

// --- manifests

static char *flag_path(const struct pod *pod, const struct container *container, const char *flag)
{
    const char *value = container_flag(container, flag);
    return value ? container_host_path(pod, container, value) : NULL;
}

static void take_files(struct etcd_access *access, const struct pod *pod,
                       const struct container *container, const char *const flags[3])
{
    if (access->cacert || access->cert)
        return;
    access->cacert = flag_path(pod, container, flags[0]);
    access->cert = flag_path(pod, container, flags[1]);
    access->key = flag_path(pod, container, flags[2]);
}

// kube-apiserver is a client of etcd: its flags are the ones to use.
static void read_apiserver(void *userdata, const struct pod *pod, const struct container *container)
{
    static const char *const files[] = {"etcd-cafile", "etcd-certfile", "etcd-keyfile"};
    struct etcd_access *access = userdata;
    if (!container_runs(container, "kube-apiserver") || access->endpoints.n > 0)
        return;
    const char *urls = container_flag(container, "etcd-servers");
    if (!urls)
        return;
    access->apiserver_servers = xstrdup(urls);
    take_files(access, pod, container, files);
    add_endpoints(access, urls);
}

static char *flag(const struct container *container, const char *name)
{
    return xstrdup_or_null(container_flag(container, name));
}

static void read_local(struct etcd_local *local, const struct pod *pod,
                       const struct container *container)
{
    *local = (struct etcd_local){
        .pod_name = pod_short_name(pod),
        .container_name = xstrdup(container->name),
        .image = xstrdup_or_null(container->image),
        .name = flag(container, "name"),
        .data_dir = flag_path(pod, container, "data-dir"),
        .wal_dir = flag_path(pod, container, "wal-dir"),
        .client_urls = flag(container, "advertise-client-urls"),
        .peer_urls = flag(container, "initial-advertise-peer-urls"),
        .initial_cluster = flag(container, "initial-cluster"),
        .token = flag(container, "initial-cluster-token"),
        .initial_cluster_state = flag(container, "initial-cluster-state"),
    };
}

// etcd's own certificate does for a client too, in kubeadm's layout.
static void read_etcd(void *userdata, const struct pod *pod, const struct container *container)
{
    static const char *const files[] = {"trusted-ca-file", "cert-file", "key-file"};
    struct etcd_access *access = userdata;
    if (!container_runs(container, "etcd") || access->local.name)
        return;
    read_local(&access->local, pod, container);
    if (!access->local.client_urls)
        return;
    if (str_starts_with(access->local.client_urls, "https:"))
        take_files(access, pod, container, files);
    add_endpoints(access, access->local.client_urls);
}

// The first file whose pod runs it; NULL where there is none.
static char *file_of(const struct node_manifests *manifests, const char *program)
{
    LIST_EACH (draft, &manifests->drafts)
        for (size_t i = 0; i < draft->pods.n; i++)
            LIST_EACH (container, &draft->pods.items[i]->spec.containers)
                if (container_runs(container, program))
                    return xstrdup(draft->file);
    return NULL;
}

void etcd_access_from_manifests(const struct node_manifests *manifests, struct etcd_access *ret)
{
    node_manifests_each(manifests, read_apiserver, ret);
    node_manifests_each(manifests, read_etcd, ret);
    ret->local.file = file_of(manifests, "etcd");
    ret->apiserver_file = file_of(manifests, "kube-apiserver");
    add_peers(ret);
}

// --- the cluster file

enum { CLIENT_PORT = 2379 };

static int port_of(const char *url)
{
    const char *colon = url ? strrchr(url, ':') : NULL;
    long long port = 0;
    return colon && str_to_int(colon + 1, 1, UINT16_MAX, &port) == 0 ? (int)port : CLIENT_PORT;
}

static void add_node(struct etcd_access *access, const struct cluster_node *node)
{
    bool v6 = strchr(node->address, ':') != NULL;
    _cleanup_free_ char *url = xasprintf("https://%s%s%s:%d", v6 ? "[" : "", node->address,
                                         v6 ? "]" : "", port_of(access->local.client_urls));
    add_endpoint(access, url, strlen(url));
}

// kubeadm's client of etcd, or the member's own certificate.
static void take_usual_files(struct etcd_access *access, const char *pki_dir)
{
    static const char *const names[] = {"apiserver-etcd-client", "etcd/healthcheck-client",
                                        "etcd/server"};
    if (!access->cacert)
        access->cacert = xasprintf("%s/etcd/ca.crt", pki_dir);
    for (size_t i = 0; i < ARRAY_SIZE(names) && !access->cert; i++) {
        _cleanup_free_ char *cert = xasprintf("%s/%s.crt", pki_dir, names[i]);
        _cleanup_free_ char *key = xasprintf("%s/%s.key", pki_dir, names[i]);
        if (faccessat(AT_FDCWD, cert, R_OK, 0) < 0 || faccessat(AT_FDCWD, key, R_OK, 0) < 0)
            continue;
        access->cert = TAKE_PTR(cert);
        access->key = TAKE_PTR(key);
    }
}

static void take_cluster(struct etcd_access *access, const struct cluster *cluster)
{
    const struct kubeadm_config *file = &cluster->file;
    if (file->has_external_etcd && file->etcd_endpoints.n > 0) {
        if (!access->cacert)
            access->cacert = xstrdup_or_null(file->etcd_ca_file);
        if (!access->cert) {
            access->cert = xstrdup_or_null(file->etcd_certificate_file);
            access->key = xstrdup_or_null(file->etcd_key_file);
        }
        for (size_t i = 0; i < file->etcd_endpoints.n; i++)
            add_endpoints(access, file->etcd_endpoints.items[i]);
        return;
    }
    take_usual_files(access,
                     file->certificates_dir ? file->certificates_dir : "/etc/kubernetes/pki");
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i].roles & NODE_ETCD)
            add_node(access, &cluster->nodes[i]);
}

// Where the operator names neither, the node's own cluster file counts, if it is there.
static int read_cluster_file(const struct etcd_access_flags *flags, struct etcd_access *access,
                             struct error *err)
{
    _cleanup_cluster_ struct cluster cluster = {0};
    _cleanup_error_ struct error why = ERROR_NONE;
    const char *file = flags->cluster_file;
    if (!file && (flags->endpoints || flags->manifests))
        return 0;
    int r = cluster_load(file ? file : CLUSTER_FILE, &cluster, NULL, &why);
    if (r == -ENOENT && !file)
        return 0;
    if (r < 0)
        return error_set(err, r, "%s", error_message(&why));
    take_cluster(access, &cluster);
    return 0;
}

// --- all together

static void replace(char **member, const char *given)
{
    if (!given)
        return;
    free(*member);
    *member = xstrdup(given);
}

static void take_flags(const struct etcd_access_flags *flags, struct etcd_access *access)
{
    replace(&access->cacert, flags->cacert);
    replace(&access->cert, flags->cert);
    replace(&access->key, flags->key);
    if (!flags->endpoints)
        return;
    string_list_free(&access->endpoints);
    access->endpoints = (struct string_list){0};
    add_endpoints(access, flags->endpoints);
}

int etcd_access_find(const struct etcd_access_flags *flags, const char *manifest_path,
                     struct etcd_access *ret, struct error *err)
{
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    _cleanup_error_ struct error why = ERROR_NONE;
    const char *path = flags->manifests ? flags->manifests : manifest_path;
    int r = node_manifests_load(path, NULL, &manifests, &why);
    // Whoever names the endpoints needs no manifests.
    if (r < 0 && flags->manifests)
        return error_set(err, r, "%s", error_message(&why));
    etcd_access_from_manifests(&manifests, ret);
    r = read_cluster_file(flags, ret, err);
    if (r < 0)
        return r;
    take_flags(flags, ret);
    if (ret->endpoints.n == 0)
        return error_set(err, ENOENT,
                         "no manifest in %s says where etcd is (kube-apiserver --etcd-servers, "
                         "etcd --advertise-client-urls)",
                         path);
    return 0;
}

void etcd_access_free(struct etcd_access *access)
{
    struct etcd_local *local = &access->local;
    char *const texts[] = {local->file,
                           local->pod_name,
                           local->container_name,
                           local->image,
                           local->name,
                           local->data_dir,
                           local->wal_dir,
                           local->client_urls,
                           local->peer_urls,
                           local->initial_cluster,
                           local->token,
                           local->initial_cluster_state,
                           access->apiserver_file,
                           access->apiserver_servers,
                           access->cacert,
                           access->cert,
                           access->key};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    string_list_free(&access->endpoints);
    *access = (struct etcd_access){0};
}

int etcd_access_connect(const struct etcd_access *access, const struct string_list *endpoints,
                        int timeout_msec, struct etcd_client **ret, struct error *err)
{
    const struct etcd_config config = {
        .endpoints = endpoints ? endpoints : &access->endpoints,
        .cacert = access->cacert,
        .cert = access->cert,
        .key = access->key,
        .timeout_msec = timeout_msec,
    };
    return etcd_client_new(&config, ret, err);
}
