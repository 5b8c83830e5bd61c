// A client of etcd's v3 JSON gateway: libcurl with mutual TLS, one call at a time. Calls block, but
// no longer than their time budget, and end at once when the interrupt descriptor becomes readable;
// so this is for programs of their own (podmaster, the command), not for the agent's event loop.
//
// A call that gets no answer from one member asks the next one. So a request may be carried out
// although its answer was lost: those here can be repeated without harm (a lease that was granted
// to nobody runs out).
//
// Errors of all calls: -EAGAIN where no member could answer in time, -ECANCELED when interrupted,
// -EACCES, -ENOENT, -EINVAL, -EIO, … for what etcd said, -EBADMSG for what it should not have said.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"
#include "etcd/codec.h"

struct etcd_client;

// Copied. The files may be NULL; only where an endpoint is https are they read.
struct etcd_config {
    const struct string_list *endpoints; // "https://10.0.0.1:2379"
    const char *cacert, *cert, *key;     // PEM files
    int timeout_msec;                    // the budget of a call; 0: 5000
};

// -EINVAL where an endpoint is no http(s) URL or a file cannot be read.
int etcd_client_new(const struct etcd_config *config, struct etcd_client **ret, struct error *err);
void etcd_client_free(struct etcd_client *client);
DEFINE_CLEANUP(struct etcd_client *, etcd_client_free)
#define _cleanup_etcd_client_ _cleanup_(cleanup_etcd_client_free)

// A client with the same certificates, budget and interrupt descriptor for other endpoints (one
// member's, say).
int etcd_client_beside(const struct etcd_client *client, const struct string_list *endpoints,
                       struct etcd_client **ret, struct error *err);

// The time budget of the calls that follow, all members together.
void etcd_client_set_timeout(struct etcd_client *client, int timeout_msec);

// A borrowed descriptor that ends calls when it is readable; -1 for none.
void etcd_client_set_interrupt(struct etcd_client *client, int fd);

// One key. -ENOENT where there is none. *ret_revision (may be NULL; filled in also then) is the
// store's: what etcd_wait_change() goes on from. The key's own may be too old for that.
int etcd_get(struct etcd_client *client, const char *key, struct etcd_kv *ret,
             int64_t *ret_revision, struct error *err);
// All keys that start with `prefix`, up to `limit` (0: all).
int etcd_range(struct etcd_client *client, const char *prefix, int64_t limit,
               struct etcd_range *ret, struct error *err);
int etcd_put(struct etcd_client *client, const char *key, const void *value, size_t len,
             int64_t lease, struct error *err);
// Puts the key in one transaction with the check that it does not exist (its creation revision is
// 0).
int etcd_create(struct etcd_client *client, const char *key, const void *value, size_t len,
                int64_t lease, struct etcd_create *ret, struct error *err);
// Puts the key if it was changed last at `mod_revision`, as a read has told (0: if there is none).
// Of use for locks: ret->created says whether it was done; if not, ret->holder is what is there
// (its key is empty where there is nothing). A lost answer to a swap that was done makes the next
// member say "no" with one's own value as the holder.
int etcd_swap(struct etcd_client *client, const char *key, int64_t mod_revision, const void *value,
              size_t len, int64_t lease, struct etcd_create *ret, struct error *err);
// Deletes it on the same condition.
int etcd_delete_if(struct etcd_client *client, const char *key, int64_t mod_revision,
                   struct etcd_create *ret, struct error *err);
int etcd_delete(struct etcd_client *client, const char *key, struct error *err);

// Two keys as of one revision, none of which need exist.
int etcd_get_twins(struct etcd_client *client, const char *key, const char *twin,
                   struct etcd_twins *ret, struct error *err);
// Puts both in one transaction with the check that neither exists; where one does, what is there.
// As with etcd_swap(), "no" with one's own lease in both is a yes whose answer was lost.
int etcd_create_twins(struct etcd_client *client, const char *key, const char *twin,
                      const void *value, size_t len, int64_t lease, struct etcd_twins *ret,
                      struct error *err);

int etcd_lease_grant(struct etcd_client *client, int64_t ttl_sec, struct etcd_lease *ret,
                     struct error *err);
// -ENOENT where the lease is gone. A member that has been a leader and has not heard yet that there
// is another one says yes as well; ret->term is then below that of a read that came before.
int etcd_lease_keepalive(struct etcd_client *client, int64_t id, struct etcd_lease *ret,
                         struct error *err);
// Deletes the lease and every key that is bound to it.
int etcd_lease_revoke(struct etcd_client *client, int64_t id, struct error *err);

// Waits until the key changes after `revision` of the store: 1, or 0 where nothing happened within
// timeout_msec.
int etcd_wait_change(struct etcd_client *client, const char *key, int64_t revision,
                     int timeout_msec, struct error *err);
// The same for any key that starts with `prefix`.
int etcd_wait_prefix(struct etcd_client *client, const char *prefix, int64_t revision,
                     int timeout_msec, struct error *err);
