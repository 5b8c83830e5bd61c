// The end of a pod's volumes: they are put aside at once, which costs the loop a rename, and
// removed by a helper. See volumes.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "supervisor/volumes-internal.h"

static const char removed_name[] = ".removed";

char *volumes_removed_dir(const char *base)
{
    return path_join(base, removed_name);
}

// Below `base`, which is on the same file system.
static int set_aside(const char *base, const char *path)
{
    _cleanup_free_ char *removed = volumes_removed_dir(base);
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    int code = fs_mkdir_parents(AT_FDCWD, removed, 0700);
    if (code < 0)
        return code;
    _cleanup_free_ char *to =
        xasprintf("%s/%s.%" PRIx64, removed, path_base(path), (uint64_t)walltime_now().nsec);
    return rename(path, to) < 0 ? -errno : 0;
}

int volumes_set_aside(const char *root_dir, const char *path, struct error *err)
{
    _cleanup_free_ char *pods = path_join(root_dir, "pods");
    int code = set_aside(pods, path);
    return code < 0 ? error_errno(err, code, "cannot put %s aside", path) : 0;
}

// "<dir>/volumes/..." is what we, or containers with Bidirectional mounts, have mounted.
static int check_foreign_mounts(const char *dir, struct error *err)
{
    char real[PATH_MAX], *line = NULL;
    size_t size = 0;
    int code = 0;
    if (!realpath(dir, real))
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", dir);
    size_t length = strlen(real);
    _cleanup_fclose_ FILE *mounts = fopen("/proc/self/mountinfo", "re");
    while (mounts && code == 0 && getline(&line, &size, mounts) > 0) {
        char *save = NULL, *point = strtok_r(line, " ", &save);
        for (int i = 1; point && i < 5; i++)
            point = strtok_r(NULL, " ", &save);
        if (!point || strncmp(point, real, length) != 0 ||
            (point[length] && point[length] != '/') || str_starts_with(point + length, "/volumes/"))
            continue;
        code = error_set(err, EBUSY,
                         "%s is still mounted: %s is left as it is; unmount it and remove the "
                         "directory",
                         point, dir);
    }
    free(line);
    return code;
}

int volumes_remove(const struct volumes_options *options, const char *pod_uid, struct error *err)
{
    if (!path_is_name(pod_uid) || *pod_uid == '.')
        return error_set(err, EINVAL, "\"%s\" is no uid", pod_uid);
    _cleanup_free_ char *pods = path_join(options->root_dir, "pods");
    _cleanup_free_ char *pod = path_join(pods, pod_uid);
    _cleanup_free_ char *memories = path_join(options->run_dir, "memory");
    _cleanup_free_ char *memory = volumes_memory_dir(options, pod_uid);
    int code = check_foreign_mounts(pod, err);
    if (code < 0)
        return code;
    if ((code = set_aside(pods, pod)) < 0)
        return error_errno(err, code, "cannot put %s aside", pod);
    if ((code = set_aside(memories, memory)) < 0)
        return error_errno(err, code, "cannot put %s aside", memory);
    return 0;
}

static int add_names(const char *dir, struct string_list *ret, struct error *err)
{
    DIR *stream = opendir(dir);
    if (!stream)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", dir);
    for (struct dirent *entry; (entry = readdir(stream));)
        if (*entry->d_name != '.')
            string_list_add(ret, entry->d_name);
    closedir(stream);
    return 0;
}

int volumes_list_pods(const struct volumes_options *options, struct string_list *ret,
                      struct error *err)
{
    _cleanup_free_ char *pods = path_join(options->root_dir, "pods");
    _cleanup_free_ char *memories = path_join(options->run_dir, "memory");
    int code = add_names(pods, ret, err);
    if (code == 0)
        code = add_names(memories, ret, err);
    return code;
}
