// See codec.h.
#include "etcd/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/string-list.h"

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

void etcd_status_free(struct etcd_status *status)
{
    free(status->version);
    *status = (struct etcd_status){0};
}

void etcd_members_free(struct etcd_members *members)
{
    LIST_EACH (member, &members->members) {
        free(member->name);
        string_list_free(&member->client_urls);
    }
    free(members->members.items);
    *members = (struct etcd_members){0};
}

// --- requests

static json_t *bytes_json(const void *data, size_t len)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    base64_encode(data, len, &text);
    return json_string(buffer_str(&text));
}

static json_t *int64_json(int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, number);
    return json_string(text);
}

// The text of the object, which is used up.
static char *dump(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text)
        abort(); // no memory: see base/alloc.h
    return text;
}

static json_t *range_json(const char *key, const struct buffer *range_end, int64_t limit)
{
    json_t *object = json_object();
    json_object_set_new(object, "key", bytes_json(key, strlen(key)));
    if (range_end)
        json_object_set_new(object, "range_end", bytes_json(range_end->data, range_end->len));
    if (limit > 0)
        json_object_set_new(object, "limit", int64_json(limit));
    return object;
}

static json_t *put_json(const char *key, const void *value, size_t len, int64_t lease)
{
    json_t *object = json_object();
    json_object_set_new(object, "key", bytes_json(key, strlen(key)));
    json_object_set_new(object, "value", bytes_json(value, len));
    if (lease != 0)
        json_object_set_new(object, "lease", int64_json(lease));
    return object;
}

char *etcd_range_request(const char *key, const struct buffer *range_end, int64_t limit)
{
    return dump(range_json(key, range_end, limit));
}

char *etcd_put_request(const char *key, const void *value, size_t len, int64_t lease)
{
    return dump(put_json(key, value, len, lease));
}

char *etcd_create_request(const char *key, const void *value, size_t len, int64_t lease)
{
    // A key that does not exist has the creation revision 0.
    return dump(json_pack("{s:[{s:s,s:s,s:o,s:s}],s:[{s:o}],s:[{s:o}]}", "compare", "target",
                          "CREATE", "result", "EQUAL", "key", bytes_json(key, strlen(key)),
                          "create_revision", "0", "success", "request_put",
                          put_json(key, value, len, lease), "failure", "request_range",
                          range_json(key, NULL, 0)));
}

char *etcd_delete_request(const char *key, const struct buffer *range_end)
{
    return dump(range_json(key, range_end, 0));
}

char *etcd_lease_grant_request(int64_t ttl_sec)
{
    return dump(json_pack("{s:o}", "TTL", int64_json(ttl_sec)));
}

char *etcd_lease_request(int64_t id)
{
    return dump(json_pack("{s:o}", "ID", int64_json(id)));
}

char *etcd_watch_request(const char *key, int64_t start_revision)
{
    return dump(json_pack("{s:{s:o,s:o}}", "create_request", "key", bytes_json(key, strlen(key)),
                          "start_revision", int64_json(start_revision)));
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

static int malformed(struct error *err, const char *what)
{
    return error_set(err, EBADMSG, "etcd's reply is not understood (%s)", what);
}

static int parse(const char *text, size_t len, json_t **ret, struct error *err)
{
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object)) {
        *ret = object;
        return 0;
    }
    json_decref(object);
    return malformed(err, "no JSON object");
}

// 64-bit integers come as strings, small ones sometimes as numbers; absent is 0. False where it is
// neither.
static bool get_int64(const json_t *object, const char *name, int64_t *ret)
{
    const json_t *value = json_object_get(object, name);
    long long number = 0;
    if (json_is_integer(value))
        number = json_integer_value(value);
    else if (value && str_to_int(json_string_value(value) ? json_string_value(value) : "",
                                 INT64_MIN, INT64_MAX, &number) < 0)
        return false;
    *ret = number;
    return true;
}

// A member's id is an unsigned 64-bit number; as a bit pattern it fits.
static bool get_uint64(const json_t *object, const char *name, int64_t *ret)
{
    const char *text = json_string_value(json_object_get(object, name));
    char *end = NULL;
    if (!text)
        return get_int64(object, name, ret);
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end || text[0] == '-')
        return false;
    *ret = (int64_t)number;
    return true;
}

static bool get_bytes(const json_t *object, const char *name, struct buffer *out)
{
    const json_t *value = json_object_get(object, name);
    if (!value)
        return true;
    return json_is_string(value) &&
           base64_decode(json_string_value(value), json_string_length(value), out) == 0;
}

static bool get_kv(const json_t *object, struct etcd_kv *kv)
{
    return get_bytes(object, "key", &kv->key) && get_bytes(object, "value", &kv->value) &&
           get_int64(object, "create_revision", &kv->create_revision) &&
           get_int64(object, "mod_revision", &kv->mod_revision) &&
           get_int64(object, "version", &kv->version) && get_int64(object, "lease", &kv->lease);
}

static bool get_revision(const json_t *object, int64_t *ret)
{
    return get_int64(json_object_get(object, "header"), "revision", ret);
}

static bool get_range(const json_t *object, struct etcd_range *range)
{
    const json_t *kvs = json_object_get(object, "kvs");
    for (size_t i = 0; i < json_array_size(kvs); i++) {
        if (!get_kv(json_array_get(kvs, i), LIST_APPEND(&range->kvs)))
            return false;
    }
    return (!kvs || json_is_array(kvs)) && get_int64(object, "count", &range->count);
}

int etcd_range_reply(const char *text, size_t len, struct etcd_range *ret, struct error *err)
{
    json_auto_t *object = NULL;
    _cleanup_etcd_range_ struct etcd_range range = {0};
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    if (!get_range(object, &range) || !get_revision(object, &range.revision))
        return malformed(err, "keys");
    *ret = range;
    range = (struct etcd_range){0};
    return 0;
}

int etcd_put_reply(const char *text, size_t len, int64_t *ret_revision, struct error *err)
{
    json_auto_t *object = NULL;
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    return get_revision(object, ret_revision) ? 0 : malformed(err, "header");
}

int etcd_create_reply(const char *text, size_t len, struct etcd_create *ret, struct error *err)
{
    json_auto_t *object = NULL;
    _cleanup_etcd_range_ struct etcd_range range = {0};
    struct etcd_create create = {0};
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    create.created = json_is_true(json_object_get(object, "succeeded"));
    if (!get_revision(object, &create.revision))
        return malformed(err, "header");
    if (!create.created) {
        const json_t *first = json_array_get(json_object_get(object, "responses"), 0);
        if (!get_range(json_object_get(first, "response_range"), &range) || range.kvs.n != 1)
            return malformed(err, "the transaction's other branch");
        create.holder = range.kvs.items[0];
        range.kvs.items[0] = (struct etcd_kv){0};
    }
    *ret = create;
    return 0;
}

int etcd_delete_reply(const char *text, size_t len, int64_t *ret_deleted, struct error *err)
{
    json_auto_t *object = NULL;
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    return get_int64(object, "deleted", ret_deleted) ? 0 : malformed(err, "deleted");
}

int etcd_lease_grant_reply(const char *text, size_t len, struct etcd_lease *ret, struct error *err)
{
    json_auto_t *object = NULL;
    struct etcd_lease lease = {0};
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    if (!get_int64(object, "ID", &lease.id) || !get_int64(object, "TTL", &lease.ttl_sec) ||
        lease.id == 0 || lease.ttl_sec <= 0)
        return malformed(err, "lease");
    *ret = lease;
    return 0;
}

int etcd_lease_keepalive_reply(const char *text, size_t len, struct etcd_lease *ret,
                               struct error *err)
{
    json_auto_t *object = NULL;
    struct etcd_lease lease = {0};
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    const json_t *result = json_object_get(object, "result");
    if (!get_int64(result, "ID", &lease.id) || !get_int64(result, "TTL", &lease.ttl_sec) ||
        lease.id == 0)
        return malformed(err, "lease");
    if (lease.ttl_sec <= 0)
        return error_set(err, ENOENT, "the lease has run out");
    *ret = lease;
    return 0;
}

int etcd_status_reply(const char *text, size_t len, struct etcd_status *ret, struct error *err)
{
    json_auto_t *object = NULL;
    struct etcd_status status = {0};
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    const json_t *header = json_object_get(object, "header");
    const char *version = json_string_value(json_object_get(object, "version"));
    if (!version || !get_uint64(header, "member_id", &status.member_id) ||
        !get_uint64(object, "leader", &status.leader_id) ||
        !get_int64(object, "dbSize", &status.db_size) ||
        !get_int64(object, "raftIndex", &status.raft_index) ||
        !get_int64(object, "raftTerm", &status.raft_term) ||
        !get_int64(header, "revision", &status.revision))
        return malformed(err, "status");
    status.version = xstrdup(version);
    *ret = status;
    return 0;
}

static bool read_member(const json_t *object, struct etcd_member *ret)
{
    const json_t *urls = json_object_get(object, "clientURLs");
    const char *name = json_string_value(json_object_get(object, "name"));
    ret->name = xstrdup(name ? name : "");
    ret->is_learner = json_is_true(json_object_get(object, "isLearner"));
    for (size_t i = 0; i < json_array_size(urls); i++) {
        const char *url = json_string_value(json_array_get(urls, i));
        if (!url)
            return false;
        string_list_add(&ret->client_urls, url);
    }
    return get_uint64(object, "ID", &ret->id) && ret->id != 0;
}

int etcd_members_reply(const char *text, size_t len, struct etcd_members *ret, struct error *err)
{
    json_auto_t *object = NULL;
    struct etcd_members list = {0};
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
    const json_t *members = json_object_get(object, "members");
    bool good = json_array_size(members) > 0;
    for (size_t i = 0; i < json_array_size(members) && good; i++)
        good = read_member(json_array_get(members, i), LIST_APPEND(&list.members));
    if (!good) {
        etcd_members_free(&list);
        return malformed(err, "member list");
    }
    *ret = list;
    return 0;
}

int etcd_watch_reply(const char *text, size_t len, struct error *err)
{
    json_auto_t *object = NULL;
    int code = parse(text, len, &object, err);
    if (code < 0)
        return code;
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
    json_auto_t *object = NULL;
    if (parse(text, len, &object, NULL) < 0)
        return malformed(err, "an error without JSON");
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
