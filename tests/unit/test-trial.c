// Trials of changed specs in virtual time: what happens when, and what comes of it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "supervisor/trial.h"

enum { MS = 1000, WINDOW_MS = 60000 };

struct moment {
    int64_t at_ms;
    struct trial_look look;
    enum trial_verdict verdict;
};

#define READY(...)                                                                                 \
    {                                                                                              \
        .ready = true, __VA_ARGS__                                                                 \
    }
#define UNREADY(...)                                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

struct timeline {
    const char *name;
    struct moment moments[8]; // up to the first that is at 0 again
};

static const struct timeline timelines[] = {
    {"ready in time and at the end",
     {{10, UNREADY(.restarts = 0), TRIAL_GOES_ON},
      {5000, READY(.restarts = 0), TRIAL_GOES_ON},
      {59999, READY(.restarts = 0), TRIAL_GOES_ON},
      {60000, READY(.restarts = 0), TRIAL_PASSED}}},
    {"never ready",
     {{10, UNREADY(.restarts = 0), TRIAL_GOES_ON},
      {59999, UNREADY(.restarts = 0), TRIAL_GOES_ON},
      {60000, UNREADY(.restarts = 0), TRIAL_NOT_READY}}},
    {"restarts before it is ready are forgiven",
     {{100, UNREADY(.restarts = 1), TRIAL_GOES_ON},
      {10000, UNREADY(.restarts = 2), TRIAL_GOES_ON},
      {20000, READY(.restarts = 2), TRIAL_GOES_ON},
      {60000, READY(.restarts = 2), TRIAL_PASSED}}},
    {"a restart after it was ready fails it at once",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON},
      {2000, UNREADY(.restarts = 1), TRIAL_RESTARTED}}},
    {"also where it is ready again before anybody looks",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON}, {2000, READY(.restarts = 1), TRIAL_RESTARTED}}},
    {"also in the last moment",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON}, {60000, READY(.restarts = 1), TRIAL_RESTARTED}}},
    {"readiness may come and go, but must be there at the end",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON},
      {2000, UNREADY(.restarts = 0), TRIAL_GOES_ON},
      {3000, READY(.restarts = 0), TRIAL_GOES_ON},
      {58000, UNREADY(.restarts = 0), TRIAL_GOES_ON},
      {60000, UNREADY(.restarts = 0), TRIAL_NOT_READY}}},
    {"readiness that comes and goes and is there at the end",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON},
      {2000, UNREADY(.restarts = 0), TRIAL_GOES_ON},
      {59000, READY(.restarts = 0), TRIAL_GOES_ON},
      {60001, READY(.restarts = 0), TRIAL_PASSED}}},
    {"a restart that was asked for is no failure",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON},
      {2000, UNREADY(.restarts = 0, .excused = true), TRIAL_GOES_ON},
      {2100, UNREADY(.restarts = 1), TRIAL_GOES_ON},
      {3000, READY(.restarts = 1), TRIAL_GOES_ON},
      {60000, READY(.restarts = 1), TRIAL_PASSED}}},
    {"but one by itself after it is",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON},
      {2000, UNREADY(.restarts = 0, .excused = true), TRIAL_GOES_ON},
      {3000, READY(.restarts = 1), TRIAL_GOES_ON},
      {4000, UNREADY(.restarts = 2), TRIAL_RESTARTED}}},
    {"a pod that has completed", {{700, UNREADY(.succeeded = true), TRIAL_PASSED}}},
    {"a pod that has failed for good",
     {{1000, READY(.restarts = 0), TRIAL_GOES_ON},
      {1500, UNREADY(.failed = true), TRIAL_POD_FAILED}}},
    {"an agent that slept over the deadline", {{3600000, READY(.restarts = 0), TRIAL_PASSED}}},
};

static monotime at(int64_t ms)
{
    return (monotime){(uint64_t)(1000000 + ms * MS)};
}

static void test_timelines(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(timelines); i++) {
        const struct timeline *t = &timelines[i];
        struct history_trial trial = {.number = 1};
        trial_begin(&trial, WINDOW_MS * (int64_t)MS, at(0));
        for (size_t m = 0; m < ARRAY_SIZE(t->moments) && t->moments[m].at_ms > 0; m++) {
            bool changed = false;
            enum trial_verdict verdict =
                trial_step(&trial, &t->moments[m].look, at(t->moments[m].at_ms), &changed);
            if (verdict != t->moments[m].verdict)
                fail_msg("%s: at %lld ms it is %d", t->name, (long long)t->moments[m].at_ms,
                         verdict);
        }
    }
}

// What the next agent must know is told to be saved, once.
static void test_what_is_saved(void **state)
{
    struct history_trial trial = {.number = 1};
    const struct trial_look ready = READY(.restarts = 3);
    const struct trial_look excused = UNREADY(.excused = true);
    bool changed = false;
    trial_begin(&trial, WINDOW_MS * (int64_t)MS, at(0));
    trial_step(&trial, &ready, at(10), &changed);
    assert_true(changed);
    assert_true(trial.was_ready);
    assert_int_equal(trial.restarts, 3);
    changed = false;
    trial_step(&trial, &ready, at(20), &changed);
    assert_false(changed);
    trial_step(&trial, &excused, at(30), &changed);
    assert_true(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timelines),
        cmocka_unit_test(test_what_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
