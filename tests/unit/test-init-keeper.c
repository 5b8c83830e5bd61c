// Process 1's watch over the agent, in virtual time; and which flags are for process 1.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "supervisor/init-keeper.h"
#include "supervisor/init.h"

enum { WATCHDOG_SEC = 30 };

// Seconds of the virtual clock.
static monotime at(double seconds)
{
    return (monotime){1000000000 + (uint64_t)(seconds * 1e6)};
}

static struct keeper begun(void)
{
    struct keeper k;
    keeper_begin(&k, WATCHDOG_SEC * USEC_PER_SEC, at(0));
    assert_int_equal(keeper_next(&k, at(0)), KEEPER_START);
    return k;
}

static struct keeper ready(void)
{
    struct keeper k = begun();
    keeper_ready(&k, at(1));
    return k;
}

static void an_agent_that_is_heard_of_is_left_alone(void **state)
{
    struct keeper k = ready();
    for (double t = 1; t < 1000; t += WATCHDOG_SEC - 0.1) {
        assert_int_equal(keeper_next(&k, at(t)), KEEPER_WAIT);
        keeper_heard(&k, at(t));
    }
    assert_int_equal(k.starts, 1);
}

static void one_that_hangs_is_aborted_then_killed_then_started(void **state)
{
    struct keeper k = ready();
    assert_int_equal(keeper_next(&k, at(30.9)), KEEPER_WAIT);
    assert_int_equal(keeper_next(&k, at(31)), KEEPER_WAIT); // its last chance begins
    assert_int_equal(keeper_next(&k, at(38)), KEEPER_WAIT);
    assert_int_equal(keeper_next(&k, at(38.6)), KEEPER_ABORT);
    keeper_heard(&k, at(39)); // too late
    assert_int_equal(keeper_next(&k, at(43)), KEEPER_WAIT);
    assert_int_equal(keeper_next(&k, at(44)), KEEPER_KILL);
    assert_true(monotime_is_never(k.act_at));
    keeper_exited(&k, at(44));
    assert_int_equal(keeper_next(&k, at(44)), KEEPER_START);
    assert_int_equal(k.starts, 2);
    assert_true(k.ever_ready && !k.ready);
}

static void what_stood_still_is_no_hang(void **state)
{
    struct keeper k = ready();
    assert_int_equal(keeper_next(&k, at(3600)), KEEPER_WAIT);
    keeper_heard(&k, at(3600.1));
    assert_int_equal(keeper_next(&k, at(3630)), KEEPER_WAIT);
    // The next doubt is a new one.
    assert_int_equal(keeper_next(&k, at(3631)), KEEPER_WAIT);
    assert_int_equal(keeper_next(&k, at(3632)), KEEPER_WAIT);
}

static void a_start_has_a_minute_and_can_be_extended(void **state)
{
    struct keeper k = begun();
    assert_int_equal(keeper_next(&k, at(59)), KEEPER_WAIT);
    keeper_extend(&k, 30 * USEC_PER_SEC, at(59));
    keeper_extend(&k, 1, at(59)); // never less
    keeper_extend(&k, -USEC_PER_SEC, at(59));
    assert_int_equal(keeper_next(&k, at(88)), KEEPER_WAIT);
    assert_false(k.doubted);
    assert_int_equal(keeper_next(&k, at(90)), KEEPER_WAIT);
    assert_int_equal(keeper_next(&k, at(98)), KEEPER_ABORT);
    k = begun();
    keeper_extend(&k, INT64_MAX, at(1));
    assert_int_equal(k.act_at.usec, at(3601).usec);
}

static void one_that_asks_for_it_is_aborted_at_once(void **state)
{
    struct keeper k = ready();
    keeper_trigger(&k, at(2));
    assert_int_equal(keeper_next(&k, at(2)), KEEPER_ABORT);
    keeper_trigger(&k, at(3)); // that changes nothing any more
    assert_int_equal(keeper_next(&k, at(3)), KEEPER_WAIT);
}

static void deaths_in_a_row_are_followed_by_longer_pauses(void **state)
{
    static const int pauses_ms[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    struct keeper k = begun();
    monotime now = at(0);
    for (size_t i = 0; i < ARRAY_SIZE(pauses_ms); i++) {
        now = monotime_add_ms(now, 10);
        keeper_exited(&k, now);
        now = monotime_add_ms(now, pauses_ms[i]);
        assert_int_equal(k.act_at.usec, now.usec);
        assert_int_equal(keeper_next(&k, now), KEEPER_START);
    }
    now = monotime_add_ms(now, 11000); // it has run well
    keeper_exited(&k, now);
    assert_int_equal(keeper_next(&k, now), KEEPER_START);
}

static void a_pause_can_be_cut_short(void **state)
{
    struct keeper k = begun();
    keeper_start_failed(&k, at(0));
    assert_int_equal(keeper_next(&k, at(0)), KEEPER_START);
    keeper_start_failed(&k, at(0));
    assert_int_equal(keeper_next(&k, at(0)), KEEPER_WAIT);
    keeper_at_once(&k, at(0));
    assert_int_equal(keeper_next(&k, at(0)), KEEPER_START);
    keeper_at_once(&k, at(1)); // it is up
    assert_int_equal(keeper_next(&k, at(1)), KEEPER_WAIT);
}

static bool asked(struct init_options *ret, const char *a, const char *b, const char *c)
{
    char *argv[] = {(char *)"mainstayd", (char *)a, (char *)b, (char *)c, NULL};
    return init_options_read(1 + !!a + !!b + !!c, argv, ret);
}

static void the_flags_of_process_1_are_found(void **state)
{
    struct init_options o;
    assert_false(asked(&o, NULL, NULL, NULL));
    assert_false(asked(&o, "--initial", "--init-as=machine", "init"));
    assert_false(asked(&o, "--init", "--init=false", NULL));
    assert_true(asked(&o, "--init=F", "--init=T", NULL));
    assert_true(asked(&o, "--init", "--v=2", NULL));
    assert_int_equal(o.kind, INIT_AUTO);
    assert_int_equal(o.watchdog_usec, INIT_WATCHDOG_SEC * USEC_PER_SEC);
    assert_true(asked(&o, "--init", "--init-as", "machine"));
    assert_int_equal(o.kind, INIT_MACHINE);
    assert_true(asked(&o, "--init", "--init_as=container", "--init_watchdog=90s"));
    assert_int_equal(o.kind, INIT_CONTAINER);
    assert_int_equal(o.watchdog_usec, 90 * USEC_PER_SEC);
    // What is wrong is the agent's to say.
    assert_true(asked(&o, "--init", "--init-as=ship", "--init-watchdog=soon"));
    assert_int_equal(o.watchdog_usec, INIT_WATCHDOG_SEC * USEC_PER_SEC);
    assert_true(asked(&o, "--init", "--init-watchdog", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_that_is_heard_of_is_left_alone),
        cmocka_unit_test(one_that_hangs_is_aborted_then_killed_then_started),
        cmocka_unit_test(what_stood_still_is_no_hang),
        cmocka_unit_test(a_start_has_a_minute_and_can_be_extended),
        cmocka_unit_test(one_that_asks_for_it_is_aborted_at_once),
        cmocka_unit_test(deaths_in_a_row_are_followed_by_longer_pauses),
        cmocka_unit_test(a_pause_can_be_cut_short),
        cmocka_unit_test(the_flags_of_process_1_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
