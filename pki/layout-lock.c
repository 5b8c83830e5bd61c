// One at a time over a set of keys and certificates, and what a killed one left behind.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string-list.h"
#include "pki/layout-internal.h"

// ".apiserver.key.tmp-1234-0", which fs_write_atomic() writes into before it renames: true where
// it is one of ours and its writer is no more.
static bool is_left_behind(const char *name)
{
    static const char *const ours[] = {".key", ".crt", ".cert", ".pub", ".conf", ".csr", ".csv"};
    const char *mark = strstr(name, ".tmp-");
    long long pid = 0;
    if (name[0] != '.' || !mark)
        return false;
    _cleanup_free_ char *stem = xstrndup(name, (size_t)(mark - name));
    const char *digits = mark + strlen(".tmp-");
    _cleanup_free_ char *number = xstrndup(digits, strcspn(digits, "-"));
    if (str_to_int(number, 1, INT32_MAX, &pid) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (str_ends_with(stem, ours[i]))
            return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
    return false;
}

static void clear_away(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (is_left_behind(entry->d_name))
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

int pki_layout_lock(const struct pki_layout *layout, int *ret_fd, struct error *err)
{
    int code = fs_mkdir_parents(AT_FDCWD, layout->pki_dir, 0755);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", layout->pki_dir);
    _cleanup_close_ int fd = open(layout->pki_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "%s", layout->pki_dir);
    code = lock_take(fd);
    if (code == -EWOULDBLOCK)
        return error_set(err, EBUSY, "another `mainstay` works on %s; try again", layout->pki_dir);
    if (code < 0)
        return error_errno(err, code, "%s", layout->pki_dir);
    _cleanup_free_ char *etcd = path_join(layout->pki_dir, "etcd");
    clear_away(layout->pki_dir);
    clear_away(etcd);
    if (layout->kubeconfig_dir)
        clear_away(layout->kubeconfig_dir);
    *ret_fd = TAKE_FD(fd);
    return 0;
}
