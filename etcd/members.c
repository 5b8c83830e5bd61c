// See members.h.
#include "etcd/members.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "etcd/call.h"

int etcd_members(struct etcd_client *client, struct etcd_members *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/cluster/member/list", xstrdup("{}"), &body, err);
    return code < 0 ? code : etcd_members_reply(buffer_str(&body), body.len, ret, err);
}

// etcd has one status for all that it refuses, and says in words what it is.
static int sort_out(int code, struct error *err)
{
    static const struct {
        const char *words;
        int code;
    } rows[] = {
        {"Peer URLs already exists", EEXIST},   {"member ID already exist", EEXIST},
        {"in sync with leader", EBUSY},         {"can only promote a learner member", EALREADY},
        {"not enough started members", EAGAIN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows) && code < 0; i++)
        if (strstr(error_message(err), rows[i].words))
            return err->code = -rows[i].code;
    return code;
}

// Uses up `request`.
static int change(struct etcd_client *client, const char *path, char *request,
                  struct buffer *ret_body, struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    int code = sort_out(etcd_call(client, path, request, ret_body, &why), &why);
    return code < 0 ? error_set(err, code, "%s", error_message(&why)) : 0;
}

int etcd_member_add(struct etcd_client *client, const struct string_list *peer_urls,
                    bool is_learner, int64_t *ret_id, struct etcd_members *ret_members,
                    struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    _cleanup_etcd_members_ struct etcd_members members = {0};
    int code = change(client, "/cluster/member/add", etcd_member_add_request(peer_urls, is_learner),
                      &body, err);
    if (code == 0)
        code = etcd_member_add_reply(buffer_str(&body), body.len, ret_id, &members, err);
    if (code == 0 && ret_members) {
        *ret_members = members;
        members = (struct etcd_members){0};
    }
    return code;
}

int etcd_member_remove(struct etcd_client *client, int64_t id, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    return change(client, "/cluster/member/remove", etcd_member_request(id), &body, err);
}

int etcd_member_promote(struct etcd_client *client, int64_t id, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    return change(client, "/cluster/member/promote", etcd_member_request(id), &body, err);
}

int etcd_member_update(struct etcd_client *client, int64_t id, const struct string_list *peer_urls,
                       struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    return change(client, "/cluster/member/update", etcd_member_update_request(id, peer_urls),
                  &body, err);
}
