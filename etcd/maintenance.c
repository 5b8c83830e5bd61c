// See maintenance.h.
#include "etcd/maintenance.h"

#include "base/alloc.h"
#include "etcd/call.h"

int etcd_status(struct etcd_client *client, struct etcd_status *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/maintenance/status", xstrdup("{}"), &body, err);
    return code < 0 ? code : etcd_status_reply(buffer_str(&body), body.len, ret, err);
}

int etcd_alarms(struct etcd_client *client, struct etcd_alarms *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    int code = etcd_call(client, "/maintenance/alarm", etcd_alarms_request(), &body, err);
    return code < 0 ? code : etcd_alarms_reply(buffer_str(&body), body.len, ret, err);
}

static int set_alarm(struct etcd_client *client, const char *action, int64_t member_id,
                     const char *kind, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    return etcd_call(client, "/maintenance/alarm", etcd_alarm_request(action, member_id, kind),
                     &body, err);
}

int etcd_alarm_disarm(struct etcd_client *client, int64_t member_id, const char *kind,
                      struct error *err)
{
    return set_alarm(client, "DEACTIVATE", member_id, kind, err);
}

int etcd_defragment(struct etcd_client *client, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    return etcd_call(client, "/maintenance/defragment", xstrdup("{}"), &body, err);
}

int etcd_move_leader(struct etcd_client *client, int64_t to_member, struct error *err)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    return etcd_call(client, "/maintenance/transfer-leadership",
                     etcd_move_leader_request(to_member), &body, err);
}

struct taker {
    etcd_snapshot_fn fn;
    void *userdata;
    struct buffer bytes;
};

static int take_line(void *userdata, const char *text, size_t len, struct error *err)
{
    struct taker *taker = userdata;
    if (len == 0)
        return 0;
    buffer_truncate(&taker->bytes, 0);
    int code = etcd_snapshot_reply(text, len, &taker->bytes, err);
    return code < 0 ? code : taker->fn(taker->userdata, taker->bytes.data, taker->bytes.len, err);
}

int etcd_snapshot(struct etcd_client *client, etcd_snapshot_fn fn, void *userdata,
                  struct error *err)
{
    struct taker taker = {.fn = fn, .userdata = userdata};
    int code = etcd_stream(client, "/maintenance/snapshot", xstrdup("{}"), take_line, &taker, err);
    buffer_free(&taker.bytes);
    return code;
}
