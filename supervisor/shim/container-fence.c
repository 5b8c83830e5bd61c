// A pod that podmaster guards starts only while its node may have it. See container-internal.h, and
// manifests/fence.h for why this is enough.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fence-state.h"
#include "base/fs.h"
#include "supervisor/shim/container-internal.h"

static bool link_says(const char *path, const char *target)
{
    char text[PATH_MAX];
    ssize_t n = readlink(path, text, sizeof(text) - 1);
    if (n < 0)
        return false;
    text[n] = '\0';
    return strcmp(text, target) == 0;
}

// Names the cgroup where the fence looks.
static int announce(const struct shim_spec *spec, const char *cgroup)
{
    _cleanup_free_ char *dir = fence_state_cgroups(spec->fence);
    _cleanup_free_ char *path = xasprintf("%s/%s_%s", dir, spec->pod_uid, spec->container);
    _cleanup_free_ char *beside =
        xasprintf("%s/.%s_%s.%" PRIu64, dir, spec->pod_uid, spec->container, monotime_now().usec);
    if (symlink(cgroup, path) == 0 || (errno == EEXIST && link_says(path, cgroup)))
        return 0;
    if (errno != EEXIST || symlink(cgroup, beside) < 0)
        return -errno;
    if (rename(beside, path) == 0)
        return 0;
    int code = -errno;
    unlink(beside);
    return code;
}

int container_fence_check(const struct shim_spec *spec, struct error *err)
{
    struct fence_state state;
    if (str_empty(spec->fence))
        return 0;
    if (spec->cgroup_dirs.n == 0)
        return error_set(err, EOPNOTSUPP,
                         "the pod is guarded by podmaster (%s), which must be able to kill it, and "
                         "this host has no cgroup for it",
                         spec->fence);
    int code = announce(spec, spec->cgroup_dirs.items[0]);
    if (code < 0)
        return error_errno(err, code,
                           "the pod is guarded by podmaster, and its cgroup cannot be named in "
                           "%s.d: does podmaster run?",
                           spec->fence);
    code = fence_state_read_path(spec->fence, &state);
    if (code < 0 && code != -ESTALE)
        return error_errno(err, code,
                           "the pod is guarded by podmaster, and its deadline is unknown");
    monotime now = monotime_now();
    if (state.start_until.usec > now.usec)
        return 0;
    return error_set(err, EACCES,
                     "the pod is guarded by podmaster, and this node does not hold its lease (%s)",
                     spec->fence);
}
