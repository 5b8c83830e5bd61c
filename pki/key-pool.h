// Keys made ahead on all cores, while whoever needs them is busy with signing and writing: for
// commands that make a whole set at once.
#pragma once

#include "base/error.h"
#include "pki/key.h"

struct key_pool;

// Begins to make `n` keys. Never fails: where no thread can be had, the keys are made when they are
// taken.
struct key_pool *key_pool_new(enum key_algorithm algorithm, size_t n);

// The next key, waited for; beyond the n that were ordered, one made now. 0, or a negative errno.
int key_pool_take(struct key_pool *pool, EVP_PKEY **ret, struct error *err);

// Keys that were not taken are wiped.
void key_pool_free(struct key_pool *pool);
DEFINE_CLEANUP(struct key_pool *, key_pool_free)
#define _cleanup_key_pool_ _cleanup_(cleanup_key_pool_free)
