// `mainstay etcd member`: who belongs to the cluster. What would cost the quorum is refused.
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
#include "cli/table.h"

// --- list

static void join_urls(struct table *table, const struct string_list *urls)
{
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < urls->n; i++)
        buffer_printf(&text, "%s%s", i > 0 ? "," : "", urls->items[i]);
    table_cell(table, text.len > 0 ? buffer_str(&text) : "-");
    buffer_free(&text);
}

static void print_members(const struct etcd_members *members)
{
    static const char *const headings[] = {"ID",           "STATUS",     "NAME", "PEER ADDRS",
                                           "CLIENT ADDRS", "IS LEARNER", NULL};
    _cleanup_table_ struct table *table = table_new(headings);
    LIST_EACH (member, &members->members) {
        table_row(table);
        table_cellf(table, "%" PRIx64, (uint64_t)member->id);
        table_cell(table, *member->name ? "started" : "unstarted");
        table_cell(table, *member->name ? member->name : "-");
        join_urls(table, &member->peer_urls);
        join_urls(table, &member->client_urls);
        table_cell(table, member->is_learner ? "true" : "false");
    }
    table_print(table, true);
}

int etcd_cmd_members(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_members_ struct etcd_members members = {0};
    if (etcd_no_words("members", words, n) != 0)
        return CLI_USAGE;
    int r = etcd_session_open(options, &session, &err);
    if (r >= 0)
        r = etcd_members(session.client, &members, &err);
    if (r < 0)
        return etcd_failed(&err);
    if (!options->output || str_equal(options->output, "wide")) {
        print_members(&members);
        return CLI_DONE;
    }
    json_t *list = json_array();
    LIST_EACH (member, &members.members)
        json_array_append_new(list, etcd_member_json(member));
    etcd_print_json(json_pack("{s:o}", "members", list), options->output);
    return CLI_DONE;
}

// --- what the others share

int etcd_find_member(const struct etcd_survey *survey, const char *word,
                     const struct etcd_look **ret, struct error *err)
{
    _cleanup_buffer_ struct buffer known = BUFFER_EMPTY;
    *ret = etcd_survey_find(survey, word);
    if (*ret)
        return 0;
    LIST_EACH (look, &survey->looks)
        buffer_printf(&known, "%s%s (%" PRIx64 ")", known.len > 0 ? ", " : "",
                      etcd_member_title(look->member), (uint64_t)look->member->id);
    return error_set(err, ENOENT, "etcd has no member %s; there are %s", word, buffer_str(&known));
}

static char *peer_url_of(const struct etcd_access *access, const char *ip)
{
    const char *own = access->local.peer_urls, *colon = own ? strrchr(own, ':') : NULL;
    bool v6 = strchr(ip, ':') != NULL;
    return xasprintf("https://%s%s%s%s", v6 ? "[" : "", ip, v6 ? "]" : "",
                     colon && strchr(colon, '/') == NULL ? colon : ":2380");
}

int etcd_new_node(const struct etcd_access *access, const char *name_is_ip, const char *peer_urls,
                  struct etcd_node *ret, struct error *err)
{
    const char *equals = strchr(name_is_ip, '=');
    bool good = equals ? equals > name_is_ip && equals[1] : *name_is_ip && peer_urls;
    if (!good)
        return error_set(err, EINVAL, "\"%s\" is not NAME=IP%s", name_is_ip,
                         equals ? "" : ", and --peer-urls says no more");
    ret->name = equals ? xstrndup(name_is_ip, (size_t)(equals - name_is_ip)) : xstrdup(name_is_ip);
    ret->address = equals ? xstrdup(equals + 1) : NULL;
    if (peer_urls)
        etcd_split_urls(peer_urls, &ret->peer_urls);
    else
        string_list_add_owned(&ret->peer_urls, peer_url_of(access, ret->address));
    return 0;
}

void etcd_split_urls(const char *urls, struct string_list *ret)
{
    while (*urls) {
        size_t len = strcspn(urls, ",");
        if (len > 0)
            string_list_add_owned(ret, xstrndup(urls, len));
        urls += len + (urls[len] == ',');
    }
}

void etcd_node_free(struct etcd_node *node)
{
    free(node->name);
    free(node->address);
    string_list_free(&node->peer_urls);
    *node = (struct etcd_node){0};
}

int etcd_forget_node(struct etcd_client *client, const char *name, struct error *err)
{
    _cleanup_free_ char *key = xasprintf(ETCD_NODES_PREFIX "%s", name);
    _cleanup_error_ struct error why = ERROR_NONE;
    if (str_empty(name))
        return 0;
    int r = etcd_delete(client, key, &why);
    return r < 0 && r != -ENOENT ? error_set(err, r, "%s", error_message(&why)) : 0;
}

int etcd_check_removal(const struct etcd_survey *survey, const struct etcd_look *look, bool force,
                       struct error *err)
{
    struct etcd_margin now = etcd_margin_of(survey), then = etcd_margin_without(now, look);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const char *name = etcd_member_title(look->member);
    if (look->member->is_learner || force)
        return 0;
    if (then.voters == 0)
        return error_set(err, EPERM, "%s is the only member: without it there is no cluster", name);
    if (!etcd_margin_has_quorum(&now)) {
        etcd_margin_say(&now, &text);
        return error_set(err, EPERM,
                         "%s: etcd changes its members only with a quorum. Start a member again, "
                         "or restore a snapshot: `mainstay etcd snapshot restore FILE`",
                         buffer_str(&text));
    }
    if (etcd_margin_has_quorum(&then))
        return 0;
    etcd_margin_say(&then, &text);
    return error_set(err, EPERM,
                     "without %s there would be %s. Mend the members that are not healthy first, "
                     "or say --force",
                     name, buffer_str(&text));
}

// --- add

enum { ASK_AGAIN_MSEC = 500, READY_MSEC = 20000 };

// etcd takes a change only when all have been connected for some seconds, after a start or after
// the change before.
int etcd_add_member(const struct etcd_session *session, const struct string_list *peer_urls,
                    bool learner, int64_t *ret_id, struct etcd_members *ret_members,
                    struct error *err)
{
    monotime deadline = monotime_add_ms(monotime_now(), READY_MSEC);
    for (bool told = false;; told = true) {
        _cleanup_error_ struct error why = ERROR_NONE;
        int r = etcd_member_add(session->client, peer_urls, learner, ret_id, ret_members, &why);
        if (r != -EAGAIN || monotime_reached(deadline, monotime_now()))
            return r < 0 ? error_set(err, r, "%s", error_message(&why)) : 0;
        if (!told)
            fprintf(stderr, "etcd does not take a new member yet (%s); trying again\n",
                    error_message(&why));
        r = etcd_session_wait(session, ASK_AGAIN_MSEC, err);
        if (r < 0)
            return r;
    }
}

static int check_addition(const struct etcd_options *options, const struct etcd_survey *survey,
                          struct error *err)
{
    struct etcd_margin margin = etcd_margin_of(survey);
    struct etcd_margin then = etcd_margin_with_voter(margin);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (options->force)
        return 0;
    LIST_EACH (look, &survey->looks)
        if (look->member->is_learner && options->learner)
            return error_set(err, EBUSY,
                             "%s (%" PRIx64 ") is a learner yet, and there may be one at a time: "
                             "promote it or remove it first",
                             etcd_member_title(look->member), (uint64_t)look->member->id);
    if (options->learner || etcd_margin_has_quorum(&then))
        return 0;
    etcd_margin_say(&then, &text);
    return error_set(err, EPERM,
                     "with one that votes and has not started there would be %s. Add it as a "
                     "learner (leave --learner=false out), or say --force",
                     buffer_str(&text));
}

char *etcd_initial_cluster(const struct etcd_members *members, const struct etcd_node *node)
{
    struct buffer text = BUFFER_EMPTY;
    LIST_EACH (member, &members->members)
        for (size_t i = 0; i < member->peer_urls.n; i++) {
            bool is_new =
                node && string_list_contains(&node->peer_urls, member->peer_urls.items[i]);
            const char *name = is_new ? node->name : member->name;
            if (!str_empty(name))
                buffer_printf(&text, "%s%s=%s", text.len > 0 ? "," : "", name,
                              member->peer_urls.items[i]);
        }
    return buffer_take(&text);
}

// As etcdctl prints it, so that it can be sourced.
static void say_added(int64_t id, const struct etcd_members *members, const struct etcd_node *node,
                      bool learner)
{
    _cleanup_free_ char *initial = etcd_initial_cluster(members, node);
    etcd_say("Member %" PRIx64 " added to the cluster%s\n", (uint64_t)id,
             learner ? " as a learner" : "");
    printf(
        "ETCD_NAME=\"%s\"\nETCD_INITIAL_CLUSTER=\"%s\"\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n",
        node->name, initial);
    if (learner)
        printf("\nStart it, and when it has caught up: mainstay etcd member promote %s\n",
               node->name);
}

static int member_add(const struct etcd_options *options, const char *word, struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    _cleanup_etcd_members_ struct etcd_members members = {0};
    _cleanup_etcd_node_ struct etcd_node node = {0};
    int64_t id = 0;
    int r = etcd_session_open(options, &session, err);
    if (r >= 0)
        r = etcd_new_node(&session.access, word, options->peer_urls, &node, err);
    if (r >= 0)
        r = etcd_survey_make(session.client, &survey, err);
    if (r >= 0)
        r = check_addition(options, &survey, err);
    if (r >= 0)
        r = etcd_add_member(&session, &node.peer_urls, options->learner, &id, &members, err);
    if (r >= 0)
        say_added(id, &members, &node, options->learner);
    return r;
}

// --- remove, promote, update

static int member_remove(const struct etcd_options *options, const char *word, struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    const struct etcd_look *look = NULL;
    int r = etcd_session_open(options, &session, err);
    if (r >= 0)
        r = etcd_survey_make(session.client, &survey, err);
    if (r >= 0)
        r = etcd_find_member(&survey, word, &look, err);
    if (r >= 0)
        r = etcd_check_removal(&survey, look, options->force, err);
    if (r >= 0)
        r = etcd_member_remove(session.client, look->member->id, err);
    if (r >= 0)
        r = etcd_forget_node(session.client, look->member->name, err);
    if (r < 0)
        return r;
    struct etcd_margin then = etcd_margin_without(etcd_margin_of(&survey), look);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    etcd_margin_say(&then, &text);
    etcd_say("Member %" PRIx64 " (%s) removed from the cluster", (uint64_t)look->member->id,
             etcd_member_title(look->member));
    etcd_say("%s", buffer_str(&text));
    etcd_say("On each node that is left, `mainstay etcd member sync` brings the manifests in line");
    return 0;
}

static int member_promote(const struct etcd_options *options, const char *word, struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    const struct etcd_look *look = NULL;
    int r = etcd_session_open(options, &session, err);
    if (r >= 0)
        r = etcd_survey_make(session.client, &survey, err);
    if (r >= 0)
        r = etcd_find_member(&survey, word, &look, err);
    if (r < 0)
        return r;
    if (!*look->member->name)
        return error_set(err, EBUSY, "%s has not started yet: start etcd on its node first", word);
    r = etcd_member_promote(session.client, look->member->id, err);
    if (r == -EBUSY)
        return error_set(
            err, EBUSY,
            "%s has not caught up with the leader yet; try again in a moment (`mainstay "
            "etcd status` shows its lag)",
            look->member->name);
    if (r == -EALREADY)
        etcd_say("%s votes already", look->member->name);
    else if (r == 0)
        etcd_say("Member %" PRIx64 " (%s) promoted: it votes now", (uint64_t)look->member->id,
                 look->member->name);
    return r == -EALREADY ? 0 : r;
}

static int member_update(const struct etcd_options *options, const char *word, struct error *err)
{
    _cleanup_etcd_session_ struct etcd_session session = ETCD_SESSION_EMPTY;
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    _cleanup_string_list_ struct string_list urls = {0};
    const struct etcd_look *look = NULL;
    if (!options->peer_urls)
        return error_set(err, EINVAL, "say where its peers find it now: --peer-urls=URL");
    etcd_split_urls(options->peer_urls, &urls);
    int r = etcd_session_open(options, &session, err);
    if (r >= 0)
        r = etcd_survey_make(session.client, &survey, err);
    if (r >= 0)
        r = etcd_find_member(&survey, word, &look, err);
    if (r >= 0 && look->member->is_learner)
        r = error_set(err, EPERM,
                      "%s is a learner, and etcd 3.4 would make it a voter by this: promote it "
                      "first",
                      word);
    if (r >= 0)
        r = etcd_member_update(session.client, look->member->id, &urls, err);
    if (r >= 0)
        etcd_say("Member %" PRIx64 " (%s) updated", (uint64_t)look->member->id,
                 etcd_member_title(look->member));
    return r;
}

// --- the words

static const struct {
    const char *name, *argument;
    int (*run)(const struct etcd_options *options, const char *word, struct error *err);
} rows[] = {
    {"add", "NAME=IP", member_add},
    {"remove", "NAME", member_remove},
    {"promote", "NAME", member_promote},
    {"update", "NAME --peer-urls=URL", member_update},
    {"replace", "OLD --node NAME=IP", etcd_member_replace},
    {"sync", NULL, etcd_member_sync},
};

int etcd_cmd_member(const struct etcd_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (n > 0 && str_equal(words[0], "list"))
        return etcd_cmd_members(options, words + 1, n - 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows) && n > 0; i++) {
        if (!str_equal(words[0], rows[i].name))
            continue;
        if (rows[i].argument && n != 2)
            return etcd_usage("say which: mainstay etcd member %s %s", rows[i].name,
                              rows[i].argument);
        if (!rows[i].argument && n > 1)
            return etcd_usage("member %s takes no \"%s\"", rows[i].name, words[1]);
        int r = rows[i].run(options, n > 1 ? words[1] : NULL, &err);
        if (r == -EINVAL && err.code != 0 && !strstr(error_message(&err), "etcdserver"))
            return etcd_usage("%s", error_message(&err));
        return r < 0 ? etcd_failed(&err) : CLI_DONE;
    }
    return etcd_usage("say what to do: member list, add, remove, promote, update, replace or sync");
}
