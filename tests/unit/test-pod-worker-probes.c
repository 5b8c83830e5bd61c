// What the results of probes do to a pod: readiness, restarts, and who is probed when. The fake
// runtime's probe only notes that it was asked to begin or to end (the fixture refuses either
// twice).
#include "tests/unit/pod-worker-fixture.h"

static struct probe *make_probe(void)
{
    return xcalloc(1, sizeof(struct probe));
}

static void start_with(struct fake *f, const char *policy, bool startup, bool readiness,
                       bool liveness)
{
    struct pod *pod = make_pod(policy, 0, 1);
    struct container *c = &pod->spec.containers.items[0];
    c->startupProbe = startup ? make_probe() : NULL;
    c->readinessProbe = readiness ? make_probe() : NULL;
    c->livenessProbe = liveness ? make_probe() : NULL;
    fake_init(f, pod);
    pod_worker_admit(f->w, f->now);
    report_started(f, "c0");
}

static void probed(struct fake *f, enum probe_kind kind, enum probe_result result)
{
    pod_worker_probed(container(f, "c0"), kind, result, f->now);
}

static bool has_message(const struct fake *f, const char *message)
{
    const struct event **list = NULL;
    size_t n = event_log_since(f->events, 0, &list);
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found |= strcmp(list[i]->message, message) == 0;
    free(list);
    return found;
}

static void readiness_makes_ready_and_unready(void **state)
{
    struct fake f;
    start_with(&f, "Always", false, true, false);
    assert_true(f.probed[0]);
    assert_false(pod_worker_is_ready(f.w));
    assert_true(pod_worker_container_is_started(container(&f, "c0")));
    probed(&f, PROBE_READINESS, PROBE_SUCCESS);
    assert_true(pod_worker_is_ready(f.w));
    walltime since = f.w->ready.since;
    probed(&f, PROBE_READINESS, PROBE_FAILURE);
    assert_false(pod_worker_is_ready(f.w));
    assert_true(f.w->ready.since.nsec > since.nsec);
    assert_int_equal(f.signals, 0);
    assert_true(f.probed[0]);
    fake_clear(&f);
}

static void one_unready_container_makes_the_pod_unready(void **state)
{
    struct fake f;
    struct pod *pod = make_pod("Always", 0, 2);
    pod->spec.containers.items[1].readinessProbe = make_probe();
    fake_init(&f, pod);
    pod_worker_admit(f.w, f.now);
    report_started(&f, "c0");
    report_started(&f, "c1");
    assert_true(pod_worker_container_is_ready(container(&f, "c0")));
    assert_false(pod_worker_is_ready(f.w));
    pod_worker_probed(container(&f, "c1"), PROBE_READINESS, PROBE_SUCCESS, f.now);
    assert_true(pod_worker_is_ready(f.w));
    assert_false(f.probed[0]);
    assert_true(f.probed[1]);
    fake_clear(&f);
}

static void startup_comes_before_ready(void **state)
{
    struct fake f;
    start_with(&f, "Always", true, false, false);
    assert_false(pod_worker_container_is_started(container(&f, "c0")));
    assert_false(pod_worker_is_ready(f.w));
    probed(&f, PROBE_STARTUP, PROBE_SUCCESS);
    assert_true(pod_worker_container_is_started(container(&f, "c0")));
    assert_true(pod_worker_is_ready(f.w));
    fake_clear(&f);
}

static void liveness_restarts_and_backs_off(void **state)
{
    struct fake f;
    start_with(&f, "Always", false, true, true);
    assert_int_equal(container(&f, "c0")->probes[PROBE_LIVENESS], PROBE_SUCCESS);
    probed(&f, PROBE_READINESS, PROBE_SUCCESS);
    probed(&f, PROBE_LIVENESS, PROBE_FAILURE);
    assert_true(has_message(&f, "Container c0 failed liveness probe, will be restarted"));
    assert_int_equal(f.signals, 1);
    assert_int_equal(armed_in(&f), 30);
    assert_false(f.probed[0]);
    assert_false(pod_worker_is_ready(f.w));
    report_exit(&f, "c0", 0);
    assert_int_equal(f.starts, 2); // the first time at once
    report_started(&f, "c0");
    assert_true(f.probed[0]);
    assert_int_equal(container(&f, "c0")->probes[PROBE_LIVENESS], PROBE_SUCCESS);
    assert_int_equal(container(&f, "c0")->probes[PROBE_READINESS], PROBE_FAILURE);
    probed(&f, PROBE_LIVENESS, PROBE_FAILURE);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.starts, 2); // then with the back-off of a crash
    assert_int_equal(container(&f, "c0")->state, CONTAINER_BACKOFF);
    assert_int_equal(armed_in(&f), 10);
    fake_clear(&f);
}

static void the_grace_period_is_the_probes(void **state)
{
    struct fake f;
    struct pod *pod = make_pod("Always", 0, 1);
    struct probe *probe = make_probe();
    probe->terminationGracePeriodSeconds = xmalloc(sizeof(int64_t));
    *probe->terminationGracePeriodSeconds = 7;
    pod->spec.containers.items[0].livenessProbe = probe;
    fake_init(&f, pod);
    pod_worker_admit(f.w, f.now);
    report_started(&f, "c0");
    probed(&f, PROBE_LIVENESS, PROBE_FAILURE);
    assert_int_equal(armed_in(&f), 7);
    pass(&f, 7);
    assert_int_equal(f.kills, 1);
    report_exit(&f, "c0", 137);
    report_started(&f, "c0");
    pod_worker_remove(f.w, f.now); // of the next run's stop it is the pod's again
    assert_int_equal(armed_in(&f), 30);
    fake_clear(&f);
}

static void the_policy_decides_what_follows(void **state)
{
    static const struct {
        const char *policy;
        enum probe_kind kind;
        int starts;
        const char *message;
    } cases[] = {
        {"Always", PROBE_STARTUP, 2, "Container c0 failed startup probe, will be restarted"},
        {"OnFailure", PROBE_LIVENESS, 2, "Container c0 failed liveness probe, will be restarted"},
        {"Never", PROBE_LIVENESS, 1, "Container c0 failed liveness probe"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fake f;
        start_with(&f, cases[i].policy, true, false, true);
        probed(&f, cases[i].kind, PROBE_FAILURE);
        assert_true(has_message(&f, cases[i].message));
        assert_int_equal(f.signals, 1);
        report_exit(&f, "c0", 0);
        assert_int_equal(f.starts, cases[i].starts);
        fake_clear(&f);
    }
}

static void a_container_that_ends_by_itself_is_probed_no_more(void **state)
{
    struct fake f;
    start_with(&f, "OnFailure", false, true, true);
    probed(&f, PROBE_READINESS, PROBE_SUCCESS);
    report_exit(&f, "c0", 0);
    assert_false(f.probed[0]);
    assert_int_equal(f.starts, 1);
    assert_int_equal(f.w->state, POD_FINISHED);
    fake_clear(&f);
}

static void a_pod_that_stops_is_probed_no_more(void **state)
{
    struct fake f;
    start_with(&f, "Always", false, true, true);
    pod_worker_hold(f.w, f.now);
    assert_false(f.probed[0]);
    probed(&f, PROBE_LIVENESS, PROBE_FAILURE); // an answer that comes late
    assert_int_equal(f.signals, 1);
    report_exit(&f, "c0", 0);
    assert_int_equal(f.w->state, POD_HELD);
    pod_worker_release(f.w, f.now);
    report_started(&f, "c0");
    assert_true(f.probed[0]);
    assert_int_equal(container(&f, "c0")->probes[PROBE_READINESS], PROBE_FAILURE);
    fake_clear(&f);
}

static void a_hook_comes_before_the_probes(void **state)
{
    struct fake f;
    struct pod *pod = make_pod("Always", 0, 1);
    pod->spec.containers.items[0].lifecycle = make_pre_stop(true);
    pod->spec.containers.items[0].livenessProbe = make_probe();
    fake_init(&f, pod);
    pod_worker_admit(f.w, f.now);
    report_started(&f, "c0");
    assert_false(f.probed[0]);
    pod_worker_hook_done(container(&f, "c0"), true, NULL, f.now);
    assert_true(f.probed[0]);
    fake_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readiness_makes_ready_and_unready),
        cmocka_unit_test(one_unready_container_makes_the_pod_unready),
        cmocka_unit_test(startup_comes_before_ready),
        cmocka_unit_test(liveness_restarts_and_backs_off),
        cmocka_unit_test(the_grace_period_is_the_probes),
        cmocka_unit_test(the_policy_decides_what_follows),
        cmocka_unit_test(a_container_that_ends_by_itself_is_probed_no_more),
        cmocka_unit_test(a_pod_that_stops_is_probed_no_more),
        cmocka_unit_test(a_hook_comes_before_the_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
