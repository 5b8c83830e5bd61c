// Who belongs to the cluster, and changes of that. Errors as in client.h, and besides: -EAGAIN also
// where etcd refuses because members are missing ("unhealthy cluster").
#pragma once

#include "etcd/client.h"

// As the member that answers knows it.
int etcd_members(struct etcd_client *client, struct etcd_members *ret, struct error *err);

// -EEXIST where a member with one of the peer URLs is there. *ret_members (may be NULL) are all of
// them with the new one. As learner it does not vote until etcd_member_promote().
int etcd_member_add(struct etcd_client *client, const struct string_list *peer_urls,
                    bool is_learner, int64_t *ret_id, struct etcd_members *ret_members,
                    struct error *err);
// -ENOENT where there is none.
int etcd_member_remove(struct etcd_client *client, int64_t id, struct error *err);
// -EBUSY while the learner has not caught up with the leader; -EALREADY where it votes already.
int etcd_member_promote(struct etcd_client *client, int64_t id, struct error *err);
// Not for learners: etcd 3.4 forgets then that they are ones.
int etcd_member_update(struct etcd_client *client, int64_t id, const struct string_list *peer_urls,
                       struct error *err);
