// `mainstay etcd defrag`, `alarm` and `move-leader`: what keeps a cluster in order. A member that
// defragments answers nothing meanwhile, so it is one at a time, the leader last, and none where
// another one is missing already.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "cli/commands.h"
#include "cli/etcd-member.h"
#include "cli/etcd-print.h"
#include "cli/etcd-survey.h"
#include "cli/etcd.h"

enum { DEFRAG_MSEC = 10 * 60 * 1000, BACK_MSEC = 60 * 1000, LOOK_MSEC = 200 };

// --- defrag

static int check_all_healthy(const struct etcd_survey *survey, const struct etcd_look *but,
                             struct error *err)
{
    LIST_EACH (look, &survey->looks)
        if (!look->healthy && look != but && !look->member->is_learner)
            return error_set(
                err, EPERM,
                "%s is not healthy (%s), and a member that defragments answers nothing "
                "meanwhile: mend it first, or say --force",
                etcd_member_title(look->member), error_message(&look->why));
    return 0;
}

// Only when it answers again is it the next one's turn.
static int await_back(const struct etcd_session *session, struct etcd_client *client,
                      struct error *err)
{
    monotime deadline = monotime_add_ms(monotime_now(), BACK_MSEC);
    int64_t usec = 0;
    etcd_client_set_timeout(client, session->timeout_msec);
    for (;;) {
        _cleanup_error_ struct error why = ERROR_NONE;
        int r = etcd_read_through(client, &usec, &why);
        if (r != -EAGAIN || monotime_reached(deadline, monotime_now()))
            return r < 0 ? error_set(err, r, "it does not come back: %s", error_message(&why)) : 0;
        r = etcd_session_wait(session, LOOK_MSEC, err);
        if (r < 0)
            return r;
    }
}

static int defrag_client(const struct etcd_session *session, const struct etcd_look *look,
                         struct etcd_client *client, struct error *err)
{
    _cleanup_etcd_status_ struct etcd_status after = {0};
    char from[ETCD_SIZE_SIZE], to[ETCD_SIZE_SIZE];
    monotime begin = monotime_now();
    etcd_client_set_timeout(client, MAX(session->timeout_msec, (int)DEFRAG_MSEC));
    int r = etcd_defragment(client, err);
    int64_t usec = monotime_since(monotime_now(), begin);
    if (r >= 0 && !look->member->is_learner)
        r = await_back(session, client, err);
    if (r >= 0)
        r = etcd_status(client, &after, err);
    if (r >= 0)
        etcd_say("%s: %s -> %s, took %.1fs", etcd_member_title(look->member),
                 etcd_size_text(look->status.db_size, from), etcd_size_text(after.db_size, to),
                 (double)usec / (double)USEC_PER_SEC);
    return r;
}

static int defrag_one(const struct etcd_session *session, const struct etcd_look *look,
                      struct error *err)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    if (!look->answers)
        return error_set(err, EAGAIN, "%s does not answer: %s", etcd_member_title(look->member),
                         error_message(&look->why));
    int r = etcd_client_beside(session->client, &look->member->client_urls, &client, err);
    if (r >= 0)
        r = defrag_client(session, look, client, err);
    return r < 0 ? error_prefix(err, r, "%s", etcd_member_title(look->member)) : 0;
}

static bool is_meant(const struct etcd_survey *survey, const struct etcd_look *look,
                     const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (etcd_survey_find(survey, words[i]) == look)
            return true;
    return n == 0;
}

static int defrag(const struct etcd_options *options, const char *const *words, size_t n,
                  struct etcd_session *session, struct etcd_survey *survey, struct error *err)
{
    const struct etcd_look *look = NULL;
    int r = 0;
    for (size_t i = 0; i < n && r >= 0; i++)
        r = etcd_find_member(survey, words[i], &look, err);
    // The only one that is meant may be the one that is not well.
    if (r >= 0 && !options->force)
        r = check_all_healthy(survey, n == 1 ? look : NULL, err);
    _cleanup_free_ size_t *order = etcd_survey_order(survey);
    for (size_t i = 0; i < survey->looks.n && r >= 0; i++) {
        look = &survey->looks.items[order[i]];
        if (is_meant(survey, look, words, n))
            r = defrag_one(session, look, err);
    }
    return r;
}

int etcd_cmd_defrag(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    int r = etcd_session_open(options, &session, &err);
    if (r >= 0) {
        etcd_session_catch_signals(&session);
        r = etcd_survey_make(session.client, &survey, &err);
    }
    if (r >= 0)
        r = defrag(options, words, n, &session, &survey, &err);
    return r < 0 ? etcd_failed(&err) : CLI_DONE;
}

// --- alarms

static void say_alarm(const struct etcd_survey *survey, const struct etcd_alarm *alarm,
                      const char *what)
{
    const struct etcd_member *member = etcd_members_by_id(&survey->members, alarm->member_id);
    etcd_say("memberID:%" PRIu64 " alarm:%s (%s)%s", (uint64_t)alarm->member_id, alarm->kind,
             member ? etcd_member_title(member) : "no member of its own", what);
}

// It would be raised again at the next write.
static int check_disarm(const struct etcd_survey *survey, struct error *err)
{
    bool corrupt = false;
    LIST_EACH (alarm, &survey->alarms.alarms)
        corrupt = corrupt || str_equal(alarm->kind, "CORRUPT");
    return corrupt
               ? error_set(err, EPERM,
                           "a member's data differs from the others': replace that member first "
                           "(`mainstay etcd member replace`), or say --force")
               : 0;
}

static int alarms(const struct etcd_options *options, bool disarm, struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    int r = etcd_session_open(options, &session, err);
    if (r >= 0)
        r = etcd_survey_make(session.client, &survey, err);
    etcd_alarms_free(&survey.alarms); // the survey bears it where nobody tells
    if (r >= 0)
        r = etcd_alarms(session.client, &survey.alarms, err);
    if (r >= 0 && disarm && !options->force)
        r = check_disarm(&survey, err);
    LIST_EACH (alarm, &survey.alarms.alarms) {
        if (r >= 0 && disarm)
            r = etcd_alarm_disarm(session.client, alarm->member_id, alarm->kind, err);
        if (r >= 0)
            say_alarm(&survey, alarm, disarm ? " disarmed" : "");
    }
    return r < 0 ? r : !disarm && survey.alarms.alarms.n > 0;
}

int etcd_cmd_alarm(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    bool list = n == 1 && str_equal(words[0], "list");
    bool disarm = n == 1 && str_equal(words[0], "disarm");
    if (!list && !disarm)
        return etcd_usage("say what to do: alarm list or alarm disarm");
    int r = alarms(options, disarm, &err);
    return r < 0 ? etcd_failed(&err) : r > 0 ? CLI_NO : CLI_DONE;
}

// --- the leader

static int move_leader(const struct etcd_options *options, const char *word, struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    const struct etcd_look *to = NULL;
    int r = etcd_session_open(options, &session, err);
    if (r >= 0)
        r = etcd_survey_make(session.client, &survey, err);
    if (r >= 0)
        r = etcd_find_member(&survey, word, &to, err);
    const struct etcd_member *from =
        r >= 0 ? etcd_members_by_id(&survey.members, survey.leader_id) : NULL;
    if (r >= 0 && !from)
        r = error_set(err, EAGAIN, "etcd has no leader now; see `mainstay etcd status`");
    if (r >= 0 && (!to->healthy || to->member->is_learner))
        r = error_set(err, EPERM, "%s cannot lead: %s", word,
                      to->member->is_learner ? "it is a learner" : error_message(&to->why));
    if (r < 0)
        return r;
    if (from == to->member) {
        etcd_say("%s is the leader", word);
        return 0;
    }
    r = etcd_client_beside(session.client, &from->client_urls, &client, err);
    if (r >= 0)
        r = etcd_move_leader(client, to->member->id, err);
    if (r >= 0)
        etcd_say("Leadership transferred from %s to %s", etcd_member_title(from), word);
    return r;
}

int etcd_cmd_move_leader(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (n != 1)
        return etcd_usage("say to whom: mainstay etcd move-leader NAME");
    return move_leader(options, words[0], &err) < 0 ? etcd_failed(&err) : CLI_DONE;
}
