// The life of a pod in virtual time, as tables: what comes in, and what must be done for it, to the
// millisecond: back-off, restart policies, stopping. The rules are the kubelet's:
// K/kuberuntime/kuberuntime_manager.go (back-off), kuberuntime_container.go (stopping).
#include "tests/unit/pod-timeline.h"

// ---- back-off ----

static void back_off_doubles_to_five_minutes(void **state)
{
    PLAY(.spec = ONE,
         .inputs = {{1, RUNS, "a"},
                    {1000, EXITS, "a", 1}, // at once
                    {2000, EXITS, "a", 1}, // then 10 s later, and so on
                    {13000, EXITS, "a", 1},
                    {34000, EXITS, "a", 1},
                    {75000, EXITS, "a", 1},
                    {156000, EXITS, "a", 1},
                    {317000, EXITS, "a", 1},
                    {618000, EXITS, "a", 1}},
         .until = 920000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "start a"},
                   {1000, "not ready"},
                   {2000, "a: CrashLoopBackOff"},
                   {12000, "start a"},
                   {13000, "a: CrashLoopBackOff"},
                   {33000, "start a"},
                   {34000, "a: CrashLoopBackOff"},
                   {74000, "start a"},
                   {75000, "a: CrashLoopBackOff"},
                   {155000, "start a"},
                   {156000, "a: CrashLoopBackOff"},
                   {316000, "start a"},
                   {317000, "a: CrashLoopBackOff"},
                   {617000, "start a"},
                   {618000, "a: CrashLoopBackOff"},
                   {918000, "start a"}});
}

static void back_off_is_forgotten_after_ten_minutes(void **state)
{
    PLAY(.spec = ONE,
         .inputs = {{1000, EXITS, "a", 1},
                    {2000, EXITS, "a", 1},
                    {612001, EXITS, "a", 1},
                    {613000, EXITS, "a", 1},
                    {1223000, EXITS, "a", 1}}, // 600 s after its start: that is not longer
         .until = 1244000,
         .deeds = {{0, "start a"},
                   {1000, "start a"},
                   {1000, "Running"},
                   {2000, "a: CrashLoopBackOff"},
                   {12000, "start a"},
                   {612001, "start a"},
                   {613000, "a: CrashLoopBackOff"},
                   {623000, "start a"},
                   {1223000, "a: CrashLoopBackOff"},
                   {1243000, "start a"}});
}

static void the_annotation_sets_the_curve(void **state)
{
    PLAY(.spec = ONE, .annotations = "mainstay.dev/backoff: 500ms..3s",
         .inputs = {{1000, EXITS, "a", 1},
                    {1100, EXITS, "a", 1},
                    {2000, EXITS, "a", 1},
                    {4000, EXITS, "a", 1},
                    {7000, EXITS, "a", 1}},
         .until = 11000,
         .deeds = {{0, "start a"},
                   {1000, "start a"},
                   {1000, "Running"},
                   {1100, "a: CrashLoopBackOff"},
                   {1600, "start a"},
                   {2000, "a: CrashLoopBackOff"},
                   {3000, "start a"},
                   {4000, "a: CrashLoopBackOff"},
                   {6000, "start a"},
                   {7000, "a: CrashLoopBackOff"},
                   {10000, "start a"}});
}

static void back_off_outlives_the_agent(void **state)
{
    PLAY(.spec = ONE,
         .inputs = {{1000, EXITS, "a", 1},
                    {2000, EXITS, "a", 1},
                    {3000, AGENT_DIES},
                    {5000, AGENT_STARTS}, // due at 12000 as before
                    {13000, AGENT_DIES},
                    {14000, EXITS, "0", 1}, // nobody sees it; 20 s count from here
                    {24000, AGENT_STARTS}},
         .until = 40000,
         .deeds = {{0, "start a"},
                   {1000, "start a"},
                   {1000, "Running"},
                   {2000, "a: CrashLoopBackOff"},
                   {12000, "start a"},
                   {24000, "a: CrashLoopBackOff"},
                   {34000, "start a"}});
}

static void back_off_that_ran_out_without_an_agent_is_over(void **state)
{
    PLAY(.spec = ONE,
         .inputs = {{1000, EXITS, "a", 1},
                    {2000, EXITS, "a", 1},
                    {3000, AGENT_DIES},
                    {60000, AGENT_STARTS}},
         .until = 61000,
         .deeds = {{0, "start a"},
                   {1000, "start a"},
                   {1000, "Running"},
                   {2000, "a: CrashLoopBackOff"},
                   {60000, "start a"}});
}

static void retry_and_restart_clear_the_back_off(void **state)
{
    PLAY(.spec = ONE,
         .inputs = {{1000, EXITS, "a", 1},
                    {2000, EXITS, "a", 1},
                    {3000, RETRY},
                    {4000, EXITS, "a", 1}, // at once again
                    {5000, EXITS, "a", 1},
                    {6000, RESTART},
                    {7000, RUNS, "a"},
                    {8000, RESTART, "a"},
                    {9000, EXITS, "a", 143}},
         .until = 20000,
         .deeds = {{0, "start a"},
                   {1000, "start a"},
                   {1000, "Running"},
                   {2000, "a: CrashLoopBackOff"},
                   {3000, "start a"},
                   {4000, "start a"},
                   {5000, "a: CrashLoopBackOff"},
                   {6000, "start a"},

                   {7000, "ready"},
                   {8000, "TERM a"},
                   {8000, "not ready"},
                   {9000, "start a"}});
}

static void what_cannot_be_started_backs_off_too(void **state)
{
    PLAY(.spec = ONE, .inputs = {{1000, BREAK}, {1500, EXITS, "a", 1}, {25000, MEND}},
         .until = 40000,
         .deeds = {{0, "start a"},
                   {1500, "cannot start a"},
                   {1500, "Running"},
                   {1500, "a: CreateContainerConfigError"},
                   {11500, "cannot start a"},
                   {31500, "start a"}});
}

static void a_shim_that_dies_counts_as_an_exit(void **state)
{
    PLAY(.spec = ONE, .inputs = {{1, RUNS, "a"}, {1000, SHIM_DIES, "a"}, {1001, SHIM_DIES, "a"}},
         .until = 20000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "start a"},
                   {1000, "not ready"},
                   {1001, "a: CrashLoopBackOff"},
                   {11001, "start a"}});
}

// ---- restart policies ----

static void policies_decide_who_starts_again(void **state)
{
    PLAY(.spec = FAILED ONE,
         .inputs = {{1, RUNS, "a"}, {1000, EXITS, "a", 3}, {2000, RUNS, "a"}, {3000, EXITS, "a"}},
         .until = 20000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "start a"},
                   {1000, "not ready"},
                   {2000, "ready"},
                   {3000, "Succeeded"},
                   {3000, "not ready"}});
    PLAY(.spec = NEVER ONE, .inputs = {{1, RUNS, "a"}, {1000, EXITS, "a", 3}}, .until = 20000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "Failed Error"},
                   {1000, "not ready"}});
}

static void a_container_has_a_policy_of_its_own(void **state)
{
    PLAY(.spec = "containers: [{name: a, image: i, restartPolicy: Never}, {name: b, image: i}, "
                 "{name: c, image: i, restartPolicy: OnFailure}]",
         .inputs = {{1000, EXITS, "a", 1},
                    {1000, EXITS, "b", 0},
                    {1000, EXITS, "c", 1},
                    {2000, EXITS, "c", 0}},
         .until = 20000,
         .deeds = {{0, "start a"},
                   {0, "start b"},
                   {0, "start c"},
                   {1000, "start b"},
                   {1000, "start c"},
                   {1000, "Running"}});
}

static void rules_are_exceptions_by_exit_status(void **state)
{
    PLAY(.spec = NEVER "containers: [{name: a, image: i, restartPolicy: Never, restartPolicyRules: "
                       "[{action: Restart, exitCodes: {operator: In, values: [42, 43]}}]}]",
         .inputs = {{1, RUNS, "a"}, {1000, EXITS, "a", 43}, {2000, EXITS, "a", 1}}, .until = 20000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "start a"},
                   {1000, "not ready"},
                   {2000, "Failed Error"}});
    PLAY(.spec = "containers: [{name: a, image: i, restartPolicy: Never, restartPolicyRules: "
                 "[{action: Restart, exitCodes: {operator: NotIn, values: [0, 1]}}]}]",
         .inputs = {{1, RUNS, "a"}, {1000, EXITS, "a", 7}, {2000, EXITS, "a", 0}}, .until = 20000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "start a"},
                   {1000, "not ready"},
                   {2000, "Succeeded"}});
}

// ---- stopping ----

static void a_stop_is_graceful_then_firm(void **state)
{
    PLAY(.spec = ONE, .inputs = {{1, RUNS, "a"}, {1000, REMOVE}, {44000, EXITS, "a", 137}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "TERM a"},
                   {1000, "not ready"},
                   {31000, "KILL a"},
                   {33000, "KILL all of a"},
                   {43000, "KILL all of a"},
                   {44000, "gone"}});
}

static void a_short_pre_stop_is_deducted(void **state)
{
    PLAY(.spec = PRE_STOP,
         .inputs = {{1, RUNS, "a"}, {1000, REMOVE}, {13000, HOOK_OK, "a"}, {40000, EXITS, "a"}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "preStop a"},
                   {1000, "not ready"},
                   {13000, "TERM a"},
                   {31000, "KILL a"},
                   {33000, "KILL all of a"},
                   {40000, "gone"}});
}

static void a_pre_stop_that_fails_stops_it_as_well(void **state)
{
    PLAY(.spec = PRE_STOP,
         .inputs = {{1, RUNS, "a"}, {1000, REMOVE}, {1500, HOOK_FAILS, "a"}, {2000, EXITS, "a"}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "preStop a"},
                   {1000, "not ready"},
                   {1500, "TERM a"},
                   {2000, "gone"}});
}

static void a_pre_stop_longer_than_the_grace_period_leaves_two_seconds(void **state)
{
    PLAY(.spec = "terminationGracePeriodSeconds: 5, " PRE_STOP,
         .inputs = {{1, RUNS, "a"}, {1000, REMOVE}, {9000, EXITS, "a", 137}}, .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "preStop a"},
                   {1000, "not ready"},
                   {6000, "TERM a"},
                   {8000, "KILL a"},
                   {9000, "gone"}});
    // One second is left after the hook: two are given.
    PLAY(.spec = "terminationGracePeriodSeconds: 5, " PRE_STOP,
         .inputs = {{1, RUNS, "a"}, {1000, REMOVE}, {5000, HOOK_OK, "a"}, {8500, EXITS, "a", 137}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "preStop a"},
                   {1000, "not ready"},
                   {5000, "TERM a"},
                   {7000, "KILL a"},
                   {8500, "gone"}});
}

static void no_grace_means_no_pre_stop_and_two_seconds(void **state)
{
    PLAY(.spec = "terminationGracePeriodSeconds: 0, " PRE_STOP,
         .inputs = {{1, RUNS, "a"}, {1000, REMOVE}, {3500, EXITS, "a", 137}}, .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "TERM a"},
                   {1000, "not ready"},
                   {3000, "KILL a"},
                   {3500, "gone"}});
}

static void a_stop_during_a_start_is_sent_twice(void **state)
{
    PLAY(.spec = PRE_STOP, .inputs = {{10, REMOVE}, {500, RUNS, "a"}, {1000, EXITS, "a", 143}},
         .until = 50000,
         .deeds = {
             {0, "start a"}, {10, "TERM a"}, {500, "TERM a"}, {500, "Running"}, {1000, "gone"}});
}

static void a_stop_during_post_start_runs_pre_stop(void **state)
{
    PLAY(.spec = HOOKS,
         .inputs = {{1, RUNS, "a"}, {500, REMOVE}, {700, HOOK_OK, "a"}, {1000, EXITS, "a", 143}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "postStart a"},
                   {1, "Running"},
                   {500, "preStop a"},
                   {700, "TERM a"},
                   {1000, "gone"}});
}

static void a_stop_in_back_off_has_nothing_to_wait_for(void **state)
{
    PLAY(.spec = ONE, .inputs = {{1000, EXITS, "a", 1}, {2000, EXITS, "a", 1}, {3000, REMOVE}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1000, "start a"},
                   {1000, "Running"},
                   {2000, "a: CrashLoopBackOff"},
                   {3000, "gone"}});
}

static void a_restart_asked_for_during_the_stop_starts_nothing(void **state)
{
    PLAY(.spec = ONE,
         .inputs = {{1, RUNS, "a"}, {1000, REMOVE}, {1500, RESTART}, {2000, EXITS, "a", 143}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "TERM a"},
                   {1000, "not ready"},
                   {2000, "gone"}});
    // And one that was on its way when the pod was removed.
    PLAY(.spec = ONE,
         .inputs = {{1, RUNS, "a"}, {1000, RESTART}, {1500, REMOVE}, {2000, EXITS, "a", 143}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "TERM a"},
                   {1000, "not ready"},
                   {2000, "gone"}});
}

static void a_stop_goes_on_where_the_last_agent_left_it(void **state)
{
    PLAY(.spec = PRE_STOP,
         .inputs = {{1, RUNS, "a"},
                    {1000, REMOVE},
                    {2000, AGENT_DIES},
                    {6000, AGENT_STARTS}, // the hook is given again, the grace period is not
                    {9000, HOOK_OK, "a"},
                    {10000, AGENT_DIES},
                    {12000, AGENT_STARTS},
                    {35000, EXITS, "a", 137}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "preStop a"},
                   {1000, "not ready"},
                   {6000, "preStop a"},
                   {9000, "TERM a"},
                   {12000, "TERM a"},
                   {31000, "KILL a"},
                   {33000, "KILL all of a"},
                   {35000, "gone"}});
}

static void a_failed_post_start_restarts(void **state)
{
    PLAY(.spec = HOOKS,
         .inputs = {{1, RUNS, "a"},
                    {500, HOOK_FAILS, "a"},
                    {700, HOOK_OK, "a"}, // preStop
                    {1000, EXITS, "a", 143},
                    {1001, RUNS, "a"},
                    {1500, HOOK_OK, "a"}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "postStart a"},
                   {1, "Running"},
                   {500, "preStop a"},
                   {700, "TERM a"},
                   {1000, "start a"},
                   {1001, "postStart a"},
                   {1500, "ready"}});
}

static void a_post_start_is_given_again_by_a_new_agent(void **state)
{
    PLAY(.spec = HOOKS,
         .inputs = {{1, RUNS, "a"}, {500, AGENT_DIES}, {900, AGENT_STARTS}, {1500, HOOK_OK, "a"}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "postStart a"},
                   {1, "Running"},
                   {900, "postStart a"},
                   {1500, "ready"}});
}

static void a_failed_liveness_probe_has_a_grace_period_of_its_own(void **state)
{
    PLAY(.spec = "containers: [{name: a, image: i, livenessProbe: {tcpSocket: {port: 1}, "
                 "terminationGracePeriodSeconds: 7}}]",
         .inputs = {{1, RUNS, "a"}, {1000, LIVE_FAILS, "a"}, {8500, EXITS, "a", 137}},
         .until = 50000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {1000, "TERM a"},
                   {1000, "not ready"},
                   {8000, "KILL a"},
                   {8500, "start a"}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(back_off_doubles_to_five_minutes),
        cmocka_unit_test(back_off_is_forgotten_after_ten_minutes),
        cmocka_unit_test(the_annotation_sets_the_curve),
        cmocka_unit_test(back_off_outlives_the_agent),
        cmocka_unit_test(back_off_that_ran_out_without_an_agent_is_over),
        cmocka_unit_test(retry_and_restart_clear_the_back_off),
        cmocka_unit_test(what_cannot_be_started_backs_off_too),
        cmocka_unit_test(a_shim_that_dies_counts_as_an_exit),
        cmocka_unit_test(policies_decide_who_starts_again),
        cmocka_unit_test(a_container_has_a_policy_of_its_own),
        cmocka_unit_test(rules_are_exceptions_by_exit_status),
        cmocka_unit_test(a_stop_is_graceful_then_firm),
        cmocka_unit_test(a_short_pre_stop_is_deducted),
        cmocka_unit_test(a_pre_stop_that_fails_stops_it_as_well),
        cmocka_unit_test(a_pre_stop_longer_than_the_grace_period_leaves_two_seconds),
        cmocka_unit_test(no_grace_means_no_pre_stop_and_two_seconds),
        cmocka_unit_test(a_stop_during_a_start_is_sent_twice),
        cmocka_unit_test(a_stop_during_post_start_runs_pre_stop),
        cmocka_unit_test(a_stop_in_back_off_has_nothing_to_wait_for),
        cmocka_unit_test(a_restart_asked_for_during_the_stop_starts_nothing),
        cmocka_unit_test(a_stop_goes_on_where_the_last_agent_left_it),
        cmocka_unit_test(a_failed_post_start_restarts),
        cmocka_unit_test(a_post_start_is_given_again_by_a_new_agent),
        cmocka_unit_test(a_failed_liveness_probe_has_a_grace_period_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
