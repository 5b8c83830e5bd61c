// System call filters: a policy (the default one, or a profile from a file in the form that
// container runtimes read) becomes a BPF program by libseccomp. The shim only installs the program.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"

enum {
    SECCOMP_PROFILE_SIZE_MAX = 1 << 20, // bytes of a profile's file
    SECCOMP_SYSCALLS_MAX = 8192,        // names in all rules of a profile
};

struct seccomp_cache; // the programs that were compiled last

struct seccomp_program {
    struct buffer code; // struct sock_filter, one after the other
    unsigned flags;     // SECCOMP_FILTER_FLAG_*
};

void seccomp_program_free(struct seccomp_program *program);
#define _cleanup_seccomp_program_ _cleanup_(seccomp_program_free)

struct seccomp_cache *seccomp_cache_new(void);
void seccomp_cache_free(struct seccomp_cache *cache);
DEFINE_CLEANUP(struct seccomp_cache *, seccomp_cache_free)

// The filter that container runtimes give by default to a container with these capabilities (bits:
// 1 << CAP_…). `cache` may be NULL. The caller frees *ret.
int seccomp_default_program(struct seccomp_cache *cache, uint64_t capabilities,
                            struct seccomp_program *ret, struct error *err);

// The same for the text of a profile in JSON. -EINVAL where it is no profile; err says what is
// wrong.
int seccomp_profile_program(struct seccomp_cache *cache, const char *text, size_t size,
                            uint64_t capabilities, struct seccomp_program *ret, struct error *err);
