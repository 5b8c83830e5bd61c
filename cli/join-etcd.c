// See join-etcd.h.
#include "cli/join-etcd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/pki-report.h"
#include "cli/term.h"
#include "etcd/maintenance.h"
#include "pki/layout.h"

enum { AGAIN_MSEC = 300 };

void join_member_free(struct join_member *member)
{
    free(member->initial_cluster);
}

// etcd tells nobody when a learner has caught up.
static void pause_a_little(void)
{
    const struct timespec a_little = {.tv_nsec = AGAIN_MSEC * NSEC_PER_USEC * USEC_PER_MSEC};
    nanosleep(&a_little, NULL);
}

static void show(const char *text)
{
    if (term_is_live(stderr))
        fprintf(stderr, "\r\033[K%s", text);
}

// ---- finding ----

static const struct etcd_member *find_by_url(const struct etcd_members *members, const char *url)
{
    LIST_EACH (member, &members->members)
        if (string_list_contains(&member->peer_urls, url))
            return member;
    return NULL;
}

static const struct etcd_member *find_by_name(const struct etcd_members *members, const char *name)
{
    LIST_EACH (member, &members->members)
        if (str_equal(member->name, name))
            return member;
    return NULL;
}

static bool has_data(const struct node_plan *plan)
{
    _cleanup_free_ char *member = path_join(plan->plane.etcd_data_dir, "member");
    return access(member, F_OK) == 0;
}

// Whether this node can be the member that has its peer URL.
static int check_own(const struct node_plan *plan, const struct etcd_member *member,
                     const char *url, struct error *err)
{
    const char *name = plan->plane.node_name;
    if (!str_empty(member->name) && !str_equal(member->name, name))
        return error_set(err, EEXIST,
                         "%s is the peer URL of etcd's member %s already: two nodes "
                         "cannot have one address",
                         url, member->name);
    if (!str_empty(member->name) && !has_data(plan))
        return error_set(err, EEXIST,
                         "etcd knows %s as a member that has run, and its data is not in %s: it "
                         "cannot come back without. On another node, `mainstay etcd member remove "
                         "%s`, and join again",
                         name, plan->plane.etcd_data_dir, name);
    return 0;
}

static int check_stranger(const struct node_plan *plan, const struct etcd_members *members,
                          const char *url, struct error *err)
{
    const char *name = plan->plane.node_name;
    const struct etcd_member *other = find_by_name(members, name);
    if (other)
        return error_set(err, EEXIST,
                         "etcd has a member %s at %s, and this node would be at %s: on another "
                         "node, `mainstay etcd member remove %s` first, or give this one another "
                         "name",
                         name, other->peer_urls.n > 0 ? other->peer_urls.items[0] : "no address",
                         url, name);
    if (has_data(plan))
        return error_set(err, EEXIST,
                         "%s holds the data of a member that this etcd cluster does not have (any "
                         "more): `mainstay reset` on this node, and join again",
                         plan->plane.etcd_data_dir);
    return 0;
}

// ---- adding ----

// Learners came with etcd 3.4.
static bool knows_learners(struct etcd_client *client)
{
    _cleanup_etcd_status_ struct etcd_status status = {0};
    long long major = 0, minor = 0;
    return etcd_status(client, &status, NULL) < 0 ||
           sscanf(status.version, "%lld.%lld", &major, &minor) != 2 || major > 3 ||
           (major == 3 && minor >= 4);
}

static int add(const char *url, struct etcd_client *client, struct error *err)
{
    char *items[] = {(char *)url};
    const struct string_list urls = {.items = items, .n = 1};
    int64_t id = 0;
    int code = etcd_member_add(client, &urls, knows_learners(client), &id, NULL, err);
    if (code < 0 && strstr(error_message(err), "too many learner"))
        return error_set(err, EBUSY, "another node's member is still catching up");
    return code == -EEXIST ? 0 : code;
}

static char *initial_cluster(const struct etcd_members *members, const char *name, int64_t own_id)
{
    struct buffer text = BUFFER_EMPTY;
    LIST_EACH (member, &members->members)
        for (size_t i = 0; i < member->peer_urls.n; i++)
            if (member->id == own_id || !str_empty(member->name))
                buffer_printf(&text, "%s%s=%s", text.len > 0 ? "," : "",
                              member->id == own_id ? name : member->name,
                              member->peer_urls.items[i]);
    return buffer_take(&text);
}

// Members that were added and never started have no name yet, and etcd wants them all.
static int check_others(const struct etcd_members *members, int64_t own_id, struct error *err)
{
    LIST_EACH (member, &members->members)
        if (member->id != own_id && str_empty(member->name))
            return error_set(err, EBUSY,
                             "etcd waits for another new member, %s, to start for the first time: "
                             "finish that join, or `mainstay etcd member remove %016llx`",
                             member->peer_urls.n > 0 ? member->peer_urls.items[0] : "",
                             (unsigned long long)member->id);
    return 0;
}

// One attempt. -EBUSY and -EAGAIN: not now.
static int find_or_add(const struct node_plan *plan, struct etcd_client *client, const char *url,
                       bool *ret_found, struct join_member *ret, struct error *err)
{
    _cleanup_etcd_members_ struct etcd_members members = {0};
    int code = etcd_members(client, &members, err);
    if (code < 0)
        return error_prefix(err, code, "the cluster's etcd does not answer");
    const struct etcd_member *own = find_by_url(&members, url);
    *ret_found = own != NULL;
    code = own ? check_own(plan, own, url, err) : check_stranger(plan, &members, url, err);
    if (code == 0)
        code = check_others(&members, own ? own->id : 0, err);
    if (code == 0 && !own) {
        code = add(url, client, err);
        etcd_members_free(&members);
        if (code == 0)
            code = etcd_members(client, &members, err);
        own = code == 0 ? find_by_url(&members, url) : NULL;
        if (code == 0 && !own)
            code = error_set(err, EAGAIN, "etcd has added %s, and does not show it yet", url);
    }
    if (code < 0 || !own)
        return code;
    *ret = (struct join_member){
        .id = own->id,
        .is_learner = own->is_learner,
        .initial_cluster = initial_cluster(&members, plan->plane.node_name, own->id),
    };
    return 0;
}

int join_etcd_add(const struct node_plan *plan, struct etcd_client *client, monotime deadline,
                  struct join_member *ret, struct error *err)
{
    _cleanup_free_ char *url = pki_url(plan->plane.advertise_address, plan->plane.etcd_peer_port);
    bool found = false;
    int code;
    while ((code = find_or_add(plan, client, url, &found, ret, err)) == -EBUSY || code == -EAGAIN) {
        if (monotime_reached(deadline, monotime_now()))
            break;
        _cleanup_free_ char *why = term_safe(error_message(err));
        _cleanup_free_ char *line = xasprintf("Waiting to be taken in: %s", why);
        show(line);
        pause_a_little();
    }
    show("");
    if (code < 0)
        return code;
    _cleanup_free_ char *what = xasprintf("etcd member %s at %s%s", plan->plane.node_name, url,
                                          ret->is_learner ? " (learner)" : "");
    pki_say(found ? "kept" : "added", found ? TERM_DIM : TERM_GREEN, what, NULL);
    fflush(stdout);
    return 0;
}

int join_etcd_promote(struct etcd_client *client, int64_t id, monotime deadline, struct error *err)
{
    for (;;) {
        int code = etcd_member_promote(client, id, err);
        if (code == 0 || code == -EALREADY) {
            show("");
            pki_say("promoted", TERM_GREEN, "the etcd member votes now", NULL);
            fflush(stdout);
            return 0;
        }
        if (code != -EBUSY && code != -EAGAIN)
            return code;
        if (monotime_reached(deadline, monotime_now())) {
            show("");
            return error_prefix(err, ETIMEDOUT, "the etcd member is not promoted");
        }
        _cleanup_free_ char *why = term_safe(error_message(err));
        _cleanup_free_ char *line = xasprintf("Waiting for etcd's member to catch up: %s", why);
        show(line);
        pause_a_little();
    }
}
