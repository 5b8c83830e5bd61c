// Profiles of system call filters: what is accepted compiles to a program that the kernel's bounds
// allow, or is refused with a reason; no input takes the agent with it.
#include <linux/filter.h>
#include <stdint.h>
#include <stdlib.h>

#include "supervisor/seccomp-internal.h"

enum {
    INPUT_MAX = 16 << 10,
    NAMES_MAX = 64, // libseccomp takes its time over many conditions
};

static size_t count_names(const struct seccomp_policy *policy)
{
    size_t n = 0;
    LIST_EACH (rule, &policy->rules)
        n += rule->names.n;
    return n;
}

static void compile(const struct seccomp_policy *policy, uint64_t capabilities)
{
    struct seccomp_program program = {.flags = 0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = seccomp_policy_compile(policy, capabilities, &program, &err);
    if (code == 0 && (program.code.len == 0 || program.code.len % sizeof(struct sock_filter) != 0))
        abort();
    if (code < 0 && !err.message)
        abort();
    seccomp_program_free(&program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seccomp_policy policy;
    _cleanup_error_ struct error err = ERROR_NONE;
    if (size > INPUT_MAX)
        return 0;
    int code = seccomp_policy_parse((const char *)data, size, &policy, &err);
    if (code < 0) {
        if (!err.message)
            abort();
        return 0;
    }
    if (count_names(&policy) <= NAMES_MAX) {
        compile(&policy, 0);
        compile(&policy, UINT64_MAX);
    }
    seccomp_policy_free(&policy);
    return 0;
}
