// The pod worker over a fake runtime under a virtual clock: order of starts, back-off, graceful
// stops, hooks, adoption; and a random walk that no instance may ever be started twice in.
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

static struct lifecycle *make_pre_stop(bool post_start_too)
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

static void fake_clear(struct fake *f)
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

static void report_started(struct fake *f, const char *name)
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

static void pass(struct fake *f, int64_t seconds)
{
    f->now = monotime_add_usec(f->now, seconds * USEC_PER_SEC);
    pod_worker_tick(f->w, f->now);
}

static int64_t armed_in(const struct fake *f)
{
    return monotime_since(f->armed, f->now) / USEC_PER_SEC;
}

static bool has_event(const struct fake *f, const char *reason)
{
    const struct event **list = NULL;
    size_t n = event_log_since(f->events, 0, &list);
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found |= strcmp(list[i]->reason, reason) == 0;
    free(list);
    return found;
}

static void start_one(struct fake *f, const char *policy)
{
    fake_init(f, make_pod(policy, 0, 1));
    pod_worker_admit(f->w, f->now);
    report_started(f, "c0");
}

// ---- tests ----

static void test_a_pod_starts_and_is_ready(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 0, 2));
    assert_int_equal(f.starts, 0);
    pod_worker_admit(f.w, f.now);
    assert_int_equal(f.starts, 2);
    assert_string_equal(pod_worker_phase(f.w), "Pending");
    report_started(&f, "c0");
    assert_false(pod_worker_is_ready(f.w));
    report_started(&f, "c1");
    assert_true(pod_worker_is_ready(f.w));
    assert_string_equal(pod_worker_phase(f.w), "Running");
    assert_true(has_event(&f, "Started"));
    fake_clear(&f);
}

static void test_restarts_at_once_then_backs_off(void **state)
{
    static const int64_t waits[] = {10, 20, 40, 80, 160, 300, 300};
    struct fake f;
    start_one(&f, "Always");
    report_exit(&f, "c0", 1);
    assert_int_equal(f.starts, 2);
    assert_int_equal(container(&f, "c0")->restart_count, 1);
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        report_started(&f, "c0");
        report_exit(&f, "c0", 1);
        assert_int_equal(container(&f, "c0")->state, CONTAINER_BACKOFF);
        assert_int_equal(armed_in(&f), waits[i]);
        assert_string_equal(container(&f, "c0")->waiting_reason, "CrashLoopBackOff");
        int before = f.starts;
        pass(&f, waits[i] - 1);
        assert_int_equal(f.starts, before);
        pass(&f, 1);
        assert_int_equal(f.starts, before + 1);
    }
    fake_clear(&f);
}

static void test_nothing_starts_before_the_proof(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    f.prove_at_once = false;
    report_exit(&f, "c0", 1);
    assert_int_equal(f.proves, 1);
    assert_int_equal(f.starts, 1);
    pass(&f, 3600); // however long it takes
    assert_int_equal(f.starts, 1);
    assert_true(has_event(&f, "StillAlive"));
    pod_worker_container_proven(container(&f, "c0"), f.now);
    assert_int_equal(f.starts, 2);
    fake_clear(&f);
}

static void test_stop_is_graceful_then_firm(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    pod_worker_remove(f.w, f.now);
    assert_int_equal(f.signals, 1);
    assert_int_equal(armed_in(&f), 30);
    pass(&f, 29);
    assert_int_equal(f.kills, 0);
    pass(&f, 1);
    assert_int_equal(f.kills, 1);
    assert_int_equal(f.shim_kills, 0);
    pass(&f, 2);
    assert_int_equal(f.shim_kills, 1);
    report_exit(&f, "c0", 137);
    assert_int_equal(f.w->state, POD_GONE);
    assert_int_equal(f.buries, 1);
    assert_int_equal(f.starts, 1);
    fake_clear(&f);
}

static void test_pre_stop_uses_up_the_grace_period(void **state)
{
    struct fake f;
    struct pod *pod = make_pod("Always", 0, 1);
    pod->spec.containers.items[0].lifecycle = make_pre_stop(false);
    fake_init(&f, pod);
    pod_worker_admit(f.w, f.now);
    report_started(&f, "c0");
    pod_worker_remove(f.w, f.now);
    assert_int_equal(f.hooks, 1);
    assert_int_equal(f.signals, 0);
    pass(&f, 12);
    pod_worker_hook_done(container(&f, "c0"), true, NULL, f.now);
    assert_int_equal(f.signals, 1);
    assert_int_equal(armed_in(&f), 18); // 30 − 12
    report_exit(&f, "c0", 0);
    assert_int_equal(f.gones, 1);
    fake_clear(&f);
}

static void test_a_hook_that_takes_too_long_leaves_two_seconds(void **state)
{
    struct fake f;
    struct pod *pod = make_pod("Always", 0, 1);
    pod->spec.containers.items[0].lifecycle = make_pre_stop(false);
    fake_init(&f, pod);
    pod_worker_admit(f.w, f.now);
    report_started(&f, "c0");
    pod_worker_remove(f.w, f.now);
    pass(&f, 30);
    assert_false(f.hook_runs);
    assert_int_equal(f.signals, 1);
    assert_int_equal(armed_in(&f), 2);
    fake_clear(&f);
}

static void test_a_failed_post_start_hook_restarts(void **state)
{
    struct fake f;
    struct pod *pod = make_pod("Always", 0, 1);
    pod->spec.containers.items[0].lifecycle = make_pre_stop(true);
    fake_init(&f, pod);
    pod_worker_admit(f.w, f.now);
    report_started(&f, "c0");
    assert_int_equal(container(&f, "c0")->state, CONTAINER_POST_START);
    assert_false(pod_worker_is_ready(f.w));
    pod_worker_hook_done(container(&f, "c0"), false, "exited with status 3", f.now);
    assert_true(has_event(&f, "FailedPostStartHook"));
    assert_int_equal(container(&f, "c0")->state, CONTAINER_PRE_STOP);
    pod_worker_hook_done(container(&f, "c0"), true, NULL, f.now);
    assert_int_equal(f.signals, 1);
    report_exit(&f, "c0", 143);
    assert_int_equal(f.starts, 2);
    fake_clear(&f);
}

static void test_init_containers_run_in_order(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 2, 1));
    pod_worker_admit(f.w, f.now);
    assert_int_equal(f.starts, 1);
    assert_int_equal(container(&f, "init0")->state, CONTAINER_STARTING);
    report_started(&f, "init0");
    report_exit(&f, "init0", 0);
    assert_int_equal(f.starts, 2);
    assert_int_equal(container(&f, "init1")->state, CONTAINER_STARTING);
    report_started(&f, "init1");
    report_exit(&f, "init1", 5); // fails: again, then with back-off
    assert_int_equal(container(&f, "init1")->restart_count, 1);
    assert_int_equal(container(&f, "c0")->state, CONTAINER_WAITING);
    report_started(&f, "init1");
    report_exit(&f, "init1", 0);
    assert_int_equal(container(&f, "c0")->state, CONTAINER_STARTING);
    fake_clear(&f);
}

static void test_policy_never_fails_with_its_init_container(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Never", 1, 1));
    pod_worker_admit(f.w, f.now);
    report_started(&f, "init0");
    report_exit(&f, "init0", 5);
    assert_int_equal(f.w->state, POD_FINISHED);
    assert_string_equal(pod_worker_phase(f.w), "Failed");
    assert_int_equal(f.starts, 1);
    fake_clear(&f);
}

static void test_policy_on_failure(void **state)
{
    struct fake f;
    start_one(&f, "OnFailure");
    report_exit(&f, "c0", 1);
    assert_int_equal(f.starts, 2);
    report_started(&f, "c0");
    report_exit(&f, "c0", 0);
    assert_string_equal(pod_worker_phase(f.w), "Succeeded");
    assert_int_equal(f.starts, 2);
    fake_clear(&f);
}

static void test_hold_and_release(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    pod_worker_hold(f.w, f.now);
    report_exit(&f, "c0", 143);
    assert_int_equal(f.w->state, POD_HELD);
    assert_int_equal(f.starts, 1);
    pass(&f, 1000);
    assert_int_equal(f.starts, 1);
    pod_worker_release(f.w, f.now);
    assert_int_equal(f.starts, 2);
    assert_int_equal(container(&f, "c0")->restart_count, 1);
    fake_clear(&f);
}

static void test_a_hold_for_the_agents_end_is_no_operators(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    pod_worker_hold_for_exit(f.w, f.now);
    report_exit(&f, "c0", 143);
    assert_int_equal(f.w->state, POD_HELD);
    assert_int_equal(f.starts, 1);
    assert_null(f.w->waiting_reason);
    pod_worker_forget_hold(f.w);
    assert_false(f.w->held);
    assert_int_equal(f.starts, 1); // it is the next agent that starts it
    pod_worker_resume(f.w, f.now);
    assert_int_equal(f.starts, 2);
    fake_clear(&f);
}

static void test_release_while_stopping_starts_again(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    pod_worker_hold(f.w, f.now);
    pod_worker_release(f.w, f.now);
    report_exit(&f, "c0", 143);
    assert_int_equal(f.starts, 2);
    assert_int_equal(f.w->state, POD_RUNNING);
    fake_clear(&f);
}

static void test_an_operators_restart_has_no_back_off(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    for (int i = 0; i < 5; i++) {
        pod_worker_restart(f.w, NULL, f.now);
        assert_int_equal(f.signals, i + 1);
        report_exit(&f, "c0", 143);
        assert_int_equal(f.starts, i + 2);
        report_started(&f, "c0");
    }
    fake_clear(&f);
}

static void test_a_stop_before_the_process_is_there(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 0, 1));
    pod_worker_admit(f.w, f.now);
    pod_worker_remove(f.w, f.now);
    assert_int_equal(f.signals, 1);
    report_started(&f, "c0");
    assert_int_equal(f.signals, 2);
    report_exit(&f, "c0", 143);
    assert_int_equal(f.gones, 1);
    fake_clear(&f);
}

static void test_a_start_that_fails_backs_off(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 0, 1));
    f.fail_start = true;
    pod_worker_admit(f.w, f.now);
    struct container_worker *c = container(&f, "c0");
    assert_int_equal(c->state, CONTAINER_BACKOFF);
    assert_string_equal(c->waiting_reason, "CreateContainerConfigError");
    assert_int_equal(armed_in(&f), 10);
    f.fail_start = false;
    pass(&f, 10);
    assert_int_equal(f.starts, 1);
    assert_int_equal(c->restart_count, 0);
    fake_clear(&f);
}

static void test_retry_clears_the_back_off(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    report_exit(&f, "c0", 1);
    report_started(&f, "c0");
    report_exit(&f, "c0", 1);
    assert_int_equal(container(&f, "c0")->state, CONTAINER_BACKOFF);
    pod_worker_retry(f.w, f.now);
    assert_int_equal(f.starts, 3);
    report_started(&f, "c0");
    report_exit(&f, "c0", 1); // and the next one is at once again
    assert_int_equal(f.starts, 4);
    fake_clear(&f);
}

static void test_a_shim_that_died_is_an_exit_too(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    struct container_worker *c = container(&f, "c0");
    ((struct fake_run *)c->run)->over = true;
    pod_worker_container_over(c, NULL, f.now);
    assert_string_equal(c->last.reason, "ShimDied");
    assert_int_equal(f.starts, 2);
    assert_true(has_event(&f, "ShimDied"));
    fake_clear(&f);
}

static void test_a_pod_that_waits_is_removed_at_once(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 0, 1));
    pod_worker_set_waiting(f.w, "NetworkNotReady", "no network");
    pod_worker_remove(f.w, f.now);
    assert_int_equal(f.gones, 1);
    assert_int_equal(f.starts, 0);
    fake_clear(&f);
}

// ---- a new agent ----

static void test_adoption_restarts_nothing(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 0, 1));
    struct container_worker *c = container(&f, "c0");
    f.w->state = POD_RUNNING; // as read from disk
    c->state = CONTAINER_RUNNING;
    c->pid = 4711;
    c->restart_count = 3;
    c->run = &f.runs[0];
    pod_worker_adopt(c, 3, f.now);
    struct shim_state running = {.phase = SHIM_PHASE_RUNNING, .pid = 4711};
    pod_worker_container_started(c, &running, f.now);
    pod_worker_resume(f.w, f.now);
    assert_int_equal(f.starts, 0);
    assert_true(pod_worker_is_ready(f.w));
    assert_false(has_event(&f, "Started"));
    fake_clear(&f);
}

static void test_adoption_without_records(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 1, 1));
    struct container_worker *c = container(&f, "c0");
    c->run = &f.runs[1];
    pod_worker_adopt(c, 7, f.now);
    struct shim_state running = {.phase = SHIM_PHASE_RUNNING, .pid = 4711};
    pod_worker_container_started(c, &running, f.now);
    pod_worker_resume(f.w, f.now);
    assert_int_equal(f.starts, 0);
    assert_int_equal(c->restart_count, 7);
    assert_int_equal(f.w->state, POD_RUNNING);
    fake_clear(&f);
}

static void test_a_stop_goes_on_under_a_new_agent(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 0, 1));
    struct container_worker *c = container(&f, "c0");
    f.w->state = POD_STOPPING;
    f.w->removing = true;
    c->state = CONTAINER_TERMINATING;
    c->stop_requested = true;
    c->grace_end = monotime_add_usec(f.now, 7 * USEC_PER_SEC);
    c->run = &f.runs[0];
    pod_worker_adopt(c, 0, f.now);
    pod_worker_resume(f.w, f.now);
    assert_int_equal(f.signals, 1);
    assert_int_equal(armed_in(&f), 7); // the grace period does not begin anew
    report_exit(&f, "c0", 0);
    assert_int_equal(f.gones, 1);
    fake_clear(&f);
}

static void test_what_vanished_is_restarted_and_told(void **state)
{
    struct fake f;
    fake_init(&f, make_pod("Always", 0, 1));
    f.w->state = POD_RUNNING;
    f.w->containers[0].state = CONTAINER_RUNNING;
    f.w->containers[0].ever_started = true;
    pod_worker_resume(f.w, f.now);
    assert_true(has_event(&f, "Lost"));
    assert_int_equal(f.starts, 1);
    assert_int_equal(f.w->containers[0].restart_count, 1);
    fake_clear(&f);
}

static void test_a_missed_exit_is_recorded(void **state)
{
    struct fake f;
    start_one(&f, "Always");
    struct shim_state exit = {.phase = SHIM_PHASE_EXITED, .exit_code = 9};
    struct container_worker *c = container(&f, "c0");
    c->restart_count = 5;
    assert_false(pod_worker_has_recorded(c, 4));
    pod_worker_record_missed(c, 4, &exit);
    assert_true(pod_worker_has_recorded(c, 4));
    assert_false(pod_worker_has_recorded(c, 5));
    assert_int_equal(c->last.exit_code, 9);
    assert_true(has_event(&f, "Exited"));
    fake_clear(&f);
}

// ---- the random walk ----

static unsigned roll(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245U + 12345U;
    return (*seed >> 16) % n;
}

static void random_report(struct fake *f, unsigned *seed)
{
    struct container_worker *c = &f->w->containers[roll(seed, (unsigned)f->w->n_containers)];
    struct fake_run *run = c->run;
    if (!run)
        return;
    if (run->over) {
        if (c->state == CONTAINER_PROVING)
            pod_worker_container_proven(c, f->now);
    } else if (c->state == CONTAINER_STARTING || roll(seed, 2)) {
        report_started(f, c->spec->name);
    } else {
        report_exit(f, c->spec->name, (int)roll(seed, 2));
    }
}

static void random_step(struct fake *f, unsigned *seed)
{
    switch (roll(seed, 12)) {
    case 0:
        pod_worker_hold(f->w, f->now);
        break;
    case 1:
        pod_worker_release(f->w, f->now);
        break;
    case 2:
        pod_worker_restart(f->w, NULL, f->now);
        break;
    case 3:
        pod_worker_retry(f->w, f->now);
        break;
    case 4:
    case 5:
        pass(f, roll(seed, 40));
        break;
    case 6:
        if (f->hook_runs)
            for (size_t i = 0; i < f->w->n_containers; i++) {
                enum container_state s = f->w->containers[i].state;
                if (s == CONTAINER_POST_START || s == CONTAINER_PRE_STOP)
                    pod_worker_hook_done(&f->w->containers[i], roll(seed, 2), "fake", f->now);
            }
        break;
    default:
        random_report(f, seed);
    }
}

static void walk(unsigned seed)
{
    static const char *const policies[] = {"Always", "OnFailure", "Never"};
    struct fake f;
    struct pod *pod = make_pod(policies[roll(&seed, 3)], roll(&seed, 3), 1 + roll(&seed, 3));
    if (roll(&seed, 2))
        pod->spec.containers.items[0].lifecycle = make_pre_stop(roll(&seed, 2));
    fake_init(&f, pod);
    f.prove_at_once = roll(&seed, 2);
    pod_worker_admit(f.w, f.now);
    for (int i = 0; i < 300; i++)
        random_step(&f, &seed); // fake_start() asserts that nothing is started twice
    pod_worker_remove(f.w, f.now);
    for (int i = 0; i < 2000 && f.w->state != POD_GONE; i++) {
        random_report(&f, &seed);
        if (i % 3 == 0)
            pass(&f, 5);
    }
    assert_int_equal(f.w->state, POD_GONE);
    assert_int_equal(f.buries, 1);
    assert_false(pod_worker_is_alive(f.w));
    fake_clear(&f);
}

static void test_random_walks(void **state)
{
    const char *given = getenv("MAINSTAY_SEED");
    unsigned first = given ? (unsigned)strtoul(given, NULL, 10) : 1;
    unsigned last = given ? first : 2000;
    for (unsigned seed = first; seed <= last; seed++)
        walk(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pod_starts_and_is_ready),
        cmocka_unit_test(test_restarts_at_once_then_backs_off),
        cmocka_unit_test(test_nothing_starts_before_the_proof),
        cmocka_unit_test(test_stop_is_graceful_then_firm),
        cmocka_unit_test(test_pre_stop_uses_up_the_grace_period),
        cmocka_unit_test(test_a_hook_that_takes_too_long_leaves_two_seconds),
        cmocka_unit_test(test_a_failed_post_start_hook_restarts),
        cmocka_unit_test(test_init_containers_run_in_order),
        cmocka_unit_test(test_policy_never_fails_with_its_init_container),
        cmocka_unit_test(test_policy_on_failure),
        cmocka_unit_test(test_hold_and_release),
        cmocka_unit_test(test_a_hold_for_the_agents_end_is_no_operators),
        cmocka_unit_test(test_release_while_stopping_starts_again),
        cmocka_unit_test(test_an_operators_restart_has_no_back_off),
        cmocka_unit_test(test_a_stop_before_the_process_is_there),
        cmocka_unit_test(test_a_start_that_fails_backs_off),
        cmocka_unit_test(test_retry_clears_the_back_off),
        cmocka_unit_test(test_a_shim_that_died_is_an_exit_too),
        cmocka_unit_test(test_a_pod_that_waits_is_removed_at_once),
        cmocka_unit_test(test_adoption_restarts_nothing),
        cmocka_unit_test(test_adoption_without_records),
        cmocka_unit_test(test_a_stop_goes_on_under_a_new_agent),
        cmocka_unit_test(test_what_vanished_is_restarted_and_told),
        cmocka_unit_test(test_a_missed_exit_is_recorded),
        cmocka_unit_test(test_random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
