// See turns.h.
#include "etcd/turns.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

void etcd_turn_view_free(struct etcd_turn_view *view)
{
    buffer_free(&view->holder);
    etcd_kv_free(&view->ahead);
    *view = (struct etcd_turn_view){0};
}

void etcd_turn_init(struct etcd_turn *turn, const char *prefix)
{
    *turn = (struct etcd_turn){.prefix = xasprintf("%s/", prefix)};
}

void etcd_turn_forget(struct etcd_turn *turn)
{
    free(TAKE_PTR(turn->key));
    turn->lease = turn->created = 0;
}

void etcd_turn_free(struct etcd_turn *turn)
{
    etcd_turn_forget(turn);
    free(TAKE_PTR(turn->prefix));
}

// The lease's number makes the key one's own. An answer that was lost may mean that the key is
// there already: then it is ours all the same.
static int put_key(struct etcd_client *client, struct etcd_turn *turn, const char *value,
                   struct error *err)
{
    _cleanup_etcd_create_ struct etcd_create create = {0};
    int code = etcd_create(client, turn->key, value, strlen(value), turn->lease, &create, err);
    if (code < 0)
        return code;
    if (!create.created && create.holder.lease != turn->lease)
        return error_set(err, EEXIST, "etcd has a key %s of somebody else", turn->key);
    turn->created = create.created ? create.revision : create.holder.create_revision;
    return 0;
}

int etcd_turn_enter(struct etcd_client *client, const char *value, int64_t ttl_sec,
                    struct etcd_turn *turn, struct error *err)
{
    struct etcd_lease lease;
    int code = etcd_lease_grant(client, ttl_sec, &lease, err);
    if (code < 0)
        return code;
    etcd_turn_forget(turn);
    turn->key = xasprintf("%s%016" PRIx64, turn->prefix, (uint64_t)lease.id);
    turn->lease = lease.id;
    turn->ttl_sec = lease.ttl_sec;
    code = put_key(client, turn, value, err);
    if (code < 0)
        etcd_turn_leave(client, turn);
    return code;
}

static void take(struct etcd_kv *to, struct etcd_kv *from)
{
    etcd_kv_free(to);
    *to = *from;
    *from = (struct etcd_kv){0};
}

int etcd_turn_look(struct etcd_client *client, const struct etcd_turn *turn,
                   struct etcd_turn_view *ret, struct error *err)
{
    _cleanup_etcd_range_ struct etcd_range range = {0};
    struct etcd_turn_view view = {0};
    const struct etcd_kv *first = NULL;
    struct etcd_kv *last = NULL;
    bool present = !turn->key;
    int code = etcd_range(client, turn->prefix, 0, &range, err);
    if (code < 0)
        return code;
    LIST_EACH (kv, &range.kvs) {
        present = present || kv->create_revision == turn->created;
        if (turn->key && kv->create_revision >= turn->created)
            continue;
        view.n_ahead++;
        if (!first || kv->create_revision < first->create_revision)
            first = kv;
        if (!last || kv->create_revision > last->create_revision)
            last = kv;
    }
    if (!present)
        return error_set(err, ENOENT, "the place in the line is lost: its lease ran out");
    if (first)
        buffer_add(&view.holder, first->value.data, first->value.len);
    if (last)
        take(&view.ahead, last);
    view.revision = range.revision;
    *ret = view;
    return 0;
}

int etcd_turn_wait(struct etcd_client *client, const struct etcd_turn_view *view, int timeout_msec,
                   struct error *err)
{
    return etcd_wait_change(client, buffer_str(&view->ahead.key), view->revision, timeout_msec,
                            err);
}

int etcd_turn_keep(struct etcd_client *client, const struct etcd_turn *turn, struct error *err)
{
    struct etcd_lease lease;
    return etcd_lease_keepalive(client, turn->lease, &lease, err);
}

void etcd_turn_leave(struct etcd_client *client, struct etcd_turn *turn)
{
    if (turn->key)
        etcd_lease_revoke(client, turn->lease, NULL);
    etcd_turn_forget(turn);
}
