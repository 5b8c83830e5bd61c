// The cluster's own requests and replies. The replies are what etcd 3.4 sends.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "etcd/codec-cluster.h"

#define HEADER                                                                                     \
    "\"header\":{\"cluster_id\":\"14841639068965178418\",\"member_id\":\"10276657743932975437\","  \
    "\"revision\":\"42\",\"raft_term\":\"2\"}"

static const int64_t member = (int64_t)10276657743932975437ULL;

static void assert_request(char *request, const char *expected)
{
    assert_string_equal(request, expected);
    free(request);
}

static void requests_are_the_gateways(void **state)
{
    char *urls[] = {(char *)"https://10.0.0.1:2380"};
    const struct string_list list = {urls, 1};
    assert_request(etcd_member_add_request(&list, true),
                   "{\"peerURLs\":[\"https://10.0.0.1:2380\"],\"isLearner\":true}");
    assert_request(etcd_member_add_request(&list, false),
                   "{\"peerURLs\":[\"https://10.0.0.1:2380\"]}");
    assert_request(etcd_member_update_request(member, &list),
                   "{\"ID\":\"10276657743932975437\",\"peerURLs\":[\"https://10.0.0.1:2380\"]}");
    assert_request(etcd_member_request(member), "{\"ID\":\"10276657743932975437\"}");
    assert_request(etcd_alarms_request(), "{\"action\":\"GET\"}");
    assert_request(etcd_alarm_request("DEACTIVATE", 7, "NOSPACE"),
                   "{\"action\":\"DEACTIVATE\",\"memberID\":\"7\",\"alarm\":\"NOSPACE\"}");
    assert_request(etcd_move_leader_request(member), "{\"targetID\":\"10276657743932975437\"}");
}

static void status_is_read(void **state)
{
    const char text[] =
        "{" HEADER ",\"version\":\"3.4.23\",\"dbSize\":\"20480\",\"leader\":"
        "\"10276657743932975437\",\"raftIndex\":\"7\",\"raftTerm\":\"2\",\"raftAppliedIndex\":"
        "\"6\",\"errors\":[\"alarm:NOSPACE \"],\"dbSizeInUse\":\"16384\",\"isLearner\":true}";
    const char wrong[] = "{" HEADER ",\"version\":\"3.4.23\",\"errors\":[7]}";
    _cleanup_etcd_status_ struct etcd_status status = {0}, none = {0};
    assert_int_equal(etcd_status_reply(text, strlen(text), &status, NULL), 0);
    assert_string_equal(status.version, "3.4.23");
    assert_int_equal(status.leader_id, member);
    assert_int_equal(status.member_id, member);
    assert_int_equal(status.db_size, 20480);
    assert_int_equal(status.db_size_in_use, 16384);
    assert_int_equal(status.raft_index, 7);
    assert_int_equal(status.raft_applied, 6);
    assert_true(status.is_learner);
    assert_int_equal(status.errors.n, 1);
    assert_int_equal(etcd_status_reply(wrong, strlen(wrong), &none, NULL), -EBADMSG);
    assert_int_equal(etcd_status_reply("{}", 2, &none, NULL), -EBADMSG);
}

static void members_are_read(void **state)
{
    const char text[] = "{" HEADER ",\"members\":[{\"ID\":\"10276657743932975437\",\"name\":"
                        "\"m0\",\"peerURLs\":[\"https://p\"],\"clientURLs\":[\"https://a\","
                        "\"https://b\"]},{\"ID\":\"7\",\"isLearner\":true}]}";
    static const char *const wrong[] = {"{}", "{\"members\":[]}", "{\"members\":[{}]}",
                                        "{\"members\":[{\"ID\":\"1\",\"clientURLs\":[1]}]}"};
    _cleanup_etcd_members_ struct etcd_members list = {0};
    assert_int_equal(etcd_members_reply(text, strlen(text), &list, NULL), 0);
    assert_int_equal(list.members.n, 2);
    assert_string_equal(list.members.items[0].name, "m0");
    assert_int_equal(list.members.items[0].id, (int64_t)10276657743932975437ULL);
    assert_int_equal(list.members.items[0].client_urls.n, 2);
    assert_string_equal(list.members.items[0].peer_urls.items[0], "https://p");
    assert_false(list.members.items[0].is_learner);
    assert_true(list.members.items[1].is_learner);
    assert_string_equal(list.members.items[1].name, "");
    assert_ptr_equal(etcd_members_by_id(&list, 7), &list.members.items[1]);
    assert_null(etcd_members_by_id(&list, 8));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct etcd_members none = {0};
        assert_int_equal(etcd_members_reply(wrong[i], strlen(wrong[i]), &none, NULL), -EBADMSG);
        assert_int_equal(none.members.n, 0);
    }
}

static void an_added_member_is_told(void **state)
{
    const char text[] =
        "{" HEADER ",\"member\":{\"ID\":\"10276657743932975437\",\"isLearner\":true},"
        "\"members\":[{\"ID\":\"10276657743932975437\",\"isLearner\":true}]}";
    static const char *const wrong[] = {"{}", "{\"member\":{\"ID\":\"7\"}}",
                                        "{\"members\":[{\"ID\":\"7\"}]}"};
    _cleanup_etcd_members_ struct etcd_members list = {0};
    int64_t id = 0;
    assert_int_equal(etcd_member_add_reply(text, strlen(text), &id, &list, NULL), 0);
    assert_int_equal(id, member);
    assert_int_equal(list.members.n, 1);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct etcd_members none = {0};
        assert_int_equal(etcd_member_add_reply(wrong[i], strlen(wrong[i]), &id, &none, NULL),
                         -EBADMSG);
        assert_int_equal(none.members.n, 0);
    }
    assert_int_equal(id, member); // untouched by what failed
}

static void alarms_are_read(void **state)
{
    const char text[] = "{" HEADER ",\"alarms\":[{\"memberID\":\"10276657743932975437\",\"alarm\":"
                        "\"NOSPACE\"},{\"alarm\":\"CORRUPT\"}]}";
    static const char *const wrong[] = {"[]", "{\"alarms\":7}", "{\"alarms\":[7]}",
                                        "{\"alarms\":[{\"memberID\":\"-1\"}]}"};
    _cleanup_etcd_alarms_ struct etcd_alarms list = {0}, quiet = {0};
    assert_int_equal(etcd_alarms_reply(text, strlen(text), &list, NULL), 0);
    assert_int_equal(list.alarms.n, 2);
    assert_int_equal(list.alarms.items[0].member_id, member);
    assert_string_equal(list.alarms.items[0].kind, "NOSPACE");
    assert_int_equal(list.alarms.items[1].member_id, 0);
    assert_int_equal(etcd_alarms_reply("{}", 2, &quiet, NULL), 0);
    assert_int_equal(quiet.alarms.n, 0);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(etcd_alarms_reply(wrong[i], strlen(wrong[i]), &quiet, NULL), -EBADMSG);
}

static void snapshots_come_in_pieces(void **state)
{
    const char piece[] = "{\"result\":{\"remaining_bytes\":\"3\",\"blob\":\"Zm9v\"}}";
    const char empty[] = "{\"result\":{}}";
    const char error[] = "{\"error\":{\"grpc_code\":14,\"message\":\"etcdserver: stopped\"}}";
    const char wrong[] = "{\"result\":{\"blob\":\"***\"}}";
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    assert_int_equal(etcd_snapshot_reply(piece, strlen(piece), &out, NULL), 0);
    assert_int_equal(etcd_snapshot_reply(empty, strlen(empty), &out, NULL), 0);
    assert_string_equal(buffer_str(&out), "foo");
    assert_int_equal(etcd_snapshot_reply(error, strlen(error), &out, NULL), -EAGAIN);
    assert_int_equal(etcd_snapshot_reply(wrong, strlen(wrong), &out, NULL), -EBADMSG);
    assert_string_equal(buffer_str(&out), "foo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_the_gateways), cmocka_unit_test(status_is_read),
        cmocka_unit_test(members_are_read),          cmocka_unit_test(an_added_member_is_told),
        cmocka_unit_test(alarms_are_read),           cmocka_unit_test(snapshots_come_in_pieces),
    };
    return cmocka_run_group_tests_name("etcd-codec-cluster", tests, NULL, NULL);
}
