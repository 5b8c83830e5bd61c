// See quorum.h.
#include "etcd/quorum.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "etcd/maintenance.h"
#include "etcd/members.h"
#include "etcd/reach.h"

// etcd keeps as many entries for those that lag; who is further behind needs a snapshot first
// (etcd/etcdserver/server.go: DefaultSnapshotCatchUpEntries).
enum { LAG_MOST = 5000 };

// What one member said, or why it said nothing.
enum answer {
    ANSWER_GOOD,    // it knows a leader
    ANSWER_LONELY,  // it answers, and knows none
    ANSWER_CLOSED,  // nothing listens there
    ANSWER_SILENT,  // the time was up
    ANSWER_UNCLEAR, // something is there that does not talk to us: certificates, another program
};

struct reply {
    enum answer answer;
    struct etcd_status status;
    struct error why;
};

static void reply_clear(struct reply *reply)
{
    etcd_status_free(&reply->status);
    error_clear(&reply->why);
}

void quorum_view_free(struct quorum_view *view)
{
    free(view->why);
    free(view->name);
    string_list_free(&view->endpoints);
    string_list_free(&view->away);
    *view = (struct quorum_view){0};
}

static int connect_to(const struct quorum_question *q, const struct string_list *urls,
                      struct etcd_client **ret, struct error *err)
{
    const struct etcd_config config = {
        .endpoints = urls,
        .cacert = q->cacert,
        .cert = q->cert,
        .key = q->key,
        .timeout_msec = QUORUM_ASK_MSEC,
    };
    int code = etcd_client_new(&config, ret, err);
    if (code == 0)
        etcd_client_set_interrupt(*ret, q->interrupt_fd);
    return code;
}

// True where nothing listens on any of them.
static bool is_closed(const struct string_list *urls, struct error *err)
{
    for (size_t i = 0; i < urls->n; i++) {
        error_clear(err);
        if (etcd_reach(urls->items[i], QUORUM_ASK_MSEC, err) != -ECONNREFUSED)
            return false;
    }
    return urls->n > 0;
}

bool quorum_is_closed(const struct quorum_question *question)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    return is_closed(question->own, &err);
}

// 0, or -ECANCELED.
static int ask(const struct quorum_question *q, const struct string_list *urls, struct reply *ret)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    if (urls->n == 0) {
        ret->answer = ANSWER_CLOSED;
        error_set(&ret->why, ENOTCONN, "has not started yet");
        return 0;
    }
    if (is_closed(urls, &ret->why)) {
        ret->answer = ANSWER_CLOSED;
        return 0;
    }
    error_clear(&ret->why);
    monotime asked = monotime_now();
    int code = connect_to(q, urls, &client, &ret->why);
    if (code == 0)
        code = etcd_status(client, &ret->status, &ret->why);
    if (code == -ECANCELED)
        return code;
    if (code == 0) {
        ret->answer = ret->status.leader_id ? ANSWER_GOOD : ANSWER_LONELY;
        return 0;
    }
    // Each URL has its share of the time.
    int64_t share_usec = QUORUM_ASK_MSEC * USEC_PER_MSEC / (int64_t)(urls->n + 1);
    bool silent = monotime_since(monotime_now(), asked) >= share_usec;
    ret->answer = silent ? ANSWER_SILENT : ANSWER_UNCLEAR;
    if (silent) // the same words each time
        error_set(&ret->why, EAGAIN, "%s is silent", urls->items[0]);
    return 0;
}

static int list_members(const struct quorum_question *q, const struct string_list *urls,
                        struct etcd_members *ret, struct error *err)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    if (!urls || urls->n == 0)
        return error_set(err, ENOENT, "no other member is known");
    int code = connect_to(q, urls, &client, err);
    return code < 0 ? code : etcd_members(client, ret, err);
}

// ---- counting ----

struct tally {
    size_t left, unclear;
    bool leader;               // somebody who answers knows one
    bool answered;             // somebody answers at all
    int64_t newest;            // raft index
    struct buffer away;        // who does not count, and why
    struct string_list *names; // of those
};

static const char *name_of(const struct etcd_member *member)
{
    return str_empty(member->name) ? "a new member" : member->name;
}

static void add_away(struct tally *tally, const struct etcd_member *member,
                     const struct reply *reply)
{
    const char *name = name_of(member);
    const char *why = error_message(&reply->why);
    buffer_add_str(&tally->away, "; ");
    string_list_add(tally->names, name);
    if (reply->answer == ANSWER_LONELY)
        buffer_printf(&tally->away, "%s knows no leader", name);
    else if (reply->answer == ANSWER_GOOD)
        buffer_printf(&tally->away, "%s is still catching up", name);
    else if (reply->answer == ANSWER_UNCLEAR)
        buffer_printf(&tally->away, "%s cannot be asked (%s)", name, why);
    else
        buffer_printf(&tally->away, "%s does not answer (%s)", name, why);
}

static void count(struct tally *tally, const struct etcd_member *member, const struct reply *reply)
{
    bool good = reply->answer == ANSWER_GOOD;
    tally->leader = tally->leader || good;
    tally->answered = tally->answered || good || reply->answer == ANSWER_LONELY;
    tally->unclear += reply->answer == ANSWER_UNCLEAR;
    if (good && tally->newest - reply->status.raft_index <= LAG_MOST)
        tally->left++;
    else
        add_away(tally, member, reply);
}

// Their answers are taken together first, since each may have got further meanwhile.
static int ask_others(const struct quorum_question *q, const struct etcd_members *members,
                      const struct etcd_member *me, struct tally *tally)
{
    struct reply *replies = xcalloc(members->members.n + 1, sizeof(*replies));
    int code = 0;
    size_t n = 0;
    LIST_EACH (member, &members->members) {
        struct reply *reply = &replies[n++];
        if (member != me && !member->is_learner && code == 0)
            code = ask(q, &member->client_urls, reply);
        if (reply->status.raft_index > tally->newest)
            tally->newest = reply->status.raft_index;
    }
    n = 0;
    LIST_EACH (member, &members->members) {
        struct reply *reply = &replies[n++];
        if (member != me && !member->is_learner && code == 0)
            count(tally, member, reply);
        reply_clear(reply);
    }
    free(replies);
    return code;
}

// ---- the verdict ----

static void say(struct quorum_view *view, enum quorum_verdict verdict, char *why)
{
    view->verdict = verdict;
    free(view->why);
    view->why = why;
}

static void judge(const struct tally *tally, const struct reply *own, struct quorum_view *view)
{
    const char *away = buffer_str(&tally->away);
    bool own_good = own->answer == ANSWER_GOOD, own_lonely = own->answer == ANSWER_LONELY;
    if (view->left >= view->needed) {
        say(view, QUORUM_KEPT,
            xasprintf("without %s, %zu of %zu members are left, %zu are needed%s", view->name,
                      view->left, view->voters, view->needed, away));
        return;
    }
    bool lost = own_good || (!own_lonely && tally->leader);
    if (!lost && (own_lonely || tally->answered || own->answer == ANSWER_SILENT)) {
        say(view, QUORUM_NONE,
            xasprintf("etcd has no quorum now: %s; %zu of %zu members are needed%s",
                      own_lonely ? "the member knows no leader" : "nobody knows a leader",
                      view->needed, view->voters, away));
        return;
    }
    bool hope = view->left + tally->unclear >= view->needed;
    say(view, lost && !hope ? QUORUM_LOST : QUORUM_UNKNOWN,
        xasprintf("stopping %s would leave %zu of %zu members, %zu are needed%s%s", view->name,
                  view->left, view->voters, view->needed, away,
                  view->voters == 2 && view->left == 1
                      ? "; a cluster of two loses its quorum whenever one of them stops"
                      : ""));
}

static const struct etcd_member *find_me(const struct quorum_question *q,
                                         const struct etcd_members *members,
                                         const struct reply *own)
{
    LIST_EACH (member, &members->members) {
        bool same = own->status.member_id ? member->id == own->status.member_id
                                          : q->name && str_equal(member->name, q->name);
        if (same)
            return member;
    }
    return NULL;
}

static void add_endpoints(struct quorum_view *view, const struct etcd_members *members)
{
    LIST_EACH (member, &members->members)
        for (size_t i = 0; i < member->client_urls.n; i++)
            if (!string_list_contains(&view->endpoints, member->client_urls.items[i]))
                string_list_add(&view->endpoints, member->client_urls.items[i]);
}

static int judge_members(const struct quorum_question *q, const struct etcd_members *members,
                         const struct reply *own, struct quorum_view *view)
{
    struct tally tally = {.newest = own->status.raft_index, .names = &view->away};
    const struct etcd_member *me = find_me(q, members, own);
    add_endpoints(view, members);
    LIST_EACH (member, &members->members)
        view->voters += !member->is_learner;
    view->needed = view->voters / 2 + 1;
    if (me && !str_empty(me->name)) {
        free(view->name);
        view->name = xstrdup(me->name);
    }
    view->alone = me && view->voters == 1 && !me->is_learner;
    if (!me || me->is_learner || view->alone) {
        say(view, QUORUM_FREE,
            xasprintf("%s %s", view->name,
                      !me           ? "is no member of the cluster"
                      : view->alone ? "is the only member of its cluster"
                                    : "is a learner, and does not vote"));
        return 0;
    }
    int code = ask_others(q, members, me, &tally);
    view->left = tally.left;
    if (code == 0)
        judge(&tally, own, view);
    buffer_free(&tally.away);
    return code;
}

// Nobody lists the members.
static void judge_unlisted(const struct reply *own, const struct error *why,
                           struct quorum_view *view)
{
    bool none = own->answer == ANSWER_SILENT || own->answer == ANSWER_LONELY;
    const char *first = own->why.message ? error_message(&own->why) : error_message(why);
    say(view, none ? QUORUM_NONE : QUORUM_UNKNOWN,
        xasprintf("etcd cannot be asked who its members are: %s", first));
}

int quorum_look(const struct quorum_question *q, struct quorum_view *ret, struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    _cleanup_etcd_members_ struct etcd_members members = {0};
    struct reply own = {0};
    *ret = (struct quorum_view){.name = xstrdup(q->name ? q->name : "the member")};
    string_list_copy(&ret->endpoints, q->own);
    int code = ask(q, q->own, &own);
    if (code == 0 && own.answer == ANSWER_CLOSED) {
        say(ret, QUORUM_FREE,
            xasprintf("%s does not serve: %s", ret->name, error_message(&own.why)));
    } else if (code == 0) {
        ret->answers = own.answer == ANSWER_GOOD || own.answer == ANSWER_LONELY;
        int listed = list_members(q, ret->answers ? q->own : q->other, &members, &why);
        if (listed == -ECANCELED)
            code = listed;
        else if (listed < 0)
            judge_unlisted(&own, &why, ret);
        else
            code = judge_members(q, &members, &own, ret);
    }
    reply_clear(&own);
    if (code < 0)
        quorum_view_free(ret);
    return code < 0 ? error_set(err, code, "interrupted") : 0;
}

// ---- the way back ----

int quorum_is_back(const struct quorum_question *q, struct error *err)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    _cleanup_etcd_status_ struct etcd_status status = {0};
    _cleanup_etcd_kv_ struct etcd_kv kv = {0};
    int code = connect_to(q, q->own, &client, err);
    if (code == 0)
        code = etcd_status(client, &status, err);
    if (code == 0 && status.leader_id == 0)
        code = error_set(err, EAGAIN, "it knows no leader yet");
    // A linearizable read is answered when the member has applied what the leader has committed.
    if (code == 0)
        code = etcd_get(client, "/mainstay/etcd/quorum", &kv, NULL, err);
    return code == -ENOENT ? 0 : code;
}
