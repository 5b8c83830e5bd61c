// The pod worker over a fake runtime under a virtual clock: order of starts, back-off, graceful
// stops, hooks, operators' verbs.
#include "tests/unit/pod-worker-fixture.h"

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
    pod_worker_hold_for_exit(f.w, "the agent ends", f.now);
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

static void test_the_agents_end_does_not_revive_what_has_ended(void **state)
{
    struct fake f;
    struct pod *pod = make_pod("OnFailure", 1, 1);
    pod->spec.initContainers.items[0].restartPolicy = xstrdup("Always"); // a sidecar
    fake_init(&f, pod);
    pod_worker_admit(f.w, f.now);
    report_started(&f, "init0");
    report_started(&f, "c0");
    report_exit(&f, "c0", 0);
    assert_int_equal(f.w->state, POD_ENDING);
    pod_worker_hold_for_exit(f.w, "the agent ends", f.now);
    assert_int_equal(f.w->state, POD_ENDING);
    report_exit(&f, "init0", 0);
    assert_string_equal(pod_worker_phase(f.w), "Succeeded");
    pod_worker_hold_for_exit(f.w, "the agent ends", f.now);
    pod_worker_resume(f.w, f.now); // the next agent
    assert_string_equal(pod_worker_phase(f.w), "Succeeded");
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
        cmocka_unit_test(test_the_agents_end_does_not_revive_what_has_ended),
        cmocka_unit_test(test_release_while_stopping_starts_again),
        cmocka_unit_test(test_an_operators_restart_has_no_back_off),
        cmocka_unit_test(test_a_stop_before_the_process_is_there),
        cmocka_unit_test(test_a_start_that_fails_backs_off),
        cmocka_unit_test(test_retry_clears_the_back_off),
        cmocka_unit_test(test_a_shim_that_died_is_an_exit_too),
        cmocka_unit_test(test_a_pod_that_waits_is_removed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
