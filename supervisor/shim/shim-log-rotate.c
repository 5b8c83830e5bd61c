// See shim-log-rotate.h.
#include "supervisor/shim/shim-log-rotate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/shim/shim-stamp.h"

enum { ROTATIONS_PER_SECOND_MAX = 1000 };

int shim_log_rename(const char *path, walltime now, char **ret_name)
{
    char suffix[16];
    shim_stamp_suffix(now, suffix);
    for (int n = 0; n < ROTATIONS_PER_SECOND_MAX; n++) {
        char *name =
            n == 0 ? xasprintf("%s.%s", path, suffix) : xasprintf("%s.%s.%03d", path, suffix, n);
        if (renameat2(AT_FDCWD, path, AT_FDCWD, name, RENAME_NOREPLACE) == 0) {
            *ret_name = name;
            return 0;
        }
        int code = -errno;
        free(name);
        if (code != -EEXIST)
            return code;
    }
    return -EEXIST;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void shim_log_remove_excess(const char *path, int64_t max_files)
{
    const char *base = path_base(path);
    _cleanup_free_ char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    _cleanup_free_ char *prefix = xasprintf("%s.", base);
    _cleanup_string_list_ struct string_list rotated = {0};
    DIR *entries = opendir(dir);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (str_starts_with(entry->d_name, prefix))
            string_list_add(&rotated, entry->d_name);
    if (rotated.n > 1)
        qsort(rotated.items, rotated.n, sizeof(rotated.items[0]), by_name);
    for (size_t i = 0; (int64_t)(rotated.n - i) > max_files - 1 && i < rotated.n; i++)
        unlinkat(dirfd(entries), rotated.items[i], 0);
    closedir(entries);
}
