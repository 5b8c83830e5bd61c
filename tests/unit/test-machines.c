// The two state machines and the back-off, as tables and numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "supervisor/backoff.h"
#include "supervisor/container-machine.h"
#include "supervisor/pod-machine.h"

// Promise 3: nothing starts where something may still live.
static void test_only_dead_containers_start(void **state)
{
    for (int s = 0; s < CONTAINER_STATES; s++)
        for (int e = 0; e < CONTAINER_EVENTS; e++) {
            struct container_transition t = container_machine_step(s, e);
            if (t.valid && t.action == CONTAINER_DO_START) {
                assert_false(container_state_is_alive(s));
                assert_int_equal(t.to, CONTAINER_STARTING);
            }
        }
}

static void test_life_ends_by_proof_only(void **state)
{
    for (int s = 0; s < CONTAINER_STATES; s++)
        for (int e = 0; e < CONTAINER_EVENTS; e++) {
            struct container_transition t = container_machine_step(s, e);
            if (t.valid && container_state_is_alive(s) && !container_state_is_alive(t.to)) {
                assert_int_equal(s, CONTAINER_PROVING);
                assert_int_equal(e, CONTAINER_EV_PROVEN);
            }
        }
}

static void test_every_living_container_can_be_stopped(void **state)
{
    for (int s = 0; s < CONTAINER_STATES; s++) {
        bool on_its_way = s == CONTAINER_PRE_STOP || s == CONTAINER_AWAIT_TURN ||
                          s == CONTAINER_TERMINATING || s == CONTAINER_KILLING ||
                          s == CONTAINER_PROVING;
        if (container_state_is_alive(s) && !on_its_way)
            assert_true(container_machine_step(s, CONTAINER_EV_STOP).valid);
        if (container_state_is_alive(s) && s != CONTAINER_PROVING)
            assert_int_equal(container_machine_step(s, CONTAINER_EV_OVER).to, CONTAINER_PROVING);
    }
}

static void test_states_and_events_have_names(void **state)
{
    for (int s = 0; s < CONTAINER_STATES; s++)
        assert_non_null(container_state_name(s));
    for (int e = 0; e < CONTAINER_EVENTS; e++)
        assert_non_null(container_event_name(e));
    for (int s = 0; s < POD_STATES; s++)
        assert_non_null(pod_state_name(s));
    for (int e = 0; e < POD_EVENTS; e++)
        assert_non_null(pod_event_name(e));
}

static void test_gone_is_the_end(void **state)
{
    for (int e = 0; e < POD_EVENTS; e++)
        assert_false(pod_machine_step(POD_GONE, e, true).valid);
}

static void test_stopping_ends_held_or_gone(void **state)
{
    for (int removing = 0; removing < 2; removing++)
        assert_int_equal(pod_machine_step(POD_STOPPING, POD_EV_ALL_PROVEN, removing).to,
                         POD_DISMANTLING);
    assert_int_equal(pod_machine_step(POD_DISMANTLING, POD_EV_DISMANTLED, false).to, POD_HELD);
    assert_int_equal(pod_machine_step(POD_DISMANTLING, POD_EV_DISMANTLED, true).to, POD_GONE);
    assert_int_equal(pod_machine_step(POD_DISMANTLING, POD_EV_DISMANTLED, true).action,
                     POD_DO_BURY);
}

static void test_every_pod_can_be_removed(void **state)
{
    for (int s = 0; s < POD_GONE; s++)
        assert_true(pod_machine_step(s, POD_EV_REMOVE, true).valid);
}

// ---- the back-off: at once, then 10 s, 20 s … 300 s, counted from the exit ----

static monotime seconds(int64_t s)
{
    return (monotime){(uint64_t)(s * USEC_PER_SEC)};
}

static void test_backoff_curve(void **state)
{
    static const int64_t waits[] = {0, 10, 20, 40, 80, 160, 300, 300, 300};
    struct backoff_curve curve = BACKOFF_KUBELET;
    struct backoff b = {0};
    int64_t now = 1000;
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        monotime at = backoff_next(&b, &curve, seconds(now));
        assert_int_equal(at.usec, seconds(now + waits[i]).usec);
        backoff_started(&b, at);
        now = (int64_t)(at.usec / USEC_PER_SEC) + 1; // it runs for a second
    }
}

static void test_backoff_forgets_after_a_long_run(void **state)
{
    struct backoff_curve curve = BACKOFF_KUBELET;
    struct backoff b = {0};
    int64_t now = 1000;
    for (int i = 0; i < 4; i++) {
        monotime at = backoff_next(&b, &curve, seconds(now));
        backoff_started(&b, at);
        now = (int64_t)(at.usec / USEC_PER_SEC) + 1;
    }
    now += 601;
    assert_int_equal(backoff_next(&b, &curve, seconds(now)).usec, seconds(now).usec);
}

static void test_backoff_reset(void **state)
{
    struct backoff_curve curve = BACKOFF_KUBELET;
    struct backoff b = {0};
    backoff_next(&b, &curve, seconds(1));
    backoff_next(&b, &curve, seconds(2));
    backoff_reset(&b);
    assert_int_equal(backoff_next(&b, &curve, seconds(3)).usec, seconds(3).usec);
}

static void test_backoff_never_exceeds_its_maximum(void **state)
{
    struct backoff_curve curve = {1, 5, 600 * USEC_PER_SEC};
    struct backoff b = {0};
    for (uint64_t now = 100; now < 200; now += 1) {
        monotime at = backoff_next(&b, &curve, (monotime){now});
        assert_in_range(at.usec, now, now + 5);
        backoff_started(&b, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_dead_containers_start),
        cmocka_unit_test(test_life_ends_by_proof_only),
        cmocka_unit_test(test_every_living_container_can_be_stopped),
        cmocka_unit_test(test_states_and_events_have_names),
        cmocka_unit_test(test_gone_is_the_end),
        cmocka_unit_test(test_stopping_ends_held_or_gone),
        cmocka_unit_test(test_every_pod_can_be_removed),
        cmocka_unit_test(test_backoff_curve),
        cmocka_unit_test(test_backoff_forgets_after_a_long_run),
        cmocka_unit_test(test_backoff_reset),
        cmocka_unit_test(test_backoff_never_exceeds_its_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
