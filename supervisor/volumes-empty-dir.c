// emptyDir volumes, on disk and in memory (pkg/volume/emptydir). See volumes-internal.h.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/qos.h"
#include "supervisor/volumes-internal.h"

const char volumes_empty_dir_plugin[] = "empty-dir";

enum {
    DISK_MODE = 0777,
    MEMORY_MODE = 01777, // that of a tmpfs for which no other is asked
};

static bool is_mount_point(const char *path)
{
    struct statx here, parent;
    _cleanup_free_ char *up = path_join(path, "..");
    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &here) < 0 ||
        statx(AT_FDCWD, up, 0, STATX_MNT_ID, &parent) < 0)
        return false;
    return here.stx_mnt_id != parent.stx_mnt_id;
}

// pkg/volume/volume_linux.go: what is made in a volume with a group is the group's, too.
static mode_t mode_for(gid_t group, mode_t mode)
{
    return group == (gid_t)-1 ? mode : mode | S_ISGID;
}

// Made beside its place and renamed there when it is as it must be: an agent that dies in between
// leaves no volume that the next one takes for finished.
static int make_fresh(const struct volumes_options *options, const char *dir, gid_t group,
                      mode_t mode)
{
    const char *name = path_base(dir);
    _cleanup_free_ char *fresh = xasprintf("%.*s.new-%s", (int)(name - dir), dir, name);
    int code = volumes_make_dir(options, fresh, 0700);
    if (code < 0)
        return code;
    if (group != (gid_t)-1 && chown(fresh, (uid_t)-1, group) < 0)
        return -errno;
    if (chmod(fresh, mode_for(group, mode)) < 0 || rename(fresh, dir) < 0)
        return -errno;
    return 0;
}

int64_t volumes_memory_size(const struct volumes_options *options, const struct pod *pod,
                            const struct volume *volume)
{
    const struct quantity *limit = volume->emptyDir->sizeLimit;
    int64_t size = options->memory_capacity_bytes > 0
                       ? options->memory_capacity_bytes
                       : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    int64_t of_pod = qos_pod_limits(pod, "memory", true);
    if (of_pod > 0 && of_pod < size)
        size = of_pod;
    int64_t own = limit ? quantity_value(limit) : 0;
    return own > 0 && own < size ? own : size;
}

// In the agent's own mount namespace, the host's: all containers of the pod and the next agent see
// the same one. It is there from another container of the pod or an earlier agent, or not yet, or
// not any more since the node was booted.
static int mount_memory(const struct volumes_options *options, const struct pod *pod,
                        const struct volume *volume, const char *dir)
{
    char data[96];
    gid_t group = volumes_fs_group(pod);
    if (is_mount_point(dir))
        return 0;
    int n =
        snprintf(data, sizeof(data), "mode=%o,size=%" PRId64,
                 (unsigned)mode_for(group, MEMORY_MODE), volumes_memory_size(options, pod, volume));
    if (group != (gid_t)-1)
        snprintf(data + n, sizeof(data) - (size_t)n, ",gid=%u", (unsigned)group);
    return mount("tmpfs", dir, "tmpfs", 0, data) < 0 ? -errno : 0;
}

int volumes_make_empty_dir(const struct volumes_options *options, const struct pod *pod,
                           const struct volume *volume, struct string_list *notes, char **ret,
                           struct error *err)
{
    const char *uid = pod->metadata.uid;
    bool memory = str_equal(volume->emptyDir->medium, "Memory");
    bool plain = memory && options->unprivileged;
    _cleanup_free_ char *base = volumes_memory_dir(options, uid);
    _cleanup_free_ char *dir =
        plain ? path_join(base, volume->name)
              : volumes_dir(options, uid, volumes_empty_dir_plugin, volume->name);
    bool fresh = access(dir, F_OK) < 0;
    int code = 0;
    if (fresh)
        code = make_fresh(options, dir, volumes_fs_group(pod), memory ? MEMORY_MODE : DISK_MODE);
    if (code == 0 && memory && !plain)
        code = mount_memory(options, pod, volume, dir);
    if (code < 0)
        return error_errno(err, code, "volume %s: %s", volume->name, dir);
    if (fresh && plain)
        string_list_add_owned(
            notes, xasprintf("volume %s is at %s: an ordinary user cannot mount memory of its own",
                             volume->name, dir));
    *ret = TAKE_PTR(dir);
    return 0;
}
