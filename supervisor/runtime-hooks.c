// The hooks of containers: postStart and preStop, each asked in its own way, one at a time a run.
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/macro.h"
#include "base/work.h"
#include "supervisor/pod-worker-internal.h"
#include "supervisor/probe-question.h"
#include "supervisor/runtime-internal.h"

// A postStart hook may take as long as it likes, under the kubelet, too.
#define NO_TIMEOUT_USEC (INT64_C(365) * 24 * 3600 * USEC_PER_SEC)

void run_cancel_hook(struct run *run)
{
    if (run->hook)
        shim_exec_cancel(TAKE_PTR(run->hook));
    probe_question_free(TAKE_PTR(run->hook_question));
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

static void on_hook_answered(void *userdata, enum probe_outcome outcome, const char *message)
{
    struct run *run = userdata;
    struct container_worker *c = run->c;
    bool ok = outcome == PROBE_PASSED || outcome == PROBE_WARNED;
    WORK_SCOPE("pods", "pod", run->spec.pod_namespace, run->spec.pod_name);
    _cleanup_free_ char *why = xstrdup_or_null(message);
    if (outcome == PROBE_WARNED)
        pod_worker_event(c->pod, c, EVENT_WARNING, "HookWarning", "%s hook of container %s: %s",
                         c->state == CONTAINER_POST_START ? "postStart" : "preStop", c->spec->name,
                         message);
    probe_question_free(TAKE_PTR(run->hook_question));
    pod_worker_hook_done(c, ok, why, monotime_now());
}

// Scheme, host and headers are those of the hook, as under a kubelet of 1.25 and later (1.20 always
// asks http://HOST:PORT//PATH without them). That one tries HTTP again where HTTPS was meant and
// the server does not speak it, for the sake of its own past; here it is a failure.
static int ask_server(struct run *run, const struct lifecycle_handler *hook, int64_t timeout_usec,
                      struct error *err)
{
    struct probe_target target;
    struct probe_question question = {
        .answered = on_hook_answered,
        .userdata = run,
        .limit_usec = timeout_usec > 0 ? timeout_usec : NO_TIMEOUT_USEC,
        .hook = true,
    };
    monotime now = monotime_now();
    int r = prober_target(run->rt->prober, run->c, run->link, true, &target, err);
    if (r < 0)
        return r;
    if (hook->httpGet)
        return probe_http_ask(&target, hook->httpGet, &question, now, &run->hook_question, err);
    if (hook->tcpSocket)
        return probe_tcp_ask(&target, hook->tcpSocket, &question, now, &run->hook_question, err);
    return error_set(err, EINVAL, "the hook does not say what to do");
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
    return ask_server(run, hook, timeout_usec, err);
}

void runtime_cancel_hook(void *runtime, struct container_worker *c)
{
    if (c->run)
        run_cancel_hook(c->run);
}
