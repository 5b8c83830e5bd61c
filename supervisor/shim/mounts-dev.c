// The kernel's file systems inside the container: /dev, /proc, /sys. See mounts.h.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim/mounts.h"

static const struct {
    const char *name;
    unsigned major, minor;
} devices[] = {
    {"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
    {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},         {"core", "/proc/kcore"},
};

static int bind_device(const struct mount_plan *plan, int host_dev, int dev, const char *name)
{
    _cleanup_close_ int original = openat(host_dev, name, O_PATH | O_CLOEXEC);
    _cleanup_close_ int tree = original < 0 ? -1 : mounts_clone(plan, original);
    _cleanup_close_ int point =
        openat(dev, name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (original < 0 || tree < 0 || point < 0)
        return -errno;
    return mounts_put(plan, tree, point);
}

static int make_device(const struct mount_plan *plan, int host_dev, int dev, size_t i)
{
    const char *name = devices[i].name;
    // mknod is refused in a user namespace (and where the capability is missing); tmpfs would
    // honour the umask, hence the chmod.
    if (!plan->spec->new_user_namespace &&
        mknodat(dev, name, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) == 0)
        return fchmodat(dev, name, 0666, 0) < 0 ? -errno : 0;
    return bind_device(plan, host_dev, dev, name);
}

// A directory of /dev with a file system of its own, or with the host's where that is shared.
static void make_dev_mount(const struct mount_plan *plan, int host_dev, int dev, const char *name,
                           const char *type, const char *options)
{
    unsigned long flags = MS_NOSUID | MS_NOEXEC | (strcmp(type, "devpts") == 0 ? 0 : MS_NODEV);
    if (mkdirat(dev, name, 0755) < 0 && errno != EEXIST)
        return;
    _cleanup_close_ int point = openat(dev, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int code = point < 0 ? -errno : -EPERM;
    bool own_ipc = plan->spec->new_ipc_namespace || plan->spec->ipc_namespace;
    bool shared = strcmp(type, "devpts") != 0 && !own_ipc;
    if (point >= 0 && !shared)
        code = mounts_new(type, point, flags, options);
    if (point >= 0 && code < 0) {
        _cleanup_close_ int original = openat(host_dev, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (original < 0)
            return; // the host has none either
        _cleanup_close_ int tree = mounts_clone(plan, original);
        code = tree < 0 ? tree : mounts_put(plan, tree, point);
    }
    if (code < 0)
        mounts_warn(plan, "/dev/%s could not be mounted: %s", name, strerror(-code));
}

// The memory that the containers of a pod share.
static int bind_pod_shm(const struct mount_plan *plan, int dev)
{
    _cleanup_close_ int original =
        open(plan->spec->shm_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (original < 0 || (mkdirat(dev, "shm", 0755) < 0 && errno != EEXIST))
        return -errno;
    _cleanup_close_ int point = openat(dev, "shm", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int tree = point < 0 ? -errno : mounts_clone(plan, original);
    return tree < 0 ? tree : mounts_put(plan, tree, point);
}

static void make_shm(const struct mount_plan *plan, int host_dev, int dev)
{
    int code = plan->spec->shm_dir ? bind_pod_shm(plan, dev) : -ENOENT;
    if (code == 0)
        return;
    if (plan->spec->shm_dir)
        mounts_warn(plan, "/dev/shm is not shared with the pod's other containers: %s",
                    strerror(-code));
    make_dev_mount(plan, host_dev, dev, "shm", "tmpfs", "mode=1777,size=65536k");
}

// /dev/log and the like: links into /run, which only mean something on the host's root.
static void copy_host_link(const struct mount_plan *plan, int host_dev, int dev, const char *name)
{
    char target[MOUNT_PATH_MAX];
    if (plan->spec->root_kind != SHIM_ROOT_HOST)
        return;
    ssize_t length = readlinkat(host_dev, name, target, sizeof(target) - 1);
    if (length <= 0)
        return;
    target[length] = '\0';
    if (symlinkat(target, dev, name) < 0 && errno != EEXIST)
        mounts_warn(plan, "/dev/%s could not be made: %s", name, strerror(errno));
}

static int fill_dev(struct mount_plan *plan, int host_dev, int dev, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        int code = make_device(plan, host_dev, dev, i);
        if (code < 0)
            return error_errno(err, code, "cannot make /dev/%s", devices[i].name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        if (symlinkat(links[i].target, dev, links[i].name) < 0)
            return error_errno(err, errno, "cannot make /dev/%s", links[i].name);
    copy_host_link(plan, host_dev, dev, "log");
    // Group 5 is tty everywhere; in a user namespace it is not mapped.
    make_dev_mount(plan, host_dev, dev, "pts", "devpts",
                   plan->spec->new_user_namespace ? "newinstance,ptmxmode=0666,mode=0620"
                                                  : "newinstance,ptmxmode=0666,mode=0620,gid=5");
    make_shm(plan, host_dev, dev);
    make_dev_mount(plan, host_dev, dev, "mqueue", "mqueue", NULL);
    return 0;
}

// A mount of its own: it can be emptied and filled, but not be replaced.
static int make_termination_file(struct mount_plan *plan, int dev)
{
    const struct shim_spec *spec = plan->spec;
    if (str_empty(spec->termination_path) || !str_empty(spec->termination_file))
        return 0;
    plan->termination =
        openat(dev, path_base(spec->termination_path),
               O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, SHIM_TERMINATION_MODE);
    if (plan->termination < 0 || fchmod(plan->termination, SHIM_TERMINATION_MODE) < 0)
        return -errno;
    _cleanup_close_ int tree = mounts_clone(plan, plan->termination);
    return tree < 0 ? tree : mounts_put(plan, tree, plan->termination);
}

static int bind_host_directory(const struct mount_plan *plan, int host, int point, bool read_only)
{
    _cleanup_close_ int tree = mounts_clone(plan, host);
    if (tree < 0)
        return tree;
    return read_only ? mounts_put_read_only(plan, tree, point) : mounts_put(plan, tree, point);
}

int mounts_make_dev(struct mount_plan *plan, struct error *err)
{
    _cleanup_close_ int host_dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host_dev < 0)
        return error_errno(err, errno, "cannot open /dev");
    if (plan->spec->privileged && plan->spec->root_kind == SHIM_ROOT_HOST)
        return 0;
    _cleanup_close_ int point = mounts_point(plan, "/dev", true, err);
    if (point < 0)
        return point;
    if (plan->spec->privileged) {
        int code = bind_host_directory(plan, host_dev, point, false);
        return code < 0 ? error_errno(err, code, "cannot bind the host's /dev") : 0;
    }
    int code = mounts_new("tmpfs", point, MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
    if (code < 0)
        return error_errno(err, code, "cannot mount a tmpfs on /dev");
    _cleanup_close_ int dev = mounts_open_in_root(plan->root, "/dev", O_PATH | O_DIRECTORY);
    if (dev < 0)
        return error_errno(err, dev, "cannot open the container's /dev");
    mounts_add_writable(plan, dev);
    if ((code = make_termination_file(plan, dev)) < 0)
        return error_errno(err, code, "cannot make %s", plan->spec->termination_path);
    return fill_dev(plan, host_dev, dev, err);
}

// ---- /proc and /sys ----

static int make_proc(struct mount_plan *plan, struct error *err)
{
    const struct shim_spec *spec = plan->spec;
    bool own_pids = spec->new_pid_namespace || spec->pid_namespace;
    if (spec->root_kind == SHIM_ROOT_HOST && !own_pids)
        return 0;
    _cleanup_close_ int point = mounts_point(plan, "/proc", true, err);
    if (point < 0)
        return point;
    int code = -EPERM;
    if (own_pids)
        code = mounts_new("proc", point, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    if (code == 0)
        return 0;
    // Refused where parts of the host's /proc are hidden, as in an unprivileged container.
    if (own_pids)
        mounts_warn(plan, "/proc shows the processes of the host: a new one was refused (%s)",
                    strerror(-code));
    if (spec->root_kind == SHIM_ROOT_HOST)
        return 0;
    _cleanup_close_ int host = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    code = host < 0 ? -errno : bind_host_directory(plan, host, point, false);
    return code < 0 ? error_errno(err, code, "cannot bind /proc") : 0;
}

// What it shows of networks is that of whoever mounts it; the host's cgroups are bound into it.
static int make_own_sys(const struct mount_plan *plan, int point, bool read_only)
{
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (read_only ? MS_RDONLY : 0);
    _cleanup_close_ int cgroups = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int tree = cgroups < 0 ? -ENOENT : mounts_clone(plan, cgroups);
    int code = mounts_new("sysfs", point, flags, NULL);
    if (code < 0 || tree < 0)
        return code;
    _cleanup_close_ int inner =
        mounts_open_in_root(plan->root, "/sys/fs/cgroup", O_PATH | O_DIRECTORY);
    if (inner < 0)
        return 0; // a kernel without
    return read_only ? mounts_put_read_only(plan, tree, inner) : mounts_put(plan, tree, inner);
}

static int make_sys(struct mount_plan *plan, struct error *err)
{
    bool read_only = !plan->spec->privileged;
    _cleanup_close_ int host = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool own = plan->spec->net_namespace;
    if (plan->spec->root_kind == SHIM_ROOT_HOST) {
        if (own && host >= 0 && make_own_sys(plan, host, read_only) == 0)
            return 0;
        if (read_only && host >= 0 && mounts_set_read_only(plan, host, true) < 0 &&
            mounts_set_read_only(plan, host, false) < 0)
            mounts_warn(plan, "/sys could not be made read-only");
        return 0;
    }
    _cleanup_close_ int point = mounts_point(plan, "/sys", true, err);
    if (point < 0)
        return point;
    if (own && make_own_sys(plan, point, read_only) == 0)
        return 0;
    // The host's, with its cgroups: a fresh sysfs may only be mounted by the owner of the network
    // namespace.
    int code = host < 0 ? -errno : bind_host_directory(plan, host, point, read_only);
    return code < 0 ? error_errno(err, code, "cannot bind /sys") : 0;
}

// pkg/securitycontext/util.go: what procMount Default hides and protects.
static const char *const masked[] = {
    "/proc/acpi",          "/proc/kcore",      "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
    "/proc/sched_debug",   "/proc/scsi",       "/sys/firmware",
};
static const char *const protected[] = {
    "/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static int mask(struct mount_plan *plan, const char *path, int null)
{
    struct stat st;
    _cleanup_close_ int point = mounts_open_in_root(plan->root, path, O_PATH);
    if (point < 0 || fstat(point, &st) < 0)
        return 0; // this kernel does not have it
    if (S_ISDIR(st.st_mode))
        return mounts_new("tmpfs", point, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k");
    _cleanup_close_ int tree = mounts_clone(plan, null);
    return tree < 0 ? tree : mounts_put(plan, tree, point);
}

static int protect(struct mount_plan *plan, const char *path)
{
    _cleanup_close_ int point = mounts_open_in_root(plan->root, path, O_PATH);
    return point < 0 ? 0 : bind_host_directory(plan, point, point, true);
}

static void hide_kernel_files(struct mount_plan *plan)
{
    _cleanup_close_ int null = open("/dev/null", O_PATH | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(masked); i++) {
        int code = mask(plan, masked[i], null);
        if (code < 0)
            mounts_warn(plan, "%s could not be hidden: %s", masked[i], strerror(-code));
    }
    for (size_t i = 0; i < ARRAY_SIZE(protected); i++) {
        int code = protect(plan, protected[i]);
        if (code < 0)
            mounts_warn(plan, "%s could not be made read-only: %s", protected[i], strerror(-code));
    }
}

int mounts_make_proc_sys(struct mount_plan *plan, struct error *err)
{
    int code = make_proc(plan, err);
    if (code == 0)
        code = make_sys(plan, err);
    if (code == 0 && !plan->spec->privileged && !plan->spec->proc_unmasked)
        hide_kernel_files(plan);
    return code;
}
