// What is asked of every member of an etcd cluster one by one, and what follows from the answers:
// how many may fail, whose turn it is. The judgements have no network in them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"
#include "etcd/maintenance.h"
#include "etcd/members.h"

// One member.
struct etcd_look {
    const struct etcd_member *member; // of the survey's list
    bool answers;                     // its status is known
    bool healthy;                     // a linearizable read through it was answered
    struct etcd_status status;
    int64_t latency_usec; // of that read; 0 where it failed
    struct error why;     // why it does not answer, or is not healthy
};

struct etcd_survey {
    struct etcd_members members;
    LIST_OF(struct etcd_look) looks; // one for each member, sorted by name
    struct etcd_alarms alarms;
    int64_t leader_id;  // 0: nobody knows one
    int64_t raft_index; // the highest that was seen
};

// Asks `client` who the members are, and then each of them by a client of its own. 0 also where
// some, or all but one, do not answer. etcd_survey_free() it in either case.
int etcd_survey_make(struct etcd_client *client, struct etcd_survey *ret, struct error *err);
void etcd_survey_free(struct etcd_survey *survey);
#define _cleanup_etcd_survey_ _cleanup_(etcd_survey_free)

// A linearizable read: who answers it has a leader and a quorum behind it, and has applied all that
// was acknowledged before. *ret_usec is how long it took.
int etcd_read_through(struct etcd_client *client, int64_t *ret_usec, struct error *err);

// "m1", or "a new member" where it has never started. Borrowed.
const char *etcd_member_title(const struct etcd_member *member);

// --- judgements

struct etcd_margin {
    size_t voters, healthy; // healthy ones among the voters
    size_t quorum;          // how many must be healthy
    size_t learners;
};
struct etcd_margin etcd_margin_of(const struct etcd_survey *survey);
bool etcd_margin_has_quorum(const struct etcd_margin *margin);
// How many more may fail; 0 also where there is no quorum.
size_t etcd_margin_spare(const struct etcd_margin *margin);
// "3 members, 3 healthy: 1 may fail".
void etcd_margin_say(const struct etcd_margin *margin, struct buffer *out);

// What would be left.
struct etcd_margin etcd_margin_without(struct etcd_margin margin, const struct etcd_look *look);
struct etcd_margin etcd_margin_with_voter(struct etcd_margin margin); // which has not started

// The order in which members are taken out of service for a while, one after the other: learners,
// followers, the leader. Indexes into survey->looks; the caller frees.
size_t *etcd_survey_order(const struct etcd_survey *survey);

// By name, by id in hexadecimal as etcdctl prints it, or by one of its URLs. NULL where there is
// none.
const struct etcd_look *etcd_survey_find(const struct etcd_survey *survey, const char *word);
