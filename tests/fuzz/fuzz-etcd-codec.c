// Replies of etcd's JSON gateway, which come over the network: every reader of them on every input.
// The first byte chooses the reader.
#include <stddef.h>
#include <stdint.h>

#include "etcd/codec.h"

enum { INPUT_MAX = 64 << 10 };

static void read_keys(const char *text, size_t len)
{
    _cleanup_etcd_range_ struct etcd_range range = {0};
    _cleanup_etcd_create_ struct etcd_create create = {0};
    _cleanup_etcd_create_ struct etcd_create swap = {0};
    etcd_range_reply(text, len, &range, NULL);
    etcd_swap_reply(text, len, &swap, NULL);
    etcd_create_reply(text, len, &create, NULL);
}

static void read_numbers(const char *text, size_t len)
{
    _cleanup_etcd_status_ struct etcd_status status = {0};
    _cleanup_etcd_members_ struct etcd_members members = {0};
    struct etcd_lease lease;
    int64_t number;
    etcd_put_reply(text, len, &number, NULL);
    etcd_delete_reply(text, len, &number, NULL);
    etcd_lease_grant_reply(text, len, &lease, NULL);
    etcd_lease_keepalive_reply(text, len, &lease, NULL);
    etcd_status_reply(text, len, &status, NULL);
    etcd_members_reply(text, len, &members, NULL);
}

static void read_cluster(const char *text, size_t len)
{
    _cleanup_etcd_members_ struct etcd_members members = {0};
    _cleanup_etcd_alarms_ struct etcd_alarms alarms = {0};
    _cleanup_buffer_ struct buffer bytes = BUFFER_EMPTY;
    int64_t id;
    etcd_member_add_reply(text, len, &id, &members, NULL);
    etcd_alarms_reply(text, len, &alarms, NULL);
    etcd_snapshot_reply(text, len, &bytes, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_MAX)
        return 0;
    const char *text = (const char *)data + 1;
    _cleanup_error_ struct error err = ERROR_NONE;
    switch (data[0] % 4) {
    case 0:
        read_keys(text, size - 1);
        break;
    case 1:
        read_numbers(text, size - 1);
        break;
    case 2:
        read_cluster(text, size - 1);
        break;
    default:
        etcd_watch_reply(text, size - 1, &err);
        etcd_error_reply(text, size - 1, &err);
    }
    return 0;
}
