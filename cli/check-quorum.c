// See check.h: etcd's quorum, asked of etcd itself with the endpoints and certificates that the
// manifests' flags name. A linearizable read proves the quorum; the members, asked one by one, tell
// how many more of them it can lose.
#include "cli/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/node-manifests.h"
#include "etcd/maintenance.h"
#include "etcd/members.h"

enum { TIMEOUT_MSEC_MOST = 600000 };

// How etcd is reached.
struct access {
    struct string_list endpoints;
    char *cacert, *cert, *key;
};

static void access_free(struct access *access)
{
    string_list_free(&access->endpoints);
    free(access->cacert);
    free(access->cert);
    free(access->key);
}

// ---- from the manifests ----

static void add_endpoints(struct access *access, const char *urls)
{
    _cleanup_free_ char *copy = xstrdup(urls);
    char *save = NULL;
    for (char *url = strtok_r(copy, ",", &save); url; url = strtok_r(NULL, ",", &save))
        string_list_add(&access->endpoints, url);
}

static char *flag_path(const struct pod *pod, const struct container *container, const char *flag)
{
    const char *value = container_flag(container, flag);
    return value ? container_host_path(pod, container, value) : NULL;
}

static void read_access(struct access *access, const struct pod *pod,
                        const struct container *container, const char *const flags[4])
{
    const char *urls = container_flag(container, flags[0]);
    if (!urls || access->endpoints.n > 0)
        return;
    add_endpoints(access, urls);
    access->cacert = flag_path(pod, container, flags[1]);
    access->cert = flag_path(pod, container, flags[2]);
    access->key = flag_path(pod, container, flags[3]);
}

// kube-apiserver is a client of etcd: its flags are the ones to use.
static void read_apiserver(void *userdata, const struct pod *pod, const struct container *container)
{
    static const char *const flags[] = {"etcd-servers", "etcd-cafile", "etcd-certfile",
                                        "etcd-keyfile"};
    if (container_runs(container, "kube-apiserver"))
        read_access(userdata, pod, container, flags);
}

// etcd's own certificate does for a client too, in kubeadm's layout.
static void read_etcd(void *userdata, const struct pod *pod, const struct container *container)
{
    static const char *const flags[] = {"advertise-client-urls", "trusted-ca-file", "cert-file",
                                        "key-file"};
    if (container_runs(container, "etcd"))
        read_access(userdata, pod, container, flags);
}

static void read_all(const struct node_manifests *manifests, struct access *ret)
{
    node_manifests_each(manifests, read_apiserver, ret);
    node_manifests_each(manifests, read_etcd, ret);
}

bool check_quorum_is_possible(const struct node_manifests *manifests)
{
    _cleanup_(access_free) struct access access = {0};
    read_all(manifests, &access);
    return access.endpoints.n > 0;
}

static int find_access(const struct check_options *options, struct access *ret, struct error *err)
{
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    _cleanup_free_ char *path = check_manifest_path(options);
    int r = node_manifests_load(path, NULL, &manifests, err);
    if (r < 0)
        return r;
    read_all(&manifests, ret);
    if (ret->endpoints.n == 0)
        return error_set(err, ENOENT,
                         "no manifest in %s says where etcd is (kube-apiserver --etcd-servers, "
                         "etcd --advertise-client-urls)",
                         path);
    return 0;
}

// ---- asking ----

static int connect_to(const struct access *access, const struct string_list *endpoints,
                      const struct check_options *options, struct etcd_client **ret,
                      struct error *err)
{
    bool tls = false;
    int64_t msec =
        MIN(options->timeout_nsec / NSEC_PER_USEC / USEC_PER_MSEC, (int64_t)TIMEOUT_MSEC_MOST);
    for (size_t i = 0; i < endpoints->n; i++)
        tls = tls || str_starts_with(endpoints->items[i], "https:");
    const struct etcd_config config = {
        .endpoints = endpoints,
        .cacert = tls ? access->cacert : NULL,
        .cert = tls ? access->cert : NULL,
        .key = tls ? access->key : NULL,
        .timeout_msec = (int)msec,
    };
    return etcd_client_new(&config, ret, err);
}

struct tally {
    size_t voters, answering;
    char *leader; // its name
    int64_t term;
    struct buffer silent; // who does not answer, and why
};

static void ask_member(const struct access *access, const struct etcd_members *members,
                       const struct etcd_member *member, const struct check_options *options,
                       struct tally *tally)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    _cleanup_etcd_status_ struct etcd_status status = {0};
    int r = member->client_urls.n == 0
                ? error_set(&err, ENOTCONN, "has not started yet")
                : connect_to(access, &member->client_urls, options, &client, &err);
    if (r >= 0)
        r = etcd_status(client, &status, &err);
    if (r >= 0 && status.leader_id == 0)
        r = error_set(&err, EAGAIN, "knows no leader");
    if (r < 0) {
        check_add(&tally->silent, "%s: %s", *member->name ? member->name : "a new member",
                  error_message(&err));
        return;
    }
    tally->answering += !member->is_learner;
    tally->term = MAX(tally->term, status.raft_term);
    LIST_EACH (other, &members->members) {
        if (other->id != status.leader_id)
            continue;
        free(tally->leader);
        tally->leader = xstrdup(other->name);
    }
}

static void ask_members(const struct access *access, const struct etcd_members *members,
                        const struct check_options *options, struct tally *tally)
{
    LIST_EACH (member, &members->members) {
        tally->voters += !member->is_learner;
        ask_member(access, members, member, options, tally);
    }
}

// ---- the verdict ----

static int prove_quorum(struct etcd_client *client, struct error *err)
{
    _cleanup_etcd_kv_ struct etcd_kv kv = {0};
    _cleanup_error_ struct error why = ERROR_NONE;
    int r = etcd_get(client, "mainstay/quorum", &kv, NULL, &why);
    return r < 0 && r != -ENOENT ? error_set(err, r, "%s", error_message(&why)) : 0;
}

static bool judge(const struct tally *tally, int proof, const struct error *why, struct buffer *out)
{
    size_t quorum = tally->voters / 2 + 1;
    bool spare = tally->answering > quorum || tally->answering == tally->voters;
    if (proof < 0)
        buffer_printf(out, "etcd has no quorum: %zu of %zu %s, %zu %s needed (%s)",
                      tally->answering, tally->voters,
                      tally->voters == 1 ? "member answers" : "members answer", quorum,
                      quorum == 1 ? "is" : "are", error_message(why));
    else
        buffer_printf(out, "etcd has a quorum: %zu of %zu %s, leader %s, term %" PRId64 "%s",
                      tally->answering, tally->voters,
                      tally->voters == 1 ? "member answers" : "members answer",
                      tally->leader ? tally->leader : "unknown", tally->term,
                      spare ? "" : ", and losing one more would end it");
    if (tally->silent.len > 0)
        check_add(out, "%s", buffer_str(&tally->silent));
    return proof == 0 && spare;
}

static int check(const struct check_options *options, const struct access *access,
                 struct buffer *out, struct error *err)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    _cleanup_etcd_members_ struct etcd_members members = {0};
    _cleanup_error_ struct error why = ERROR_NONE;
    struct tally tally = {0};
    int r = connect_to(access, &access->endpoints, options, &client, err);
    if (r < 0)
        return r;
    if (etcd_members(client, &members, &why) < 0) {
        buffer_printf(out, "etcd does not answer: %s", error_message(&why));
        return 0;
    }
    // In this order: where a leader must be elected first, the members know him afterwards.
    int proof = prove_quorum(client, &why);
    ask_members(access, &members, options, &tally);
    bool well = judge(&tally, proof, &why, out);
    free(tally.leader);
    buffer_free(&tally.silent);
    return well;
}

int check_quorum(const struct check_options *options, const char *const *words, size_t n,
                 struct buffer *out, struct error *err)
{
    _cleanup_(access_free) struct access access = {0};
    int r = find_access(options, &access, err);
    return r < 0 ? r : check(options, &access, out, err);
}
