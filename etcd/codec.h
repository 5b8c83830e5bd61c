// Requests to and replies from etcd's v3 JSON gateway, as text: keys and values in base64, 64-bit
// integers as decimal strings, absent where they are zero (proto3's JSON). No network here.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"
#include "etcd/codec-cluster.h"

// A key with its value, as of one revision.
struct etcd_kv {
    struct buffer key, value;
    int64_t create_revision, mod_revision, version;
    int64_t lease; // 0 for none
};
void etcd_kv_free(struct etcd_kv *kv);
#define _cleanup_etcd_kv_ _cleanup_(etcd_kv_free)

struct etcd_range {
    LIST_OF(struct etcd_kv) kvs;
    int64_t revision; // of the store when it answered
    int64_t count;    // of keys in the range, which a limit may have cut
};
void etcd_range_free(struct etcd_range *range);
#define _cleanup_etcd_range_ _cleanup_(etcd_range_free)

// The outcome of "put this key unless it exists", or of a put or deletion on a condition.
struct etcd_create {
    bool created; // or swapped, or deleted
    int64_t revision;
    struct etcd_kv holder; // what is there; filled in only where it was not created
};
void etcd_create_free(struct etcd_create *create);
#define _cleanup_etcd_create_ _cleanup_(etcd_create_free)

// Two keys as of one moment, and whether they were put there just now.
struct etcd_twins {
    bool created;
    int64_t revision;      // of the store
    int64_t term;          // of raft, when it was answered
    struct etcd_kv kvs[2]; // an empty key where there is none; both empty where they were created
};
void etcd_twins_free(struct etcd_twins *twins);
#define _cleanup_etcd_twins_ _cleanup_(etcd_twins_free)

struct etcd_lease {
    int64_t id;
    int64_t ttl_sec;
    int64_t
        term; // of raft, as known to who answered, before it did what was asked (keepalive only)
};

// Requests. All return text that the caller frees. `range_end` is NULL for one key; see
// etcd_prefix_end(). limit 0: all.
char *etcd_range_request(const char *key, const struct buffer *range_end, int64_t limit);
char *etcd_put_request(const char *key, const void *value, size_t len, int64_t lease);
char *etcd_create_request(const char *key, const void *value, size_t len, int64_t lease);
// On the condition that the key was changed last at `mod_revision` (0: that it does not exist).
char *etcd_swap_request(const char *key, int64_t mod_revision, const void *value, size_t len,
                        int64_t lease);
char *etcd_delete_if_request(const char *key, int64_t mod_revision);
char *etcd_delete_request(const char *key, const struct buffer *range_end);
char *etcd_twins_request(const char *key, const char *twin);
// On the condition that neither exists.
char *etcd_create_twins_request(const char *key, const char *twin, const void *value, size_t len,
                                int64_t lease);
char *etcd_lease_grant_request(int64_t ttl_sec);
char *etcd_lease_request(int64_t id); // for keepalive and revoke
char *etcd_watch_request(const char *key, const struct buffer *range_end, int64_t start_revision);

// Appends the end of the range of all keys that start with `prefix`.
void etcd_prefix_end(const char *prefix, struct buffer *out);

// Replies. 0, or -EBADMSG where the text is not what etcd would say.
int etcd_range_reply(const char *text, size_t len, struct etcd_range *ret, struct error *err);
int etcd_put_reply(const char *text, size_t len, int64_t *ret_revision, struct error *err);
int etcd_create_reply(const char *text, size_t len, struct etcd_create *ret, struct error *err);
// The same for a put or deletion on a condition; the holder's key is empty where there is none.
int etcd_swap_reply(const char *text, size_t len, struct etcd_create *ret, struct error *err);
// `create`: the reply to etcd_create_twins_request().
int etcd_twins_reply(const char *text, size_t len, bool create, struct etcd_twins *ret,
                     struct error *err);
int etcd_delete_reply(const char *text, size_t len, int64_t *ret_deleted, struct error *err);
int etcd_lease_grant_reply(const char *text, size_t len, struct etcd_lease *ret, struct error *err);
// -ENOENT where the lease does not exist (any more).
int etcd_lease_keepalive_reply(const char *text, size_t len, struct etcd_lease *ret,
                               struct error *err);

// One line of a watch's stream: 1 for an event, 0 for the news that the watch has begun, -EAGAIN
// where etcd has ended the watch.
int etcd_watch_reply(const char *text, size_t len, struct error *err);

// A reply with an error: its gRPC status as a negative errno, etcd's message in *err. -EAGAIN: ask
// another member, or later.
int etcd_error_reply(const char *text, size_t len, struct error *err);
