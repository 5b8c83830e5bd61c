// `mainstay etcd status` and `mainstay etcd health`: how the cluster is, and how much more it can
// bear.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "cli/commands.h"
#include "cli/etcd-print.h"
#include "cli/etcd-survey.h"
#include "cli/etcd.h"
#include "cli/table.h"

// Behind the leader by more entries than a busy cluster has in flight.
enum { LAG_MOST = 5000, FREE_PERCENT_MOST = 50, PERCENT = 100, DEFRAG_BYTES_LEAST = 64 << 20 };

static const char *role_of(const struct etcd_survey *survey, const struct etcd_look *look)
{
    if (look->member->id == survey->leader_id)
        return "leader";
    return look->member->is_learner ? "learner" : "follower";
}

static char *alarms_of(const struct etcd_survey *survey, int64_t id)
{
    struct buffer text = BUFFER_EMPTY;
    LIST_EACH (alarm, &survey->alarms.alarms)
        if (alarm->member_id == id || alarm->member_id == 0)
            buffer_printf(&text, "%s%s", text.len > 0 ? "," : "", alarm->kind);
    return buffer_take(&text);
}

// --- the table

static void numbers_cells(struct table *table, const struct etcd_survey *survey,
                          const struct etcd_look *look)
{
    char size[ETCD_SIZE_SIZE], in_use[ETCD_SIZE_SIZE];
    const struct etcd_status *status = &look->status;
    if (!look->answers) {
        for (int i = 0; i < 5; i++)
            table_cell(table, "-");
        return;
    }
    table_cellf(table, "%" PRId64, status->raft_term);
    table_cell(table, etcd_size_text(status->db_size, size));
    table_cell(table,
               status->db_size_in_use > 0 ? etcd_size_text(status->db_size_in_use, in_use) : "-");
    table_cellf(table, "%" PRId64, MAX(survey->raft_index - status->raft_applied, (int64_t)0));
    if (look->latency_usec > 0)
        table_cellf(table, "%.1fms", (double)look->latency_usec / (double)USEC_PER_MSEC);
    else
        table_cell(table, "-");
}

static void wide_cells(struct table *table, const struct etcd_look *look)
{
    table_cellf(table, "%" PRIx64, (uint64_t)look->member->id);
    table_cell(table, look->answers ? look->status.version : "-");
    table_cell(table, look->member->peer_urls.n > 0 ? look->member->peer_urls.items[0] : "-");
    if (look->answers)
        table_cellf(table, "%" PRId64, look->status.raft_index);
    else
        table_cell(table, "-");
}

static void print_table(const struct etcd_survey *survey, bool wide)
{
    static const char *const headings[] = {"NAME",    "ADDRESS", "ROLE",     "HEALTHY",    "TERM",
                                           "DB SIZE", "IN USE",  "LAG",      "LATENCY",    "ALARMS",
                                           "ID",      "VERSION", "PEER URL", "RAFT INDEX", NULL};
    static const char *const narrow[] = {"NAME",    "ADDRESS", "ROLE",   "HEALTHY",
                                         "TERM",    "DB SIZE", "IN USE", "LAG",
                                         "LATENCY", "ALARMS",  NULL};
    _cleanup_table_ struct table *table = table_new(wide ? headings : narrow);
    LIST_EACH (look, &survey->looks) {
        const struct etcd_member *member = look->member;
        _cleanup_free_ char *alarms = alarms_of(survey, member->id);
        table_row(table);
        table_cell(table, *member->name ? member->name : "<not started>");
        table_cell(table, member->client_urls.n > 0 ? member->client_urls.items[0] : "-");
        table_cell(table, role_of(survey, look));
        table_cell_styled(table, look->healthy ? "yes" : "no",
                          look->healthy ? TERM_GREEN : TERM_RED);
        numbers_cells(table, survey, look);
        table_cell_styled(table, *alarms ? alarms : "-", *alarms ? TERM_RED : TERM_PLAIN);
        if (wide)
            wide_cells(table, look);
    }
    table_print(table, true);
}

// --- what it means

static void say_silent(const struct etcd_survey *survey)
{
    LIST_EACH (look, &survey->looks)
        if (!look->healthy)
            etcd_say("%s: %s", etcd_member_title(look->member), error_message(&look->why));
}

static void say_versions(const struct etcd_survey *survey)
{
    _cleanup_string_list_ struct string_list versions = {0};
    struct buffer text = BUFFER_EMPTY;
    LIST_EACH (look, &survey->looks) {
        if (!look->answers)
            continue;
        if (!string_list_contains(&versions, look->status.version))
            string_list_add(&versions, look->status.version);
        buffer_printf(&text, "%s%s on %s", text.len > 0 ? ", " : "", look->status.version,
                      etcd_member_title(look->member));
    }
    if (versions.n > 1)
        etcd_say("the members run different versions (%s): finish the upgrade, one member after "
                 "the other",
                 buffer_str(&text));
    buffer_free(&text);
}

static void say_member(const struct etcd_survey *survey, const struct etcd_look *look)
{
    const struct etcd_status *status = &look->status;
    const char *name = etcd_member_title(look->member);
    int64_t free_bytes = status->db_size - status->db_size_in_use;
    if (!look->answers)
        return;
    if (status->db_size_in_use > 0 && free_bytes > DEFRAG_BYTES_LEAST &&
        free_bytes * PERCENT > status->db_size * FREE_PERCENT_MOST)
        etcd_say("%s: %" PRId64 " %% of the database file is unused; `mainstay etcd defrag` gives "
                 "it back",
                 name, free_bytes * PERCENT / status->db_size);
    if (survey->raft_index - status->raft_applied > LAG_MOST)
        etcd_say("%s is %" PRId64 " entries behind the leader: a slow disk or network?", name,
                 survey->raft_index - status->raft_applied);
    if (look->member->is_learner)
        etcd_say("%s is a learner and has no vote; `mainstay etcd member promote %s` gives it one",
                 name, *look->member->name ? look->member->name : "NAME");
}

static void say_alarms(const struct etcd_survey *survey)
{
    LIST_EACH (alarm, &survey->alarms.alarms) {
        const struct etcd_member *member = etcd_members_by_id(&survey->members, alarm->member_id);
        const char *name = member ? etcd_member_title(member) : "the cluster";
        if (str_equal(alarm->kind, "NOSPACE"))
            etcd_say("alarm NOSPACE of %s: its database has reached --quota-backend-bytes, and "
                     "writes are refused everywhere. Delete what is not needed, let the revisions "
                     "be compacted, run `mainstay etcd defrag` and then `mainstay etcd alarm "
                     "disarm`",
                     name);
        else if (str_equal(alarm->kind, "CORRUPT"))
            etcd_say("alarm CORRUPT of %s: its data differs from the others'. Replace it: "
                     "`mainstay etcd member replace %s --node NAME=IP`",
                     name, member ? name : "NAME");
        else
            etcd_say("alarm %s of %s", alarm->kind, name);
    }
}

// --- for programs

static json_t *look_json(const struct etcd_survey *survey, const struct etcd_look *look)
{
    const struct etcd_status *status = &look->status;
    json_t *o = etcd_member_json(look->member);
    json_object_set_new(o, "healthy", json_boolean(look->healthy));
    json_object_set_new(o, "leader", json_boolean(look->member->id == survey->leader_id));
    json_t *alarms = json_array();
    LIST_EACH (alarm, &survey->alarms.alarms)
        if (alarm->member_id == look->member->id || alarm->member_id == 0)
            json_array_append_new(alarms, json_string(alarm->kind));
    json_object_set_new(o, "alarms", alarms);
    if (look->answers) {
        json_object_set_new(o, "version", json_string(status->version));
        json_object_set_new(o, "raftTerm", json_integer(status->raft_term));
        json_object_set_new(o, "raftIndex", json_integer(status->raft_index));
        json_object_set_new(o, "raftAppliedIndex", json_integer(status->raft_applied));
        json_object_set_new(
            o, "lag", json_integer(MAX(survey->raft_index - status->raft_applied, (int64_t)0)));
        json_object_set_new(o, "dbSize", json_integer(status->db_size));
        json_object_set_new(o, "dbSizeInUse", json_integer(status->db_size_in_use));
    }
    if (look->latency_usec > 0)
        json_object_set_new(o, "latencyMicroseconds", json_integer(look->latency_usec));
    if (!look->healthy)
        json_object_set_new(o, "error", json_string(error_message(&look->why)));
    return o;
}

static json_t *survey_json(const struct etcd_survey *survey)
{
    struct etcd_margin margin = etcd_margin_of(survey);
    _cleanup_buffer_ struct buffer words = BUFFER_EMPTY;
    json_t *members = json_array();
    LIST_EACH (look, &survey->looks)
        json_array_append_new(members, look_json(survey, look));
    etcd_margin_say(&margin, &words);
    return json_pack("{s:o,s:{s:I,s:I,s:I,s:I,s:I,s:b,s:s}}", "members", members, "quorum",
                     "voters", (json_int_t)margin.voters, "healthy", (json_int_t)margin.healthy,
                     "needed", (json_int_t)margin.quorum, "learners", (json_int_t)margin.learners,
                     "mayFail", (json_int_t)etcd_margin_spare(&margin), "there",
                     etcd_margin_has_quorum(&margin), "words", buffer_str(&words));
}

// --- the commands

// A learner that is not there yet takes nothing away.
static bool all_is_well(const struct etcd_survey *survey)
{
    LIST_EACH (look, &survey->looks)
        if (!look->healthy && !look->member->is_learner)
            return false;
    return survey->alarms.alarms.n == 0;
}

static int take_survey(const struct etcd_options *options, struct etcd_survey *survey,
                       struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    int r = etcd_session_open(options, &session, err);
    return r < 0 ? r : etcd_survey_make(session.client, survey, err);
}

int etcd_cmd_status(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    if (etcd_no_words("status", words, n) != 0)
        return CLI_USAGE;
    if (take_survey(options, &survey, &err) < 0)
        return etcd_failed(&err);
    if (options->output && !str_equal(options->output, "wide")) {
        etcd_print_json(survey_json(&survey), options->output);
        return all_is_well(&survey) ? CLI_DONE : CLI_NO;
    }
    struct etcd_margin margin = etcd_margin_of(&survey);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    etcd_margin_say(&margin, &text);
    print_table(&survey, str_equal(options->output, "wide"));
    printf("\n%s\n", buffer_str(&text));
    if (margin.voters > 1 && margin.voters % 2 == 0 && margin.learners == 0)
        etcd_say("an even number of members bears no more failures than one less would");
    say_silent(&survey);
    say_alarms(&survey);
    say_versions(&survey);
    LIST_EACH (look, &survey.looks)
        say_member(&survey, look);
    return all_is_well(&survey) ? CLI_DONE : CLI_NO;
}

// The words that `etcdctl cluster-health` has, which guides show.
static void print_health(const struct etcd_look *look)
{
    const struct etcd_member *member = look->member;
    const char *url = member->client_urls.n > 0 ? member->client_urls.items[0] : "";
    uint64_t id = (uint64_t)member->id;
    _cleanup_free_ char *why = term_safe(error_message(&look->why));
    if (look->healthy)
        printf("member %" PRIx64 " is healthy: got healthy result from %s (%s%s, took %.1fms)\n",
               id, url, etcd_member_title(member), member->is_learner ? ", a learner" : "",
               (double)look->latency_usec / (double)USEC_PER_MSEC);
    else if (look->answers)
        printf("member %" PRIx64 " is unhealthy: got unhealthy result from %s (%s: %s)\n", id, url,
               etcd_member_title(member), why);
    else
        printf("member %" PRIx64 " is unreachable: %s (%s)\n", id, why, etcd_member_title(member));
}

int etcd_cmd_health(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (etcd_no_words("health", words, n) != 0)
        return CLI_USAGE;
    if (take_survey(options, &survey, &err) < 0) {
        if (!options->output)
            etcd_say("cluster is unavailable");
        return etcd_failed(&err);
    }
    if (options->output && !str_equal(options->output, "wide")) {
        etcd_print_json(survey_json(&survey), options->output);
        return all_is_well(&survey) ? CLI_DONE : CLI_NO;
    }
    struct etcd_margin margin = etcd_margin_of(&survey);
    bool all = true;
    LIST_EACH (look, &survey.looks) {
        print_health(look);
        all = all && (look->healthy || look->member->is_learner);
    }
    etcd_margin_say(&margin, &text);
    printf("cluster is %s\n%s\n",
           !etcd_margin_has_quorum(&margin) ? "unavailable"
           : all                            ? "healthy"
                                            : "degraded",
           buffer_str(&text));
    say_alarms(&survey);
    return all && survey.alarms.alarms.n == 0 ? CLI_DONE : CLI_NO;
}
