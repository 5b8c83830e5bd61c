// What the kernel leaves to the machine's first process. All of it is best effort: what cannot be
// had is said, and the agent says what it misses.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/string-list.h"
#include "supervisor/init-internal.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
// A name that the agent knows not to make its own cgroups in (cgroup-tree.c: above the units).
#define OWN_CGROUP CGROUP_ROOT "/init.scope"

bool init_in_first_namespace(void)
{
    enum { FIRST_PID_NAMESPACE = 0xEFFFFFFC }; // PROC_PID_INIT_INO, linux/proc_ns.h
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == FIRST_PID_NAMESPACE;
}

bool init_proc_is_ours(void)
{
    char who[16] = "";
    return readlink("/proc/self", who, sizeof(who) - 1) == 1 && who[0] == '1';
}

// ---- mounts

struct mount_row {
    const char *path, *type, *source, *options;
    unsigned long flags;
    const char *proof; // it is there already, mounted or not, when this is
};

static const struct mount_row mounts[] = {
    {"/proc", "proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, "/proc/self"},
    {"/sys", "sysfs", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, "/sys/kernel"},
    {"/dev", "devtmpfs", "devtmpfs", "mode=0755", MS_NOSUID, "/dev/null"},
    {"/dev/pts", "devpts", "devpts", "mode=0620,gid=5,ptmxmode=0666", MS_NOSUID | MS_NOEXEC,
     "/dev/pts/ptmx"},
    {"/dev/shm", "tmpfs", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, NULL},
    {"/run", "tmpfs", "tmpfs", "mode=0755", MS_NOSUID | MS_NODEV, NULL},
    {CGROUP_ROOT, "cgroup2", "cgroup2", "nsdelegate", MS_NOSUID | MS_NODEV | MS_NOEXEC,
     CGROUP_ROOT "/cgroup.procs"},
};

// Also a directory that is no mount point but has something in it is left alone; /dev is the
// exception, since an initramfs always has /dev/console.
static bool is_mount_point(const char *path)
{
    char parent[64];
    struct stat here, above;
    snprintf(parent, sizeof(parent), "%s/..", path);
    return stat(path, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

// Not by rmdir(2): a devtmpfs is the same one wherever it is mounted, and the kernel detaches what
// others have mounted on a directory that is removed.
static bool is_empty(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry = NULL;
    if (!directory)
        return true;
    do
        entry = readdir(directory);
    while (entry && (str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..")));
    closedir(directory);
    return !entry;
}

static void mount_missing(const struct mount_row *row)
{
    if ((row->proof && access(row->proof, F_OK) == 0) || is_mount_point(row->path))
        return;
    // Below /sys nothing can be made: a kernel without cgroups has no place for them.
    if (mkdir(row->path, 0755) < 0 && errno != EEXIST && errno != EPERM)
        init_log('W', "%s cannot be made: %s", row->path, strerror(errno));
    if (strcmp(row->path, "/dev") != 0 && !is_empty(row->path)) {
        init_log('W', "%s is not mounted, but has something in it: left as it is", row->path);
        return;
    }
    if (mount(row->source, row->path, row->type, row->flags, row->options) < 0)
        init_log('W', "%s cannot be mounted: %s", row->path, strerror(errno));
    else
        init_log('I', "mounted %s (%s)", row->path, row->type);
}

// From the initramfs itself nobody can pivot_root(2) away, as a container with a root of its own
// has to; from a mount of it on top of it everybody can.
static void cover_initramfs(void)
{
    static const char place[] = "/.root";
    struct statfs root;
    if (statfs("/", &root) < 0 || (root.f_type != RAMFS_MAGIC && root.f_type != TMPFS_MAGIC))
        return;
    if ((mkdir(place, 0700) < 0 && errno != EEXIST) ||
        mount("/", place, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(place) < 0 ||
        mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        init_log('W', "the initramfs cannot be left: %s (images with a rootfs/ will not run)",
                 strerror(errno));
    (void)rmdir(place);
}

// The kernel has opened the console for us, unless there was none yet.
static void have_standard_streams(void)
{
    for (int fd; (fd = open("/dev/console", O_RDWR | O_NOCTTY)) >= 0 ||
                 (fd = open("/dev/null", O_RDWR | O_NOCTTY)) >= 0;) {
        if (fd <= STDERR_FILENO)
            continue;
        close(fd);
        return;
    }
}

// ---- network and name

static void bring_up_loopback(void)
{
    struct ifreq lo = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (ioctl(fd, SIOCGIFFLAGS, &lo) == 0 && !(lo.ifr_flags & IFF_UP)) {
        lo.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
            init_log('W', "lo cannot be brought up: %s", strerror(errno));
    }
    close(fd);
}

static void name_host(void)
{
    struct utsname names;
    char name[HOST_NAME_MAX + 1] = "";
    if (uname(&names) < 0 || (names.nodename[0] && strcmp(names.nodename, "(none)") != 0))
        return;
    int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!read(fd, name, sizeof(name) - 1);
        close(fd);
    }
    name[strcspn(name, " \t\r\n")] = '\0';
    if (!name[0])
        memcpy(name, "localhost", sizeof("localhost"));
    if (sethostname(name, strlen(name)) < 0)
        init_log('W', "the host's name cannot be set: %s", strerror(errno));
}

void init_have_proc(void)
{
    mount_missing(&mounts[0]);
}

void init_machine_begin(const struct init *init)
{
    if (init->first_namespace)
        cover_initramfs();
    for (size_t i = 1; i < ARRAY_SIZE(mounts); i++)
        mount_missing(&mounts[i]);
    have_standard_streams();
    bring_up_loopback();
    name_host();
}

// ---- cgroup

void init_leave_cgroup(void)
{
    // The root of the hierarchy has no such file, and no such rule.
    if (access(CGROUP_ROOT "/cgroup.events", F_OK) < 0)
        return;
    int fd = -1;
    if ((mkdir(OWN_CGROUP, 0755) == 0 || errno == EEXIST))
        fd = open(OWN_CGROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) < 0)
        init_log('W', "cannot move into the cgroup %s: %s (limits of pods may not be enforced)",
                 OWN_CGROUP, strerror(errno));
    if (fd >= 0)
        close(fd);
}
