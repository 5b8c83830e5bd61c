// Requests to and replies from etcd's JSON gateway. The replies are what etcd 3.4 sends.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "etcd/codec.h"

static void assert_request(char *request, const char *expected)
{
    assert_string_equal(request, expected);
    free(request);
}

static void requests_are_the_gateways(void **state)
{
    _cleanup_buffer_ struct buffer end = BUFFER_EMPTY;
    etcd_prefix_end("/a/", &end);
    assert_request(etcd_range_request("/a/b", NULL, 1), "{\"key\":\"L2EvYg==\",\"limit\":\"1\"}");
    assert_request(etcd_range_request("/a/", &end, 0), "{\"key\":\"L2Ev\",\"range_end\":\"L2Ew\"}");
    assert_request(etcd_put_request("k", "v\0w", 3, 7587841418142761000),
                   "{\"key\":\"aw==\",\"value\":\"dgB3\",\"lease\":\"7587841418142761000\"}");
    assert_request(etcd_create_request("k", "v", 1, 5),
                   "{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",\"key\":\"aw==\","
                   "\"create_revision\":\"0\"}],\"success\":[{\"request_put\":{\"key\":\"aw==\","
                   "\"value\":\"dg==\",\"lease\":\"5\"}}],\"failure\":[{\"request_range\":{\"key\":"
                   "\"aw==\"}}]}");
    assert_request(etcd_lease_grant_request(10), "{\"TTL\":\"10\"}");
    assert_request(etcd_lease_request(9), "{\"ID\":\"9\"}");
    assert_request(etcd_watch_request("k", NULL, 12),
                   "{\"create_request\":{\"key\":\"aw==\",\"start_revision\":\"12\"}}");
    assert_request(
        etcd_watch_request("/a/", &end, 2),
        "{\"create_request\":{\"key\":\"L2Ev\",\"range_end\":\"L2Ew\",\"start_revision\":"
        "\"2\"}}");
    assert_request(etcd_swap_request("k", 7, "v", 1, 5),
                   "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"aw==\","
                   "\"mod_revision\":\"7\"}],\"success\":[{\"request_put\":{\"key\":\"aw==\","
                   "\"value\":\"dg==\",\"lease\":\"5\"}}],\"failure\":[{\"request_range\":{\"key\":"
                   "\"aw==\"}}]}");
    assert_request(etcd_delete_if_request("k", 7),
                   "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"aw==\","
                   "\"mod_revision\":\"7\"}],\"success\":[{\"request_delete_range\":{\"key\":"
                   "\"aw==\"}}],\"failure\":[{\"request_range\":{\"key\":\"aw==\"}}]}");
    assert_request(etcd_delete_request("k", NULL), "{\"key\":\"aw==\"}");
}

static void prefixes_end_where_the_next_begins(void **state)
{
    const struct {
        const char *prefix, *end;
        size_t len;
    } rows[] = {{"a", "b", 1},
                {"/registry/", "/registry0", 10},
                {"a\xff\xff", "b", 1},
                {"\xff", "\0", 1},
                {"", "\0", 1}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buffer_ struct buffer end = BUFFER_EMPTY;
        etcd_prefix_end(rows[i].prefix, &end);
        assert_int_equal(end.len, rows[i].len);
        assert_memory_equal(end.data, rows[i].end, rows[i].len);
    }
}

#define HEADER                                                                                     \
    "\"header\":{\"cluster_id\":\"14841639068965178418\",\"member_id\":\"10276657743932975437\","  \
    "\"revision\":\"42\",\"raft_term\":\"2\"}"

static void ranges_are_read(void **state)
{
    const char text[] = "{" HEADER ",\"kvs\":[{\"key\":\"L2EvYg==\",\"create_revision\":\"40\","
                        "\"mod_revision\":\"41\",\"version\":\"2\",\"value\":\"bTA=\",\"lease\":"
                        "\"7587841418142761000\"},{\"key\":\"L2EvYw==\"}],\"count\":\"2\"}";
    _cleanup_etcd_range_ struct etcd_range range = {0}, none = {0};
    assert_int_equal(etcd_range_reply(text, strlen(text), &range, NULL), 0);
    assert_int_equal(range.revision, 42);
    assert_int_equal(range.count, 2);
    assert_int_equal(range.kvs.n, 2);
    const struct etcd_kv *kv = &range.kvs.items[0];
    assert_string_equal(buffer_str(&kv->key), "/a/b");
    assert_string_equal(buffer_str(&kv->value), "m0");
    assert_int_equal(kv->create_revision, 40);
    assert_int_equal(kv->mod_revision, 41);
    assert_int_equal(kv->lease, 7587841418142761000);
    assert_string_equal(buffer_str(&range.kvs.items[1].value), "");

    const char empty[] = "{" HEADER "}";
    assert_int_equal(etcd_range_reply(empty, strlen(empty), &none, NULL), 0);
    assert_int_equal(none.kvs.n, 0);
}

static void creations_win_or_say_who_won(void **state)
{
    const char won[] = "{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_put\":{"
                       "\"header\":{\"revision\":\"42\"}}}]}";
    const char lost[] = "{" HEADER ",\"responses\":[{\"response_range\":{\"header\":{\"revision\":"
                        "\"42\"},\"kvs\":[{\"key\":\"aw==\",\"create_revision\":\"3\","
                        "\"mod_revision\":\"3\",\"version\":\"1\",\"value\":\"bTE=\",\"lease\":"
                        "\"8\"}],\"count\":\"1\"}}]}";
    const char odd[] = "{" HEADER ",\"responses\":[]}";
    _cleanup_etcd_create_ struct etcd_create a = {0}, b = {0}, c = {0};
    assert_int_equal(etcd_create_reply(won, strlen(won), &a, NULL), 0);
    assert_true(a.created);
    assert_int_equal(a.revision, 42);
    assert_int_equal(etcd_create_reply(lost, strlen(lost), &b, NULL), 0);
    assert_false(b.created);
    assert_string_equal(buffer_str(&b.holder.value), "m1");
    assert_int_equal(b.holder.lease, 8);
    assert_int_equal(etcd_create_reply(odd, strlen(odd), &c, NULL), -EBADMSG);
}

static void leases_are_granted_kept_and_gone(void **state)
{
    const char granted[] = "{" HEADER ",\"ID\":\"7587841418142761000\",\"TTL\":\"10\"}";
    const char kept[] = "{\"result\":{" HEADER ",\"ID\":\"7\",\"TTL\":\"9\"}}";
    const char gone[] = "{\"result\":{" HEADER ",\"ID\":\"7\"}}";
    const char without[] = "{" HEADER "}";
    struct etcd_lease lease = {0};
    assert_int_equal(etcd_lease_grant_reply(granted, strlen(granted), &lease, NULL), 0);
    assert_int_equal(lease.id, 7587841418142761000);
    assert_int_equal(lease.ttl_sec, 10);
    assert_int_equal(etcd_lease_keepalive_reply(kept, strlen(kept), &lease, NULL), 0);
    assert_int_equal(lease.ttl_sec, 9);
    assert_int_equal(etcd_lease_keepalive_reply(gone, strlen(gone), &lease, NULL), -ENOENT);
    assert_int_equal(etcd_lease_grant_reply(without, strlen(without), &lease, NULL), -EBADMSG);
    assert_int_equal(lease.ttl_sec, 9); // untouched by what failed
}

static void swaps_are_done_or_say_what_is_there(void **state)
{
    const char done[] = "{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_put\":{}}]}";
    const char other[] = "{" HEADER ",\"responses\":[{\"response_range\":{\"kvs\":[{\"key\":"
                         "\"aw==\",\"mod_revision\":\"9\",\"value\":\"bTE=\"}],\"count\":\"1\"}}]}";
    const char gone[] = "{" HEADER ",\"responses\":[{\"response_range\":{\"header\":{}}}]}";
    const char odd[] = "{" HEADER ",\"responses\":[{\"response_put\":{}}]}";
    _cleanup_etcd_create_ struct etcd_create a = {0}, b = {0}, c = {0}, d = {0};
    assert_int_equal(etcd_swap_reply(done, strlen(done), &a, NULL), 0);
    assert_true(a.created);
    assert_int_equal(etcd_swap_reply(other, strlen(other), &b, NULL), 0);
    assert_false(b.created);
    assert_int_equal(b.holder.mod_revision, 9);
    assert_int_equal(etcd_swap_reply(gone, strlen(gone), &c, NULL), 0);
    assert_false(c.created);
    assert_int_equal(c.holder.key.len, 0);
    assert_int_equal(etcd_swap_reply(odd, strlen(odd), &d, NULL), -EBADMSG);
}

#define TWIN                                                                                       \
    "{\"response_range\":{\"header\":{},\"kvs\":[{\"key\":\"aw==\",\"value\":\"bTE=\",\"lease\":"  \
    "\"8\"}],\"count\":\"1\"}}"
#define NO_TWIN "{\"response_range\":{\"header\":{}}}"

static void twins_are_both_there_or_one_or_none(void **state)
{
    static const struct {
        const char *text;
        bool create, created, first, second;
        int code;
    } rows[] = {
        {"{" HEADER ",\"succeeded\":true,\"responses\":[" TWIN "," TWIN "]}", .first = true,
         .second = true},
        {"{" HEADER ",\"succeeded\":true,\"responses\":[" NO_TWIN "," TWIN "]}", .second = true},
        {"{" HEADER ",\"succeeded\":true,\"responses\":[" NO_TWIN "," NO_TWIN "]}",
         .create = false},
        {"{" HEADER ",\"succeeded\":true,\"responses\":[" TWIN "]}", .code = -EBADMSG},
        {"{" HEADER ",\"responses\":[" TWIN "," NO_TWIN "]}", .create = true, .first = true},
        {"{" HEADER
         ",\"succeeded\":true,\"responses\":[{\"response_put\":{}},{\"response_put\":{}}]}",
         .create = true, .created = true},
        {"{" HEADER ",\"responses\":[]}", .create = true, .code = -EBADMSG},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_twins_ struct etcd_twins twins = {0};
        const char *text = rows[i].text;
        assert_int_equal(etcd_twins_reply(text, strlen(text), rows[i].create, &twins, NULL),
                         rows[i].code);
        assert_int_equal(twins.created, rows[i].created);
        assert_int_equal(twins.kvs[0].lease, rows[i].first ? 8 : 0);
        assert_int_equal(twins.kvs[1].lease, rows[i].second ? 8 : 0);
        assert_int_equal(twins.revision, rows[i].code == 0 ? 42 : 0);
        assert_int_equal(twins.term, rows[i].code == 0 ? 2 : 0);
    }
}

static void watches_begin_report_and_end(void **state)
{
    const char begun[] = "{\"result\":{" HEADER ",\"created\":true}}";
    const char event[] = "{\"result\":{" HEADER ",\"events\":[{\"type\":\"DELETE\",\"kv\":{\"key\":"
                         "\"aw==\",\"mod_revision\":\"43\"}}]}}";
    const char ended[] = "{\"result\":{" HEADER ",\"created\":true,\"canceled\":true,"
                         "\"compact_revision\":\"9\",\"cancel_reason\":\"compacted\"}}";
    const char error[] = "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"no leader\","
                         "\"http_status\":\"Service Unavailable\"}}";
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(etcd_watch_reply(begun, strlen(begun), NULL), 0);
    assert_int_equal(etcd_watch_reply(event, strlen(event), NULL), 1);
    assert_int_equal(etcd_watch_reply(ended, strlen(ended), &err), -EAGAIN);
    assert_string_equal(error_message(&err), "etcd has ended the watch: compacted");
    assert_int_equal(etcd_watch_reply(error, strlen(error), &err), -EAGAIN);
    assert_string_equal(error_message(&err), "no leader");
}

static void errors_keep_their_meaning(void **state)
{
    const struct {
        const char *text;
        int code;
    } rows[] = {
        {"{\"error\":\"etcdserver: requested lease not found\",\"message\":\"etcdserver: requested "
         "lease not found\",\"code\":5}",
         -ENOENT},
        {"{\"error\":\"x\",\"code\":14}", -EAGAIN},
        {"{\"error\":\"x\",\"code\":16}", -EACCES},
        {"{\"error\":\"x\",\"code\":8}", -ENOSPC},
        {"{\"error\":\"x\",\"code\":3}", -EINVAL},
        {"{\"code\":12}", -EOPNOTSUPP},
        {"{}", -EIO},
        {"<html>", -EBADMSG},
        {"", -EBADMSG},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        assert_int_equal(etcd_error_reply(rows[i].text, strlen(rows[i].text), &err), rows[i].code);
        assert_true(strlen(error_message(&err)) > 0);
    }
}

static void nonsense_is_refused(void **state)
{
    const char *const rows[] = {"",
                                "[]",
                                "{\"kvs\":7}",
                                "{\"kvs\":[{\"key\":\"***\"}]}",
                                "{\"kvs\":[{\"key\":\"aw=\"}]}",
                                "{\"kvs\":[{\"lease\":\"12x\"}]}",
                                "{\"kvs\":[{\"lease\":\"99999999999999999999\"}]}",
                                "{\"kvs\":[{\"lease\":true}]}",
                                "{\"count\":\"many\"}",
                                "{\"header\":{\"revision\":\"\"}}"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_etcd_range_ struct etcd_range range = {0};
        _cleanup_error_ struct error err = ERROR_NONE;
        assert_int_equal(etcd_range_reply(rows[i], strlen(rows[i]), &range, &err), -EBADMSG);
        assert_null(range.kvs.items);
    }
}

static void base64_is_strict(void **state)
{
    const struct {
        const char *text, *plain;
    } good[] = {{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg==", "foob"}};
    const char *const bad[] = {"Z",    "Zg=",  "Zg",       "Zm9v\n",  "Zm 9",
                               "====", "Z===", "Zm9v=Zm9", "Zg==Zg=="};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_buffer_ struct buffer plain = BUFFER_EMPTY, text = BUFFER_EMPTY;
        assert_int_equal(base64_decode(good[i].text, strlen(good[i].text), &plain), 0);
        assert_string_equal(buffer_str(&plain), good[i].plain);
        base64_encode(good[i].plain, strlen(good[i].plain), &text);
        assert_string_equal(buffer_str(&text), good[i].text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_buffer_ struct buffer plain = BUFFER_EMPTY;
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &plain), -EINVAL);
        assert_int_equal(plain.len, 0);
    }
}

static void base64_works_across_its_blocks(void **state)
{
    enum { SIZE = (3 << 16) * 2 + 5 };
    _cleanup_buffer_ struct buffer data = BUFFER_EMPTY, text = BUFFER_EMPTY, back = BUFFER_EMPTY;
    for (int i = 0; i < SIZE; i++)
        buffer_add_char(&data, (char)(i * 7 + i / 251));
    base64_encode(data.data, data.len, &text);
    assert_int_equal(text.len, (SIZE + 2) / 3 * 4);
    assert_int_equal(base64_decode(text.data, text.len, &back), 0);
    assert_int_equal(back.len, data.len);
    assert_memory_equal(back.data, data.data, data.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_the_gateways),
        cmocka_unit_test(prefixes_end_where_the_next_begins),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(creations_win_or_say_who_won),
        cmocka_unit_test(leases_are_granted_kept_and_gone),
        cmocka_unit_test(swaps_are_done_or_say_what_is_there),
        cmocka_unit_test(twins_are_both_there_or_one_or_none),
        cmocka_unit_test(watches_begin_report_and_end),
        cmocka_unit_test(errors_keep_their_meaning),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(base64_works_across_its_blocks),
    };
    return cmocka_run_group_tests_name("etcd-codec", tests, NULL, NULL);
}
