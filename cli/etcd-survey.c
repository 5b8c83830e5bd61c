// See etcd-survey.h.
#include "cli/etcd-survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/monotime.h"

// What is read to prove that a member has a leader and a quorum behind it; it need not be there.
#define HEALTH_KEY "/mainstay/health"

enum { AT_ONCE_MSEC = 1500 };

const char *etcd_member_title(const struct etcd_member *member)
{
    return *member->name ? member->name : "a new member";
}

// --- asking

static int read_once(struct etcd_client *client, int64_t *ret_usec, struct error *err)
{
    _cleanup_etcd_kv_ struct etcd_kv kv = {0};
    _cleanup_error_ struct error why = ERROR_NONE;
    monotime begin = monotime_now();
    int r = etcd_get(client, HEALTH_KEY, &kv, NULL, &why);
    *ret_usec = MAX(monotime_since(monotime_now(), begin), (int64_t)1);
    // A key that is not there, or that this certificate's user must not see, was looked up all the
    // same.
    if (r < 0 && r != -ENOENT && r != -EACCES)
        return error_set(err, r, "%s", error_message(&why));
    return 0;
}

int etcd_read_through(struct etcd_client *client, int64_t *ret_usec, struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    int r = read_once(client, ret_usec, &why);
    // "leader changed" is said at once to who asks while it changes; the next one is answered when
    // there is one.
    if (r == -EAGAIN && *ret_usec < AT_ONCE_MSEC * USEC_PER_MSEC) {
        error_clear(&why);
        r = read_once(client, ret_usec, &why);
    }
    if (r < 0)
        *ret_usec = 0;
    return r < 0 ? error_set(err, r, "%s", error_message(&why)) : 0;
}

static void ask_member(const struct etcd_client *like, struct etcd_look *look)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    if (look->member->client_urls.n == 0) {
        error_set(&look->why, ENOTCONN, "has not started yet");
        return;
    }
    int r = etcd_client_beside(like, &look->member->client_urls, &client, &look->why);
    if (r >= 0)
        r = etcd_status(client, &look->status, &look->why);
    look->answers = r >= 0;
    if (r >= 0 && look->status.member_id != look->member->id)
        r = error_set(&look->why, EBADMSG, "%s: another member answers there: %" PRIx64,
                      look->member->client_urls.items[0], (uint64_t)look->status.member_id);
    if (r < 0)
        return;
    // A learner serves no linearizable reads; that it answers and follows a leader must do.
    if (look->status.is_learner || look->member->is_learner)
        r = look->status.leader_id ? 0 : error_set(&look->why, EAGAIN, "knows no leader");
    else
        r = etcd_read_through(client, &look->latency_usec, &look->why);
    look->healthy = r >= 0;
}

// One who was asked during an election could not answer; that another one was answered afterwards
// proves that it is over.
static void ask_again(const struct etcd_client *like, struct etcd_survey *survey)
{
    bool any = false;
    LIST_EACH (look, &survey->looks)
        any = any || (look->healthy && !look->member->is_learner);
    LIST_EACH (look, &survey->looks) {
        if (!any || !look->answers || look->healthy)
            continue;
        etcd_status_free(&look->status);
        error_clear(&look->why);
        ask_member(like, look);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct etcd_look *x = a, *y = b;
    int order = strcmp(x->member->name, y->member->name);
    return order != 0 ? order : x->member->id < y->member->id ? -1 : x->member->id > y->member->id;
}

static void add_up(struct etcd_survey *survey)
{
    int64_t term = -1;
    LIST_EACH (look, &survey->looks) {
        if (!look->answers)
            continue;
        survey->raft_index = MAX(survey->raft_index, look->status.raft_index);
        // Whoever is cut off may remember a leader of a term that is over.
        if (look->status.leader_id != 0 && look->status.raft_term > term) {
            term = look->status.raft_term;
            survey->leader_id = look->status.leader_id;
        }
    }
}

int etcd_survey_make(struct etcd_client *client, struct etcd_survey *ret, struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    int r = etcd_members(client, &ret->members, err);
    if (r < 0)
        return r;
    LIST_EACH (member, &ret->members.members) {
        struct etcd_look *look = LIST_APPEND(&ret->looks);
        look->member = member;
        ask_member(client, look);
        if (look->why.code == -ECANCELED)
            return error_set(err, ECANCELED, "interrupted");
    }
    ask_again(client, ret);
    qsort(ret->looks.items, ret->looks.n, sizeof(ret->looks.items[0]), by_name);
    add_up(ret);
    // Without a quorum alarms are not told by all versions; the looks tell enough then.
    if (etcd_alarms(client, &ret->alarms, &why) == -ECANCELED)
        return error_set(err, ECANCELED, "interrupted");
    return 0;
}

void etcd_survey_free(struct etcd_survey *survey)
{
    LIST_EACH (look, &survey->looks) {
        etcd_status_free(&look->status);
        error_clear(&look->why);
    }
    free(survey->looks.items);
    etcd_members_free(&survey->members);
    etcd_alarms_free(&survey->alarms);
    *survey = (struct etcd_survey){0};
}

// --- judgements

static size_t quorum_of(size_t voters)
{
    return voters / 2 + 1;
}

struct etcd_margin etcd_margin_of(const struct etcd_survey *survey)
{
    struct etcd_margin margin = {0};
    LIST_EACH (look, &survey->looks) {
        margin.learners += look->member->is_learner;
        margin.voters += !look->member->is_learner;
        margin.healthy += !look->member->is_learner && look->healthy;
    }
    margin.quorum = quorum_of(margin.voters);
    return margin;
}

bool etcd_margin_has_quorum(const struct etcd_margin *margin)
{
    return margin->healthy >= margin->quorum;
}

size_t etcd_margin_spare(const struct etcd_margin *margin)
{
    return etcd_margin_has_quorum(margin) ? margin->healthy - margin->quorum : 0;
}

void etcd_margin_say(const struct etcd_margin *margin, struct buffer *out)
{
    size_t spare = etcd_margin_spare(margin);
    buffer_printf(out, "%zu %s, %zu healthy: ", margin->voters,
                  margin->voters == 1 ? "member" : "members", margin->healthy);
    if (!etcd_margin_has_quorum(margin))
        buffer_printf(out, "no quorum, %zu %s needed", margin->quorum,
                      margin->quorum == 1 ? "is" : "are");
    else if (spare == 0)
        buffer_add_str(out, "none may fail");
    else
        buffer_printf(out, "%zu may fail", spare);
    if (margin->learners > 0)
        buffer_printf(out, " (and %zu %s, without a vote)", margin->learners,
                      margin->learners == 1 ? "learner" : "learners");
}

struct etcd_margin etcd_margin_without(struct etcd_margin margin, const struct etcd_look *look)
{
    if (look->member->is_learner) {
        margin.learners--;
        return margin;
    }
    margin.voters--;
    margin.healthy -= look->healthy;
    margin.quorum = quorum_of(margin.voters);
    return margin;
}

struct etcd_margin etcd_margin_with_voter(struct etcd_margin margin)
{
    margin.voters++;
    margin.quorum = quorum_of(margin.voters);
    return margin;
}

size_t *etcd_survey_order(const struct etcd_survey *survey)
{
    size_t *order = xcalloc(survey->looks.n + 1, sizeof(*order));
    size_t n = 0;
    for (int turn = 0; turn < 3; turn++)
        for (size_t i = 0; i < survey->looks.n; i++) {
            const struct etcd_member *member = survey->looks.items[i].member;
            int its = member->id == survey->leader_id ? 2 : member->is_learner ? 0 : 1;
            if (its == turn)
                order[n++] = i;
        }
    return order;
}

static bool has_url(const struct string_list *urls, const char *word)
{
    for (size_t i = 0; i < urls->n; i++) {
        const char *host = strstr(urls->items[i], "://");
        if (str_equal(urls->items[i], word) || (host && str_equal(host + 3, word)))
            return true;
    }
    return false;
}

const struct etcd_look *etcd_survey_find(const struct etcd_survey *survey, const char *word)
{
    char id[24];
    LIST_EACH (look, &survey->looks)
        if (*word && str_equal(look->member->name, word))
            return look;
    LIST_EACH (look, &survey->looks) {
        snprintf(id, sizeof(id), "%" PRIx64, (uint64_t)look->member->id);
        if (str_equal(id, word) || has_url(&look->member->client_urls, word) ||
            has_url(&look->member->peer_urls, word))
            return look;
    }
    return NULL;
}
