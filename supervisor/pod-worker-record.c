// How the runs of a container ended: the record of the newest and of the one before it, and the
// event that tells it.
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/process.h"
#include "supervisor/pod-worker-internal.h"

enum {
    EXIT_CODE_NOT_STARTED = 128, // what container runtimes report where exec failed
};

void container_exit_clear(struct container_exit *exit)
{
    free(exit->reason);
    free(exit->message);
    *exit = (struct container_exit){0};
}

static void record_never_started(struct container_worker *c, struct container_exit *to,
                                 const struct shim_state *exit)
{
    to->known = true;
    to->exit_code = EXIT_CODE_NOT_STARTED;
    to->reason = xstrdup(exit->error_reason ? exit->error_reason : "StartError");
    to->message = xstrdup(exit->message ? exit->message : strerror(exit->error_code));
    pod_worker_event(c->pod, c, EVENT_WARNING, "Failed", "container %s could not be started: %s",
                     c->spec->name, to->message);
}

static void record_exited(struct container_worker *c, struct container_exit *to,
                          const struct shim_state *exit)
{
    char name[16];
    to->known = true;
    to->exit_code = exit->signaled ? 128 + exit->exit_code : exit->exit_code;
    to->signal = exit->signaled ? exit->exit_code : 0;
    to->message = xstrdup_or_null(exit->message);
    bool failed = to->exit_code != 0;
    to->reason = xstrdup(exit->oom_killed ? "OOMKilled" : failed ? "Error" : "Completed");
    enum event_type type = failed && !c->stop_requested ? EVENT_WARNING : EVENT_NORMAL;
    if (exit->oom_killed)
        pod_worker_event(c->pod, c, EVENT_WARNING, "OOMKilled",
                         "run %" PRIu64 " of container %s was killed for want of memory: raise "
                         "resources.limits.memory, or find the leak",
                         to->restart_count, c->spec->name);
    else if (exit->signaled)
        pod_worker_event(c->pod, c, type, "Exited", "run %" PRIu64 " of container %s ended by %s",
                         to->restart_count, c->spec->name, signal_name(exit->exit_code, name));
    else
        pod_worker_event(c->pod, c, type, "Exited",
                         "run %" PRIu64 " of container %s exited with status %d", to->restart_count,
                         c->spec->name, exit->exit_code);
}

static void record_lost(struct container_worker *c, struct container_exit *to)
{
    to->known = false;
    to->reason = xstrdup("ShimDied");
    to->message = xstrdup("the shim was killed before it could record the exit status");
    to->exit_code = 137;
    pod_worker_event(c->pod, c, EVENT_WARNING, "ShimDied",
                     "the shim of container %s (run %" PRIu64 ") died: what is left of the "
                     "container is killed before it is restarted",
                     c->spec->name, to->restart_count);
}

void container_record(struct container_worker *c, struct container_exit *to, uint64_t restart_count,
                      const struct shim_state *exit)
{
    container_exit_clear(to);
    to->restart_count = restart_count;
    to->started_at = exit ? exit->started_at : c->started_at;
    to->finished_at =
        exit && walltime_is_set(exit->finished_at) ? exit->finished_at : pod_worker_wall(c->pod);
    if (!exit)
        record_lost(c, to);
    else if (exit->phase == SHIM_PHASE_FAILED)
        record_never_started(c, to, exit);
    else
        record_exited(c, to, exit);
}

void container_shift_history(struct container_worker *c)
{
    if (!c->last.reason)
        return;
    container_exit_clear(&c->previous);
    c->previous = c->last;
    c->last = (struct container_exit){0};
}

bool pod_worker_has_recorded(const struct container_worker *c, uint64_t restart_count)
{
    return (c->last.reason && c->last.restart_count >= restart_count) ||
           (c->previous.reason && c->previous.restart_count >= restart_count);
}

void pod_worker_record_missed(struct container_worker *c, uint64_t restart_count,
                              const struct shim_state *exit)
{
    container_shift_history(c);
    container_record(c, &c->last, restart_count, exit);
    c->pod->ops->save(c->pod->runtime, c->pod);
}
