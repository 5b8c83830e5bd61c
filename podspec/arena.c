// See arena.h.
#include "podspec/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/macro.h"

enum { BLOCK_SIZE = 16 << 10 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) char data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (!arena->blocks || arena->blocks->size - arena->used < rounded) {
        size_t room = MAX(rounded, (size_t)BLOCK_SIZE);
        struct arena_block *block = xcalloc(1, sizeof(*block) + room);
        *block = (struct arena_block){.next = arena->blocks, .size = room};
        arena->blocks = block;
        arena->used = 0;
    }
    void *p = arena->blocks->data + arena->used;
    arena->used += rounded;
    return p;
}

char *arena_strndup(struct arena *arena, const char *s, size_t n)
{
    char *copy = arena_alloc(arena, n + 1);
    memcpy(copy, s, n);
    return copy;
}

void arena_free(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}
