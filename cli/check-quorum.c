// See check.h: etcd's quorum, asked of etcd itself with the endpoints and certificates that the
// manifests' flags name. A linearizable read proves the quorum; the members, asked one by one, tell
// how many more of them it can lose.
#include "cli/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/etcd-access.h"
#include "etcd/maintenance.h"
#include "etcd/members.h"

enum { TIMEOUT_MSEC_MOST = 600000 };

bool check_quorum_is_possible(const struct node_manifests *manifests)
{
    _cleanup_etcd_access_ struct etcd_access access = {0};
    etcd_access_from_manifests(manifests, &access);
    return access.endpoints.n > 0;
}

static int connect_to(const struct etcd_access *access, const struct string_list *endpoints,
                      const struct check_options *options, struct etcd_client **ret,
                      struct error *err)
{
    int64_t msec =
        MIN(options->timeout_nsec / NSEC_PER_USEC / USEC_PER_MSEC, (int64_t)TIMEOUT_MSEC_MOST);
    return etcd_access_connect(access, endpoints, (int)msec, ret, err);
}

struct tally {
    size_t voters, answering;
    char *leader; // its name
    int64_t term;
    struct buffer silent; // who does not answer, and why
};

static void ask_member(const struct etcd_access *access, const struct etcd_members *members,
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

static void ask_members(const struct etcd_access *access, const struct etcd_members *members,
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

static int check(const struct check_options *options, const struct etcd_access *access,
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
    _cleanup_etcd_access_ struct etcd_access access = {0};
    _cleanup_free_ char *path = check_manifest_path(options);
    const struct etcd_access_flags flags = {.manifests = options->manifests};
    int r = etcd_access_find(&flags, path, &access, err);
    return r < 0 ? r : check(options, &access, out, err);
}
