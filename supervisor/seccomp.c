// See seccomp.h: what was compiled is kept, since a node runs many containers of few kinds, and
// compiling takes libseccomp ten milliseconds.
#include "supervisor/seccomp.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/work.h"
#include "supervisor/seccomp-internal.h"

enum { KEPT_MAX = 8 };

struct kept {
    char digest[DIGEST_HEX_SIZE]; // of the profile's text; "" for the default
    uint64_t capabilities;
    uint64_t used; // the cache's count at the last use
    struct seccomp_program program;
};

struct seccomp_cache {
    struct kept kept[KEPT_MAX];
    size_t n;
    uint64_t count;
};

struct seccomp_cache *seccomp_cache_new(void)
{
    return xcalloc(1, sizeof(struct seccomp_cache));
}

void seccomp_cache_free(struct seccomp_cache *cache)
{
    for (size_t i = 0; cache && i < cache->n; i++)
        seccomp_program_free(&cache->kept[i].program);
    free(cache);
}

void seccomp_program_free(struct seccomp_program *program)
{
    buffer_free(&program->code);
    program->flags = 0;
}

static void copy_program(const struct seccomp_program *from, struct seccomp_program *to)
{
    *to = (struct seccomp_program){.flags = from->flags};
    buffer_add(&to->code, from->code.data, from->code.len);
}

static bool recall(struct seccomp_cache *cache, const char *digest, uint64_t capabilities,
                   struct seccomp_program *ret)
{
    for (size_t i = 0; cache && i < cache->n; i++) {
        struct kept *kept = &cache->kept[i];
        if (kept->capabilities != capabilities || strcmp(kept->digest, digest) != 0)
            continue;
        kept->used = ++cache->count;
        copy_program(&kept->program, ret);
        return true;
    }
    return false;
}

static void keep(struct seccomp_cache *cache, const char *digest, uint64_t capabilities,
                 const struct seccomp_program *program)
{
    struct kept *place = NULL;
    if (!cache)
        return;
    if (cache->n < KEPT_MAX) {
        place = &cache->kept[cache->n++];
    } else {
        for (size_t i = 0; i < cache->n; i++)
            if (!place || cache->kept[i].used < place->used)
                place = &cache->kept[i];
        seccomp_program_free(&place->program);
    }
    *place = (struct kept){.capabilities = capabilities, .used = ++cache->count};
    memcpy(place->digest, digest, strlen(digest) + 1);
    copy_program(program, &place->program);
}

static int compile(struct seccomp_cache *cache, const char *digest,
                   const struct seccomp_policy *policy, uint64_t capabilities,
                   struct seccomp_program *ret, struct error *err)
{
    int code = seccomp_policy_compile(policy, capabilities, ret, err);
    // Most of a megabyte, which is not needed again soon.
    malloc_trim(0);
    if (code == 0)
        keep(cache, digest, capabilities, ret);
    return code;
}

int seccomp_default_program(struct seccomp_cache *cache, uint64_t capabilities,
                            struct seccomp_program *ret, struct error *err)
{
    _cleanup_seccomp_policy_ struct seccomp_policy policy = {0};
    WORK_SCOPE("pods", "seccomp profile", NULL, "RuntimeDefault");
    if (recall(cache, "", capabilities, ret))
        return 0;
    seccomp_policy_default(&policy);
    return compile(cache, "", &policy, capabilities, ret, err);
}

int seccomp_profile_program(struct seccomp_cache *cache, const char *text, size_t size,
                            uint64_t capabilities, struct seccomp_program *ret, struct error *err)
{
    _cleanup_seccomp_policy_ struct seccomp_policy policy = {0};
    char digest[DIGEST_HEX_SIZE];
    WORK_SCOPE("pods", "seccomp profile", NULL, "Localhost");
    digest_sha256_hex(text, size, digest);
    if (recall(cache, digest, capabilities, ret))
        return 0;
    int code = seccomp_policy_parse(text, size, &policy, err);
    return code < 0 ? code : compile(cache, digest, &policy, capabilities, ret, err);
}
