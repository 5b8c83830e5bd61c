// Orders to stop a pod that wait for a guard's word, under a virtual clock.
#include "pod-worker-fixture.h"

// A guard that says nothing until it is told to.
static struct {
    bool guarded;
    int asked, forgotten;
    enum pod_order last;
} guard;

static bool guard_ask(struct pod_worker *w, enum pod_order order)
{
    guard.asked++;
    guard.last = order;
    return !guard.guarded;
}

static void guard_forget(struct pod_worker *w)
{
    guard.forgotten++;
}

static const struct pod_guard_ops fake_guard = {.ask = guard_ask, .forget = guard_forget};

static void start_guarded(struct fake *f, bool guarded)
{
    memset(&guard, 0, sizeof(guard));
    guard.guarded = guarded;
    start_one(f, "Always");
    f->w->guard = &fake_guard;
    assert_true(pod_worker_is_ready(f->w));
}

static void assert_runs_on(struct fake *f)
{
    assert_int_equal(f->signals, 0);
    assert_true(pod_worker_is_ready(f->w));
    assert_int_equal(f->w->state, POD_RUNNING);
}

static void what_is_not_guarded_is_stopped_at_once(void **state)
{
    struct fake f;
    start_guarded(&f, false);
    pod_worker_remove(f.w, f.now);
    assert_int_equal(guard.asked, 1);
    assert_int_equal(f.signals, 1);
    assert_int_equal(f.w->asked, 0);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.gones, 1);
    assert_int_equal(guard.forgotten, 0);
    fake_clear(&f);
}

static void a_removal_waits_for_the_word(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    pod_worker_remove(f.w, f.now);
    assert_int_equal(guard.last, POD_ORDER_REMOVE);
    assert_int_equal(f.w->asked, POD_ORDER_REMOVE);
    assert_false(f.w->removing);
    assert_runs_on(&f);
    pod_worker_guard_waits(f.w, EVENT_WARNING, "m3 does not answer", f.now);
    assert_string_equal(f.w->asked_why, "m3 does not answer");
    assert_true(has_event(&f, "QuorumGuard"));
    assert_runs_on(&f);
    pod_worker_let_go(f.w, f.now);
    assert_true(f.w->removing);
    assert_null(f.w->asked_why);
    assert_int_equal(f.signals, 1);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.gones, 1);
    assert_int_equal(guard.forgotten, 0); // the guard goes on until the member is back
    fake_clear(&f);
}

static void a_removal_is_taken_back(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    pod_worker_remove(f.w, f.now);
    pod_worker_keep(f.w, f.now);
    assert_int_equal(guard.forgotten, 1);
    assert_int_equal(f.w->asked, 0);
    assert_runs_on(&f);
    pod_worker_keep(f.w, f.now);
    assert_int_equal(guard.forgotten, 1);
    fake_clear(&f);
}

static void a_restart_waits_and_then_has_its_whole_grace(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    pod_worker_restart(f.w, NULL, f.now);
    assert_int_equal(guard.last, POD_ORDER_RESTART);
    assert_runs_on(&f);
    pass(&f, 100);
    assert_runs_on(&f);
    pod_worker_let_go(f.w, f.now);
    assert_int_equal(f.signals, 1);
    assert_int_equal(armed_in(&f), 30); // terminationGracePeriodSeconds, from now on
    assert_false(pod_worker_is_ready(f.w));
    report_exit(&f, "c0", 0);
    assert_int_equal(f.starts, 2);
    assert_int_equal(f.kills, 0);
    report_started(&f, "c0");
    assert_true(pod_worker_is_ready(f.w));
    fake_clear(&f);
}

static void an_operators_stop_waits_and_is_taken_back_by_a_start(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    pod_worker_hold(f.w, f.now);
    assert_false(f.w->held);
    assert_runs_on(&f);
    pod_worker_release(f.w, f.now);
    assert_int_equal(guard.forgotten, 1);
    assert_runs_on(&f);
    pod_worker_hold(f.w, f.now);
    pod_worker_let_go(f.w, f.now);
    assert_true(f.w->held);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.w->state, POD_HELD);
    fake_clear(&f);
}

static void two_orders_are_both_carried_out(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    pod_worker_hold(f.w, f.now);
    pod_worker_remove(f.w, f.now);
    assert_int_equal(f.w->asked, POD_ORDER_HOLD | POD_ORDER_REMOVE);
    pod_worker_let_go(f.w, f.now);
    assert_true(f.w->held && f.w->removing); // its successor is held, too
    assert_int_equal(f.signals, 1);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.gones, 1);
    fake_clear(&f);
}

static void a_pod_that_ends_by_itself_waits_for_nobody(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    report_exit(&f, "c0", 1); // its first restart is at once, and not guarded
    assert_int_equal(f.starts, 2);
    assert_int_equal(guard.asked, 0);
    report_started(&f, "c0");
    pod_worker_remove(f.w, f.now);
    assert_int_equal(guard.asked, 1);
    report_exit(&f, "c0", 1); // now it is in back-off
    assert_int_equal(f.gones, 1);
    assert_int_equal(guard.forgotten, 1);
    fake_clear(&f);
}

static void the_end_of_the_agent_does_not_wait(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    pod_worker_restart(f.w, NULL, f.now);
    pod_worker_hold_for_exit(f.w, "the machine goes down", f.now);
    assert_int_equal(f.w->asked, 0);
    assert_int_equal(f.signals, 1);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.w->state, POD_HELD);
    assert_int_equal(f.starts, 1);
    fake_clear(&f);

    start_guarded(&f, true);
    pod_worker_remove(f.w, f.now);
    pod_worker_hold_for_exit(f.w, "the machine goes down", f.now);
    assert_int_equal(f.signals, 1);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.gones, 1);
    fake_clear(&f);
}

static void an_order_outlives_the_agent(void **state)
{
    struct fake f;
    start_guarded(&f, true);
    // As state.c finds it.
    f.w->asked_before = POD_ORDER_RESTART;
    container(&f, "c0")->restart_asked = true;
    pod_worker_resume(f.w, f.now);
    assert_int_equal(guard.last, POD_ORDER_RESTART);
    assert_int_equal(f.w->asked, POD_ORDER_RESTART);
    assert_runs_on(&f);
    pod_worker_let_go(f.w, f.now);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.starts, 2);
    fake_clear(&f);

    start_guarded(&f, true);
    f.w->asked_before = POD_ORDER_HOLD;
    pod_worker_resume(f.w, f.now);
    assert_int_equal(f.w->asked, POD_ORDER_HOLD);
    pod_worker_let_go(f.w, f.now);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.w->state, POD_HELD);
    fake_clear(&f);

    // A removal is told again by the manifests, or not at all.
    start_guarded(&f, true);
    f.w->asked_before = POD_ORDER_REMOVE;
    pod_worker_resume(f.w, f.now);
    assert_int_equal(guard.asked, 0);
    assert_runs_on(&f);
    fake_clear(&f);
}

// ---- probes ----

static void start_probed(struct fake *f)
{
    start_guarded(f, true);
    struct container *spec = &f->w->pod->spec.containers.items[0];
    spec->livenessProbe = xcalloc(1, sizeof(*spec->livenessProbe));
}

static void a_failed_probe_waits_and_is_over_when_it_succeeds(void **state)
{
    struct fake f;
    start_probed(&f);
    struct container_worker *c = container(&f, "c0");
    pod_worker_probed(c, PROBE_LIVENESS, PROBE_FAILURE, f.now);
    assert_int_equal(guard.last, POD_ORDER_PROBE);
    assert_int_equal(f.w->asked, POD_ORDER_PROBE);
    assert_int_equal(f.signals, 0);
    pod_worker_probed(c, PROBE_LIVENESS, PROBE_SUCCESS, f.now);
    assert_int_equal(f.w->asked, 0);
    assert_int_equal(guard.forgotten, 1);
    assert_int_equal(f.signals, 0);
    fake_clear(&f);
}

static void a_failed_probe_restarts_it_when_the_guard_says_so(void **state)
{
    struct fake f;
    start_probed(&f);
    struct container_worker *c = container(&f, "c0");
    pod_worker_probed(c, PROBE_LIVENESS, PROBE_FAILURE, f.now);
    pod_worker_let_go(f.w, f.now);
    assert_int_equal(f.signals, 1);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.starts, 2);
    fake_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_guarded_is_stopped_at_once),
        cmocka_unit_test(a_removal_waits_for_the_word),
        cmocka_unit_test(a_removal_is_taken_back),
        cmocka_unit_test(a_restart_waits_and_then_has_its_whole_grace),
        cmocka_unit_test(an_operators_stop_waits_and_is_taken_back_by_a_start),
        cmocka_unit_test(two_orders_are_both_carried_out),
        cmocka_unit_test(a_pod_that_ends_by_itself_waits_for_nobody),
        cmocka_unit_test(the_end_of_the_agent_does_not_wait),
        cmocka_unit_test(an_order_outlives_the_agent),
        cmocka_unit_test(a_failed_probe_waits_and_is_over_when_it_succeeds),
        cmocka_unit_test(a_failed_probe_restarts_it_when_the_guard_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
