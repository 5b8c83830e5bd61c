// See codec.h.
#include "etcd/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/string-list.h"
#include "etcd/gateway.h"

void etcd_kv_free(struct etcd_kv *kv)
{
    buffer_free(&kv->key);
    buffer_free(&kv->value);
    *kv = (struct etcd_kv){0};
}

void etcd_range_free(struct etcd_range *range)
{
    LIST_EACH (kv, &range->kvs)
        etcd_kv_free(kv);
    free(range->kvs.items);
    *range = (struct etcd_range){0};
}

void etcd_create_free(struct etcd_create *create)
{
    etcd_kv_free(&create->holder);
}

void etcd_twins_free(struct etcd_twins *twins)
{
    for (size_t i = 0; i < ARRAY_SIZE(twins->kvs); i++)
        etcd_kv_free(&twins->kvs[i]);
}

// --- requests

static json_t *range_json(const char *key, const struct buffer *range_end, int64_t limit)
{
    json_t *object = json_object();
    json_object_set_new(object, "key", gateway_bytes(key, strlen(key)));
    if (range_end)
        json_object_set_new(object, "range_end", gateway_bytes(range_end->data, range_end->len));
    if (limit > 0)
        json_object_set_new(object, "limit", gateway_int64(limit));
    return object;
}

static json_t *put_json(const char *key, const void *value, size_t len, int64_t lease)
{
    json_t *object = json_object();
    json_object_set_new(object, "key", gateway_bytes(key, strlen(key)));
    json_object_set_new(object, "value", gateway_bytes(value, len));
    if (lease != 0)
        json_object_set_new(object, "lease", gateway_int64(lease));
    return object;
}

char *etcd_range_request(const char *key, const struct buffer *range_end, int64_t limit)
{
    return gateway_dump(range_json(key, range_end, limit));
}

char *etcd_put_request(const char *key, const void *value, size_t len, int64_t lease)
{
    return gateway_dump(put_json(key, value, len, lease));
}

// A key that does not exist has the creation revision 0.
static json_t *absent_json(const char *key)
{
    return json_pack("{s:s,s:s,s:o,s:s}", "target", "CREATE", "result", "EQUAL", "key",
                     gateway_bytes(key, strlen(key)), "create_revision", "0");
}

char *etcd_create_request(const char *key, const void *value, size_t len, int64_t lease)
{
    return gateway_dump(json_pack("{s:[o],s:[{s:o}],s:[{s:o}]}", "compare", absent_json(key),
                                  "success", "request_put", put_json(key, value, len, lease),
                                  "failure", "request_range", range_json(key, NULL, 0)));
}

static json_t *ranges_json(const char *key, const char *twin)
{
    return json_pack("[{s:o},{s:o}]", "request_range", range_json(key, NULL, 0), "request_range",
                     range_json(twin, NULL, 0));
}

char *etcd_twins_request(const char *key, const char *twin)
{
    return gateway_dump(json_pack("{s:o}", "success", ranges_json(key, twin)));
}

char *etcd_create_twins_request(const char *key, const char *twin, const void *value, size_t len,
                                int64_t lease)
{
    return gateway_dump(
        json_pack("{s:[o,o],s:[{s:o},{s:o}],s:o}", "compare", absent_json(key), absent_json(twin),
                  "success", "request_put", put_json(key, value, len, lease), "request_put",
                  put_json(twin, value, len, lease), "failure", ranges_json(key, twin)));
}

static json_t *unchanged_json(const char *key, int64_t mod_revision)
{
    return json_pack("{s:s,s:s,s:o,s:o}", "target", "MOD", "result", "EQUAL", "key",
                     gateway_bytes(key, strlen(key)), "mod_revision", gateway_int64(mod_revision));
}

char *etcd_swap_request(const char *key, int64_t mod_revision, const void *value, size_t len,
                        int64_t lease)
{
    return gateway_dump(json_pack("{s:[o],s:[{s:o}],s:[{s:o}]}", "compare",
                                  unchanged_json(key, mod_revision), "success", "request_put",
                                  put_json(key, value, len, lease), "failure", "request_range",
                                  range_json(key, NULL, 0)));
}

char *etcd_delete_if_request(const char *key, int64_t mod_revision)
{
    return gateway_dump(json_pack("{s:[o],s:[{s:o}],s:[{s:o}]}", "compare",
                                  unchanged_json(key, mod_revision), "success",
                                  "request_delete_range", range_json(key, NULL, 0), "failure",
                                  "request_range", range_json(key, NULL, 0)));
}

char *etcd_delete_request(const char *key, const struct buffer *range_end)
{
    return gateway_dump(range_json(key, range_end, 0));
}

char *etcd_lease_grant_request(int64_t ttl_sec)
{
    return gateway_dump(json_pack("{s:o}", "TTL", gateway_int64(ttl_sec)));
}

char *etcd_lease_request(int64_t id)
{
    return gateway_dump(json_pack("{s:o}", "ID", gateway_int64(id)));
}

char *etcd_watch_request(const char *key, const struct buffer *range_end, int64_t start_revision)
{
    json_t *create = range_json(key, range_end, 0);
    json_object_set_new(create, "start_revision", gateway_int64(start_revision));
    return gateway_dump(json_pack("{s:o}", "create_request", create));
}

void etcd_prefix_end(const char *prefix, struct buffer *out)
{
    size_t len = strlen(prefix);
    while (len > 0 && (unsigned char)prefix[len - 1] == 0xff)
        len--;
    if (len == 0) {
        buffer_add_char(out, '\0'); // "\0" is etcd's way to say "to the end"
        return;
    }
    buffer_add(out, prefix, len - 1);
    buffer_add_char(out, (char)(prefix[len - 1] + 1));
}

// --- replies

static bool get_kv(const json_t *object, struct etcd_kv *kv)
{
    return gateway_get_bytes(object, "key", &kv->key) &&
           gateway_get_bytes(object, "value", &kv->value) &&
           gateway_get_int64(object, "create_revision", &kv->create_revision) &&
           gateway_get_int64(object, "mod_revision", &kv->mod_revision) &&
           gateway_get_int64(object, "version", &kv->version) &&
           gateway_get_int64(object, "lease", &kv->lease);
}

static bool get_revision(const json_t *object, int64_t *ret)
{
    return gateway_get_int64(json_object_get(object, "header"), "revision", ret);
}

static bool get_term(const json_t *object, int64_t *ret)
{
    return gateway_get_int64(json_object_get(object, "header"), "raft_term", ret);
}

static bool get_range(const json_t *object, struct etcd_range *range)
{
    const json_t *kvs = json_object_get(object, "kvs");
    for (size_t i = 0; i < json_array_size(kvs); i++) {
        if (!get_kv(json_array_get(kvs, i), LIST_APPEND(&range->kvs)))
            return false;
    }
    return (!kvs || json_is_array(kvs)) && gateway_get_int64(object, "count", &range->count);
}

int etcd_range_reply(const char *text, size_t len, struct etcd_range *ret, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    _cleanup_etcd_range_ struct etcd_range range = {0};
    if (!object)
        return -EBADMSG;
    if (!get_range(object, &range) || !get_revision(object, &range.revision))
        return gateway_malformed(err, "keys");
    *ret = range;
    range = (struct etcd_range){0};
    return 0;
}

int etcd_put_reply(const char *text, size_t len, int64_t *ret_revision, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    if (!object)
        return -EBADMSG;
    return get_revision(object, ret_revision) ? 0 : gateway_malformed(err, "header");
}

static int txn_reply(const char *text, size_t len, size_t holders_least, struct etcd_create *ret,
                     struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    _cleanup_etcd_range_ struct etcd_range range = {0};
    struct etcd_create create = {0};
    if (!object)
        return -EBADMSG;
    create.created = json_is_true(json_object_get(object, "succeeded"));
    if (!get_revision(object, &create.revision))
        return gateway_malformed(err, "header");
    if (!create.created) {
        const json_t *first = json_array_get(json_object_get(object, "responses"), 0);
        const json_t *other = json_object_get(first, "response_range");
        if (!json_is_object(other) || !get_range(other, &range) || range.kvs.n > 1 ||
            range.kvs.n < holders_least)
            return gateway_malformed(err, "the transaction's other branch");
        if (range.kvs.n == 1) {
            create.holder = range.kvs.items[0];
            range.kvs.items[0] = (struct etcd_kv){0};
        }
    }
    *ret = create;
    return 0;
}

int etcd_create_reply(const char *text, size_t len, struct etcd_create *ret, struct error *err)
{
    return txn_reply(text, len, 1, ret, err);
}

int etcd_swap_reply(const char *text, size_t len, struct etcd_create *ret, struct error *err)
{
    return txn_reply(text, len, 0, ret, err);
}

static bool get_twins(const json_t *responses, struct etcd_twins *twins)
{
    for (size_t i = 0; i < ARRAY_SIZE(twins->kvs); i++) {
        _cleanup_etcd_range_ struct etcd_range range = {0};
        const json_t *found = json_object_get(json_array_get(responses, i), "response_range");
        if (!json_is_object(found) || !get_range(found, &range) || range.kvs.n > 1)
            return false;
        if (range.kvs.n == 1) {
            twins->kvs[i] = range.kvs.items[0];
            range.kvs.items[0] = (struct etcd_kv){0};
        }
    }
    return true;
}

int etcd_twins_reply(const char *text, size_t len, bool create, struct etcd_twins *ret,
                     struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    _cleanup_etcd_twins_ struct etcd_twins twins = {0};
    if (!object)
        return -EBADMSG;
    twins.created = create && json_is_true(json_object_get(object, "succeeded"));
    if (!get_revision(object, &twins.revision) || !get_term(object, &twins.term))
        return gateway_malformed(err, "header");
    if (!twins.created && !get_twins(json_object_get(object, "responses"), &twins))
        return gateway_malformed(err, "the two keys");
    *ret = twins;
    twins = (struct etcd_twins){0};
    return 0;
}

int etcd_delete_reply(const char *text, size_t len, int64_t *ret_deleted, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    if (!object)
        return -EBADMSG;
    return gateway_get_int64(object, "deleted", ret_deleted) ? 0
                                                             : gateway_malformed(err, "deleted");
}

int etcd_lease_grant_reply(const char *text, size_t len, struct etcd_lease *ret, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    struct etcd_lease lease = {0};
    if (!object)
        return -EBADMSG;
    if (!gateway_get_int64(object, "ID", &lease.id) ||
        !gateway_get_int64(object, "TTL", &lease.ttl_sec) || lease.id == 0 || lease.ttl_sec <= 0)
        return gateway_malformed(err, "lease");
    *ret = lease;
    return 0;
}

int etcd_lease_keepalive_reply(const char *text, size_t len, struct etcd_lease *ret,
                               struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    struct etcd_lease lease = {0};
    if (!object)
        return -EBADMSG;
    const json_t *result = json_object_get(object, "result");
    if (!gateway_get_int64(result, "ID", &lease.id) ||
        !gateway_get_int64(result, "TTL", &lease.ttl_sec) || !get_term(result, &lease.term) ||
        lease.id == 0)
        return gateway_malformed(err, "lease");
    if (lease.ttl_sec <= 0)
        return error_set(err, ENOENT, "the lease has run out");
    *ret = lease;
    return 0;
}

int etcd_watch_reply(const char *text, size_t len, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    if (!object)
        return -EBADMSG;
    const json_t *result = json_object_get(object, "result");
    if (!json_is_object(result))
        return etcd_error_reply(text, len, err);
    if (json_is_true(json_object_get(result, "canceled"))) {
        const char *reason = json_string_value(json_object_get(result, "cancel_reason"));
        return error_set(err, EAGAIN, "etcd has ended the watch%s%s", reason ? ": " : "",
                         reason ? reason : "");
    }
    return json_array_size(json_object_get(result, "events")) > 0;
}

// gRPC's status codes, as far as they say what to do next.
static int grpc_errno(json_int_t status)
{
    switch (status) {
    case 3: // invalid argument
    case 9: // failed precondition
        return EINVAL;
    case 5: // not found
        return ENOENT;
    case 7:  // permission denied
    case 16: // unauthenticated
        return EACCES;
    case 8: // resource exhausted: the database is full
        return ENOSPC;
    case 12: // unimplemented
        return EOPNOTSUPP;
    case 1:  // cancelled
    case 4:  // deadline exceeded
    case 14: // unavailable: no leader, or this member is not ready
        return EAGAIN;
    default:
        return EIO;
    }
}

int etcd_error_reply(const char *text, size_t len, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, NULL);
    if (!object)
        return gateway_malformed(err, "an error without JSON");
    // Streams wrap their errors: {"error": {"grpc_code": …, "message": …}}.
    const json_t *error = json_object_get(object, "error");
    const json_t *from = json_is_object(error) ? error : object;
    const json_t *status = json_object_get(from, "code");
    const char *message = json_string_value(json_object_get(from, "message"));
    if (!status)
        status = json_object_get(from, "grpc_code");
    if (!message)
        message = json_string_value(error);
    return error_set(err, grpc_errno(json_integer_value(status)), "%s",
                     message ? message : "etcd gives no reason");
}
