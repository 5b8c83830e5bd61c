// One at a time over a set of keys and certificates, and what a killed one left behind.
#include <fcntl.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "pki/layout-internal.h"
#include "pki/replace.h"

int pki_layout_lock(const struct pki_layout *layout, int *ret_fd, struct error *err)
{
    int code = fs_mkdir_parents(AT_FDCWD, layout->pki_dir, 0755);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", layout->pki_dir);
    code = replace_lock(layout->pki_dir, ret_fd, err);
    if (code < 0)
        return code;
    _cleanup_free_ char *etcd = path_join(layout->pki_dir, "etcd");
    replace_tidy(etcd);
    if (layout->kubeconfig_dir)
        replace_tidy(layout->kubeconfig_dir);
    return 0;
}
