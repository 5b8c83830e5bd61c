// Turns: a fair lock in etcd, as its own concurrency recipe takes it. Each who wants one puts a key
// below a common prefix, bound to a lease of its own; whose key was created first has the turn, and
// each of the others watches the key just before its own, so that an end wakes one and not all. A
// holder that dies loses its turn with its lease.
#pragma once

#include "etcd/client.h"

struct etcd_turn {
    char *prefix;           // with the slash
    char *key;              // "PREFIX/LEASE"; NULL: stands in no line
    int64_t lease, ttl_sec; // as granted
    int64_t created;        // the key's creation revision: its place in the line
};

// Who is before us.
struct etcd_turn_view {
    struct buffer holder; // the value of the key whose turn it is
    struct etcd_kv ahead; // the key just before ours
    size_t n_ahead;       // 0: it is our turn
    int64_t revision;     // of the store: where a watch of `ahead` begins
};
void etcd_turn_view_free(struct etcd_turn_view *view);
#define _cleanup_etcd_turn_view_ _cleanup_(etcd_turn_view_free)

// In the line below `prefix`; stands in it from etcd_turn_enter() on.
void etcd_turn_init(struct etcd_turn *turn, const char *prefix);

// Takes a place at the end of the line; `value` tells the others who it is.
int etcd_turn_enter(struct etcd_client *client, const char *value, int64_t ttl_sec,
                    struct etcd_turn *turn, struct error *err);

// -ENOENT where our own place is lost (the lease ran out). `turn` may stand in no line: then all
// who do are ahead.
int etcd_turn_look(struct etcd_client *client, const struct etcd_turn *turn,
                   struct etcd_turn_view *ret, struct error *err);

// Waits until the key of `view->ahead` changes, or for timeout_msec at most: 1, or 0.
int etcd_turn_wait(struct etcd_client *client, const struct etcd_turn_view *view, int timeout_msec,
                   struct error *err);

// To be called several times in ttl_sec. -ENOENT where the lease is gone.
int etcd_turn_keep(struct etcd_client *client, const struct etcd_turn *turn, struct error *err);

// Gives the place up: at once where etcd can be asked, else when the lease runs out. Does nothing
// where there is none.
void etcd_turn_leave(struct etcd_client *client, struct etcd_turn *turn);
// Without asking etcd.
void etcd_turn_forget(struct etcd_turn *turn); // the place
void etcd_turn_free(struct etcd_turn *turn);
