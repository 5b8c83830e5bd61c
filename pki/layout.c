// See layout.h. Three CAs and what each of them signs: two tables, and the order in which the
// pieces are made.
#include "pki/layout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "pki/layout-internal.h"

enum authority { AUTHORITY_CLUSTER, AUTHORITY_FRONT_PROXY, AUTHORITY_ETCD, AUTHORITIES };

static const struct {
    const char *base, *common_name, *witness;
} authorities[AUTHORITIES] = {
    [AUTHORITY_CLUSTER] = {"ca", "kubernetes", "apiserver.crt"},
    [AUTHORITY_FRONT_PROXY] = {"front-proxy-ca", "front-proxy-ca", "front-proxy-client.crt"},
    [AUTHORITY_ETCD] = {"etcd/ca", "etcd-ca", "etcd/server.crt"},
};

enum names { NAMES_NONE, NAMES_API, NAMES_ETCD_SERVER, NAMES_ETCD_PEER };

#define MASTERS "system:masters"
#define BOTH    (CERTIFICATE_SERVER | CERTIFICATE_CLIENT)

// kubeadm's list (phases/certs/certlist.go). A common name of NULL is the node's name.
static const struct leaf {
    const char *base;
    enum authority authority;
    const char *common_name, *organization;
    unsigned usages;
    enum names names;
} leaves[] = {
    {"apiserver", AUTHORITY_CLUSTER, "kube-apiserver", NULL, CERTIFICATE_SERVER, NAMES_API},
    {"apiserver-kubelet-client", AUTHORITY_CLUSTER, "kube-apiserver-kubelet-client", MASTERS,
     CERTIFICATE_CLIENT, NAMES_NONE},
    {"front-proxy-client", AUTHORITY_FRONT_PROXY, "front-proxy-client", NULL, CERTIFICATE_CLIENT,
     NAMES_NONE},
    {"etcd/server", AUTHORITY_ETCD, NULL, NULL, BOTH, NAMES_ETCD_SERVER},
    {"etcd/peer", AUTHORITY_ETCD, NULL, NULL, BOTH, NAMES_ETCD_PEER},
    {"etcd/healthcheck-client", AUTHORITY_ETCD, "kube-etcd-healthcheck-client", MASTERS,
     CERTIFICATE_CLIENT, NAMES_NONE},
    {"apiserver-etcd-client", AUTHORITY_ETCD, "kube-apiserver-etcd-client", MASTERS,
     CERTIFICATE_CLIENT, NAMES_NONE},
};

// What one run has in hand.
struct run {
    struct pki_maker maker;
    struct pki_signer signers[AUTHORITIES];
    struct string_list api, etcd_server, etcd_peer; // alternative names
    int lock;
};

static void run_free(struct run *run)
{
    for (int i = 0; i < AUTHORITIES; i++)
        pki_signer_free(&run->signers[i]);
    string_list_free(&run->api);
    string_list_free(&run->etcd_server);
    string_list_free(&run->etcd_peer);
    key_pool_free(run->maker.pool);
    cleanup_close(&run->lock);
}
#define _cleanup_run_ _cleanup_(run_free)

static int find_names(struct run *run, struct error *err)
{
    const struct pki_layout *layout = run->maker.layout;
    pki_etcd_alt_names(layout, layout->etcd_server_sans, &run->etcd_server);
    pki_etcd_alt_names(layout, layout->etcd_peer_sans, &run->etcd_peer);
    return pki_api_alt_names(layout, &run->api, err);
}

static int check_names(const struct string_list *names, struct error *err)
{
    for (size_t i = 0; i < names->n; i++) {
        if (!certificate_name_is_valid(names->items[i]))
            return error_set(err, EINVAL,
                             "\"%s\" is neither an IP address nor a lower-case DNS name",
                             names->items[i]);
    }
    return 0;
}

static int check_layout(struct run *run, struct error *err)
{
    const struct pki_layout *layout = run->maker.layout;
    unsigned char bytes[sizeof(struct in6_addr)];
    if (!certificate_name_is_valid(layout->node_name))
        return error_set(err, EINVAL, "node name \"%s\": not a lower-case DNS name",
                         layout->node_name);
    if (inet_pton(AF_INET, layout->advertise_address, bytes) != 1 &&
        inet_pton(AF_INET6, layout->advertise_address, bytes) != 1)
        return error_set(err, EINVAL, "advertise address \"%s\": not an IP address",
                         layout->advertise_address);
    int code = find_names(run, err);
    if (code == 0)
        code = check_names(&run->api, err);
    if (code == 0)
        code = check_names(&run->etcd_server, err);
    return code == 0 ? check_names(&run->etcd_peer, err) : code;
}

static bool is_needed(const struct run *run, enum authority authority)
{
    const struct pki_layout *layout = run->maker.layout;
    return authority == AUTHORITY_ETCD ? !layout->external_etcd
                                       : !(layout->without & PKI_WITHOUT_APISERVER);
}

// kube-apiserver's certificate as a client of etcd is the one of etcd's CA that is not a member's.
static bool is_leaf_needed(const struct run *run, const struct leaf *leaf)
{
    bool of_member = str_starts_with(leaf->base, "etcd/");
    unsigned without = run->maker.layout->without;
    return is_needed(run, leaf->authority) && !(without & PKI_AUTHORITIES_ONLY) &&
           !(without & (of_member ? PKI_WITHOUT_ETCD : PKI_WITHOUT_APISERVER));
}

static bool is_missing(const struct run *run, const char *base)
{
    struct stat st;
    _cleanup_free_ char *path = xasprintf("%s/%s.key", run->maker.layout->pki_dir, base);
    return lstat(path, &st) < 0;
}

// Which keys will be asked for, so that they can be begun at once; a wrong guess costs no more than
// a key that nobody takes.
static size_t count_missing_keys(const struct run *run)
{
    size_t n = is_missing(run, "sa") ? 1 : 0;
    for (int i = 0; i < AUTHORITIES; i++)
        n += is_needed(run, (enum authority)i) && is_missing(run, authorities[i].base);
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
        n += is_leaf_needed(run, &leaves[i]) && is_missing(run, leaves[i].base);
    return n + pki_missing_clients(run->maker.layout);
}

static struct pki_leaf leaf_of(const struct run *run, const struct leaf *leaf)
{
    const struct string_list *const alt_names[] = {[NAMES_API] = &run->api,
                                                   [NAMES_ETCD_SERVER] = &run->etcd_server,
                                                   [NAMES_ETCD_PEER] = &run->etcd_peer};
    return (struct pki_leaf){
        .base = leaf->base,
        .suffix = ".crt",
        .spec = {.common_name =
                     leaf->common_name ? leaf->common_name : run->maker.layout->node_name,
                 .organization = leaf->organization,
                 .usages = leaf->usages,
                 .alt_names = alt_names[leaf->names],
                 .lifetime_sec = CERTIFICATE_LEAF_LIFETIME_SEC},
        .fixed_subject = leaf->usages == CERTIFICATE_CLIENT,
    };
}

static void make_all(struct run *run)
{
    for (int i = 0; i < AUTHORITIES; i++) {
        run->signers[i].base = authorities[i].base;
        run->signers[i].witness = authorities[i].witness;
        if (is_needed(run, (enum authority)i))
            pki_make_authority(&run->maker, &run->signers[i], authorities[i].common_name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct pki_leaf leaf = leaf_of(run, &leaves[i]);
        if (is_leaf_needed(run, &leaves[i]))
            pki_make_leaf(&run->maker, &run->signers[leaves[i].authority], &leaf);
    }
    if (run->maker.layout->external_etcd && !run->maker.layout->external_etcd->elsewhere)
        pki_check_external_etcd(&run->maker);
    if (run->maker.layout->without & PKI_WITHOUT_APISERVER)
        return;
    pki_make_service_account_key(&run->maker);
    pki_make_clients(&run->maker, &run->signers[AUTHORITY_CLUSTER], false);
}

static void request_all(struct run *run)
{
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct pki_leaf leaf = leaf_of(run, &leaves[i]);
        if (is_leaf_needed(run, &leaves[i]))
            pki_request_leaf(&run->maker, &leaf);
    }
    pki_make_clients(&run->maker, &run->signers[AUTHORITY_CLUSTER], true);
}

static void make_srv(struct run *run)
{
    pki_make_srv(&run->maker, &run->api);
}

static size_t count_missing_srv_keys(const struct run *run)
{
    return (size_t)is_missing(run, "ca") + (size_t)is_missing(run, "server") +
           (size_t)is_missing(run, "kubecfg");
}

static int run_layout(const struct pki_layout *layout, struct pki_report *report,
                      void (*pieces)(struct run *run), size_t (*count)(const struct run *run),
                      struct error *err)
{
    _cleanup_run_ struct run run = {
        .maker = {.layout = layout, .report = report, .now = walltime_now()}, .lock = -1};
    *report = (struct pki_report){0};
    int code = check_layout(&run, err);
    if (code == 0)
        code = pki_layout_lock(layout, &run.lock, err);
    if (code < 0)
        return code;
    run.maker.pool = key_pool_new(layout->algorithm, count(&run));
    pieces(&run);
    if (report->wrong > 0)
        return error_set(err, EINVAL, "%zu of the pieces could not be made or used", report->wrong);
    return 0;
}

int pki_layout_check(const struct pki_layout *layout, struct error *err)
{
    _cleanup_run_ struct run run = {.maker = {.layout = layout}, .lock = -1};
    return check_layout(&run, err);
}

int pki_layout_make(const struct pki_layout *layout, struct pki_report *report, struct error *err)
{
    return run_layout(layout, report, make_all, count_missing_keys, err);
}

int pki_layout_request(const struct pki_layout *layout, struct pki_report *report,
                       struct error *err)
{
    return run_layout(layout, report, request_all, count_missing_keys, err);
}

int pki_layout_make_srv(const struct pki_layout *layout, struct pki_report *report,
                        struct error *err)
{
    return run_layout(layout, report, make_srv, count_missing_srv_keys, err);
}
