// What follows from the answers of etcd's members: how many may fail, whose turn it is, what the
// manifests should say.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "cli/etcd-member.h"
#include "cli/etcd-snapshot.h"
#include "cli/etcd-survey.h"

// "Hhhl": a letter for each member; H leads, h is healthy, d is dead, l a learner.
static void make(struct etcd_survey *survey, const char *letters)
{
    for (size_t i = 0; letters[i]; i++) {
        struct etcd_member *member = LIST_APPEND(&survey->members.members);
        member->id = (int64_t)i + 10;
        member->name = xasprintf("m%zu", i);
        member->is_learner = letters[i] == 'l';
        string_list_add_owned(&member->peer_urls, xasprintf("https://10.0.0.%zu:2380", i));
        string_list_add_owned(&member->client_urls, xasprintf("https://10.0.0.%zu:2379", i));
    }
    for (size_t i = 0; letters[i]; i++) {
        struct etcd_look *look = LIST_APPEND(&survey->looks);
        look->member = &survey->members.members.items[i];
        look->healthy = look->answers = letters[i] != 'd';
        if (letters[i] == 'H')
            survey->leader_id = look->member->id;
    }
}

static void the_margin_is_said_in_words(void **state)
{
    const struct {
        const char *members, *words;
        size_t spare;
        bool quorum;
    } rows[] = {
        {"H", "1 member, 1 healthy: none may fail", 0, true},
        {"d", "1 member, 0 healthy: no quorum, 1 is needed", 0, false},
        {"Hh", "2 members, 2 healthy: none may fail", 0, true},
        {"Hd", "2 members, 1 healthy: no quorum, 2 are needed", 0, false},
        {"Hhh", "3 members, 3 healthy: 1 may fail", 1, true},
        {"Hhd", "3 members, 2 healthy: none may fail", 0, true},
        {"hdd", "3 members, 1 healthy: no quorum, 2 are needed", 0, false},
        {"Hhhh", "4 members, 4 healthy: 1 may fail", 1, true},
        {"Hhhhh", "5 members, 5 healthy: 2 may fail", 2, true},
        {"Hhhdd", "5 members, 3 healthy: none may fail", 0, true},
        {"Hhhl", "3 members, 3 healthy: 1 may fail (and 1 learner, without a vote)", 1, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_survey_ struct etcd_survey survey = {0};
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        make(&survey, rows[i].members);
        struct etcd_margin margin = etcd_margin_of(&survey);
        etcd_margin_say(&margin, &text);
        assert_string_equal(buffer_str(&text), rows[i].words);
        assert_int_equal(etcd_margin_spare(&margin), rows[i].spare);
        assert_int_equal(etcd_margin_has_quorum(&margin), rows[i].quorum);
    }
}

static void removals_that_cost_the_quorum_are_refused(void **state)
{
    const struct {
        const char *members;
        size_t which;
        int code;
    } rows[] = {
        {"Hhh", 1, 0},       // two of two are left
        {"Hhd", 2, 0},       // the dead one
        {"Hhd", 1, -EPERM},  // one of two would be left
        {"Hhhd", 1, 0},      // two of three
        {"Hhdd", 2, -EPERM}, // there is no quorum now
        {"Hhhdd", 1, -EPERM}, {"Hhhdd", 4, 0}, {"H", 0, -EPERM}, {"Hl", 1, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_survey_ struct etcd_survey survey = {0};
        _cleanup_error_ struct error err = ERROR_NONE;
        make(&survey, rows[i].members);
        const struct etcd_look *look = &survey.looks.items[rows[i].which];
        int code = etcd_check_removal(&survey, look, false, &err);
        if (code != rows[i].code)
            print_message("%s without %zu: %s\n", rows[i].members, rows[i].which,
                          error_message(&err));
        assert_int_equal(code, rows[i].code);
        assert_int_equal(etcd_check_removal(&survey, look, true, NULL), 0);
    }
}

static void a_voter_that_has_not_started_counts_against(void **state)
{
    const struct {
        const char *members;
        bool quorum;
    } rows[] = {{"H", false}, {"Hh", true}, {"Hhh", true}, {"Hhd", false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_survey_ struct etcd_survey survey = {0};
        make(&survey, rows[i].members);
        struct etcd_margin then = etcd_margin_with_voter(etcd_margin_of(&survey));
        assert_int_equal(etcd_margin_has_quorum(&then), rows[i].quorum);
    }
}

static void the_leader_is_last(void **state)
{
    const struct {
        const char *members;
        size_t order[4];
    } rows[] = {{"Hhh", {1, 2, 0}}, {"hHl", {2, 0, 1}}, {"hhh", {0, 1, 2}}, {"hhH", {0, 1, 2}}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_survey_ struct etcd_survey survey = {0};
        make(&survey, rows[i].members);
        _cleanup_free_ size_t *order = etcd_survey_order(&survey);
        for (size_t j = 0; j < survey.looks.n; j++)
            assert_int_equal(order[j], rows[i].order[j]);
    }
}

static void members_are_found_by_what_people_type(void **state)
{
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    make(&survey, "Hhh");
    static const char *const words[] = {"m1", "b", "https://10.0.0.1:2379", "10.0.0.1:2380"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        assert_ptr_equal(etcd_survey_find(&survey, words[i]), &survey.looks.items[1]);
    static const char *const nobody[] = {"", "m", "B0", "10.0.0.1"};
    for (size_t i = 0; i < ARRAY_SIZE(nobody); i++)
        assert_null(etcd_survey_find(&survey, nobody[i]));
}

static void servers_are_brought_in_line(void **state)
{
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    make(&survey, "Hhl");
    const struct {
        const char *before, *after;
    } rows[] = {
        {"https://127.0.0.1:2379", "https://127.0.0.1:2379"},
        {"https://10.0.0.1:2379", "https://10.0.0.1:2379"},
        {"https://10.0.0.9:2379", "https://10.0.0.0:2379,https://10.0.0.1:2379"},
        {"https://10.0.0.1:2379,https://10.0.0.9:2379",
         "https://10.0.0.1:2379,https://10.0.0.0:2379"},
        {"https://10.0.0.0:2379,https://10.0.0.1:2379",
         "https://10.0.0.0:2379,https://10.0.0.1:2379"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *after = etcd_servers_in_line(rows[i].before, &survey.members);
        assert_string_equal(after, rows[i].after);
    }
}

static void an_initial_cluster_names_all_that_have_a_name(void **state)
{
    _cleanup_etcd_survey_ struct etcd_survey survey = {0};
    make(&survey, "Hh");
    struct etcd_node node = {.name = (char *)"new"};
    string_list_add(&node.peer_urls, "https://10.0.0.1:2380");
    free(survey.members.members.items[1].name);
    survey.members.members.items[1].name = xstrdup("");
    _cleanup_free_ char *without = etcd_initial_cluster(&survey.members, NULL);
    _cleanup_free_ char *with = etcd_initial_cluster(&survey.members, &node);
    assert_string_equal(without, "m0=https://10.0.0.0:2380");
    assert_string_equal(with, "m0=https://10.0.0.0:2380,new=https://10.0.0.1:2380");
    string_list_free(&node.peer_urls);
}

static void a_new_node_is_a_name_and_an_address(void **state)
{
    struct etcd_access access = {.local.peer_urls = (char *)"https://10.0.0.1:12380"};
    const struct {
        const char *word, *urls, *name, *url;
    } rows[] = {
        {"m4=10.0.0.4", NULL, "m4", "https://10.0.0.4:12380"},
        {"m4=fd00::4", NULL, "m4", "https://[fd00::4]:12380"},
        {"m4", "https://a:1", "m4", "https://a:1"},
        {"m4=10.0.0.4", "https://a:1,https://b:1", "m4", "https://a:1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_node_ struct etcd_node node = {0};
        assert_int_equal(etcd_new_node(&access, rows[i].word, rows[i].urls, &node, NULL), 0);
        assert_string_equal(node.name, rows[i].name);
        assert_string_equal(node.peer_urls.items[0], rows[i].url);
    }
    static const char *const wrong[] = {"m4", "=10.0.0.4", "m4=", ""};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_etcd_node_ struct etcd_node node = {0};
        assert_int_equal(etcd_new_node(&access, wrong[i], NULL, &node, NULL), -EINVAL);
    }
}

static void only_our_snapshots_are_counted(void **state)
{
    assert_true(etcd_snapshot_is_name("etcd-20261121T174500Z.db"));
    static const char *const others[] = {
        "etcd-20261121T174500Z.db.bak",    "etcd-20261121T17450Z.db",
        "etcd-2026112xT174500Z.db",        "etcd-.db",
        "etcd-20261121T174500Z.d",         "",
        ".etcd-20261121T174500Z.db.part-1"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(etcd_snapshot_is_name(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_margin_is_said_in_words),
        cmocka_unit_test(removals_that_cost_the_quorum_are_refused),
        cmocka_unit_test(a_voter_that_has_not_started_counts_against),
        cmocka_unit_test(the_leader_is_last),
        cmocka_unit_test(members_are_found_by_what_people_type),
        cmocka_unit_test(servers_are_brought_in_line),
        cmocka_unit_test(an_initial_cluster_names_all_that_have_a_name),
        cmocka_unit_test(a_new_node_is_a_name_and_an_address),
        cmocka_unit_test(only_our_snapshots_are_counted),
    };
    return cmocka_run_group_tests_name("etcd-survey", tests, NULL, NULL);
}
