// Memory that is given back all at once: the nodes of a YAML tree.
#pragma once

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; // the newest first
    size_t used;                // of the newest
};

// Zeroed memory, aligned for any type, that lives until arena_free(). Never NULL.
void *arena_alloc(struct arena *arena, size_t size);
// A copy of n bytes with a NUL behind them.
char *arena_strndup(struct arena *arena, const char *s, size_t n);
void arena_free(struct arena *arena);
