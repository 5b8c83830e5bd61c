// Processes of a container that the kernel kills for want of memory, or does not let it make, are
// events, also where the container itself goes on.
#include "base/work.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/runtime-internal.h"

static void on_alarm(void *userdata, uint64_t oom_kills, uint64_t refused)
{
    struct run *run = userdata;
    WORK_SCOPE("pods", "pod", run->spec.pod_namespace, run->spec.pod_name);
    struct container_worker *c = run->c;
    if (run->role != RUN_CURRENT || run->over)
        return; // the end of a container tells by itself what it came from
    // Without numbers: what repeats is one event that is counted.
    if (oom_kills > 0)
        pod_worker_event(c->pod, c, EVENT_WARNING, "OOMKilling",
                         "the kernel has killed processes of container %s for want of memory; the "
                         "container goes on: raise resources.limits.memory, or find the leak",
                         c->spec->name);
    if (refused > 0)
        pod_worker_event(c->pod, c, EVENT_WARNING, "PidsLimitReached",
                         "container %s cannot make more processes: its pod has as many as "
                         "podPidsLimit allows",
                         c->spec->name);
}

static void watch(struct run *run)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (run->alarm || run->spec.cgroup_dirs.n == 0)
        return;
    if (cgroup_alarm_new(run->rt->options.event, &run->spec.cgroup_dirs, run->oom_kills,
                         run->refused, on_alarm, run, &run->alarm, &err) < 0)
        pod_worker_event(run->c->pod, run->c, EVENT_WARNING, "CgroupNotWatched", "%s",
                         error_message(&err));
}

void run_is_running(struct run *run, const struct shim_state *state, monotime now)
{
    pod_worker_container_started(run->c, state, now);
    watch(run);
}
