// A container of a pod as v1 ContainerStatus. The state machine knows more states than Kubernetes'
// three; which of them a container is shown in depends on whether a process of it is there.
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/json-text.h"
#include "supervisor/status-internal.h"
#include "supervisor/termination.h"

static json_t *container_id(const struct container_worker *c, uint64_t restart_count)
{
    _cleanup_free_ char *id = xasprintf("mainstay://%s_%s_%" PRIu64, c->pod->pod->metadata.uid,
                                        c->spec->name, restart_count);
    return json_text(id);
}

static json_t *waiting(const struct container_worker *c)
{
    const struct pod_worker *w = c->pod;
    const char *reason = c->waiting_reason, *message = c->waiting_message;
    if (!reason && w->waiting_reason) {
        reason = w->waiting_reason;
        message = w->waiting_message;
    }
    if (!reason)
        reason = w->n_init > 0 && !c->ever_started && w->state != POD_RUNNING ? "PodInitializing"
                                                                              : "ContainerCreating";
    json_t *detail = json_object(), *state = json_object();
    json_set_text(detail, "reason", reason);
    json_set_text(detail, "message", message);
    json_object_set_new(state, "waiting", detail);
    return state;
}

static json_t *running(const struct container_worker *c)
{
    json_t *detail = json_object(), *state = json_object();
    json_object_set_new(detail, "startedAt", json_time(c->started_at));
    json_object_set_new(state, "running", detail);
    return state;
}

static json_t *terminated(const struct container_worker *c, const struct container_exit *exit)
{
    json_t *detail = json_object(), *state = json_object();
    json_object_set_new(detail, "exitCode", json_integer(exit->exit_code));
    if (exit->signal != 0)
        json_object_set_new(detail, "signal", json_integer(exit->signal));
    json_set_text(detail, "reason", exit->reason);
    if (exit->message) {
        _cleanup_free_ char *message =
            termination_cut(exit->message, termination_share(c->pod->n_containers));
        json_set_text(detail, "message", message);
    }
    json_object_set_new(detail, "startedAt", json_time(exit->started_at));
    json_object_set_new(detail, "finishedAt", json_time(exit->finished_at));
    json_object_set_new(detail, "containerID", container_id(c, exit->restart_count));
    json_object_set_new(state, "terminated", detail);
    return state;
}

enum shown { SHOW_WAITING, SHOW_RUNNING, SHOW_TERMINATED };

static enum shown shown_state(const struct container_worker *c)
{
    switch (c->state) {
    case CONTAINER_POST_START:
    case CONTAINER_RUNNING:
    case CONTAINER_PRE_STOP:
    case CONTAINER_AWAIT_TURN:
        return SHOW_RUNNING;
    case CONTAINER_TERMINATING:
    case CONTAINER_KILLING:
        return c->pid != 0 ? SHOW_RUNNING : SHOW_WAITING;
    case CONTAINER_PROVING:
    case CONTAINER_EXITED:
        return c->last.reason && !c->start_failed ? SHOW_TERMINATED : SHOW_WAITING;
    default:
        return SHOW_WAITING;
    }
}

bool status_container_is_ready(const struct container_worker *c)
{
    if (c->init && !c->sidecar)
        return c->state == CONTAINER_EXITED && c->last.known && c->last.exit_code == 0 &&
               !c->start_failed;
    return pod_worker_container_is_ready(c);
}

json_t *status_container(const struct container_worker *c)
{
    enum shown shown = shown_state(c);
    const struct container_exit *before = shown == SHOW_TERMINATED ? &c->previous : &c->last;
    json_t *status = json_object();
    json_object_set_new(status, "name", json_text(c->spec->name));
    json_object_set_new(status, "state",
                        shown == SHOW_RUNNING      ? running(c)
                        : shown == SHOW_TERMINATED ? terminated(c, &c->last)
                                                   : waiting(c));
    json_object_set_new(status, "lastState",
                        before->reason ? terminated(c, before) : json_object());
    json_object_set_new(status, "ready", json_boolean(status_container_is_ready(c)));
    json_object_set_new(status, "restartCount", json_integer((json_int_t)c->restart_count));
    json_object_set_new(status, "image", json_text(c->spec->image ? c->spec->image : ""));
    json_object_set_new(status, "imageID", json_string(""));
    if (c->ever_started)
        json_object_set_new(status, "containerID", container_id(c, c->restart_count));
    if (!c->init || c->sidecar)
        json_object_set_new(status, "started", json_boolean(pod_worker_container_is_started(c)));
    if (c->spec->volumeMounts.n > 0)
        json_object_set_new(status, "volumeMounts", status_volume_mounts(c->spec));
    return status;
}
