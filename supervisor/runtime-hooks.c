// The hooks of containers: postStart and preStop, each asked in its own way, one at a time a run.
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/macro.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/runtime-internal.h"

void run_cancel_hook(struct run *run)
{
    if (run->hook)
        shim_exec_cancel(TAKE_PTR(run->hook));
    run->hook_timer = sd_event_source_disable_unref(run->hook_timer);
}

static void on_hook_exec(void *userdata, int error_code, int status, const char *output, size_t len)
{
    struct run *run = userdata;
    _cleanup_free_ char *why = NULL;
    run->hook = NULL;
    bool ok = error_code == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (error_code == -ETIMEDOUT)
        why = xstrdup("did not end in time");
    else if (error_code != 0)
        why = xstrdup(strerror(-error_code));
    else if (WIFSIGNALED(status))
        why = xasprintf("ended by signal %d", WTERMSIG(status));
    else if (!ok)
        why = xasprintf("exited with status %d: %.*s", WEXITSTATUS(status),
                        (int)MIN(len, (size_t)512), output ? output : "");
    pod_worker_hook_done(run->c, ok, why, monotime_now());
}

static int on_hook_slept(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct run *run = userdata;
    run->hook_timer = sd_event_source_disable_unref(run->hook_timer);
    pod_worker_hook_done(run->c, true, NULL, monotime_now());
    return 0;
}

int runtime_hook(void *runtime, struct container_worker *c, const struct lifecycle_handler *hook,
                 int64_t timeout_usec, struct error *err)
{
    struct runtime *rt = runtime;
    struct run *run = c->run;
    if (!run || run->over)
        return error_set(err, ESRCH, "the container is gone");
    if (hook->exec)
        return shim_link_exec(run->link, &hook->exec->command, timeout_usec, on_hook_exec, run,
                              &run->hook, err);
    if (hook->sleep) {
        int r = sd_event_add_time_relative(rt->options.event, &run->hook_timer, CLOCK_BOOTTIME,
                                           (uint64_t)(hook->sleep->seconds * USEC_PER_SEC), 0,
                                           on_hook_slept, run);
        return r < 0 ? error_errno(err, r, "timer") : 0;
    }
    pod_worker_event(c->pod, c, EVENT_WARNING, "HookNotRun",
                     "httpGet and tcpSocket hooks are not run by this release; use exec");
    pod_worker_hook_done(c, true, NULL, monotime_now());
    return 0;
}

void runtime_cancel_hook(void *runtime, struct container_worker *c)
{
    if (c->run)
        run_cancel_hook(c->run);
}
