// What the containers use. See runtime.h.
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/runtime-internal.h"

bool runtime_run_stats(struct container_worker *c, struct stats *ret)
{
    struct run *run = c->run;
    if (!run || run->over || c->pid == 0)
        return false;
    stats_read(&run->spec.cgroup_dirs, true, ret);
    stats_rate_update(&run->rate, ret);
    return true;
}

static const struct run *any_run(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct run *run = w->containers[i].run;
        if (run && run->spec.cgroup_dirs.n > 0)
            return run;
    }
    return NULL;
}

bool runtime_pod_stats(const struct pod_worker *w, struct stats *ret)
{
    const struct run *run = any_run(w);
    if (!run)
        return false;
    const char *leaf = run->spec.cgroup_dirs.items[0];
    _cleanup_free_ char *dir = xstrndup(leaf, (size_t)(path_base(leaf) - leaf - 1));
    struct string_list dirs = {&dir, 1};
    stats_read(&dirs, false, ret);
    return true;
}
