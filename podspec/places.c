// See places.h. A hash table with open addressing: a hostile file has a hundred thousand fields,
// and every one of them may be asked for.
#include "podspec/places.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct place {
    char *path; // NULL: free slot
    unsigned line, column;
};

struct podspec_places {
    char *file;
    char *prefix;        // or NULL
    struct buffer *full; // the prefix and what was asked for last
    struct place *slots;
    size_t n, n_slots; // n_slots is a power of two, or 0
};

struct podspec_places *places_new(const char *file)
{
    struct podspec_places *places = xcalloc(1, sizeof(*places));
    places->file = xstrdup(file);
    places->full = xcalloc(1, sizeof(*places->full));
    return places;
}

void places_free(struct podspec_places *places)
{
    if (!places)
        return;
    for (size_t i = 0; i < places->n_slots; i++)
        free(places->slots[i].path);
    buffer_free(places->full);
    free(places->full);
    free(places->prefix);
    free(places->slots);
    free(places->file);
    free(places);
}

void places_set_prefix(struct podspec_places *places, const char *prefix)
{
    free(places->prefix);
    places->prefix = xstrdup(prefix);
}

static uint64_t hash_path(const char *path, size_t len) // FNV-1a
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)path[i]) * 0x100000001b3u;
    return hash;
}

// The slot that holds the first `len` bytes of path, or the free one where it belongs.
static struct place *find_slot(const struct podspec_places *places, const char *path, size_t len)
{
    size_t mask = places->n_slots - 1;
    for (size_t i = hash_path(path, len) & mask;; i = (i + 1) & mask) {
        struct place *slot = &places->slots[i];
        if (!slot->path || (strncmp(slot->path, path, len) == 0 && slot->path[len] == '\0'))
            return slot;
    }
}

static void grow(struct podspec_places *places)
{
    struct place *old = places->slots;
    size_t n_old = places->n_slots;
    places->n_slots = n_old ? n_old * 2 : 64;
    places->slots = xcalloc(places->n_slots, sizeof(places->slots[0]));
    for (size_t i = 0; i < n_old; i++)
        if (old[i].path)
            *find_slot(places, old[i].path, strlen(old[i].path)) = old[i];
    free(old);
}

void places_add(struct podspec_places *places, const char *path, unsigned line, unsigned column)
{
    if (places->n * 2 >= places->n_slots)
        grow(places);
    struct place *slot = find_slot(places, path, strlen(path));
    if (slot->path)
        return;
    *slot = (struct place){xstrdup(path), line, column};
    places->n++;
}

struct podspec_places *places_copy(const struct podspec_places *places)
{
    if (!places)
        return NULL;
    struct podspec_places *copy = places_new(places->file);
    copy->prefix = xstrdup_or_null(places->prefix);
    for (size_t i = 0; i < places->n_slots; i++)
        if (places->slots[i].path)
            places_add(copy, places->slots[i].path, places->slots[i].line, places->slots[i].column);
    return copy;
}

// "a.b[1]" → "a.b" → "a" → "": the length of the parent of the first `len` bytes of path. A key in
// brackets may hold dots.
static size_t parent_length(const char *path, size_t len)
{
    if (len > 0 && path[len - 1] == ']') {
        while (len > 0 && path[len - 1] != '[')
            len--;
        return len > 0 ? len - 1 : 0;
    }
    while (len > 0 && path[len - 1] != '.' && path[len - 1] != ']')
        len--;
    return len > 0 && path[len - 1] == '.' ? len - 1 : len;
}

// The path as findings show it.
static const char *full_path(const struct podspec_places *places, const char *path)
{
    if (!places || !places->prefix)
        return path;
    buffer_truncate(places->full, 0);
    buffer_printf(places->full, "%s%s%s", places->prefix, *path ? "." : "", path);
    return buffer_str(places->full);
}

struct diag_place places_find(const struct podspec_places *places, const char *path)
{
    struct diag_place found = {.file = places_file(places), .path = full_path(places, path)};
    if (!places || places->n == 0)
        return found;
    for (size_t len = strlen(path);; len = parent_length(path, len)) {
        const struct place *slot = find_slot(places, path, len);
        if (slot->path) {
            found.line = slot->line;
            found.column = slot->column;
        }
        if (slot->path || len == 0)
            return found;
    }
}

const char *places_file(const struct podspec_places *places)
{
    return places ? places->file : "";
}
