// supervisor/status*: what a pod's state looks like as v1 PodStatus, state by state.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/string-list.h"
#include "podspec/podspec.h"
#include "supervisor/container-spec.h"
#include "supervisor/runtime.h"
#include "supervisor/status-internal.h"

// ---- the rest of the agent ----

const struct pod *pods_successor(const struct pods *pods, const struct pod_worker *w)
{
    return (const struct pod *)pods; // the test's own
}

const char *runtime_run_id(const struct container_worker *c)
{
    return c->run;
}

const char *runtime_run_cgroup(const struct container_worker *c)
{
    return c->run ? "/kubepods/pod1/etcd" : NULL;
}

static struct shim_spec *run_spec; // of every container

const struct shim_spec *runtime_run_spec(const struct container_worker *c)
{
    return c->init ? NULL : run_spec;
}

char *container_spec_log_path(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count)
{
    return xasprintf("%s/%s/%llu.log", options->log_dir, container,
                     (unsigned long long)restart_count);
}

static void nothing(void *runtime, struct pod_worker *w)
{
}

static void nothing_at(void *runtime, struct pod_worker *w, monotime deadline)
{
}

static const struct pod_runtime_ops ops = {.save = nothing, .arm = nothing_at, .gone = nothing};

// ---- a pod ----

static struct config config = {
    .node_ip = (char *)"10.0.0.1", .run_dir = (char *)"/run/m", .pod_log_dir = (char *)"/log"};

static struct status_context context(void)
{
    return (struct status_context){.config = &config, .now = {1000}, .now_wall = {NSEC_PER_SEC}};
}

static const char manifest[] = "apiVersion: v1\n"
                               "kind: Pod\n"
                               "metadata: {name: etcd-n1, namespace: kube-system, uid: u1}\n"
                               "spec:\n"
                               "  hostNetwork: true\n"
                               "  initContainers:\n"
                               "  - {name: prepare, image: i, command: [\"true\"]}\n"
                               "  containers:\n"
                               "  - {name: etcd, image: etcd:3, command: [etcd]}\n"
                               "  - {name: side, image: side:1, command: [side]}\n";

static int setup(void **state)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct pod_list pods = {0};
    assert_int_equal(podspec_parse("etcd.yaml", manifest, sizeof(manifest) - 1, &pods, &diags), 0);
    assert_int_equal(pods.n, 1);
    struct pod_worker *w = pod_worker_new(TAKE_PTR(pods.items[0]), "/m/etcd.yaml", BACKOFF_KUBELET,
                                          &ops, NULL, event_log_open(NULL, "n1"));
    pod_list_free(&pods);
    w->created_at = (walltime){10 * NSEC_PER_SEC};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct pod_worker *w = *state;
    event_log_free(w->events);
    pod_worker_free(w);
    return 0;
}

static void has_run(struct container_worker *c, int exit_code, const char *reason)
{
    c->ever_started = true;
    c->last = (struct container_exit){
        .known = true,
        .restart_count = c->restart_count,
        .exit_code = exit_code,
        .reason = xstrdup(reason),
        .started_at = {20 * NSEC_PER_SEC},
        .finished_at = {30 * NSEC_PER_SEC},
    };
}

static void runs(struct container_worker *c)
{
    c->state = CONTAINER_RUNNING;
    c->ever_started = true;
    c->pid = 7;
    c->started_at = (walltime){40 * NSEC_PER_SEC};
}

// Everything runs.
static void set_running(struct pod_worker *w)
{
    w->state = POD_RUNNING;
    w->started_at = (walltime){15 * NSEC_PER_SEC};
    w->prepared = (struct pod_condition){true, {15 * NSEC_PER_SEC}};
    w->initialized = (struct pod_condition){true, {31 * NSEC_PER_SEC}};
    w->ready = (struct pod_condition){true, {41 * NSEC_PER_SEC}};
    has_run(&w->containers[0], 0, "Completed");
    w->containers[0].state = CONTAINER_EXITED;
    runs(&w->containers[1]);
    runs(&w->containers[2]);
}

static void expect(const json_t *value, const char *expected)
{
    _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_non_null(text);
    assert_string_equal(text, expected);
}

static void expect_member(const json_t *object, const char *key, const char *expected)
{
    const json_t *value = json_object_get(object, key);
    if (!value && expected)
        fail_msg("there is no %s", key);
    if (expected)
        expect(value, expected);
    else
        assert_null(value);
}

static const json_t *condition(const json_t *status, size_t i)
{
    return json_array_get(json_object_get(status, "conditions"), i);
}

// ---- containers ----

static void a_new_container_waits(void **state)
{
    struct pod_worker *w = *state;
    json_t *status = status_container(&w->containers[1]);
    expect(status, "{\"name\":\"etcd\",\"state\":{\"waiting\":{\"reason\":\"PodInitializing\"}},"
                   "\"lastState\":{},\"ready\":false,\"restartCount\":0,\"image\":\"etcd:3\","
                   "\"imageID\":\"\",\"started\":false}");
    json_decref(status);
    w->n_init = 0; // as if there were none
    status = status_container(&w->containers[1]);
    expect_member(status, "state", "{\"waiting\":{\"reason\":\"ContainerCreating\"}}");
    json_decref(status);
    w->n_init = 1;
}

static void a_running_container_runs(void **state)
{
    struct pod_worker *w = *state;
    set_running(w);
    json_t *status = status_container(&w->containers[1]);
    expect(status, "{\"name\":\"etcd\",\"state\":{\"running\":{\"startedAt\":"
                   "\"1970-01-01T00:00:40Z\"}},\"lastState\":{},\"ready\":true,\"restartCount\":0,"
                   "\"image\":\"etcd:3\",\"imageID\":\"\",\"containerID\":"
                   "\"mainstay://u1_etcd_0\",\"started\":true}");
    json_decref(status);
}

static void an_init_container_that_succeeded_is_ready(void **state)
{
    struct pod_worker *w = *state;
    set_running(w);
    json_t *status = status_container(&w->containers[0]);
    expect_member(status, "ready", "true");
    expect_member(status, "started", NULL);
    expect_member(status, "state",
                  "{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\",\"startedAt\":"
                  "\"1970-01-01T00:00:20Z\",\"finishedAt\":\"1970-01-01T00:00:30Z\","
                  "\"containerID\":\"mainstay://u1_prepare_0\"}}");
    json_decref(status);
}

static void a_crash_loop_shows_reason_and_last_exit(void **state)
{
    struct pod_worker *w = *state;
    struct container_worker *c = &w->containers[1];
    set_running(w);
    has_run(c, 137, "OOMKilled");
    c->last.signal = 9;
    c->state = CONTAINER_BACKOFF;
    c->waiting_reason = xstrdup("CrashLoopBackOff");
    c->waiting_message = xstrdup("back-off 10s");
    c->restart_count = 3;
    json_t *status = status_container(c);
    expect_member(status, "state",
                  "{\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 10s\"}}");
    expect_member(status, "lastState",
                  "{\"terminated\":{\"exitCode\":137,\"signal\":9,\"reason\":\"OOMKilled\","
                  "\"startedAt\":\"1970-01-01T00:00:20Z\",\"finishedAt\":"
                  "\"1970-01-01T00:00:30Z\",\"containerID\":\"mainstay://u1_etcd_0\"}}");
    expect_member(status, "restartCount", "3");
    json_decref(status);
}

static void every_state_is_one_of_three(void **state)
{
    static const char *const shown[CONTAINER_STATES] = {
        [CONTAINER_WAITING] = "waiting",    [CONTAINER_STARTING] = "waiting",
        [CONTAINER_POST_START] = "running", [CONTAINER_RUNNING] = "running",
        [CONTAINER_PRE_STOP] = "running",   [CONTAINER_TERMINATING] = "running",
        [CONTAINER_KILLING] = "running",    [CONTAINER_PROVING] = "terminated",
        [CONTAINER_BACKOFF] = "waiting",    [CONTAINER_AWAIT_TURN] = "running",
        [CONTAINER_EXITED] = "terminated",
    };
    struct pod_worker *w = *state;
    struct container_worker *c = &w->containers[1];
    runs(c);
    has_run(c, 1, "Error");
    for (int s = 0; s < CONTAINER_STATES; s++) {
        c->state = (enum container_state)s;
        json_t *status = status_container(c);
        json_t *detail = json_object_get(status, "state");
        assert_int_equal(json_object_size(detail), 1);
        if (!json_object_get(detail, shown[s]))
            fail_msg("%s is not shown as %s", container_state_name(c->state), shown[s]);
        json_decref(status);
    }
    // A stop that came before the process: nothing runs.
    c->state = CONTAINER_TERMINATING;
    c->pid = 0;
    json_t *status = status_container(c);
    assert_non_null(json_object_get(json_object_get(status, "state"), "waiting"));
    json_decref(status);
}

// ---- conditions ----

static void conditions_follow_the_pod(void **state)
{
    struct pod_worker *w = *state;
    struct status_context c = context();
    json_t *status = status_pod_status(w, &c);
    expect(condition(status, 1),
           "{\"type\":\"Initialized\",\"status\":\"False\",\"lastProbeTime\":null,"
           "\"lastTransitionTime\":\"1970-01-01T00:00:10Z\",\"reason\":"
           "\"ContainersNotInitialized\",\"message\":\"containers with incomplete status: "
           "[prepare]\"}");
    expect(condition(status, 2),
           "{\"type\":\"Ready\",\"status\":\"False\",\"lastProbeTime\":null,"
           "\"lastTransitionTime\":\"1970-01-01T00:00:10Z\",\"reason\":\"ContainersNotReady\","
           "\"message\":\"containers with unready status: [etcd side]\"}");
    expect_member(condition(status, 3), "type", "\"ContainersReady\"");
    expect(condition(status, 4), "{\"type\":\"PodScheduled\",\"status\":\"True\","
                                 "\"lastProbeTime\":null,\"lastTransitionTime\":"
                                 "\"1970-01-01T00:00:10Z\"}");
    json_decref(status);
    set_running(w);
    status = status_pod_status(w, &c);
    expect(condition(status, 1), "{\"type\":\"Initialized\",\"status\":\"True\","
                                 "\"lastProbeTime\":null,\"lastTransitionTime\":"
                                 "\"1970-01-01T00:00:31Z\"}");
    expect(condition(status, 2), "{\"type\":\"Ready\",\"status\":\"True\","
                                 "\"lastProbeTime\":null,\"lastTransitionTime\":"
                                 "\"1970-01-01T00:00:41Z\"}");
    json_decref(status);
}

static void limits_that_are_not_enforced_are_a_condition(void **state)
{
    struct pod_worker *w = *state;
    struct status_context c = context();
    char *sentences[] = {(char *)"container etcd: no memory limit"};
    struct shim_spec spec = {.unenforced = {sentences, 1}};
    set_running(w);
    w->containers[1].warnings = xstrdup("nothing\n/c/memory.max could not be set to 5: no\n");
    json_t *status = status_pod_status(w, &c);
    expect_member(condition(status, 5), "type", "\"mainstay.dev/ResourcesEnforced\"");
    expect_member(condition(status, 5), "message", "\"/c/memory.max could not be set to 5: no\"");
    json_decref(status);
    free(w->containers[1].warnings);
    w->containers[1].warnings = NULL;
    run_spec = &spec;
    status = status_pod_status(w, &c);
    expect_member(condition(status, 5), "status", "\"False\"");
    expect_member(condition(status, 5), "reason", "\"LimitNotEnforced\"");
    expect_member(condition(status, 5), "message", "\"container etcd: no memory limit\"");
    json_decref(status);
    run_spec = NULL;
    status = status_pod_status(w, &c);
    assert_null(condition(status, 5));
    json_decref(status);
}

static void a_readiness_gate_is_never_passed(void **state)
{
    struct pod_worker *w = *state;
    struct status_context c = context();
    set_running(w);
    LIST_APPEND(&w->pod->spec.readinessGates)->conditionType = xstrdup("example.com/load-balanced");
    json_t *status = status_pod_status(w, &c);
    expect_member(condition(status, 2), "reason", "\"ReadinessGatesNotReady\"");
    expect_member(condition(status, 3), "status", "\"True\"");
    json_decref(status);
}

// ---- the pod ----

static void a_status_is_whole(void **state)
{
    struct pod_worker *w = *state;
    struct status_context c = context();
    set_running(w);
    json_t *status = status_pod_status(w, &c);
    expect_member(status, "phase", "\"Running\"");
    expect_member(status, "hostIP", "\"10.0.0.1\"");
    expect_member(status, "podIP", "\"10.0.0.1\"");
    expect_member(status, "podIPs", "[{\"ip\":\"10.0.0.1\"}]");
    expect_member(status, "startTime", "\"1970-01-01T00:00:15Z\"");
    expect_member(status, "qosClass", "\"BestEffort\"");
    expect_member(status, "reason", NULL);
    assert_int_equal(json_array_size(json_object_get(status, "initContainerStatuses")), 1);
    assert_int_equal(json_array_size(json_object_get(status, "containerStatuses")), 2);
    json_decref(status);
    w->pod->spec.hostNetwork = false;
    status = status_pod_status(w, &c);
    expect_member(status, "podIP", NULL);
    json_decref(status);
}

static void reasons_come_from_where_it_waits_or_failed(void **state)
{
    struct pod_worker *w = *state;
    struct status_context c = context();
    w->state = POD_HELD;
    w->waiting_reason = xstrdup("Stopped");
    w->waiting_message = xstrdup("by an operator");
    json_t *status = status_pod_status(w, &c), *own = status_pod_extension(w, &c);
    expect_member(status, "reason", "\"Stopped\"");
    expect_member(status, "message", "\"by an operator\"");
    expect_member(own, "reason", "\"Stopped\"");
    json_decref(status);
    json_decref(own);
    w->state = POD_FINISHED;
    w->failed_reason = xstrdup("Error");
    w->failed_message = xstrdup("it failed");
    status = status_pod_status(w, &c);
    own = status_pod_extension(w, &c);
    expect_member(status, "phase", "\"Failed\"");
    expect_member(status, "reason", "\"Error\"");
    expect_member(own, "message", "\"it failed\"");
    json_decref(status);
    json_decref(own);
}

static void the_extension_says_what_only_we_know(void **state)
{
    struct pod_worker *w = *state;
    struct status_context c = context();
    struct pod successor = {.metadata.uid = (char *)"u2"};
    c.pods = (const struct pods *)&successor;
    set_running(w);
    w->containers[1].run = (void *)"u1_etcd_0";
    w->containers[2].state = CONTAINER_BACKOFF;
    w->containers[2].pid = 0;
    w->containers[2].deadline = (monotime){1000 + 5 * USEC_PER_SEC};
    json_t *own = status_pod_extension(w, &c);
    expect_member(own, "state", "\"Running\"");
    expect_member(own, "file", "\"/m/etcd.yaml\"");
    expect_member(own, "successor", "\"u2\"");
    expect_member(own, "manifest", "null");
    const json_t *containers = json_object_get(own, "containers");
    expect(json_array_get(containers, 1),
           "{\"name\":\"etcd\",\"init\":false,\"state\":\"Running\",\"pid\":7,\"command\":null,"
           "\"restartCount\":0,\"logPath\":\"/log/etcd/0.log\",\"shimSocket\":"
           "\"/run/m/shims/u1_etcd_0/socket\",\"nextStart\":null,\"cgroup\":"
           "\"/kubepods/pod1/etcd\",\"limits\":{},\"probes\":{}}");
    expect_member(json_array_get(containers, 2), "nextStart", "\"1970-01-01T00:00:06Z\"");
    expect_member(json_array_get(containers, 2), "pid", "null");
    json_decref(own);
}

static void a_pod_shows_what_is_wrong_with_its_file(void **state)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct pod_worker *w = *state;
    struct status_context c = context();
    struct manifest_status files[] = {
        {.file = "/m/other.yaml", .state = MANIFEST_REFUSED},
        {.file = "/m/etcd.yaml", .state = MANIFEST_CONFLICT, .conflict_with = "/m/a.yaml"},
    };
    diag_add(&diags, DIAG_WARNING, (struct diag_place){"/m/etcd.yaml", 0, 0, NULL}, "odd");
    files[1].diags = &diags;
    c.manifests = files;
    c.n_manifests = 2;
    json_t *own = status_pod_extension(w, &c);
    expect_member(own, "manifest",
                  "{\"state\":\"Conflict\",\"findings\":[{\"severity\":\"warning\",\"line\":0,"
                  "\"column\":0,\"path\":null,\"message\":\"odd\",\"text\":"
                  "\"/m/etcd.yaml: warning: odd\"}],\"conflictWith\":\"/m/a.yaml\"}");
    json_decref(own);
}

static void a_whole_pod_keeps_its_spec(void **state)
{
    struct pod_worker *w = *state;
    struct status_context c = context();
    json_t *pod = status_pod(w, &c);
    expect_member(pod, "kind", "\"Pod\"");
    json_t *metadata = json_object_get(pod, "metadata");
    expect_member(metadata, "creationTimestamp", "\"1970-01-01T00:00:10Z\"");
    expect_member(metadata, "uid", "\"u1\"");
    assert_non_null(json_object_get(pod, "spec"));
    assert_non_null(json_object_get(pod, "status"));
    assert_non_null(json_object_get(pod, "mainstay"));
    expect_member(json_object_get(pod, "spec"), "priority", NULL);
    json_decref(pod);
    w->pod->spec.priorityClassName = xstrdup("system-cluster-critical");
    pod = status_pod(w, &c);
    expect_member(json_object_get(pod, "spec"), "priority", "2000000000");
    json_decref(pod);
}

#define STATUS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATUS_TEST(a_new_container_waits),
        STATUS_TEST(a_running_container_runs),
        STATUS_TEST(an_init_container_that_succeeded_is_ready),
        STATUS_TEST(a_crash_loop_shows_reason_and_last_exit),
        STATUS_TEST(every_state_is_one_of_three),
        STATUS_TEST(conditions_follow_the_pod),
        STATUS_TEST(limits_that_are_not_enforced_are_a_condition),
        STATUS_TEST(a_readiness_gate_is_never_passed),
        STATUS_TEST(a_status_is_whole),
        STATUS_TEST(reasons_come_from_where_it_waits_or_failed),
        STATUS_TEST(the_extension_says_what_only_we_know),
        STATUS_TEST(a_pod_shows_what_is_wrong_with_its_file),
        STATUS_TEST(a_whole_pod_keeps_its_spec),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
