// Timelines of pods, as in test-pod-timelines.c: init containers, sidecars and deadlines. The rules
// are those of K/kuberuntime/kuberuntime_container.go and kuberuntime_termination_order.go of 1.29
// and later (KEP-753), and of K/active_deadline.go.
#include "tests/unit/pod-timeline.h"

// ---- init containers ----

static void init_containers_fail_and_go_on(void **state)
{
    PLAY(.spec = "initContainers: [{name: i, image: i}, {name: j, image: i}], " ONE,
         .inputs = {{1000, EXITS, "i", 1},
                    {2000, EXITS, "i", 1},
                    {13000, EXITS, "i", 0},
                    {14000, EXITS, "j", 0},
                    {14001, RUNS, "a"}},
         .until = 50000,
         .deeds = {{0, "start i"},
                   {1000, "start i"},
                   {2000, "i: CrashLoopBackOff"},
                   {12000, "start i"},
                   {13000, "start j"},
                   {14000, "start a"},
                   {14001, "Running"},
                   {14001, "ready"}});
}

static void an_init_container_fails_the_pod_under_never(void **state)
{
    PLAY(.spec = NEVER "initContainers: [" SIDE ", {name: j, image: i}], " ONE,
         .inputs = {{100, RUNS, "s"}, {1000, EXITS, "j", 3}, {2000, EXITS, "s", 0}}, .until = 50000,
         .deeds = {{0, "start s"}, {100, "start j"}, {1000, "TERM s"}, {2000, "Failed Error"}});
}

static void init_containers_that_are_done_are_not_done_again(void **state)
{
    PLAY(.spec = "initContainers: [{name: i, image: i}, {name: j, image: i}], " ONE,
         .inputs = {{1000, EXITS, "i", 0},
                    {1500, AGENT_DIES},
                    {2000, EXITS, "1", 0}, // j, unseen
                    {3000, AGENT_STARTS},
                    {3001, RUNS, "a"},
                    {4000, AGENT_DIES},
                    {5000, AGENT_STARTS}},
         .until = 50000,
         .deeds = {{0, "start i"},
                   {1000, "start j"},
                   {3000, "start a"},
                   {3001, "Running"},
                   {3001, "ready"}});
}

static void a_reboot_begins_with_the_init_containers(void **state)
{
    PLAY(.spec = "initContainers: [{name: i, image: i}, " SIDE "], " ONE,
         .inputs = {{1000, EXITS, "i", 0},
                    {1100, RUNS, "s"},
                    {1200, RUNS, "a"},
                    {5000, MACHINE_RESTARTS},
                    {6000, EXITS, "i", 0},
                    {6100, RUNS, "s"},
                    {6200, RUNS, "a"}},
         .until = 50000,
         .deeds = {{0, "start i"},
                   {1000, "start s"},
                   {1100, "start a"},
                   {1200, "Running"},
                   {1200, "ready"},
                   {5000, "start i"},
                   {5000, "Pending"},
                   {5000, "not ready"},
                   {6000, "start s"},
                   {6100, "start a"},
                   {6100, "Running"},
                   {6200, "ready"}});
    // Under Never nothing of it may run a second time.
    PLAY(.spec = NEVER "initContainers: [{name: i, image: i}], " ONE,
         .inputs = {{1000, EXITS, "i", 0}, {1200, RUNS, "a"}, {5000, MACHINE_RESTARTS}},
         .until = 50000,
         .deeds = {{0, "start i"},
                   {1000, "start a"},
                   {1200, "Running"},
                   {1200, "ready"},
                   {5000, "Failed Lost"},
                   {5000, "not ready"}});
}

// ---- sidecars ----

static void a_sidecar_lets_the_next_one_start_when_it_has_started(void **state)
{
    PLAY(.spec = "initContainers: [{name: s, image: i, restartPolicy: Always, startupProbe: "
                 "{tcpSocket: {port: 1}}, readinessProbe: {tcpSocket: {port: 1}}, lifecycle: "
                 "{postStart: {exec: {command: [go]}}}}, {name: j, image: i}], " ONE,
         .inputs = {{100, RUNS, "s"},
                    {1000, HOOK_OK, "s"},
                    {5000, STARTED_PASSES, "s"},
                    {6000, EXITS, "j", 0},
                    {6100, RUNS, "a"},
                    {9000, READY_PASSES, "s"}, // the pod is not ready before
                    {10000, READY_FAILS, "s"}},
         .until = 50000,
         .deeds = {{0, "start s"},
                   {100, "postStart s"},
                   {5000, "start j"},
                   {6000, "start a"},
                   {6100, "Running"},
                   {9000, "ready"},
                   {10000, "not ready"}});
}

static void a_sidecar_restarts_by_itself_and_holds_up_nothing(void **state)
{
    PLAY(.spec = NEVER "initContainers: [" SIDE ", {name: j, image: i}], " ONE,
         .inputs = {{100, RUNS, "s"},
                    {1000, EXITS, "s", 0}, // whatever the pod's policy, whatever its status
                    {1100, EXITS, "s", 1},
                    {2000, EXITS, "j", 0}, // does not wait for s
                    {2100, RUNS, "a"},
                    {11200, RUNS, "s"},
                    {12000, AGENT_DIES},
                    {13000, AGENT_STARTS}},
         .until = 50000,
         .deeds = {{0, "start s"},
                   {100, "start j"},
                   {1000, "start s"},
                   {1100, "s: CrashLoopBackOff"},
                   {2000, "start a"},
                   {2100, "Running"},
                   {11100, "start s"},
                   {11200, "ready"}});
}

static void a_sidecar_whose_startup_fails_holds_up_the_rest(void **state)
{
    PLAY(.spec = NEVER "initContainers: [{name: s, image: i, restartPolicy: Always, startupProbe: "
                       "{tcpSocket: {port: 1}}}], " ONE,
         .inputs = {{100, RUNS, "s"},
                    {3000, STARTED_FAILS, "s"},
                    {3500, EXITS, "s", 143},
                    {3600, RUNS, "s"},
                    {4000, STARTED_PASSES, "s"}},
         .until = 50000,
         .deeds = {{0, "start s"}, {3000, "TERM s"}, {3500, "start s"}, {4000, "start a"}});
}

static void sidecars_stop_last_and_backwards(void **state)
{
    PLAY(.spec = "initContainers: [" SIDE ", " SIDE2
                 "], containers: [{name: a, image: i}, {name: b, image: i}]",
         .inputs = {{1, RUNS, "s"},
                    {2, RUNS, "t"},
                    {3, RUNS, "a"},
                    {4, RUNS, "b"},
                    {1000, REMOVE},
                    {3000, EXITS, "a", 0},
                    {5000, EXITS, "b", 0},
                    {7000, EXITS, "t", 0},
                    {9000, EXITS, "s", 0}},
         .until = 50000,
         .deeds = {{0, "start s"},
                   {1, "start t"},
                   {2, "start a"},
                   {2, "start b"},
                   {4, "Running"},
                   {4, "ready"},
                   {1000, "TERM a"},
                   {1000, "TERM b"},
                   {1000, "not ready"},
                   {5000, "TERM t"},
                   {7000, "TERM s"},
                   {9000, "gone"}});
}

static void sidecars_share_the_grace_period(void **state)
{
    PLAY(.spec = "terminationGracePeriodSeconds: 10, initContainers: [{name: s, image: i, "
                 "restartPolicy: Always, lifecycle: {preStop: {exec: {command: [go]}}}}], " ONE,
         .inputs = {{1, RUNS, "s"},
                    {2, RUNS, "a"},
                    {1000, HOLD},
                    {1500, HOOK_OK, "s"}, // its hook comes at once, its TERM does not
                    {11500, EXITS, "a", 137},
                    {13500, EXITS, "s", 137}},
         .until = 50000,
         .deeds = {{0, "start s"},
                   {1, "start a"},
                   {2, "Running"},
                   {2, "ready"},
                   {1000, "preStop s"},
                   {1000, "TERM a"},
                   {1000, "not ready"},
                   {11000, "TERM s"},
                   {11000, "KILL a"},
                   {13000, "KILL s"},
                   {13500, "Pending"}});
}

static void sidecars_end_with_the_others(void **state)
{
    PLAY(.spec = FAILED "initContainers: [" SIDE "], " ONE,
         .inputs = {{1, RUNS, "s"},
                    {2, RUNS, "a"},
                    {1000, EXITS, "a", 0},
                    {2000, AGENT_DIES}, // the end goes on
                    {3000, AGENT_STARTS},
                    {4000, EXITS, "s", 1}}, // its status does not count
         .until = 50000,
         .deeds = {{0, "start s"},
                   {1, "start a"},
                   {2, "Running"},
                   {2, "ready"},
                   {1000, "TERM s"},
                   {1000, "not ready"},
                   {3000, "TERM s"},
                   {4000, "Succeeded"}});
}

static void sidecars_wait_for_their_turn_under_a_new_agent(void **state)
{
    PLAY(.spec = "initContainers: [" SIDE "], " ONE,
         .inputs = {{1, RUNS, "s"},
                    {2, RUNS, "a"},
                    {1000, REMOVE},
                    {2000, AGENT_DIES},
                    {3000, AGENT_STARTS}, // a is told again
                    {4000, EXITS, "a", 0},
                    {5000, EXITS, "s", 0}},
         .until = 50000,
         .deeds = {{0, "start s"},
                   {1, "start a"},
                   {2, "Running"},
                   {2, "ready"},
                   {1000, "TERM a"},
                   {1000, "not ready"},
                   {3000, "TERM a"},
                   {4000, "TERM s"},
                   {5000, "gone"}});
}

static void an_operator_restarts_sidecars_too(void **state)
{
    PLAY(.spec = "initContainers: [" SIDE "], " ONE,
         .inputs = {{1, RUNS, "s"},
                    {2, RUNS, "a"},
                    {1000, RESTART, "s"},
                    {2000, EXITS, "s", 0},
                    {2001, RUNS, "s"},
                    {3000, RESTART},
                    {4000, EXITS, "s", 0},
                    {4000, EXITS, "a", 0}},
         .until = 50000,
         .deeds = {{0, "start s"},
                   {1, "start a"},
                   {2, "Running"},
                   {2, "ready"},
                   {1000, "TERM s"},
                   {1000, "not ready"},
                   {2000, "start s"},
                   {2001, "ready"},
                   {3000, "TERM s"},
                   {3000, "TERM a"},
                   {3000, "not ready"},
                   {4000, "start s"},
                   {4000, "start a"}});
}

// ---- activeDeadlineSeconds ----

static void a_deadline_stops_and_fails_the_pod(void **state)
{
    PLAY(.spec = "activeDeadlineSeconds: 60, initContainers: [" SIDE "], " ONE,
         .inputs = {{1, RUNS, "s"},
                    {2, RUNS, "a"},
                    {61000, EXITS, "a", 0},
                    {62000, EXITS, "s", 0},
                    {90000, RELEASE}}, // mainstay start: it counts anew
         .until = 200000,
         .deeds = {{0, "start s"},
                   {1, "start a"},
                   {2, "Running"},
                   {2, "ready"},
                   {60000, "TERM a"},
                   {60000, "Running DeadlineExceeded"},
                   {60000, "not ready"},
                   {61000, "TERM s"},
                   {62000, "Failed DeadlineExceeded"},
                   {90000, "start s"},
                   {90000, "Pending"},
                   {150000, "TERM s"},
                   {150000, "Pending DeadlineExceeded"},
                   {180000, "KILL s"},
                   {182000, "KILL all of s"},
                   {192000, "KILL all of s"}});
}

static void a_deadline_counts_through_init_and_back_off(void **state)
{
    PLAY(.spec = "activeDeadlineSeconds: 15, initContainers: [{name: i, image: i}], " ONE,
         .inputs = {{1000, EXITS, "i", 1}, {2000, EXITS, "i", 1}, {13000, EXITS, "i", 1}},
         .until = 200000,
         .deeds = {{0, "start i"},
                   {1000, "start i"},
                   {2000, "i: CrashLoopBackOff"},
                   {12000, "start i"},
                   {13000, "i: CrashLoopBackOff"},
                   {15000, "Failed DeadlineExceeded"}});
}

static void a_deadline_outlives_agent_and_machine(void **state)
{
    PLAY(.spec = "activeDeadlineSeconds: 60, " ONE,
         .inputs = {{1, RUNS, "a"},
                    {10000, AGENT_DIES},
                    {20000, AGENT_STARTS},
                    {30000, MACHINE_RESTARTS},
                    {30001, RUNS, "a"},
                    {61000, EXITS, "a", 143},
                    {70000, AGENT_DIES}, // nothing starts a pod that has failed
                    {80000, AGENT_STARTS},
                    {90000, MACHINE_RESTARTS}},
         .until = 200000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {30000, "start a"},
                   {30000, "not ready"},
                   {30001, "ready"},
                   {60000, "TERM a"},
                   {60000, "Running DeadlineExceeded"},
                   {60000, "not ready"},
                   {61000, "Failed DeadlineExceeded"}});
    // It passed while no agent was there.
    PLAY(.spec = "activeDeadlineSeconds: 60, " ONE,
         .inputs = {{1, RUNS, "a"}, {10000, AGENT_DIES}, {80000, AGENT_STARTS}}, .until = 81000,
         .deeds = {{0, "start a"},
                   {1, "Running"},
                   {1, "ready"},
                   {80000, "TERM a"},
                   {80000, "Running DeadlineExceeded"},
                   {80000, "not ready"}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_containers_fail_and_go_on),
        cmocka_unit_test(an_init_container_fails_the_pod_under_never),
        cmocka_unit_test(init_containers_that_are_done_are_not_done_again),
        cmocka_unit_test(a_reboot_begins_with_the_init_containers),
        cmocka_unit_test(a_sidecar_lets_the_next_one_start_when_it_has_started),
        cmocka_unit_test(a_sidecar_restarts_by_itself_and_holds_up_nothing),
        cmocka_unit_test(a_sidecar_whose_startup_fails_holds_up_the_rest),
        cmocka_unit_test(sidecars_stop_last_and_backwards),
        cmocka_unit_test(sidecars_share_the_grace_period),
        cmocka_unit_test(sidecars_end_with_the_others),
        cmocka_unit_test(sidecars_wait_for_their_turn_under_a_new_agent),
        cmocka_unit_test(an_operator_restarts_sidecars_too),
        cmocka_unit_test(a_deadline_stops_and_fails_the_pod),
        cmocka_unit_test(a_deadline_counts_through_init_and_back_off),
        cmocka_unit_test(a_deadline_outlives_agent_and_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
