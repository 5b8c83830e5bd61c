// The filter of a container that asks for RuntimeDefault: what container runtimes allow, by
// subject, and what they allow with a capability only. What is in no list gives EPERM.
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/seccomp-internal.h"

#define BIT(capability) ((uint64_t)1 << (capability))

enum {
    ADDRESS_FAMILY_VSOCK = 40, // reaches the hypervisor past every network namespace
    // CLONE_NEWTIME shares its bit with the exit signal, and clone() cannot make that namespace.
    NAMESPACE_FLAGS = 0x7e020000,     // CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
    PTRACE_SAFE_KERNEL = 4 << 16 | 8, // before it, ptrace() led past the filter
};

// Names are separated by blanks; those that an architecture does not have are passed over.
static const char *const allowed[] = {
    // Files and directories.
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
    "faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown "
    "fchown32 fchownat fcntl fcntl64 fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 "
    "fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown lchown32 link "
    "linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat newfstatat open openat openat2 "
    "pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv "
    "rename renameat renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statx "
    "symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat "
    "utime utimensat utimensat_time64 utimes vmsplice write writev",
    // Extended attributes, watches, asynchronous I/O.
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr "
    "listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat "
    "fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel "
    "io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get "
    "ioprio_set",
    // Pipes, polling, events, timers.
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd eventfd2 _newselect pipe pipe2 poll ppoll ppoll_time64 pselect6 "
    "pselect6_time64 select signalfd signalfd4 alarm getitimer setitimer timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
    // Time.
    "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 gettimeofday nanosleep time times",
    // Memory.
    "brk madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 "
    "mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect "
    "remap_file_pages map_shadow_stack cachestat",
    // Processes, threads and their credentials.
    "capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 "
    "futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid getegid32 "
    "geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid "
    "getpriority getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid gettid "
    "getuid getuid32 kill landlock_add_rule landlock_create_ruleset landlock_restrict_self pause "
    "pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease restart_syscall rseq "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
    "sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity "
    "sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list "
    "set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 "
    "setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid "
    "setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32 tgkill tkill ugetrlimit "
    "vfork wait4 waitid waitpid",
    // Signals.
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn",
    // Sockets.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall "
    "socketpair",
    // Inter-process communication.
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
    "mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop "
    "semtimedop_time64 shmat shmctl shmdt shmget",
    // The machine.
    "getrandom sysinfo uname",
};

// What is allowed to the holders of any of these capabilities.
static const struct {
    uint64_t capability;
    const char *names;
} powers[] = {
    {BIT(CAP_DAC_READ_SEARCH), "open_by_handle_at"},
    {BIT(CAP_SYS_ADMIN),
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount "
     "mount_setattr move_mount name_to_handle_at open_tree perf_event_open quotactl quotactl_fd "
     "setdomainname sethostname setns syslog umount umount2 unshare"},
    {BIT(CAP_SYS_BOOT), "reboot"},
    {BIT(CAP_SYS_CHROOT), "chroot"},
    {BIT(CAP_SYS_MODULE), "delete_module init_module finit_module"},
    {BIT(CAP_SYS_PACCT), "acct"},
    {BIT(CAP_SYS_PTRACE),
     "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"},
    {BIT(CAP_SYS_RAWIO), "iopl ioperm"},
    {BIT(CAP_SYS_TIME), "settimeofday stime clock_settime clock_settime64"},
    {BIT(CAP_SYS_TTY_CONFIG), "vhangup"},
    {BIT(CAP_SYS_NICE), "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {BIT(CAP_SYSLOG), "syslog"},
    {BIT(CAP_BPF), "bpf"},
    {BIT(CAP_PERFMON), "perf_event_open"},
};

static const struct {
    const char *arches, *names;
} machines[] = {
    {"ppc64le", "sync_file_range2 swapcontext"},
    {"arm arm64",
     "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"},
    {"amd64 x32", "arch_prctl modify_ldt"},
    {"x86", "modify_ldt"},
    {"s390 s390x", "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"},
    {"riscv64", "riscv_flush_icache"},
};

// personality(): Linux, 32 bits, no randomised addresses as old programs need them, and asking.
static const uint32_t personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

static void add_words(struct string_list *list, const char *words)
{
    for (const char *p = words; *p;) {
        size_t length = strcspn(p, " ");
        string_list_add_owned(list, xstrndup(p, length));
        p += length + (p[length] == ' ');
    }
}

static struct seccomp_rule *allow(struct seccomp_policy *policy, const char *names)
{
    struct seccomp_rule *rule = LIST_APPEND(&policy->rules);
    rule->action = SCMP_ACT_ALLOW;
    add_words(&rule->names, names);
    return rule;
}

static struct seccomp_rule *allow_where(struct seccomp_policy *policy, const char *names,
                                        unsigned argument, enum scmp_compare op, uint64_t value,
                                        uint64_t value_two)
{
    struct seccomp_rule *rule = allow(policy, names);
    *LIST_APPEND(&rule->conditions) = (struct seccomp_condition){argument, op, value, value_two};
    return rule;
}

// Threads and children for everybody, new namespaces for CAP_SYS_ADMIN only. The flags of clone3()
// lie in memory, out of a filter's sight: glibc takes clone() where it is said not to exist.
static void add_clone(struct seccomp_policy *policy)
{
    struct seccomp_rule *rule =
        allow_where(policy, "clone", 0, SCMP_CMP_MASKED_EQ, NAMESPACE_FLAGS, 0);
    rule->excludes.capabilities = BIT(CAP_SYS_ADMIN);
    add_words(&rule->excludes.arches, "s390 s390x");
    rule = allow_where(policy, "clone", 1, SCMP_CMP_MASKED_EQ, NAMESPACE_FLAGS, 0);
    rule->excludes.capabilities = BIT(CAP_SYS_ADMIN);
    add_words(&rule->includes.arches, "s390x"); // its first two arguments are the other way round
    rule = allow(policy, "clone3");
    rule->action = SCMP_ACT_ERRNO(ENOSYS);
    rule->excludes.capabilities = BIT(CAP_SYS_ADMIN);
}

void seccomp_policy_default(struct seccomp_policy *ret)
{
    *ret = (struct seccomp_policy){.default_action = SCMP_ACT_ERRNO(EPERM)};
    seccomp_policy_add_compatible(ret);
    for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
        allow(ret, allowed[i]);
    for (size_t i = 0; i < ARRAY_SIZE(powers); i++)
        allow(ret, powers[i].names)->includes.capabilities = powers[i].capability;
    for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
        add_words(&allow(ret, machines[i].names)->includes.arches, machines[i].arches);
    for (size_t i = 0; i < ARRAY_SIZE(personalities); i++)
        allow_where(ret, "personality", 0, SCMP_CMP_EQ, personalities[i], 0);
    allow_where(ret, "socket", 0, SCMP_CMP_NE, ADDRESS_FAMILY_VSOCK, 0);
    allow(ret, "ptrace")->includes.kernel = PTRACE_SAFE_KERNEL;
    add_clone(ret);
}
