// See credentials.h.
#include "supervisor/shim/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"

static const char *const capability_names[] = {
    [CAP_CHOWN] = "CHOWN",
    [CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
    [CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH",
    [CAP_FOWNER] = "FOWNER",
    [CAP_FSETID] = "FSETID",
    [CAP_KILL] = "KILL",
    [CAP_SETGID] = "SETGID",
    [CAP_SETUID] = "SETUID",
    [CAP_SETPCAP] = "SETPCAP",
    [CAP_LINUX_IMMUTABLE] = "LINUX_IMMUTABLE",
    [CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
    [CAP_NET_BROADCAST] = "NET_BROADCAST",
    [CAP_NET_ADMIN] = "NET_ADMIN",
    [CAP_NET_RAW] = "NET_RAW",
    [CAP_IPC_LOCK] = "IPC_LOCK",
    [CAP_IPC_OWNER] = "IPC_OWNER",
    [CAP_SYS_MODULE] = "SYS_MODULE",
    [CAP_SYS_RAWIO] = "SYS_RAWIO",
    [CAP_SYS_CHROOT] = "SYS_CHROOT",
    [CAP_SYS_PTRACE] = "SYS_PTRACE",
    [CAP_SYS_PACCT] = "SYS_PACCT",
    [CAP_SYS_ADMIN] = "SYS_ADMIN",
    [CAP_SYS_BOOT] = "SYS_BOOT",
    [CAP_SYS_NICE] = "SYS_NICE",
    [CAP_SYS_RESOURCE] = "SYS_RESOURCE",
    [CAP_SYS_TIME] = "SYS_TIME",
    [CAP_SYS_TTY_CONFIG] = "SYS_TTY_CONFIG",
    [CAP_MKNOD] = "MKNOD",
    [CAP_LEASE] = "LEASE",
    [CAP_AUDIT_WRITE] = "AUDIT_WRITE",
    [CAP_AUDIT_CONTROL] = "AUDIT_CONTROL",
    [CAP_SETFCAP] = "SETFCAP",
    [CAP_MAC_OVERRIDE] = "MAC_OVERRIDE",
    [CAP_MAC_ADMIN] = "MAC_ADMIN",
    [CAP_SYSLOG] = "SYSLOG",
    [CAP_WAKE_ALARM] = "WAKE_ALARM",
    [CAP_BLOCK_SUSPEND] = "BLOCK_SUSPEND",
    [CAP_AUDIT_READ] = "AUDIT_READ",
    [CAP_PERFMON] = "PERFMON",
    [CAP_BPF] = "BPF",
    [CAP_CHECKPOINT_RESTORE] = "CHECKPOINT_RESTORE",
};

#define BIT(capability) ((uint64_t)1 << (capability))

// What containerd gives to a container that asks for nothing (oci/spec.go).
static const uint64_t runtime_default =
    BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) | BIT(CAP_MKNOD) |
    BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) |
    BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);

int credentials_capability(const char *name)
{
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < ARRAY_SIZE(capability_names); i++)
        if (strcasecmp(name, capability_names[i]) == 0)
            return (int)i;
    return -EINVAL;
}

static uint64_t named(const struct string_list *list, struct buffer *warnings)
{
    uint64_t set = 0;
    for (size_t i = 0; i < list->n; i++) {
        int capability = credentials_capability(list->items[i]);
        if (capability >= 0)
            set |= BIT(capability);
        else if (strcasecmp(list->items[i], "ALL") != 0)
            buffer_printf(warnings, "capability %s is not known and was passed over\n",
                          list->items[i]);
    }
    return set;
}

static bool has_all(const struct string_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcasecmp(list->items[i], "ALL") == 0)
            return true;
    return false;
}

uint64_t credentials_capabilities(const struct shim_spec *spec, uint64_t have,
                                  struct buffer *warnings)
{
    if (spec->privileged)
        return have;
    uint64_t add = named(&spec->capabilities_add, warnings);
    uint64_t drop = named(&spec->capabilities_drop, warnings);
    uint64_t set = spec->default_capabilities ? runtime_default & have : have;
    if (has_all(&spec->capabilities_add))
        set = have;
    if (has_all(&spec->capabilities_drop))
        set = 0;
    set = (set | add) & ~drop;
    for (size_t i = 0; i < ARRAY_SIZE(capability_names); i++)
        if (set & ~have & BIT(i))
            buffer_printf(warnings, "capability %s cannot be given: the agent has not got it\n",
                          capability_names[i]);
    return set & have;
}

uint64_t credentials_bounding_set(void)
{
    uint64_t set = 0;
    for (int i = 0; i < 64; i++) {
        int in = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
        if (in < 0)
            break;
        set |= in ? BIT(i) : 0;
    }
    return set;
}

// ---- user namespace ----

static int write_self(const char *file, const char *text)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/%s", file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fs_write_all(fd, text, strlen(text));
}

static int write_map(const char *file, int64_t inside, uint32_t outside, struct error *err)
{
    char line[64];
    snprintf(line, sizeof(line), "%" PRId64 " %" PRIu32 " 1\n", inside < 0 ? 0 : inside, outside);
    int code = write_self(file, line);
    return code < 0 ? error_errno(err, code, "cannot write the user namespace's %s", file) : 0;
}

int credentials_map_ids(const struct shim_spec *spec, uint32_t uid, uint32_t gid, struct error *err)
{
    // Whoever is not dumpable does not own their files in /proc.
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int code = write_self("setgroups", "deny");
    if (code < 0 && code != -ENOENT)
        return error_errno(err, code, "cannot write the user namespace's setgroups");
    code = write_map("uid_map", spec->run_as_user, uid, err);
    return code < 0 ? code : write_map("gid_map", spec->run_as_group, gid, err);
}

// ---- taking on ----

void credentials_set_oom_score(const struct shim_spec *spec, struct buffer *warnings)
{
    char text[24];
    if (spec->oom_score_adj == INT64_MIN)
        return;
    snprintf(text, sizeof(text), "%" PRId64, spec->oom_score_adj);
    int code = write_self("oom_score_adj", text);
    if (code < 0)
        buffer_printf(warnings,
                      "oom_score_adj could not be set to %s (%s): that takes CAP_SYS_RESOURCE\n",
                      text, strerror(-code));
}

static void drop_bounding_set(uint64_t keep, uint64_t have, struct buffer *warnings)
{
    for (int i = 0; i < 64; i++)
        if ((have & ~keep & BIT(i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) {
            buffer_printf(warnings, "the capability bounding set could not be reduced: %s\n",
                          strerror(errno));
            return;
        }
}

static int set_groups(const struct shim_spec *spec, struct buffer *warnings, struct error *err)
{
    if (spec->new_user_namespace) {
        if (spec->supplemental_groups.n > 0)
            buffer_add_str(warnings, "supplementalGroups cannot be had without root\n");
        return 0;
    }
    _cleanup_free_ gid_t *groups = xcalloc(spec->supplemental_groups.n + 1, sizeof(*groups));
    for (size_t i = 0; i < spec->supplemental_groups.n; i++)
        groups[i] = (gid_t)spec->supplemental_groups.items[i];
    if (setgroups(spec->supplemental_groups.n, groups) == 0)
        return 0;
    if (errno == EPERM && spec->supplemental_groups.n == 0)
        return 0; // an ordinary user keeps the groups they have
    return error_errno(err, errno, "cannot set the supplemental groups");
}

static int set_ids(const struct shim_spec *spec, struct error *err)
{
    gid_t gid = spec->run_as_group < 0 ? (gid_t)-1 : (gid_t)spec->run_as_group;
    uid_t uid = spec->run_as_user < 0 ? (uid_t)-1 : (uid_t)spec->run_as_user;
    if (setresgid(gid, gid, gid) < 0)
        return error_errno(err, errno, "cannot become group %" PRId64, spec->run_as_group);
    if (setresuid(uid, uid, uid) < 0)
        return error_errno(err, errno, "cannot become user %" PRId64, spec->run_as_user);
    return 0;
}

// As runtimes do since 2022: nothing is inheritable, so that a user other than root ends up with no
// capabilities after execve(), and root with what is in the bounding set.
static int set_capabilities(uint64_t set, struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)set, .permitted = (uint32_t)set},
        {.effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32)},
    };
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, data) < 0
               ? error_errno(err, errno, "cannot set the capabilities")
               : 0;
}

static uint64_t permitted_set(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &header, data) < 0)
        return 0;
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

// ---- labels ----

static int write_attribute(int attr, const char *file, const char *text)
{
    _cleanup_close_ int fd = openat(attr, file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    // In one piece: the kernel takes it as a whole.
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int credentials_set_labels(const struct shim_spec *spec, int attr, struct error *err)
{
    if (spec->apparmor_profile) {
        _cleanup_free_ char *text = xasprintf("exec %s", spec->apparmor_profile);
        int code = write_attribute(attr, "apparmor/exec", text);
        if (code == -ENOENT) // before Linux 5.8
            code = write_attribute(attr, "exec", text);
        if (code < 0)
            return error_errno(err, code, "cannot take on the AppArmor profile %s",
                               spec->apparmor_profile);
    }
    if (spec->selinux_label) {
        int code = write_attribute(attr, "exec", spec->selinux_label);
        if (code < 0)
            return error_errno(err, code, "cannot take on the SELinux label %s",
                               spec->selinux_label);
    }
    return 0;
}

static int set_labels(const struct shim_spec *spec, struct error *err)
{
    struct statfs fs;
    if (!spec->apparmor_profile && !spec->selinux_label)
        return 0;
    _cleanup_close_ int attr = open("/proc/self/attr", O_PATH | O_DIRECTORY | O_CLOEXEC);
    // A volume at /proc would make nothing of what is written.
    if (attr < 0 || fstatfs(attr, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return error_set(err, ENOTSUP, "/proc/self/attr is not the kernel's");
    return credentials_set_labels(spec, attr, err);
}

// What a filter takes without no_new_privs. It is not in the bounding set unless the container is
// to have it, so it ends with execve().
static uint64_t kept_for_filter(const struct shim_spec *spec)
{
    return spec->seccomp_filter.size && !spec->no_new_privileges ? BIT(CAP_SYS_ADMIN) : 0;
}

int credentials_apply(const struct shim_spec *spec, struct buffer *warnings, struct error *err)
{
    uint64_t bounding = credentials_bounding_set();
    uint64_t have = bounding & permitted_set();
    uint64_t set = have ? credentials_capabilities(spec, have, warnings) : 0;
    uint64_t extra = kept_for_filter(spec);
    bool was_root = geteuid() == 0;
    int code = set_labels(spec, err);
    if (code < 0)
        return code;
    if (have)
        drop_bounding_set(set, bounding, warnings);
    if (extra)
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    code = set_groups(spec, warnings, err);
    if (code == 0)
        code = set_ids(spec, err);
    // As setresuid() to another user than root has it, unless it was told to keep everything.
    if (was_root && geteuid() != 0)
        set = 0;
    if (code == 0)
        code = set_capabilities((set | extra) & permitted_set(), err);
    if (code == 0 && spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        code = error_errno(err, errno, "cannot set no_new_privs");
    return code;
}

int credentials_install_filter(const struct shim_spec *spec, struct error *err)
{
    const struct shim_bytes *filter = &spec->seccomp_filter;
    struct sock_fprog program = {
        .len = (unsigned short)(filter->size / sizeof(struct sock_filter)),
        .filter = filter->data,
    };
    unsigned flags =
        (unsigned)spec->seccomp_flags & (SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    if (!filter->size)
        return 0;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0)
        return 0;
    return errno == EACCES ? error_set(err, EACCES,
                                       "cannot install the system call filter: that takes "
                                       "CAP_SYS_ADMIN, or allowPrivilegeEscalation: false")
                           : error_errno(err, errno, "cannot install the system call filter");
}
