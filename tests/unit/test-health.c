// monit/health: who is well, who is silent, who is ready, and whose time does not count.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "monit/health.h"

enum { TICK_SECONDS = 15 };

static const monotime start = {1000 * 1000000ull};

static monotime after(int64_t seconds)
{
    return monotime_add_usec(start, seconds * USEC_PER_SEC);
}

static struct health *registry(void)
{
    return health_new(TICK_SECONDS * USEC_PER_SEC, start);
}

// Ticks up to that second, as an agent does that can run.
static void tick(struct health *h, int64_t *from, int64_t to)
{
    while (*from < to) {
        *from = *from + TICK_SECONDS < to ? *from + TICK_SECONDS : to;
        health_observe(h, after(*from));
    }
}

static void assert_described(const struct health *h, const char *check, const char *expected)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    health_describe(h, check, strcmp(check, "readyz") == 0, NULL, NULL, &text);
    assert_string_equal(buffer_str(&text), expected);
}

static void an_empty_registry_is_well(void **state)
{
    struct health *h = registry();
    assert_true(health_is_live(h));
    assert_true(health_is_ready(h));
    assert_null(health_culprit(h));
    health_free(h);
    health_free(NULL);
}

static void silence_is_a_failure(void **state)
{
    struct health *h = registry();
    int64_t now = 0;
    size_t loop = health_register(h, "loop", 30 * USEC_PER_SEC);
    health_register(h, "pods", 0);
    tick(h, &now, 30);
    assert_true(health_is_live(h));
    tick(h, &now, 45);
    assert_false(health_is_live(h));
    assert_string_equal(health_culprit(h), "loop");
    assert_described(h, "healthz",
                     "[-]loop failed: silent for 45s\n[+]pods ok\nhealthz check failed\n");
    health_alive(h, loop);
    assert_true(health_is_live(h));
    health_free(h);
}

static void a_failure_lasts_until_it_is_taken_back(void **state)
{
    struct health *h = registry();
    size_t source = health_register(h, "source", 0);
    health_set_failed(h, source, "/etc/kubernetes/manifests cannot be read");
    assert_string_equal(health_culprit(h), "source");
    assert_described(h, "readyz",
                     "[-]source failed: /etc/kubernetes/manifests cannot be read\n"
                     "readyz check failed\n");
    health_set_failed(h, source, NULL);
    assert_true(health_is_live(h));
    health_free(h);
}

static void what_no_restart_cures_leaves_the_agent_live(void **state)
{
    _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
    struct health *h = registry();
    health_register(h, "loop", 0);
    size_t logs = health_register(h, "logs", 0);
    health_set_degraded(h, logs, "a shim is silent");
    assert_true(health_is_live(h));
    assert_false(health_is_ready(h));
    assert_string_equal(health_culprit(h), "logs");
    assert_described(h, "livez", "[+]loop ok\n[+]logs ok\nlivez check passed\n");
    assert_described(h, "readyz",
                     "[+]loop ok\n[-]logs failed: a shim is silent\nreadyz check failed\n");
    struct health_verdict v = health_part(h, logs, &why);
    assert_true(v.live && v.degraded && !v.ready);
    assert_string_equal(buffer_str(&why), "a shim is silent");
    health_set_degraded(h, logs, NULL);
    assert_true(health_is_ready(h));
    health_free(h);
}

static void readiness_is_more_than_liveness(void **state)
{
    struct health *h = registry();
    size_t source = health_register(h, "source", 0);
    health_set_ready(h, source, false);
    assert_true(health_is_live(h));
    assert_false(health_is_ready(h));
    assert_null(health_culprit(h));
    assert_described(h, "healthz", "[+]source ok\nhealthz check passed\n");
    assert_described(h, "readyz", "[-]source failed: not ready yet\nreadyz check failed\n");
    health_set_ready(h, source, true);
    assert_true(health_is_ready(h));
    health_free(h);
}

static bool is_logs(const char *part, void *userdata)
{
    return strcmp(part, "logs") == 0;
}

static void a_part_can_be_left_out(void **state)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    struct health *h = registry();
    health_register(h, "loop", 0);
    health_set_failed(h, health_register(h, "logs", 0), "silent");
    assert_true(health_describe(h, "livez", false, is_logs, NULL, &text));
    assert_string_equal(buffer_str(&text),
                        "[+]loop ok\n[+]logs excluded: ok\nlivez check passed\n");
    assert_int_equal(health_find(h, "logs"), 1);
    assert_int_equal(health_find(h, "log"), -1);
    health_free(h);
}

static void a_wait_is_counted_while_it_does_not_change(void **state)
{
    struct health *h = registry();
    struct health_wait wait = {0};
    int64_t now = 0;
    assert_int_equal(health_waiting(h, &wait, 7), 0);
    tick(h, &now, 40);
    assert_int_equal(health_waiting(h, &wait, 7), 40 * USEC_PER_SEC);
    assert_int_equal(health_waiting(h, &wait, 8), 0);
    tick(h, &now, 50);
    assert_int_equal(health_waiting(h, &wait, 8), 10 * USEC_PER_SEC);
    health_waited(&wait);
    assert_int_equal(health_waiting(h, &wait, 8), 0);
    health_free(h);
}

// The machine sleeps, or everything is frozen, for as long as one likes.
static void a_gap_is_no_silence(void **state)
{
    struct health *h = registry();
    struct health_wait wait = {0};
    int64_t now = 0;
    health_register(h, "source", 60 * USEC_PER_SEC);
    health_waiting(h, &wait, 1);
    tick(h, &now, 45);
    for (int64_t gap = 31; gap < 100000; gap *= 3) {
        now += gap;
        health_observe(h, after(now));
        assert_true(health_is_live(h));
        assert_int_equal(health_waiting(h, &wait, 1), 0);
        tick(h, &now, now + 60);
        assert_true(health_is_live(h));
        assert_int_equal(health_waiting(h, &wait, 1), 60 * USEC_PER_SEC);
    }
    tick(h, &now, now + TICK_SECONDS);
    assert_false(health_is_live(h));
    health_free(h);
}

// A freeze that is shorter than two ticks is no gap, and must not cost more than it took.
static void short_freezes_are_not_mistaken_for_silence(void **state)
{
    struct health *h = registry();
    int64_t now = 0;
    size_t source = health_register(h, "source", 80 * USEC_PER_SEC);
    for (int i = 0; i < 100; i++) {
        now += 2 * TICK_SECONDS; // frozen for one of the two
        health_observe(h, after(now));
        if (i % 2)
            health_alive(h, source); // it looks every 20 s when it can, so once in that time
        assert_true(health_is_live(h));
    }
    health_free(h);
}

static void a_clock_that_jumps_back_adds_nothing(void **state)
{
    struct health *h = registry();
    struct health_wait wait = {0};
    health_observe(h, after(100));
    health_waiting(h, &wait, 1);
    health_observe(h, after(10));
    assert_int_equal(health_waiting(h, &wait, 1), 0);
    health_observe(h, after(20));
    assert_int_equal(health_waiting(h, &wait, 1), 10 * USEC_PER_SEC);
    health_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_registry_is_well),
        cmocka_unit_test(silence_is_a_failure),
        cmocka_unit_test(a_failure_lasts_until_it_is_taken_back),
        cmocka_unit_test(what_no_restart_cures_leaves_the_agent_live),
        cmocka_unit_test(readiness_is_more_than_liveness),
        cmocka_unit_test(a_part_can_be_left_out),
        cmocka_unit_test(a_wait_is_counted_while_it_does_not_change),
        cmocka_unit_test(a_gap_is_no_silence),
        cmocka_unit_test(short_freezes_are_not_mistaken_for_silence),
        cmocka_unit_test(a_clock_that_jumps_back_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
