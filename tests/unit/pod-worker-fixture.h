// A pod worker over a fake runtime under a virtual clock, for the programs test-pod-worker*.c.
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "supervisor/pod-worker.h"

enum { MOST = 8 };

// One fake run: what a shim and its process would be.
struct fake_run {
    bool over;
};

struct fake {
    struct pod_worker *w;
    monotime now, armed;
    int starts, signals, kills, shim_kills, proves, hooks, cancels, saves, buries, gones;
    bool fail_start, fail_hook, prove_at_once, hook_runs;
    bool probed[MOST]; // by index of the container
    struct event_log *events;
    struct fake_run runs[MOST]; // by index of the container
};

static size_t index_of(const struct container_worker *c)
{
    return (size_t)(c - c->pod->containers);
}

static int fake_start(void *runtime, struct container_worker *c, const char **ret_reason,
                      struct error *err)
{
    struct fake *f = runtime;
    assert_null(c->run); // an instance that is not proven gone must not be followed
    if (f->fail_start) {
        *ret_reason = "CreateContainerConfigError";
        return error_set(err, EINVAL, "no such thing");
    }
    f->starts++;
    f->runs[index_of(c)] = (struct fake_run){false};
    c->run = &f->runs[index_of(c)];
    return 0;
}

static void fake_signal(void *runtime, struct container_worker *c)
{
    ((struct fake *)runtime)->signals++;
}

static void fake_kill(void *runtime, struct container_worker *c, bool shim_too)
{
    struct fake *f = runtime;
    f->kills++;
    f->shim_kills += shim_too;
}

static int fake_hook(void *runtime, struct container_worker *c,
                     const struct lifecycle_handler *hook, int64_t timeout_usec, struct error *err)
{
    struct fake *f = runtime;
    f->hooks++;
    if (f->fail_hook)
        return error_set(err, ENOENT, "no such command");
    f->hook_runs = true;
    return 0;
}

static void fake_cancel_hook(void *runtime, struct container_worker *c)
{
    struct fake *f = runtime;
    f->cancels++;
    f->hook_runs = false;
}

static void fake_probe(void *runtime, struct container_worker *c, bool on)
{
    struct fake *f = runtime;
    assert_int_not_equal(f->probed[index_of(c)], on);
    f->probed[index_of(c)] = on;
}

static void fake_prove(void *runtime, struct container_worker *c)
{
    struct fake *f = runtime;
    f->proves++;
    assert_true(((struct fake_run *)c->run)->over);
    if (f->prove_at_once)
        pod_worker_container_proven(c, f->now);
}

static void fake_forget(void *runtime, struct container_worker *c)
{
    c->run = NULL;
}

static void fake_bury(void *runtime, struct pod_worker *w)
{
    assert_false(pod_worker_is_alive(w));
    ((struct fake *)runtime)->buries++;
}

static void fake_save(void *runtime, struct pod_worker *w)
{
    ((struct fake *)runtime)->saves++;
}

static void fake_arm(void *runtime, struct pod_worker *w, monotime deadline)
{
    ((struct fake *)runtime)->armed = deadline;
}

static void fake_gone(void *runtime, struct pod_worker *w)
{
    ((struct fake *)runtime)->gones++;
}

static const struct pod_runtime_ops fake_ops = {
    .start = fake_start,
    .signal = fake_signal,
    .kill = fake_kill,
    .hook = fake_hook,
    .cancel_hook = fake_cancel_hook,
    .probe = fake_probe,
    .prove = fake_prove,
    .forget = fake_forget,
    .bury = fake_bury,
    .save = fake_save,
    .arm = fake_arm,
    .gone = fake_gone,
};

// ---- a pod and its fake world ----

static struct pod *make_pod(const char *policy, size_t n_init, size_t n_containers)
{
    struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->metadata.name = xstrdup("web-node");
    pod->metadata.namespace = xstrdup("default");
    pod->metadata.uid = xstrdup("0123456789abcdef0123456789abcdef");
    pod->spec.restartPolicy = xstrdup(policy);
    pod->spec.terminationGracePeriodSeconds = xmalloc(sizeof(int64_t));
    *pod->spec.terminationGracePeriodSeconds = 30;
    for (size_t i = 0; i < n_init; i++)
        LIST_APPEND(&pod->spec.initContainers)->name = xasprintf("init%zu", i);
    for (size_t i = 0; i < n_containers; i++)
        LIST_APPEND(&pod->spec.containers)->name = xasprintf("c%zu", i);
    return pod;
}

_unused_ static struct lifecycle *make_pre_stop(bool post_start_too)
{
    struct lifecycle *lifecycle = xcalloc(1, sizeof(*lifecycle));
    lifecycle->preStop = xcalloc(1, sizeof(*lifecycle->preStop));
    lifecycle->preStop->exec = xcalloc(1, sizeof(*lifecycle->preStop->exec));
    if (post_start_too) {
        lifecycle->postStart = xcalloc(1, sizeof(*lifecycle->postStart));
        lifecycle->postStart->exec = xcalloc(1, sizeof(*lifecycle->postStart->exec));
    }
    return lifecycle;
}

static void fake_init(struct fake *f, struct pod *pod)
{
    *f = (struct fake){.now = {1000 * (uint64_t)USEC_PER_SEC}, .prove_at_once = true};
    f->events = event_log_open(NULL, "node");
    f->w = pod_worker_new(pod, "/etc/web.yaml", BACKOFF_KUBELET, &fake_ops, f, f->events);
}

_unused_ static void fake_clear(struct fake *f)
{
    pod_worker_free(f->w);
    event_log_free(f->events);
}

static struct container_worker *container(struct fake *f, const char *name)
{
    struct container_worker *c = pod_worker_container(f->w, name);
    assert_non_null(c);
    return c;
}

_unused_ static void report_started(struct fake *f, const char *name)
{
    struct shim_state state = {
        .phase = SHIM_PHASE_RUNNING, .pid = 100 + f->starts, .started_at = {1}};
    pod_worker_container_started(container(f, name), &state, f->now);
}

static void report_exit(struct fake *f, const char *name, int code)
{
    struct container_worker *c = container(f, name);
    struct shim_state state = {.phase = SHIM_PHASE_EXITED, .exit_code = code, .started_at = {1}};
    ((struct fake_run *)c->run)->over = true;
    pod_worker_container_over(c, &state, f->now);
}

_unused_ static void pass(struct fake *f, int64_t seconds)
{
    f->now = monotime_add_usec(f->now, seconds * USEC_PER_SEC);
    pod_worker_tick(f->w, f->now);
}

_unused_ static int64_t armed_in(const struct fake *f)
{
    return monotime_since(f->armed, f->now) / USEC_PER_SEC;
}

_unused_ static bool has_event(const struct fake *f, const char *reason)
{
    const struct event **list = NULL;
    size_t n = event_log_since(f->events, 0, &list);
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found |= strcmp(list[i]->reason, reason) == 0;
    free(list);
    return found;
}

_unused_ static void start_one(struct fake *f, const char *policy)
{
    fake_init(f, make_pod(policy, 0, 1));
    pod_worker_admit(f->w, f->now);
    report_started(f, "c0");
}
