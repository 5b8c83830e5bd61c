// See termination-files.h.
#include "supervisor/termination-files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/volumes.h"

enum { LARGE_BLOCKS = (1 << 20) / 512 }; // what is not removed within the loop

char *termination_file_path(const char *root_dir, const char *pod_uid, const char *container,
                            uint64_t restart_count)
{
    return xasprintf("%s/termination/%s.%s.%" PRIu64, root_dir, pod_uid, container, restart_count);
}

int termination_file_remove(const char *root_dir, const char *path, struct error *err)
{
    struct stat st;
    if (!path)
        return 0;
    int code = lstat(path, &st) < 0 ? -errno : 0;
    if (code == 0 && (S_ISDIR(st.st_mode) || st.st_blocks > LARGE_BLOCKS))
        return volumes_set_aside(root_dir, path, err);
    if (code == 0 && unlink(path) < 0)
        code = -errno;
    return code < 0 && code != -ENOENT ? error_errno(err, code, "cannot remove %s", path) : 0;
}

// The length of the UID in "<uid>.<container>.<n>"; neither of the two behind it has a dot.
static size_t uid_length(const char *name)
{
    size_t length = strlen(name);
    for (int dots = 0; dots < 2; dots++) {
        const char *dot = memrchr(name, '.', length);
        if (!dot)
            return strlen(name);
        length = (size_t)(dot - name);
    }
    return length;
}

int termination_files_remove(const char *root_dir, const char *pod_uid, struct error *err)
{
    _cleanup_free_ char *dir = path_join(root_dir, "termination");
    DIR *stream = opendir(dir);
    int first = stream || errno == ENOENT ? 0 : error_errno(err, errno, "%s", dir);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        size_t length = uid_length(entry->d_name);
        if (*entry->d_name == '.' || length != strlen(pod_uid) ||
            strncmp(entry->d_name, pod_uid, length) != 0)
            continue;
        _cleanup_free_ char *path = path_join(dir, entry->d_name);
        int code = termination_file_remove(root_dir, path, first ? NULL : err);
        first = first ? first : code;
    }
    if (stream)
        closedir(stream);
    return first;
}

int termination_files_list(const char *root_dir, struct string_list *uids, struct error *err)
{
    _cleanup_free_ char *dir = path_join(root_dir, "termination");
    DIR *stream = opendir(dir);
    if (!stream)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", dir);
    for (struct dirent *entry; (entry = readdir(stream));) {
        _cleanup_free_ char *uid = xstrndup(entry->d_name, uid_length(entry->d_name));
        if (*entry->d_name != '.' && !string_list_contains(uids, uid))
            string_list_add_owned(uids, TAKE_PTR(uid));
    }
    closedir(stream);
    return 0;
}
