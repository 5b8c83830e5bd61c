// System call filters: what the default one says to each call, profiles from files, and programs
// that run under them. Verdicts are read by interpreting the program as the kernel would.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/seccomp-internal.h"
#include "supervisor/shim/credentials.h"

#define BIT(capability) ((uint64_t)1 << (capability))

enum {
    ALLOWED = (int)SECCOMP_RET_ALLOW,
    NO_PERMISSION = SECCOMP_RET_ERRNO | EPERM,
    NO_SUCH_CALL = SECCOMP_RET_ERRNO | ENOSYS,
};

// What containerd gives to whom asks for nothing.
static const uint64_t usual =
    BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) | BIT(CAP_MKNOD) |
    BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) |
    BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);

// ---- the kernel's side ----

static bool jumps(const struct sock_filter *i, uint32_t a)
{
    switch (BPF_OP(i->code)) {
    case BPF_JEQ:
        return a == i->k;
    case BPF_JGT:
        return a > i->k;
    case BPF_JGE:
        return a >= i->k;
    case BPF_JSET:
        return a & i->k;
    default:
        fail_msg("a jump that is not known");
        return false;
    }
}

static uint32_t interpret(const struct seccomp_program *program, const struct seccomp_data *data)
{
    const struct sock_filter *code = (const void *)program->code.data;
    size_t n = program->code.len / sizeof(*code);
    uint32_t a = 0;
    for (size_t pc = 0; pc < n; pc++) {
        const struct sock_filter *i = &code[pc];
        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
            assert_true(i->k + 4 <= sizeof(*data));
            memcpy(&a, (const char *)data + i->k, 4);
            break;
        case BPF_ALU:
            assert_int_equal(i->code, BPF_ALU | BPF_AND | BPF_K);
            a &= i->k;
            break;
        case BPF_JMP:
            if (BPF_OP(i->code) == BPF_JA)
                pc += i->k;
            else
                pc += jumps(i, a) ? i->jt : i->jf;
            break;
        case BPF_RET:
            return i->k;
        default:
            fail_msg("an instruction that is not known");
        }
    }
    fail_msg("the program has no end");
    return 0;
}

static uint32_t native_audit(void)
{
    switch (seccomp_arch_native()) {
    case SCMP_ARCH_X86_64:
        return AUDIT_ARCH_X86_64;
    case SCMP_ARCH_AARCH64:
        return AUDIT_ARCH_AARCH64;
    default:
        return 0;
    }
}

static uint32_t ask(const struct seccomp_program *program, const char *name, uint64_t first)
{
    struct seccomp_data data = {
        .nr = seccomp_syscall_resolve_name(name),
        .arch = native_audit(),
        .args = {first},
    };
    return interpret(program, &data);
}

static uint32_t ask_number(const struct seccomp_program *program, uint32_t arch, int number)
{
    struct seccomp_data data = {.nr = number, .arch = arch};
    return interpret(program, &data);
}

static int only_where_known(void **state)
{
    if (!native_audit())
        skip();
    return 0;
}

// ---- the default ----

static void the_default_follows_the_capabilities(void **state)
{
    static const struct {
        uint64_t capabilities;
        const char *name;
        uint64_t first;
        uint32_t verdict;
    } rows[] = {
        {0, "read", 0, ALLOWED},
        {0, "execve", 0, ALLOWED},
        {0, "mount", 0, NO_PERMISSION},
        {BIT(CAP_SYS_ADMIN), "mount", 0, ALLOWED},
        {0, "keyctl", 0, NO_PERMISSION},
        {BIT(CAP_SYS_ADMIN), "keyctl", 0, NO_PERMISSION},
        {0, "io_uring_setup", 0, NO_PERMISSION},
        {0, "userfaultfd", 0, NO_PERMISSION},
        {0, "kexec_load", 0, NO_PERMISSION},
        {0, "bpf", 0, NO_PERMISSION},
        {BIT(CAP_BPF), "bpf", 0, ALLOWED},
        {0, "reboot", 0, NO_PERMISSION},
        {BIT(CAP_SYS_BOOT), "reboot", 0, ALLOWED},
        {0, "chroot", 0, NO_PERMISSION},
        {usual, "chroot", 0, ALLOWED},
        {0, "init_module", 0, NO_PERMISSION},
        {BIT(CAP_SYS_MODULE), "init_module", 0, ALLOWED},
        {0, "settimeofday", 0, NO_PERMISSION},
        {BIT(CAP_SYS_TIME), "settimeofday", 0, ALLOWED},
        {0, "open_by_handle_at", 0, NO_PERMISSION},
        {BIT(CAP_DAC_READ_SEARCH), "open_by_handle_at", 0, ALLOWED},
        {0, "unshare", 0, NO_PERMISSION},
        {0, "setns", 0, NO_PERMISSION},
        {0, "ptrace", 0, ALLOWED},
        {0, "clone", SIGCHLD, ALLOWED},
        {0, "clone", CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, ALLOWED},
        {0, "clone", CLONE_NEWUSER | SIGCHLD, NO_PERMISSION},
        {0, "clone", CLONE_NEWNS, NO_PERMISSION},
        {0, "clone", CLONE_NEWCGROUP, NO_PERMISSION},
        {BIT(CAP_SYS_ADMIN), "clone", CLONE_NEWUSER, ALLOWED},
        {0, "clone3", 0, NO_SUCH_CALL},
        {BIT(CAP_SYS_ADMIN), "clone3", 0, ALLOWED},
        {0, "socket", AF_INET, ALLOWED},
        {0, "socket", AF_UNIX, ALLOWED},
        {0, "socket", AF_VSOCK, NO_PERMISSION},
        {0, "personality", 0, ALLOWED},
        {0, "personality", 0xffffffff, ALLOWED},
        {0, "personality", 0x40000, NO_PERMISSION}, // ADDR_NO_RANDOMIZE
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_seccomp_program_ struct seccomp_program program = {0};
        assert_int_equal(seccomp_default_program(NULL, rows[i].capabilities, &program, NULL), 0);
        if (ask(&program, rows[i].name, rows[i].first) != rows[i].verdict)
            fail_msg("%s(%#llx) with %#llx: %#x", rows[i].name, (unsigned long long)rows[i].first,
                     (unsigned long long)rows[i].capabilities,
                     ask(&program, rows[i].name, rows[i].first));
    }
}

static void calls_from_the_future_do_not_exist(void **state)
{
    _cleanup_seccomp_program_ struct seccomp_program program = {0};
    assert_int_equal(seccomp_default_program(NULL, 0, &program, NULL), 0);
    assert_int_equal(ask_number(&program, native_audit(), 900), NO_SUCH_CALL);
    assert_int_equal(ask_number(&program, native_audit(), -1), NO_PERMISSION);
    // Another machine's calls are not even looked at.
    assert_int_equal(ask_number(&program, AUDIT_ARCH_S390X, 900), SECCOMP_RET_KILL);
    assert_int_equal(ask_number(&program, AUDIT_ARCH_S390X, 1), SECCOMP_RET_KILL);
}

#ifdef __x86_64__
static void both_machines_of_x86_are_filtered(void **state)
{
    _cleanup_seccomp_program_ struct seccomp_program program = {0};
    assert_int_equal(seccomp_default_program(NULL, 0, &program, NULL), 0);
    assert_int_equal(ask_number(&program, AUDIT_ARCH_I386, 3), ALLOWED);        // read
    assert_int_equal(ask_number(&program, AUDIT_ARCH_I386, 21), NO_PERMISSION); // mount
    assert_int_equal(ask_number(&program, AUDIT_ARCH_I386, 900), NO_SUCH_CALL);
    assert_int_equal(ask_number(&program, AUDIT_ARCH_X86_64, 0x40000000), ALLOWED); // x32 read
    assert_int_equal(ask_number(&program, AUDIT_ARCH_X86_64, 0x400000a5), NO_PERMISSION);
}
#endif

// ---- compared with the profile of another runtime ----

// Where the two differ on purpose: what newer releases of the runtimes have changed.
static bool is_known_difference(const char *name)
{
    static const char *const names[] = {
        // containerd gives them with CAP_SYS_ADMIN (reboot: CAP_SYS_BOOT) only, Podman to
        // everybody.
        "clone3",
        "fsconfig",
        "fsmount",
        "fsopen",
        "fspick",
        "mount",
        "mount_setattr",
        "move_mount",
        "name_to_handle_at",
        "open_tree",
        "reboot",
        "setns",
        "syslog",
        "umount2",
        "unshare",
        // containerd does not give these without CAP_SYS_PTRACE, CAP_SYS_NICE or at all.
        "get_mempolicy",
        "keyctl",
        "mbind",
        "pidfd_getfd",
        "pivot_root",
        "process_vm_readv",
        "process_vm_writev",
        "query_module",
        "set_mempolicy",
        // containerd gives them, Podman does not (yet).
        "futex_waitv",
        "io_pgetevents",
        "quotactl_fd",
        "vmsplice",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void the_default_is_the_one_of_other_runtimes(void **state)
{
    static const char path[] = "/usr/share/containers/seccomp.json";
    static const uint64_t sets[] = {0,
                                    BIT(CAP_SYS_ADMIN),
                                    BIT(CAP_SYS_TIME),
                                    BIT(CAP_SYS_MODULE),
                                    BIT(CAP_SYS_CHROOT),
                                    BIT(CAP_DAC_READ_SEARCH)};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const char *at = getenv("MAINSTAY_SECCOMP_JSON");
    size_t differ = 0;
    if (fs_read_file(AT_FDCWD, at ? at : path, SECCOMP_PROFILE_SIZE_MAX, &text) < 0)
        skip(); // golang-github-containers-common is not installed
    for (size_t set = 0; set < ARRAY_SIZE(sets); set++) {
        _cleanup_seccomp_program_ struct seccomp_program theirs = {0}, ours = {0};
        assert_int_equal(
            seccomp_profile_program(NULL, text.data, text.len, sets[set], &theirs, NULL), 0);
        assert_int_equal(seccomp_default_program(NULL, sets[set], &ours, NULL), 0);
        for (int number = 0; number < 450; number++) {
            char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
            bool we = ask_number(&ours, native_audit(), number) == ALLOWED;
            bool they = ask_number(&theirs, native_audit(), number) == ALLOWED;
            if (name && we != they && !is_known_difference(name)) {
                print_message("%s: %s here (capabilities %#llx)\n", name,
                              we ? "allowed" : "refused", (unsigned long long)sets[set]);
                differ++;
            }
            free(name);
        }
    }
    assert_int_equal(differ, 0);
}

// ---- profiles ----

static int parse(const char *text, struct seccomp_policy *ret, struct error *err)
{
    return seccomp_policy_parse(text, strlen(text), ret, err);
}

static void profiles_are_read(void **state)
{
    static const char text[] =
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38,\n"
        " \"archMap\": [{\"architecture\": \"SCMP_ARCH_X86_64\",\n"
        "   \"subArchitectures\": [\"SCMP_ARCH_X86\"]}],\n"
        " \"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"],\n"
        " \"syscalls\": [\n"
        "  {\"names\": [\"read\", \"no_such_call\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": "
        "[]},\n"
        "  {\"name\": \"getpid\", \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 13, \"args\": "
        "null},\n"
        "  {\"names\": [\"umask\"], \"action\": \"SCMP_ACT_ALLOW\",\n"
        "   \"args\": [{\"index\": 0, \"value\": 7, \"op\": \"SCMP_CMP_LE\"}]},\n"
        "  {\"names\": [\"alarm\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [\n"
        "     {\"index\": 0, \"value\": 1, \"valueTwo\": 0, \"op\": \"SCMP_CMP_EQ\"},\n"
        "     {\"index\": 0, \"value\": 5, \"valueTwo\": 0, \"op\": \"SCMP_CMP_EQ\"}]},\n"
        "  {\"names\": [\"close\"], \"action\": \"SCMP_ACT_ALLOW\",\n"
        "   \"args\": [{\"index\": 0, \"value\": 240, \"valueTwo\": 16,\n"
        "             \"op\": \"SCMP_CMP_MASKED_EQ\"}]},\n"
        "  {\"names\": [\"mount\"], \"action\": \"SCMP_ACT_ALLOW\",\n"
        "   \"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}},\n"
        "  {\"names\": [\"unshare\"], \"action\": \"SCMP_ACT_ALLOW\",\n"
        "   \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"], \"arches\": [\"s390\"]}},\n"
        "  {\"names\": [\"chroot\"], \"action\": \"SCMP_ACT_ALLOW\",\n"
        "   \"includes\": {\"minKernel\": \"4.8\"}},\n"
        "  {\"names\": [\"sync\"], \"action\": \"SCMP_ACT_ALLOW\",\n"
        "   \"includes\": {\"minKernel\": \"400.8\"}},\n"
        "  {\"names\": [\"reboot\"], \"action\": \"SCMP_ACT_KILL_PROCESS\"},\n"
        "  {\"names\": [\"getppid\"], \"action\": \"SCMP_ACT_LOG\"}\n"
        " ], \"comment\": \"x\"}";
    _cleanup_seccomp_program_ struct seccomp_program plain = {0}, admin = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(seccomp_profile_program(NULL, text, strlen(text), 0, &plain, &err), 0);
    assert_int_equal(
        seccomp_profile_program(NULL, text, strlen(text), BIT(CAP_SYS_ADMIN), &admin, &err), 0);
    assert_int_equal(plain.flags, SECCOMP_FILTER_FLAG_LOG);
    assert_int_equal(ask(&plain, "read", 0), ALLOWED);
    assert_int_equal(ask(&plain, "write", 0), NO_SUCH_CALL);
    assert_int_equal(ask(&plain, "getpid", 0), SECCOMP_RET_ERRNO | EACCES);
    assert_int_equal(ask(&plain, "umask", 7), ALLOWED);
    assert_int_equal(ask(&plain, "umask", 8), NO_SUCH_CALL);
    assert_int_equal(ask(&plain, "alarm", 1), ALLOWED);
    assert_int_equal(ask(&plain, "alarm", 5), ALLOWED);
    assert_int_equal(ask(&plain, "alarm", 3), NO_SUCH_CALL);
    assert_int_equal(ask(&plain, "close", 0x1f), ALLOWED);
    assert_int_equal(ask(&plain, "close", 0x2f), NO_SUCH_CALL);
    assert_int_equal(ask(&plain, "mount", 0), NO_SUCH_CALL);
    assert_int_equal(ask(&admin, "mount", 0), ALLOWED);
    assert_int_equal(ask(&plain, "unshare", 0), ALLOWED);
    assert_int_equal(ask(&admin, "unshare", 0), NO_SUCH_CALL);
    assert_int_equal(ask(&plain, "chroot", 0), ALLOWED);
    assert_int_equal(ask(&plain, "sync", 0), NO_SUCH_CALL);
    assert_int_equal(ask(&plain, "reboot", 0), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(ask(&plain, "getppid", 0), SECCOMP_RET_LOG);
}

static void wrong_profiles_are_refused_by_place(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "line"},
        {"[]", "must be an object"},
        {"{\"defaultAction\": \"ALLOW\"}", "defaultAction: ALLOW is not known"},
        {"{}", "defaultAction"},
        {"{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}", "SCMP_ACT_NOTIFY is not known"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 99999}", "defaultErrnoRet"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": {}}", "syscalls: must be a list"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"action\": \"SCMP_ACT_LOG\"}]}",
         "syscalls[0]: names: is missing"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"x\"], "
         "\"action\": \"SCMP_ACT_LOG\", \"args\": [{\"index\": 6, \"op\": \"SCMP_CMP_EQ\"}]}]}",
         "syscalls[0]: args: index: must be 0 to 5"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"x\"], "
         "\"action\": \"SCMP_ACT_LOG\", \"args\": [{\"index\": 0, \"op\": \"EQ\"}]}]}",
         "op: EQ is not known"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"x\"], "
         "\"action\": \"SCMP_ACT_LOG\", \"includes\": {\"minKernel\": \"new\"}}]}",
         "includes: minKernel"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_VAX\"]}",
         "architecture SCMP_ARCH_VAX is not known"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/x\"}", "listenerPath"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"X\"]}", "flags: X is not known"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultAction\": \"SCMP_ACT_LOG\"}",
         "duplicate"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct seccomp_policy policy;
        _cleanup_error_ struct error err = ERROR_NONE;
        assert_int_equal(parse(rows[i].text, &policy, &err), -EINVAL);
        if (!strstr(error_message(&err), rows[i].message))
            fail_msg("%s: %s", rows[i].text, error_message(&err));
    }
}

static void too_large_a_profile_is_refused(void **state)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    struct seccomp_policy policy;
    buffer_add_str(&text, "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [");
    for (int i = 0; i <= SECCOMP_SYSCALLS_MAX; i++)
        buffer_printf(&text, "%s\"read\"", i ? "," : "");
    buffer_add_str(&text, "], \"action\": \"SCMP_ACT_LOG\"}]}");
    assert_true(seccomp_policy_parse(text.data, text.len, &policy, NULL) < 0);
    while (text.len <= SECCOMP_PROFILE_SIZE_MAX)
        buffer_add_str(&text, "          ");
    assert_int_equal(seccomp_policy_parse(text.data, text.len, &policy, NULL), -EFBIG);
}

static void what_was_compiled_is_kept(void **state)
{
    struct seccomp_cache *cache = seccomp_cache_new();
    static const char text[] = "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}";
    for (int round = 0; round < 3; round++)
        for (uint64_t capability = 0; capability < 12; capability++) {
            _cleanup_seccomp_program_ struct seccomp_program a = {0}, b = {0};
            assert_int_equal(seccomp_default_program(cache, BIT(capability), &a, NULL), 0);
            assert_int_equal(seccomp_default_program(NULL, BIT(capability), &b, NULL), 0);
            assert_int_equal(a.code.len, b.code.len);
            assert_memory_equal(a.code.data, b.code.data, a.code.len);
            seccomp_program_free(&b);
            assert_int_equal(
                seccomp_profile_program(cache, text, strlen(text), BIT(capability), &b, NULL), 0);
            assert_int_not_equal(a.code.len, b.code.len);
        }
    seccomp_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_default_follows_the_capabilities, only_where_known),
        cmocka_unit_test_setup(calls_from_the_future_do_not_exist, only_where_known),
#ifdef __x86_64__
        cmocka_unit_test(both_machines_of_x86_are_filtered),
#endif
        cmocka_unit_test_setup(the_default_is_the_one_of_other_runtimes, only_where_known),
        cmocka_unit_test_setup(profiles_are_read, only_where_known),
        cmocka_unit_test(wrong_profiles_are_refused_by_place),
        cmocka_unit_test(too_large_a_profile_is_refused),
        cmocka_unit_test(what_was_compiled_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
