// See codec-cluster.h.
#include "etcd/codec-cluster.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "etcd/codec.h"
#include "etcd/gateway.h"

void etcd_status_free(struct etcd_status *status)
{
    free(status->version);
    string_list_free(&status->errors);
    *status = (struct etcd_status){0};
}

void etcd_members_free(struct etcd_members *members)
{
    LIST_EACH (member, &members->members) {
        free(member->name);
        string_list_free(&member->peer_urls);
        string_list_free(&member->client_urls);
    }
    free(members->members.items);
    *members = (struct etcd_members){0};
}

void etcd_alarms_free(struct etcd_alarms *alarms)
{
    LIST_EACH (alarm, &alarms->alarms)
        free(alarm->kind);
    free(alarms->alarms.items);
    *alarms = (struct etcd_alarms){0};
}

const struct etcd_member *etcd_members_by_id(const struct etcd_members *members, int64_t id)
{
    LIST_EACH (member, &members->members)
        if (member->id == id)
            return member;
    return NULL;
}

// --- requests

static json_t *texts(const struct string_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

char *etcd_member_add_request(const struct string_list *peer_urls, bool is_learner)
{
    json_t *object = json_pack("{s:o}", "peerURLs", texts(peer_urls));
    // Absent where it is false, so that etcd 3.3, which has no learners, takes it too.
    if (is_learner)
        json_object_set_new(object, "isLearner", json_true());
    return gateway_dump(object);
}

char *etcd_member_update_request(int64_t id, const struct string_list *peer_urls)
{
    return gateway_dump(
        json_pack("{s:o,s:o}", "ID", gateway_uint64(id), "peerURLs", texts(peer_urls)));
}

char *etcd_member_request(int64_t id)
{
    return gateway_dump(json_pack("{s:o}", "ID", gateway_uint64(id)));
}

char *etcd_alarms_request(void)
{
    return gateway_dump(json_pack("{s:s}", "action", "GET"));
}

char *etcd_alarm_request(const char *action, int64_t member_id, const char *kind)
{
    return gateway_dump(json_pack("{s:s,s:o,s:s}", "action", action, "memberID",
                                  gateway_uint64(member_id), "alarm", kind));
}

char *etcd_move_leader_request(int64_t id)
{
    return gateway_dump(json_pack("{s:o}", "targetID", gateway_uint64(id)));
}

// --- replies

static bool get_texts(const json_t *array, struct string_list *ret)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (!text)
            return false;
        string_list_add(ret, text);
    }
    return !array || json_is_array(array);
}

static bool read_status(const json_t *object, struct etcd_status *status)
{
    const json_t *header = json_object_get(object, "header");
    const char *version = json_string_value(json_object_get(object, "version"));
    status->version = xstrdup_or_null(version);
    status->is_learner = json_is_true(json_object_get(object, "isLearner"));
    return version && gateway_get_uint64(header, "cluster_id", &status->cluster_id) &&
           gateway_get_uint64(header, "member_id", &status->member_id) &&
           gateway_get_uint64(object, "leader", &status->leader_id) &&
           gateway_get_int64(object, "dbSize", &status->db_size) &&
           gateway_get_int64(object, "dbSizeInUse", &status->db_size_in_use) &&
           gateway_get_int64(object, "raftIndex", &status->raft_index) &&
           gateway_get_int64(object, "raftAppliedIndex", &status->raft_applied) &&
           gateway_get_int64(object, "raftTerm", &status->raft_term) &&
           gateway_get_int64(header, "revision", &status->revision) &&
           get_texts(json_object_get(object, "errors"), &status->errors);
}

int etcd_status_reply(const char *text, size_t len, struct etcd_status *ret, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    struct etcd_status status = {0};
    if (!object)
        return -EBADMSG;
    if (!read_status(object, &status)) {
        etcd_status_free(&status);
        return gateway_malformed(err, "status");
    }
    *ret = status;
    return 0;
}

static bool read_member(const json_t *object, struct etcd_member *ret)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    ret->name = xstrdup(name ? name : "");
    ret->is_learner = json_is_true(json_object_get(object, "isLearner"));
    return get_texts(json_object_get(object, "peerURLs"), &ret->peer_urls) &&
           get_texts(json_object_get(object, "clientURLs"), &ret->client_urls) &&
           gateway_get_uint64(object, "ID", &ret->id) && ret->id != 0;
}

static int read_members(const json_t *object, struct etcd_members *ret, struct error *err)
{
    struct etcd_members list = {0};
    const json_t *members = json_object_get(object, "members");
    bool good = json_array_size(members) > 0;
    for (size_t i = 0; i < json_array_size(members) && good; i++)
        good = read_member(json_array_get(members, i), LIST_APPEND(&list.members));
    if (!good) {
        etcd_members_free(&list);
        return gateway_malformed(err, "member list");
    }
    *ret = list;
    return 0;
}

int etcd_members_reply(const char *text, size_t len, struct etcd_members *ret, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    return object ? read_members(object, ret, err) : -EBADMSG;
}

int etcd_member_add_reply(const char *text, size_t len, int64_t *ret_id, struct etcd_members *ret,
                          struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    int64_t id = 0;
    if (!object)
        return -EBADMSG;
    if (!gateway_get_uint64(json_object_get(object, "member"), "ID", &id) || id == 0)
        return gateway_malformed(err, "the new member");
    int code = read_members(object, ret, err);
    if (code == 0)
        *ret_id = id;
    return code;
}

static bool read_alarm(const json_t *object, struct etcd_alarm *ret)
{
    const char *kind = json_string_value(json_object_get(object, "alarm"));
    ret->kind = xstrdup(kind ? kind : "NONE");
    return json_is_object(object) && gateway_get_uint64(object, "memberID", &ret->member_id);
}

int etcd_alarms_reply(const char *text, size_t len, struct etcd_alarms *ret, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    struct etcd_alarms list = {0};
    if (!object)
        return -EBADMSG;
    const json_t *alarms = json_object_get(object, "alarms");
    bool good = !alarms || json_is_array(alarms);
    for (size_t i = 0; i < json_array_size(alarms) && good; i++)
        good = read_alarm(json_array_get(alarms, i), LIST_APPEND(&list.alarms));
    if (!good) {
        etcd_alarms_free(&list);
        return gateway_malformed(err, "alarms");
    }
    *ret = list;
    return 0;
}

int etcd_snapshot_reply(const char *text, size_t len, struct buffer *out, struct error *err)
{
    json_auto_t *object = gateway_parse(text, len, err);
    if (!object)
        return -EBADMSG;
    const json_t *result = json_object_get(object, "result");
    if (!json_is_object(result))
        return etcd_error_reply(text, len, err);
    return gateway_get_bytes(result, "blob", out) ? 0 : gateway_malformed(err, "snapshot");
}
