// supervisor/api-metrics*.c, api-stats.c: Prometheus' text and the kubelet's summary over a small
// agent, with pods that use what the test says.
#include "tests/unit/api-world.h"

#include "supervisor/api-metrics.h"

static struct stats used(void)
{
    struct stats s;
    stats_init(&s);
    s.at = (walltime){1700000000 * NSEC_PER_SEC + 250000000};
    s.cpu_usec = 1500001;
    s.cpu_rate = 25000000;
    s.memory_usage = 3 << 20;
    s.memory_working_set = 2 << 20;
    s.pressure[STATS_IO].some = (struct stats_pressure_line){70, 125, 50, 25};
    return s;
}

static void labels_are_escaped(void **state)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    metric_heading(&out, "m", "gauge", "a \\ b\n\"c\"");
    metric_begin(&out, "m", "a", "x\\y\n\"z\"", "b", NULL, NULL);
    metric_number(&out, -3);
    metric_begin(&out, "m", NULL);
    metric_seconds(&out, 1500001);
    assert_string_equal(out.data, "# HELP m a \\\\ b\\n\"c\"\n# TYPE m gauge\n"
                                  "m{a=\"x\\\\y\\n\\\"z\\\"\",b=\"\"} -3\nm 1.500001\n");
    metric_single(&out, "unknown", "gauge", "never shown", STATS_UNKNOWN);
    assert_null(strstr(out.data, "unknown"));
}

static void what_is_known_is_told_and_nothing_else(void **state)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    struct stats s = used();
    start_pod(add_pod("etcd"));
    world.stats = &s;
    assert_int_equal(request("GET", "/metrics/resource", &body), 200);
    assert_non_null(strstr(body.data,
                           "# TYPE container_cpu_usage_seconds_total counter\n"
                           "container_cpu_usage_seconds_total{container=\"etcd\",namespace=\"kube-"
                           "system\",pod=\"etcd-n1\"} 1.500001 1700000000250\n"));
    assert_non_null(strstr(body.data, "pod_memory_working_set_bytes{namespace=\"kube-system\",pod="
                                      "\"etcd-n1\"} 2097152 "));
    assert_null(strstr(body.data, "container_swap_usage_bytes"));
    assert_non_null(strstr(body.data, "\nscrape_error 0\n"));
    assert_int_equal(request("GET", "/metrics/cadvisor", &body), 200);
    assert_non_null(strstr(body.data, "\ncontainer_pressure_io_waiting_seconds_total{container="
                                      "\"etcd\""));
    assert_non_null(strstr(body.data, "\"} 0.000070\n"));
    assert_null(strstr(body.data, "container_memory_rss"));
    assert_null(strstr(body.data, "container_fs_"));
    world.stats = NULL;
}

static void a_summary_is_the_kubelets(void **state)
{
    struct stats s = used();
    start_pod(add_pod("etcd"));
    start_pod(add_pod("other"));
    world.stats = &s;
    json_t *summary = request_json("GET", "/stats/summary", 200);
    assert_string_equal(text_at(summary, "node.nodeName"), "n1");
    assert_string_equal(text_at(summary, "pods.0.podRef.name"), "etcd-n1");
    assert_string_equal(text_at(summary, "pods.1.podRef.name"), "other-n1");
    const json_t *cpu = at(summary, "pods.0.containers.0.cpu");
    assert_int_equal(json_integer_value(json_object_get(cpu, "usageNanoCores")), 25000000);
    assert_int_equal(json_integer_value(json_object_get(cpu, "usageCoreNanoSeconds")), 1500001000);
    assert_null(json_object_get(cpu, "psi"));
    assert_int_equal(json_integer_value(at(summary, "pods.0.memory.workingSetBytes")), 2 << 20);
    assert_null(at(summary, "pods.0.containers.0.memory.rssBytes"));
    assert_int_equal(json_integer_value(at(summary, "pods.0.containers.0.io.psi.some.total")),
                     70000);
    assert_true(json_real_value(at(summary, "pods.0.containers.0.io.psi.some.avg10")) > 1.24);
    json_decref(summary);
    summary = request_json("GET", "/stats/summary?pod=other&only_cpu_and_memory=true", 200);
    assert_int_equal(json_array_size(at(summary, "pods")), 1);
    assert_null(at(summary, "pods.0.io"));
    json_decref(summary);
    expect_refusal("GET", "/stats/summary?pod=nobody", 404, "nobody");
    world.stats = NULL;
}

// More containers than one turn of the loop asks, and pods that go away between two turns.
static void many_pods_take_many_turns(void **state)
{
    struct stats s = used();
    char name[16];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "p%02d", i);
        start_pod(add_pod(name));
    }
    world.stats = &s;
    struct sampling *sampling = sampling_new(world.agent.api, NULL);
    int steps = 1;
    assert_false(sampling_step(sampling));
    struct pod_worker *last = world.pods.workers[--world.pods.n];
    while (!sampling_step(sampling))
        steps++;
    assert_true(steps > 1);
    assert_int_equal(sampling->pods.n, 59);
    assert_string_equal(sampling->pods.items[58].name, "p58-n1");
    sampling_free(sampling);
    world.pods.workers[world.pods.n++] = last;
    json_t *summary = request_json("GET", "/stats/summary", 200);
    assert_int_equal(json_array_size(at(summary, "pods")), 60);
    json_decref(summary);
    world.stats = NULL;
}

static void the_agent_counts_itself(void **state)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    struct pod_worker *w = add_pod("etcd");
    start_pod(w);
    w->containers[0].restart_count = 3;
    event_add(world.agent.events, (struct event_object){0}, EVENT_WARNING, "Odd", "one");
    event_add(world.agent.events, (struct event_object){0}, EVENT_WARNING, "Odd", "one");
    assert_int_equal(request("GET", "/metrics", &body), 200);
    assert_non_null(strstr(body.data, "\nkubelet_running_pods 1\n"));
    assert_non_null(
        strstr(body.data, "mainstay_events_total{reason=\"Odd\",type=\"Warning\"} 2\n"));
    assert_non_null(strstr(body.data, "mainstay_container_restarts_total{container=\"etcd\""));
    assert_non_null(strstr(body.data, "} 3\n"));
    assert_non_null(strstr(body.data, "\nprocess_open_fds "));
    assert_int_equal(request("GET", "/metrics/probes", &body), 200);
    assert_null(strstr(body.data, "prober_probe_total{")); // it has none
    assert_int_equal(request("GET", "/metrics?verbose", &body), 400);
    assert_int_equal(request("HEAD", "/metrics", &body), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_escaped), API_TEST(what_is_known_is_told_and_nothing_else),
        API_TEST(a_summary_is_the_kubelets),  API_TEST(many_pods_take_many_turns),
        API_TEST(the_agent_counts_itself),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
