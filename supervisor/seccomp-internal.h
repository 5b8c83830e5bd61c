// What the files seccomp*.c share; nobody else includes it (but a test and a fuzzer).
#pragma once

#include <seccomp.h>
#include <stdbool.h>

#include "base/string-list.h"
#include "supervisor/seccomp.h"

struct seccomp_condition { // of an argument; all of a rule's must hold
    unsigned argument;
    enum scmp_compare op;
    uint64_t value, value_two;
};

// When a rule counts at all. What is empty asks for nothing.
struct seccomp_when {
    uint64_t capabilities;     // bits
    struct string_list arches; // "amd64", "x32", "arm64", … as Go calls them
    unsigned kernel;           // major << 16 | minor: this one or a later
};

struct seccomp_rule {
    struct string_list names;
    uint32_t action; // SCMP_ACT_*
    LIST_OF(struct seccomp_condition) conditions;
    struct seccomp_when includes; // all of it must be so
    struct seccomp_when excludes; // none of it may be so
};

struct seccomp_policy {
    uint32_t default_action;
    LIST_OF(uint32_t) architectures; // SCMP_ARCH_*, beside the machine's own
    unsigned flags;                  // SECCOMP_FILTER_FLAG_*
    LIST_OF(struct seccomp_rule) rules;
};

void seccomp_policy_free(struct seccomp_policy *policy);
#define _cleanup_seccomp_policy_ _cleanup_(seccomp_policy_free)

// seccomp-profile.c: -EINVAL where the text is no profile.
int seccomp_policy_parse(const char *text, size_t size, struct seccomp_policy *ret,
                         struct error *err);

// seccomp-default.c
void seccomp_policy_default(struct seccomp_policy *ret);
// Adds the architectures whose programs this machine runs beside its own.
void seccomp_policy_add_compatible(struct seccomp_policy *policy);

// seccomp-compile.c: those rules that count for these capabilities on this kernel and machine.
int seccomp_policy_compile(const struct seccomp_policy *policy, uint64_t capabilities,
                           struct seccomp_program *ret, struct error *err);
