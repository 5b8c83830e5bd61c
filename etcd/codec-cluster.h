// The cluster's own requests and replies: members, status, alarms, snapshots. As codec.h, no
// network here. Ids of members and clusters are unsigned 64-bit numbers, kept as bit patterns.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"

struct etcd_status {
    char *version;
    int64_t cluster_id, member_id, leader_id; // leader_id 0: it knows none
    int64_t db_size, db_size_in_use;          // bytes; in use: 0 where etcd does not tell (3.3)
    int64_t raft_index, raft_applied;         // committed, and applied to the store
    int64_t raft_term, revision;
    bool is_learner;
    struct string_list errors; // "alarm:NOSPACE", "etcdserver: no leader"
};
void etcd_status_free(struct etcd_status *status);
#define _cleanup_etcd_status_ _cleanup_(etcd_status_free)

// A member of the cluster. One that was added and has not started yet has no name and no client
// URLs.
struct etcd_member {
    int64_t id;
    char *name;
    struct string_list peer_urls, client_urls;
    bool is_learner; // it does not vote
};
struct etcd_members {
    LIST_OF(struct etcd_member) members;
};
void etcd_members_free(struct etcd_members *members);
#define _cleanup_etcd_members_ _cleanup_(etcd_members_free)

// Borrowed; NULL where there is none.
const struct etcd_member *etcd_members_by_id(const struct etcd_members *members, int64_t id);

struct etcd_alarm {
    int64_t member_id; // 0: nobody's in particular
    char *kind;        // "NOSPACE", "CORRUPT"
};
struct etcd_alarms {
    LIST_OF(struct etcd_alarm) alarms;
};
void etcd_alarms_free(struct etcd_alarms *alarms);
#define _cleanup_etcd_alarms_ _cleanup_(etcd_alarms_free)

// Requests. All return text that the caller frees.
char *etcd_member_add_request(const struct string_list *peer_urls, bool is_learner);
char *etcd_member_update_request(int64_t id, const struct string_list *peer_urls);
char *etcd_member_request(int64_t id); // for remove and promote
char *etcd_alarms_request(void);
char *etcd_alarm_request(const char *action, int64_t member_id, const char *kind);
char *etcd_move_leader_request(int64_t id);

// Replies. 0, or -EBADMSG where the text is not what etcd would say.
int etcd_status_reply(const char *text, size_t len, struct etcd_status *ret, struct error *err);
int etcd_members_reply(const char *text, size_t len, struct etcd_members *ret, struct error *err);
// Who was added, in the list of all that the same reply holds.
int etcd_member_add_reply(const char *text, size_t len, int64_t *ret_id, struct etcd_members *ret,
                          struct error *err);
int etcd_alarms_reply(const char *text, size_t len, struct etcd_alarms *ret, struct error *err);

// One line of a snapshot's stream: its bytes are appended to `out`. -EBADMSG, or what
// etcd_error_reply() makes of an error.
int etcd_snapshot_reply(const char *text, size_t len, struct buffer *out, struct error *err);
