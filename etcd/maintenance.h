// What keeps a member in order. Status, defragmentation and snapshots are one member's own: ask a
// client that has that member's endpoints only (etcd_client_beside()). Errors as in client.h.
#pragma once

#include "etcd/client.h"

// The state of the member that answers. It does not prove a quorum: etcd_get() does.
int etcd_status(struct etcd_client *client, struct etcd_status *ret, struct error *err);

// Of all members.
int etcd_alarms(struct etcd_client *client, struct etcd_alarms *ret, struct error *err);
int etcd_alarm_disarm(struct etcd_client *client, int64_t member_id, const char *kind,
                      struct error *err);

// The member answers nothing meanwhile, for seconds per gigabyte: set the time budget first.
int etcd_defragment(struct etcd_client *client, struct error *err);

// To be asked of the leader. -EINVAL where the other one cannot lead.
int etcd_move_leader(struct etcd_client *client, int64_t to_member, struct error *err);

// Gets the bytes of a snapshot in their order: 0 to go on, or a negative errno (and *err) to end.
typedef int (*etcd_snapshot_fn)(void *userdata, const void *data, size_t len, struct error *err);

// The member's whole database as of one moment, and behind it its SHA-256 (32 bytes, which are no
// part of what was hashed). The time budget is for each silence, not for all of it.
int etcd_snapshot(struct etcd_client *client, etcd_snapshot_fn fn, void *userdata,
                  struct error *err);
