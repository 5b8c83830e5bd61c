// The pod worker under a new agent, which finds what an earlier one started; and a random walk in
// which no instance may ever be started beside another.
#include "tests/unit/pod-worker-fixture.h"

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

// A plain init container, a sidecar, a container; nothing is known but what runs.
static void adopt_beside_a_sidecar(bool sidecar_first, bool main_too)
{
    struct fake f;
    struct pod *pod = make_pod("Always", 2, 1);
    pod->spec.initContainers.items[1].restartPolicy = xstrdup("Always");
    fake_init(&f, pod);
    pod_worker_adopt_begin(f.w);
    for (int i = 0; i < 2; i++) {
        const char *name = (i == 0) == sidecar_first ? "init1" : "c0";
        struct container_worker *c = container(&f, name);
        struct shim_state running = {.phase = SHIM_PHASE_RUNNING, .pid = 4711 + i};
        if (!c->init && !main_too)
            continue;
        c->run = &f.runs[index_of(c)];
        pod_worker_adopt(c, 0, f.now);
        pod_worker_container_started(c, &running, f.now);
    }
    pod_worker_adopt_end(f.w, f.now);
    pod_worker_resume(f.w, f.now);
    assert_int_equal(f.w->state, POD_RUNNING);
    assert_int_equal(f.starts, main_too ? 0 : 1); // init0 has run: else there were no sidecar
    fake_clear(&f);
}

static void test_adoption_of_sidecars_without_records(void **state)
{
    adopt_beside_a_sidecar(true, true);
    adopt_beside_a_sidecar(false, true);
    adopt_beside_a_sidecar(true, false);
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
    LIST_EACH (init, &pod->spec.initContainers)
        if (roll(&seed, 2))
            init->restartPolicy = xstrdup("Always"); // a sidecar
    if (roll(&seed, 4) == 0) {
        pod->spec.activeDeadlineSeconds = xmalloc(sizeof(int64_t));
        *pod->spec.activeDeadlineSeconds = 1 + roll(&seed, 1000);
    }
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
        cmocka_unit_test(test_adoption_restarts_nothing),
        cmocka_unit_test(test_adoption_without_records),
        cmocka_unit_test(test_adoption_of_sidecars_without_records),
        cmocka_unit_test(test_a_stop_goes_on_under_a_new_agent),
        cmocka_unit_test(test_what_vanished_is_restarted_and_told),
        cmocka_unit_test(test_a_missed_exit_is_recorded),
        cmocka_unit_test(test_random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
