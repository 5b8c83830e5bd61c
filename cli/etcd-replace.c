// `mainstay etcd member replace`: a dead member goes and a new one comes, in one command that can
// be interrupted and run again. Each step first looks whether it is done already.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "cli/etcd-member.h"
#include "cli/etcd-print.h"
#include "manifests/cluster.h"

enum { ASK_AGAIN_MSEC = 500 };

#define REPLACING_PREFIX "/mainstay/etcd/replacing/"

struct replacement {
    const struct etcd_options *options;
    struct etcd_session session;
    struct etcd_survey survey;
    struct etcd_node node;
    const char *old;
    const struct etcd_look *leaving, *coming; // NULL: not there (any more, or yet)
    int64_t id;                               // of the new member
};

static bool has_peer_url(const struct etcd_member *member, const struct string_list *urls)
{
    for (size_t i = 0; i < urls->n; i++)
        if (string_list_contains(&member->peer_urls, urls->items[i]))
            return true;
    return false;
}

// The same name, or even the same address, may be the old member's and the new one's: what has been
// added and has no vote yet is the new one.
static void sort_out(struct replacement *r)
{
    LIST_EACH (look, &r->survey.looks) {
        const struct etcd_member *member = look->member;
        bool is_new = has_peer_url(member, &r->node.peer_urls) &&
                      (member->is_learner || !*member->name ||
                       (str_equal(member->name, r->node.name) && look->healthy));
        if (is_new)
            r->coming = look;
    }
    r->leaving = etcd_survey_find(&r->survey, r->old);
    if (r->leaving == r->coming)
        r->leaving = NULL;
}

// --- what is remembered

// Between the removal and the addition neither of both is a member, and only this tells a command
// that is run again from one with a wrong name.
static char *intent_key(const struct replacement *r)
{
    return xasprintf(REPLACING_PREFIX "%s", r->node.name);
}

static int remember(struct replacement *r, struct error *err)
{
    _cleanup_free_ char *key = intent_key(r);
    return etcd_put(r->session.client, key, r->old, strlen(r->old), 0, err);
}

static bool is_remembered(struct replacement *r)
{
    _cleanup_free_ char *key = intent_key(r);
    _cleanup_etcd_kv_ struct etcd_kv kv = {0};
    return etcd_get(r->session.client, key, &kv, NULL, NULL) == 0 &&
           str_equal(buffer_str(&kv.value), r->old);
}

static int forget(struct replacement *r, struct error *err)
{
    _cleanup_free_ char *key = intent_key(r);
    _cleanup_error_ struct error why = ERROR_NONE;
    int code = etcd_delete(r->session.client, key, &why);
    return code < 0 && code != -ENOENT ? error_set(err, code, "%s", error_message(&why)) : 0;
}

// --- the steps

static int check(struct replacement *r, struct error *err)
{
    if (!r->leaving && !r->coming && !is_remembered(r))
        return etcd_find_member(&r->survey, r->old, &r->leaving, err);
    if (!r->leaving)
        return 0;
    if (r->leaving->healthy && !r->options->force)
        return error_set(err, EPERM,
                         "%s is healthy. Stop it first (on its node: `mainstay stop etcd`), or say "
                         "--force",
                         etcd_member_title(r->leaving->member));
    LIST_EACH (look, &r->survey.looks)
        if (look->member->is_learner && look != r->coming && look != r->leaving)
            return error_set(err, EBUSY,
                             "%s (%" PRIx64 ") is a learner yet, and there may be one at a time: "
                             "promote it or remove it first",
                             etcd_member_title(look->member), (uint64_t)look->member->id);
    return etcd_check_removal(&r->survey, r->leaving, r->options->force, err);
}

static int take_away(struct replacement *r, struct error *err)
{
    if (!r->leaving)
        return 0;
    const struct etcd_member *member = r->leaving->member;
    int code = remember(r, err);
    if (code < 0)
        return code;
    code = etcd_member_remove(r->session.client, member->id, err);
    if (code == -ENOENT) { // by another hand, just now
        error_clear(err);
        code = 0;
    }
    if (code == 0)
        code = etcd_forget_node(r->session.client, member->name, err);
    if (code == 0)
        etcd_say("removed   %s (%" PRIx64 ")", etcd_member_title(member), (uint64_t)member->id);
    return code;
}

static int add_new(struct replacement *r, struct error *err)
{
    if (r->coming) {
        r->id = r->coming->member->id;
        etcd_say("there     %s (%" PRIx64 ") is a member already", r->node.name, (uint64_t)r->id);
        return 0;
    }
    int code = etcd_add_member(&r->session, &r->node.peer_urls, true, &r->id, NULL, err);
    if (code == 0)
        etcd_say("added     %s (%" PRIx64 ") as a learner, at %s", r->node.name, (uint64_t)r->id,
                 r->node.peer_urls.items[0]);
    return code;
}

static void say_what_the_new_node_needs(const struct replacement *r)
{
    _cleanup_etcd_members_ struct etcd_members members = {0};
    if (etcd_members(r->session.client, &members, NULL) < 0)
        return;
    _cleanup_free_ char *initial = etcd_initial_cluster(&members, &r->node);
    const char *address = r->node.address ? r->node.address : "IP";
    etcd_say("next      here, `mainstay pki export %s.keys --for %s`; then, with that file on %s:",
             r->node.name, r->node.name, r->node.name);
    etcd_say("            mainstay join %s.keys --key KEY --node-name %s --advertise-address %s",
             r->node.name, r->node.name, address);
    etcd_say("          or start etcd there with --initial-cluster-state=existing");
    etcd_say("            --initial-cluster=%s", initial);
    fflush(stdout);
}

static int look_at_new(const struct replacement *r, bool *ret_started, struct error *err)
{
    _cleanup_etcd_members_ struct etcd_members members = {0};
    int code = etcd_members(r->session.client, &members, err);
    if (code < 0)
        return code;
    const struct etcd_member *member = etcd_members_by_id(&members, r->id);
    if (!member)
        return error_set(err, ENOENT, "%s was removed again by another hand", r->node.name);
    *ret_started = *member->name != '\0';
    return 0;
}

// 0 once it votes; -EAGAIN: not yet.
static int try_to_promote(struct replacement *r, bool *started, struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    bool now = false;
    int code = look_at_new(r, &now, &why);
    if (code == 0 && now && !*started) {
        etcd_say("started   %s: it is catching up", r->node.name);
        fflush(stdout);
        *started = true;
    }
    if (code == 0)
        code = now ? etcd_member_promote(r->session.client, r->id, &why) : -EAGAIN;
    if (code == -EALREADY)
        return 0;
    if (code == -EBUSY || code == -EAGAIN)
        return -EAGAIN;
    return code < 0 ? error_set(err, code, "%s", error_message(&why)) : 0;
}

// etcd tells nobody when a learner has caught up: it answers when it is asked to promote it.
static int await_vote(struct replacement *r, struct error *err)
{
    monotime deadline = monotime_add_usec(monotime_now(), r->options->wait_nsec / NSEC_PER_USEC);
    bool started = false;
    for (;;) {
        int code = try_to_promote(r, &started, err);
        if (code == 0)
            etcd_say("promoted  %s: it votes now", r->node.name);
        if (code != -EAGAIN)
            return code;
        if (monotime_reached(deadline, monotime_now()))
            return error_set(
                err, ETIMEDOUT,
                "%s has not %s yet. Run the same command again when it has: it goes on "
                "from here",
                r->node.name, started ? "caught up" : "started");
        code = etcd_session_wait(&r->session, ASK_AGAIN_MSEC, err);
        if (code < 0)
            return code;
    }
}

static int bring_in_line(struct replacement *r, struct error *err)
{
    _cleanup_etcd_members_ struct etcd_members members = {0};
    const struct etcd_access_flags *flags = &r->options->access;
    const char *file = flags->cluster_file;
    // Who names another node's manifests does not mean this node's own file.
    if (!file && !flags->manifests && !flags->endpoints)
        file = CLUSTER_FILE;
    int code = file ? etcd_sync_cluster_file(file, r->old, &r->node, err) : 0;
    if (code == 0)
        code = etcd_members(r->session.client, &members, err);
    if (code == 0)
        code = etcd_sync_manifests(&r->session.access, &members, err);
    if (code == 0)
        etcd_say("On each other node, `mainstay etcd member sync` brings its manifests in line, "
                 "one node after the other");
    return code;
}

static int replace(struct replacement *r, struct error *err)
{
    int code = etcd_session_open(r->options, &r->session, err);
    if (code < 0)
        return code;
    etcd_session_catch_signals(&r->session);
    code =
        etcd_new_node(&r->session.access, r->options->node, r->options->peer_urls, &r->node, err);
    if (code >= 0)
        code = etcd_survey_make(r->session.client, &r->survey, err);
    if (code < 0)
        return code;
    sort_out(r);
    code = check(r, err);
    if (code >= 0)
        code = take_away(r, err);
    if (code >= 0)
        code = add_new(r, err);
    if (code < 0)
        return code;
    say_what_the_new_node_needs(r);
    if (r->options->wait_nsec == 0) {
        etcd_say("Then run the same command again: it waits until %s has caught up and promotes it",
                 r->node.name);
        return 0;
    }
    code = await_vote(r, err);
    if (code >= 0)
        code = forget(r, err);
    return code < 0 ? code : bring_in_line(r, err);
}

int etcd_member_replace(const struct etcd_options *options, const char *word, struct error *err)
{
    struct replacement r = {.options = options, .session = ETCD_SESSION_EMPTY, .old = word};
    if (!options->node)
        return error_set(err, EINVAL, "say who comes in its place: --node NAME=IP");
    int code = replace(&r, err);
    if (code == -ECANCELED)
        error_set(err, code, "interrupted; run the same command again, it goes on from here");
    etcd_node_free(&r.node);
    etcd_survey_free(&r.survey);
    etcd_session_free(&r.session);
    return code;
}
