// monit/health: who is well, who is silent, who is ready.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "monit/health.h"

static const monotime start = {1000 * 1000000ull};

static monotime after(int64_t seconds)
{
    return monotime_add_usec(start, seconds * USEC_PER_SEC);
}

static void an_empty_registry_is_well(void **state)
{
    struct health *h = health_new();
    assert_true(health_is_live(h, start));
    assert_true(health_is_ready(h, start));
    assert_null(health_culprit(h, start));
    health_free(h);
    health_free(NULL);
}

static void silence_is_a_failure(void **state)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    struct health *h = health_new();
    size_t loop = health_register(h, "loop", 30 * USEC_PER_SEC, start);
    health_register(h, "pods", 0, start);
    assert_true(health_is_live(h, after(30)));
    assert_false(health_is_live(h, after(45)));
    assert_string_equal(health_culprit(h, after(45)), "loop");
    health_describe(h, after(45), false, &text);
    assert_string_equal(text.data,
                        "[-]loop failed: silent for 45s\n[+]pods ok\nhealthz check failed\n");
    health_alive(h, loop, after(45));
    assert_true(health_is_live(h, after(46)));
    health_free(h);
}

static void a_failure_lasts_until_it_is_taken_back(void **state)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    struct health *h = health_new();
    size_t source = health_register(h, "source", 0, start);
    health_set_failed(h, source, "/etc/kubernetes/manifests cannot be read");
    assert_string_equal(health_culprit(h, start), "source");
    health_describe(h, start, true, &text);
    assert_string_equal(text.data, "[-]source failed: /etc/kubernetes/manifests cannot be read\n"
                                   "readyz check failed\n");
    health_set_failed(h, source, NULL);
    assert_true(health_is_live(h, start));
    health_free(h);
}

static void readiness_is_more_than_liveness(void **state)
{
    _cleanup_buffer_ struct buffer live = BUFFER_EMPTY, ready = BUFFER_EMPTY;
    struct health *h = health_new();
    size_t source = health_register(h, "source", 0, start);
    health_set_ready(h, source, false);
    assert_true(health_is_live(h, start));
    assert_false(health_is_ready(h, start));
    health_describe(h, start, false, &live);
    health_describe(h, start, true, &ready);
    assert_string_equal(live.data, "[+]source ok\nhealthz check passed\n");
    assert_string_equal(ready.data, "[-]source failed: not ready yet\nreadyz check failed\n");
    health_set_ready(h, source, true);
    assert_true(health_is_ready(h, start));
    health_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_registry_is_well),
        cmocka_unit_test(silence_is_a_failure),
        cmocka_unit_test(a_failure_lasts_until_it_is_taken_back),
        cmocka_unit_test(readiness_is_more_than_liveness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
