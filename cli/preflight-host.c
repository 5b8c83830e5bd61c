// See preflight-internal.h: what the machine itself brings: memory, room, cgroups, its clock.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "cli/preflight-facts.h"
#include "cli/preflight-internal.h"

enum { PROC_FILE_MAX = 1 << 20 };
#define MIB ((uint64_t)1 << 20)

// What each took on an idle control plane, and as much again for its work.
static const struct {
    const char *program;
    uint64_t memory;
} needs[] = {
    {"etcd", 100 * MIB},
    {"kube-apiserver", 600 * MIB},
    {"kube-controller-manager", 150 * MIB},
    {"kube-scheduler", 80 * MIB},
};

// etcd's own limit of its database's size, unless a flag says otherwise (--quota-backend-bytes).
static const uint64_t etcd_quota = 2048 * MIB;
static const uint64_t etcd_least = 256 * MIB;

static int this_statvfs(const char *path, struct statvfs *ret)
{
    return statvfs(path, ret);
}

static int this_adjtimex(struct timex *state)
{
    return adjtimex(state);
}

static int64_t this_write_synced(int fd, const void *data, size_t size)
{
    monotime before = monotime_now();
    int r = fs_write_all(fd, data, size);
    if (r == 0 && fdatasync(fd) < 0)
        r = -errno;
    return r < 0 ? r : monotime_since(monotime_now(), before);
}

const struct preflight_machine preflight_this_machine = {
    .root = "",
    .statvfs = this_statvfs,
    .adjtimex = this_adjtimex,
    .write_synced = this_write_synced,
};

static int read_file(const struct preflight *p, const char *path, struct buffer *ret)
{
    _cleanup_free_ char *full = xasprintf("%s%s", p->machine->root, path);
    return fs_read_file(AT_FDCWD, full, PROC_FILE_MAX, ret);
}

void preflight_swap(struct preflight *p)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    uint64_t swap = 0;
    if (read_file(p, "/proc/swaps", &text) == 0)
        swap = facts_swap(buffer_str(&text));
    if (swap > 0)
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "%llu MiB of swap are on: etcd misses its heartbeats where its memory is "
                       "swapped out. `swapoff -a`, and take it out of /etc/fstab",
                       (unsigned long long)(swap / MIB));
    else
        preflight_find(p, PREFLIGHT_GOOD, NULL, "no swap is on");
}

void preflight_memory(struct preflight *p)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    uint64_t needed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        const struct pod *pod = NULL;
        if (preflight_container(p, needs[i].program, &pod) && !preflight_is_there(p, pod))
            needed += needs[i].memory;
    }
    if (read_file(p, "/proc/meminfo", &text) < 0)
        return;
    uint64_t free = facts_meminfo(buffer_str(&text), "MemAvailable");
    if (free < needed)
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "%llu MiB of memory are available, and %llu MiB are wanted for what is to "
                       "run here: the kernel may kill some of it. Free some, or take a bigger "
                       "machine",
                       (unsigned long long)(free / MIB), (unsigned long long)(needed / MIB));
    else
        preflight_find(p, PREFLIGHT_GOOD, NULL, "%llu MiB of memory are available",
                       (unsigned long long)(free / MIB));
}

void preflight_disk_space(struct preflight *p)
{
    struct statvfs vfs;
    if (!preflight_container(p, "etcd", NULL))
        return;
    const char *dir = p->subject->plane->etcd_data_dir;
    _cleanup_free_ char *at = preflight_nearest(dir);
    if (p->machine->statvfs(at, &vfs) < 0) {
        preflight_find(p, PREFLIGHT_ERROR, NULL, "%s: %s", at, strerror(errno));
        return;
    }
    uint64_t free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    enum preflight_verdict verdict = free < etcd_least   ? PREFLIGHT_ERROR
                                     : free < etcd_quota ? PREFLIGHT_WARNING
                                                         : PREFLIGHT_GOOD;
    preflight_find(p, verdict, NULL, "%llu MiB are free where %s lies%s",
                   (unsigned long long)(free / MIB), dir,
                   verdict == PREFLIGHT_GOOD
                       ? ""
                       : ", and etcd's database may grow to 2048 MiB: a full disk stops it. Make "
                         "room, or give --etcd-data-dir");
}

static bool word_in(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p += len)
        if ((p == text || strchr(" ,\n", p[-1])) && (!p[len] || strchr(" ,\n", p[len])))
            return true;
    return false;
}

// A controller is there where v2 offers it, or a v1 hierarchy of it is mounted.
static bool has_controller(const char *v2, const char *mounts, const char *controller)
{
    return word_in(v2, controller) || word_in(mounts, controller);
}

void preflight_cgroups(struct preflight *p)
{
    _cleanup_buffer_ struct buffer v2 = BUFFER_EMPTY, mounts = BUFFER_EMPTY;
    bool has_v2 = read_file(p, "/sys/fs/cgroup/cgroup.controllers", &v2) >= 0;
    read_file(p, "/proc/self/mounts", &mounts);
    bool any = has_v2 || strstr(buffer_str(&mounts), " cgroup");
    bool memory = has_controller(buffer_str(&v2), buffer_str(&mounts), "memory");
    bool cpu = has_controller(buffer_str(&v2), buffer_str(&mounts), "cpu");
    if (!any)
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "no cgroup file system is mounted: limits are not enforced, and stray "
                       "processes of a container are not found. Mount cgroup2 on /sys/fs/cgroup");
    else if (!memory || !cpu)
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "the cgroup controller%s%s%s %s missing: such limits are not enforced (see "
                       "the kernel's parameters cgroup_enable and cgroup_disable)",
                       memory && cpu     ? ""
                       : !memory && !cpu ? "s memory and cpu"
                                         : "",
                       memory || !cpu ? "" : " memory", cpu || !memory ? "" : " cpu",
                       !memory && !cpu ? "are" : "is");
    else
        preflight_find(p, PREFLIGHT_GOOD, NULL, "the controllers cpu and memory are there");
}

void preflight_clock(struct preflight *p)
{
    struct timex state = {0};
    int r = p->machine->adjtimex(&state);
    if (r < 0)
        preflight_find(p, PREFLIGHT_NOT_CHECKED, NULL, "the kernel does not tell: %s",
                       strerror(errno));
    else if (r == TIME_ERROR || (state.status & STA_UNSYNC))
        preflight_find(p, PREFLIGHT_WARNING, NULL,
                       "nobody keeps this clock right: certificates and leases go by it. Start "
                       "chrony, ntpd or systemd-timesyncd (`timedatectl set-ntp true`)");
    else
        preflight_find(p, PREFLIGHT_GOOD, NULL, "the clock is kept right");
}
