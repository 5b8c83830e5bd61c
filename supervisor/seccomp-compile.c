// From a policy to a BPF program, by libseccomp. See seccomp-internal.h.
#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/seccomp-internal.h"

enum { X32_BIT = 0x40000000 };

// In Go's words, as profiles have them; what each also runs.
static const struct {
    uint32_t token, audit;
    const char *name;
    uint32_t compatible[2];
} arches[] = {
    {SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, "amd64", {SCMP_ARCH_X86, SCMP_ARCH_X32}},
    {SCMP_ARCH_X86, AUDIT_ARCH_I386, "x86", {0}},
    {SCMP_ARCH_X32, AUDIT_ARCH_X86_64, "x32", {0}},
    {SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, "arm64", {SCMP_ARCH_ARM}},
    {SCMP_ARCH_ARM, AUDIT_ARCH_ARM, "arm", {0}},
    {SCMP_ARCH_PPC64LE, AUDIT_ARCH_PPC64LE, "ppc64le", {0}},
    {SCMP_ARCH_S390X, AUDIT_ARCH_S390X, "s390x", {SCMP_ARCH_S390}},
    {SCMP_ARCH_S390, AUDIT_ARCH_S390, "s390", {0}},
    {SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64, "riscv64", {0}},
};

void seccomp_policy_free(struct seccomp_policy *policy)
{
    LIST_EACH (rule, &policy->rules) {
        string_list_free(&rule->names);
        string_list_free(&rule->includes.arches);
        string_list_free(&rule->excludes.arches);
        free(rule->conditions.items);
    }
    free(policy->rules.items);
    free(policy->architectures.items);
    *policy = (struct seccomp_policy){0};
}

void seccomp_policy_add_compatible(struct seccomp_policy *policy)
{
    uint32_t native = seccomp_arch_native();
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
        for (size_t k = 0; arches[i].token == native && k < 2 && arches[i].compatible[k]; k++)
            *LIST_APPEND(&policy->architectures) = arches[i].compatible[k];
}

// ---- which rules count ----

static unsigned running_kernel(void)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    if (uname(&name) == 0)
        sscanf(name.release, "%u.%u", &major, &minor);
    return major << 16 | (minor & 0xffff);
}

static const char *native_name(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
        if (arches[i].token == seccomp_arch_native())
            return arches[i].name;
    return "unknown";
}

static bool counts(const struct seccomp_rule *rule, uint64_t capabilities, unsigned kernel)
{
    const struct seccomp_when *in = &rule->includes, *out = &rule->excludes;
    if ((in->capabilities & capabilities) != in->capabilities || kernel < in->kernel)
        return false;
    if (in->arches.n && !string_list_contains(&in->arches, native_name()))
        return false;
    return !(out->capabilities & capabilities) && !(out->kernel && kernel >= out->kernel) &&
           !string_list_contains(&out->arches, native_name());
}

// ---- rules ----

// Several conditions on one argument are alternatives, as runtimes have it.
static bool are_alternatives(const struct seccomp_rule *rule)
{
    unsigned seen = 0;
    LIST_EACH (condition, &rule->conditions) {
        if (seen & 1U << condition->argument)
            return true;
        seen |= 1U << condition->argument;
    }
    return false;
}

static int add_call(scmp_filter_ctx filter, const struct seccomp_rule *rule, int number)
{
    struct scmp_arg_cmp compare[8];
    unsigned n = 0;
    bool alternatives = are_alternatives(rule);
    LIST_EACH (condition, &rule->conditions) {
        compare[n] =
            SCMP_CMP64(condition->argument, condition->op, condition->value, condition->value_two);
        if (alternatives) {
            int code = seccomp_rule_add_array(filter, rule->action, number, 1, compare);
            if (code < 0 && code != -EEXIST)
                return code;
        } else if (n < 6) {
            n++;
        }
    }
    int code = alternatives ? 0 : seccomp_rule_add_array(filter, rule->action, number, n, compare);
    return code == -EEXIST ? 0 : code;
}

static int add_rules(scmp_filter_ctx filter, const struct seccomp_policy *policy,
                     uint64_t capabilities, struct error *err)
{
    unsigned kernel = running_kernel();
    LIST_EACH (rule, &policy->rules) {
        // libseccomp refuses a rule that says what is done anyway.
        if (rule->action == policy->default_action || !counts(rule, capabilities, kernel))
            continue;
        LIST_EACH (name, &rule->names) {
            int number = seccomp_syscall_resolve_name(*name);
            // A call that this libseccomp does not know cannot be told from the others.
            int code = number == __NR_SCMP_ERROR ? 0 : add_call(filter, rule, number);
            if (code < 0)
                return error_errno(err, code, "the rule for %s is refused", *name);
        }
    }
    return 0;
}

// ---- calls that are newer than the policy ----

// A C library tries a new system call and takes an older one where the kernel answers ENOSYS; EPERM
// would be an error of the program. So numbers above every one that the policy names get ENOSYS,
// before the filter is asked.
static int highest_number(const struct seccomp_policy *policy, uint32_t arch)
{
    int highest = -1;
    LIST_EACH (rule, &policy->rules)
        LIST_EACH (name, &rule->names) {
            int number = seccomp_syscall_resolve_name_arch(arch, *name);
            highest = MAX(highest, number);
        }
    return highest;
}

static void add_instructions(struct buffer *out, uint32_t audit, uint32_t highest)
{
    const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, highest, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    buffer_add(out, code, sizeof(code));
}

static void add_newer_calls(const struct seccomp_policy *policy, struct buffer *out)
{
    if (policy->default_action == SCMP_ACT_ALLOW || policy->default_action == SCMP_ACT_LOG)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
        bool listed = arches[i].token == seccomp_arch_native();
        LIST_EACH (arch, &policy->architectures)
            listed |= *arch == arches[i].token;
        // The numbers of x32 have a bit of their own, beside those of x86-64.
        int highest = listed && arches[i].token != SCMP_ARCH_X32
                          ? highest_number(policy, arches[i].token)
                          : -1;
        if (highest > 0)
            add_instructions(out, arches[i].audit, (uint32_t)highest);
    }
}

// ---- the program ----

// libseccomp writes to a descriptor only.
static int export(scmp_filter_ctx filter, struct buffer *out, struct error *err)
{
    _cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
    int code = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
    if (code == 0 && lseek(fd, 0, SEEK_SET) < 0)
        code = -errno;
    if (code == 0)
        code = fs_read_fd(fd, BPF_MAXINSNS * sizeof(struct sock_filter), out);
    if (code == 0 && out->len > BPF_MAXINSNS * sizeof(struct sock_filter))
        code = -EFBIG;
    if (code == -EFBIG)
        return error_set(err, code, "it has more rules than the kernel takes (%d instructions)",
                         BPF_MAXINSNS);
    return code < 0 ? error_errno(err, code, "cannot make the program of a seccomp profile") : 0;
}

static int fill(scmp_filter_ctx filter, const struct seccomp_policy *policy, uint64_t capabilities,
                struct error *err)
{
    LIST_EACH (arch, &policy->architectures) {
        int code = seccomp_arch_add(filter, *arch);
        if (code < 0 && code != -EEXIST)
            return error_errno(err, code, "an architecture is refused");
    }
    return add_rules(filter, policy, capabilities, err);
}

int seccomp_policy_compile(const struct seccomp_policy *policy, uint64_t capabilities,
                           struct seccomp_program *ret, struct error *err)
{
    struct seccomp_program program = {.flags = policy->flags};
    scmp_filter_ctx filter = seccomp_init(policy->default_action);
    if (!filter)
        return error_set(err, EINVAL, "its default action is refused");
    int code = fill(filter, policy, capabilities, err);
    add_newer_calls(policy, &program.code);
    if (code == 0)
        code = export(filter, &program.code, err);
    seccomp_release(filter);
    if (code < 0)
        seccomp_program_free(&program);
    else
        *ret = program;
    return code;
}
