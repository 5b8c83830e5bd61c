// The timelines of one probe in virtual time: what happens when, to the millisecond, against the
// rules of K/prober/worker.go.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/probe-machine.h"

enum { START_MS = 1000000 }; // when the container starts; a timeline counts from there

static monotime at(int64_t msec)
{
    return (monotime){(uint64_t)(START_MS + msec) * 1000};
}

static int64_t msec_of(monotime t)
{
    return monotime_is_never(t) ? -1 : (int64_t)(t.usec / 1000) - START_MS;
}

// One question: it is due at `due`, its answer makes `step`, and `result` counts then.
struct turn {
    int64_t due;
    enum probe_outcome outcome;
    enum probe_step step;
    enum probe_result result;
};

static void play(struct probe_machine *m, const struct turn *turns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(msec_of(probe_machine_due(m)), turns[i].due);
        probe_machine_ask(m, at(turns[i].due));
        assert_int_equal(msec_of(probe_machine_due(m)), -1);
        assert_int_equal(probe_machine_answer(m, turns[i].outcome), turns[i].step);
        assert_int_equal(m->result, turns[i].result);
    }
}

#define PLAY(m, ...)                                                                               \
    do {                                                                                           \
        static const struct turn turns[] = {__VA_ARGS__};                                          \
        play(m, turns, sizeof(turns) / sizeof(turns[0]));                                          \
    } while (0)

#define NOW_PASSES(due)                                                                            \
    {                                                                                              \
        due, PROBE_PASSED, PROBE_STEP_CHANGED, PROBE_SUCCESS                                       \
    }
#define STILL_PASSES(due)                                                                          \
    {                                                                                              \
        due, PROBE_PASSED, PROBE_STEP_NONE, PROBE_SUCCESS                                          \
    }
#define NOW_FAILS(due)                                                                             \
    {                                                                                              \
        due, PROBE_FAILED, PROBE_STEP_CHANGED, PROBE_FAILURE                                       \
    }
#define STILL_FAILS(due)                                                                           \
    {                                                                                              \
        due, PROBE_FAILED, PROBE_STEP_NONE, PROBE_FAILURE                                          \
    }
#define FAILS_ONCE(due)                                                                            \
    {                                                                                              \
        due, PROBE_FAILED, PROBE_STEP_NONE, PROBE_SUCCESS                                          \
    }

static struct probe_machine make(enum probe_kind kind, int64_t delay, int64_t period,
                                 int64_t successes, int64_t failures)
{
    struct probe spec = {.initialDelaySeconds = delay,
                         .periodSeconds = period,
                         .successThreshold = successes,
                         .failureThreshold = failures};
    struct probe_machine m;
    probe_machine_init(&m, kind, &spec);
    return m;
}

static struct probe_machine started(enum probe_kind kind, int64_t delay, int64_t period,
                                    int64_t successes, int64_t failures)
{
    struct probe_machine m = make(kind, delay, period, successes, failures);
    probe_machine_start(&m, at(0), false);
    return m;
}

static void initial_results(void **state)
{
    static const enum probe_result expected[] = {
        [PROBE_STARTUP] = PROBE_UNKNOWN,
        [PROBE_READINESS] = PROBE_FAILURE,
        [PROBE_LIVENESS] = PROBE_SUCCESS,
    };
    for (enum probe_kind kind = 0; kind < PROBE_KINDS; kind++) {
        struct probe_machine m = make(kind, 0, 10, 1, 3);
        assert_int_equal(m.result, expected[kind]);
        assert_true(monotime_is_never(probe_machine_due(&m))); // no container yet
        probe_machine_start(&m, at(0), false);
        assert_int_equal(m.result, expected[kind]);
    }
}

static void the_first_question_waits_for_the_delay(void **state)
{
    struct probe_machine m = started(PROBE_READINESS, 15, 10, 1, 3);
    PLAY(&m, NOW_PASSES(15000), STILL_PASSES(25000), STILL_PASSES(35000));
    m = started(PROBE_READINESS, 0, 10, 1, 3);
    PLAY(&m, NOW_PASSES(500), STILL_PASSES(10500));
}

static void periods_do_not_drift(void **state)
{
    struct probe_machine m = started(PROBE_READINESS, 1, 10, 1, 3);
    probe_machine_ask(&m, at(1007)); // the loop was late
    probe_machine_answer(&m, PROBE_PASSED);
    assert_int_equal(msec_of(probe_machine_due(&m)), 11000);
    probe_machine_ask(&m, at(33001)); // it slept for two turns: they are not made up for
    probe_machine_answer(&m, PROBE_PASSED);
    assert_int_equal(msec_of(probe_machine_due(&m)), 41000);
}

static void a_long_answer_is_followed_by_the_next_question(void **state)
{
    struct probe_machine m = started(PROBE_READINESS, 1, 1, 1, 3);
    probe_machine_ask(&m, at(1000));
    probe_machine_answer(&m, PROBE_FAILED); // at 4500: due since 2000, so at once
    assert_int_equal(msec_of(probe_machine_due(&m)), 2000);
    probe_machine_ask(&m, at(4500));
    probe_machine_answer(&m, PROBE_FAILED);
    assert_int_equal(msec_of(probe_machine_due(&m)), 5000);
}

static void readiness_follows_its_thresholds(void **state)
{
    struct probe_machine m = started(PROBE_READINESS, 1, 1, 2, 3);
    PLAY(&m, {1000, PROBE_PASSED, PROBE_STEP_NONE, PROBE_FAILURE}, NOW_PASSES(2000),
         FAILS_ONCE(3000), FAILS_ONCE(4000), STILL_PASSES(5000), // the row is broken
         FAILS_ONCE(6000), FAILS_ONCE(7000), NOW_FAILS(8000), STILL_FAILS(9000),
         {10000, PROBE_PASSED, PROBE_STEP_NONE, PROBE_FAILURE}, NOW_PASSES(11000));
}

static void liveness_holds_after_its_failure_until_a_new_container(void **state)
{
    struct probe_machine m = started(PROBE_LIVENESS, 1, 1, 1, 3);
    PLAY(&m, STILL_PASSES(1000), FAILS_ONCE(2000), FAILS_ONCE(3000), NOW_FAILS(4000));
    assert_int_equal(msec_of(probe_machine_due(&m)), -1);
    probe_machine_start(&m, at(20000), false);
    assert_int_equal(m.result, PROBE_SUCCESS);
    PLAY(&m, FAILS_ONCE(21000), FAILS_ONCE(22000), NOW_FAILS(23000)); // counted anew
}

static void liveness_of_a_container_that_is_not_stopped_goes_on(void **state)
{
    struct probe_machine m = started(PROBE_LIVENESS, 1, 1, 1, 2);
    PLAY(&m, FAILS_ONCE(1000), NOW_FAILS(2000));
    probe_machine_go_on(&m, at(2100));
    PLAY(&m, STILL_FAILS(3000), STILL_FAILS(4000), NOW_PASSES(5000), FAILS_ONCE(6000),
         NOW_FAILS(7000));
    assert_int_equal(msec_of(probe_machine_due(&m)), -1);
}

static void startup_ends_with_its_success(void **state)
{
    struct probe_machine m = started(PROBE_STARTUP, 10, 10, 1, 24);
    PLAY(&m, {10000, PROBE_FAILED, PROBE_STEP_NONE, PROBE_UNKNOWN}, NOW_PASSES(20000));
    assert_int_equal(msec_of(probe_machine_due(&m)), -1);
}

static void startup_holds_after_its_failure(void **state)
{
    struct probe_machine m = started(PROBE_STARTUP, 1, 1, 1, 2);
    PLAY(&m, {1000, PROBE_FAILED, PROBE_STEP_NONE, PROBE_UNKNOWN}, NOW_FAILS(2000));
    assert_int_equal(msec_of(probe_machine_due(&m)), -1);
}

static void startup_blocks_the_others(void **state)
{
    struct probe_machine ready = make(PROBE_READINESS, 0, 10, 1, 3);
    struct probe_machine live = make(PROBE_LIVENESS, 5, 10, 1, 3);
    struct probe_machine startup = make(PROBE_STARTUP, 1, 1, 1, 3);
    probe_machine_start(&ready, at(0), true);
    probe_machine_start(&live, at(0), true);
    probe_machine_start(&startup, at(0), true);
    assert_int_equal(msec_of(probe_machine_due(&ready)), -1);
    assert_int_equal(msec_of(probe_machine_due(&live)), -1);
    assert_int_equal(msec_of(probe_machine_due(&startup)), 1000);
    probe_machine_unblock(&ready, at(33000));
    probe_machine_unblock(&live, at(33000));
    assert_int_equal(msec_of(probe_machine_due(&ready)), 33000); // at once
    assert_int_equal(msec_of(probe_machine_due(&live)), 35000);  // at its turn
    PLAY(&ready, NOW_PASSES(33000), STILL_PASSES(40500));
}

static void a_delay_longer_than_the_startup_goes_on(void **state)
{
    struct probe_machine m = make(PROBE_READINESS, 60, 10, 1, 3);
    probe_machine_start(&m, at(0), true);
    probe_machine_unblock(&m, at(2000));
    PLAY(&m, NOW_PASSES(60000));
    probe_machine_unblock(&m, at(61000)); // means nothing a second time
    assert_int_equal(msec_of(probe_machine_due(&m)), 70000);
}

static void an_error_is_tried_three_times_and_counts_for_nothing(void **state)
{
    struct probe_machine m = started(PROBE_LIVENESS, 1, 1, 1, 1);
    probe_machine_ask(&m, at(1000));
    assert_int_equal(probe_machine_answer(&m, PROBE_ERRORED), PROBE_STEP_AGAIN);
    assert_int_equal(probe_machine_answer(&m, PROBE_ERRORED), PROBE_STEP_AGAIN);
    assert_int_equal(probe_machine_answer(&m, PROBE_ERRORED), PROBE_STEP_NONE);
    assert_int_equal(m.result, PROBE_SUCCESS);
    assert_int_equal(msec_of(probe_machine_due(&m)), 2000);
    probe_machine_ask(&m, at(2000));
    assert_int_equal(probe_machine_answer(&m, PROBE_ERRORED), PROBE_STEP_AGAIN);
    assert_int_equal(probe_machine_answer(&m, PROBE_FAILED), PROBE_STEP_CHANGED);
}

static void an_error_does_not_break_a_row(void **state)
{
    struct probe_machine m = started(PROBE_LIVENESS, 1, 1, 1, 2);
    PLAY(&m, FAILS_ONCE(1000));
    probe_machine_ask(&m, at(2000));
    for (int i = 0; i < PROBE_TRIES; i++)
        probe_machine_answer(&m, PROBE_ERRORED);
    PLAY(&m, NOW_FAILS(3000));
}

static void a_warning_passes(void **state)
{
    struct probe_machine m = started(PROBE_READINESS, 1, 1, 1, 3);
    PLAY(&m, {1000, PROBE_WARNED, PROBE_STEP_CHANGED, PROBE_SUCCESS});
}

static void a_new_agent_goes_on_with_the_result(void **state)
{
    struct probe_machine m = make(PROBE_READINESS, 5, 10, 1, 2);
    probe_machine_take_over(&m, PROBE_SUCCESS, at(0), false, 3700000, at(100000));
    assert_int_equal(m.result, PROBE_SUCCESS);
    PLAY(&m, FAILS_ONCE(103700), STILL_PASSES(113700));
    // A container that was started just before: its delay is kept.
    probe_machine_take_over(&m, PROBE_FAILURE, at(0), false, 700000, at(2000));
    PLAY(&m, NOW_PASSES(5000), STILL_PASSES(15000));
}

static void a_new_agent_keeps_others_blocked(void **state)
{
    struct probe_machine m = make(PROBE_LIVENESS, 5, 10, 1, 1);
    probe_machine_take_over(&m, PROBE_SUCCESS, at(0), true, 3700000, at(100000));
    assert_int_equal(msec_of(probe_machine_due(&m)), -1);
    probe_machine_unblock(&m, at(107000));
    PLAY(&m, NOW_FAILS(113700));
}

static void a_pod_without_defaults_is_asked_each_second(void **state)
{
    struct probe_machine m = started(PROBE_LIVENESS, 0, 0, 0, 0);
    PLAY(&m, STILL_PASSES(500), STILL_PASSES(1500), NOW_FAILS(2500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_results),
        cmocka_unit_test(the_first_question_waits_for_the_delay),
        cmocka_unit_test(periods_do_not_drift),
        cmocka_unit_test(a_long_answer_is_followed_by_the_next_question),
        cmocka_unit_test(readiness_follows_its_thresholds),
        cmocka_unit_test(liveness_holds_after_its_failure_until_a_new_container),
        cmocka_unit_test(liveness_of_a_container_that_is_not_stopped_goes_on),
        cmocka_unit_test(startup_ends_with_its_success),
        cmocka_unit_test(startup_holds_after_its_failure),
        cmocka_unit_test(startup_blocks_the_others),
        cmocka_unit_test(a_delay_longer_than_the_startup_goes_on),
        cmocka_unit_test(an_error_is_tried_three_times_and_counts_for_nothing),
        cmocka_unit_test(an_error_does_not_break_a_row),
        cmocka_unit_test(a_warning_passes),
        cmocka_unit_test(a_new_agent_goes_on_with_the_result),
        cmocka_unit_test(a_new_agent_keeps_others_blocked),
        cmocka_unit_test(a_pod_without_defaults_is_asked_each_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
