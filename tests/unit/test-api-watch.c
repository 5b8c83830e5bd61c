// supervisor/api-watch, api-stream, api-logs: replies that go on until something ends them.
#include "tests/unit/api-world.h"

// ---- tests: watches ----

static void a_pod_watch_tells_what_changes(void **state)
{
    struct pod_worker *etcd = add_pod("etcd");
    struct client c;
    client_open(&c, "GET", "/mainstay/v1/pods?watch=true");
    client_wait_for(&c, "{\"type\":\"BOOKMARK\"}\n");
    assert_true(str_starts_with(c.body.data, "{\"type\":\"ADDED\",\"object\":{"));
    buffer_truncate(&c.body, 0);

    start_pod(etcd);
    client_wait_for(&c, "\"state\":\"Running\"");
    assert_true(str_starts_with(c.body.data, "{\"type\":\"MODIFIED\""));
    // Several changes in one turn are told once, and one that shows nothing not at all.
    assert_null(strstr(c.body.data + 1, "{\"type\":\"MODIFIED"));
    buffer_truncate(&c.body, 0);
    api_pod_changed(world.agent.api, etcd, false);

    struct pod_worker *web = add_pod("web");
    api_pod_changed(world.agent.api, web, false);
    client_wait_for(&c, "uid-of-web");
    assert_true(str_starts_with(c.body.data, "{\"type\":\"ADDED\""));
    buffer_truncate(&c.body, 0);

    remove_pod(web);
    client_wait_for(&c, "uid-of-web");
    assert_true(str_starts_with(c.body.data, "{\"type\":\"DELETED\""));
    buffer_truncate(&c.body, 0);

    // A pod that comes and goes between two turns was never seen.
    struct pod_worker *brief = add_pod("brief");
    api_pod_changed(world.agent.api, brief, false);
    remove_pod(brief);
    pod_worker_hold(etcd, monotime_now());
    client_wait_for(&c, "\"held\":true");
    assert_null(strstr(c.body.data, "brief"));
    client_close(&c);
}

static void a_long_list_is_told_in_slices(void **state)
{
    _cleanup_free_ char *padding = xasprintf("%0100000d", 0);
    struct client c;
    json_t *list = request_json("GET", "/pods", 200);
    assert_string_equal(text_at(list, "kind"), "PodList");
    assert_int_equal(json_array_size(at(list, "items")), 0);
    json_decref(list);
    for (int i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i);
        pod_worker_set_waiting(add_pod(name), "Waiting", padding);
    }
    client_open(&c, "GET", "/pods");
    client_wait_for(&c, "uid-of-p10");
    remove_pod(world.pods.workers[59]); // before its turn came
    client_wait(&c, false);
    list = json_loads(c.body.data, 0, NULL);
    assert_int_equal(json_array_size(at(list, "items")), 59);
    assert_string_equal(text_at(list, "items.58.metadata.name"), "p58-n1");
    json_decref(list);
    client_close(&c);
    assert_int_equal(world.agent.api->streams.n, 0);
}

static void a_client_that_leaves_frees_its_watch(void **state)
{
    struct client c;
    client_open(&c, "GET", "/mainstay/v1/pods?watch=true");
    client_wait_for(&c, "BOOKMARK");
    assert_int_equal(world.agent.api->streams.n, 1);
    client_close(&c);
    while (world.agent.api->streams.n > 0 || world.agent.api->local.open > 0)
        turn();
    assert_true(world.agent.api->watches.n == 0);
}

static void an_idle_watch_wakes_nobody(void **state)
{
    struct client c;
    int enabled;
    client_open(&c, "GET", "/mainstay/v1/pods?watch=true");
    client_wait_for(&c, "BOOKMARK");
    for (int i = 0; i < 50; i++)
        sd_event_run(world.agent.loop, 0);
    assert_int_equal(sd_event_run(world.agent.loop, 0), 0);
    sd_event_source_get_enabled(world.agent.api->timeout, &enabled);
    assert_int_equal(enabled, SD_EVENT_OFF);
    sd_event_source_get_enabled(world.agent.api->kick, &enabled);
    assert_int_equal(enabled, SD_EVENT_OFF);
    client_close(&c);
}

static void watches_end_with_the_agent(void **state)
{
    struct client pods, events;
    client_open(&pods, "GET", "/mainstay/v1/pods?watch=true");
    client_wait_for(&pods, "BOOKMARK");
    client_open(&events, "GET", "/mainstay/v1/events?watch=true");
    while (!header_end(&events))
        turn();
    api_free(TAKE_PTR(world.agent.api));
    while (!pods.closed || !events.closed)
        turn();
    assert_false(take_chunks(&pods)); // the last chunk was sent, nothing was cut off
    assert_false(take_chunks(&events));
    client_close(&pods);
    client_close(&events);
    assert_int_equal(access(world.config.socket_path, F_OK), -1);
}

static void a_slow_reader_sees_the_newest_state(void **state)
{
    struct pod_worker *etcd = add_pod("etcd");
    _cleanup_free_ char *padding = xasprintf("%0100000d", 0);
    struct client c;
    client_open(&c, "GET", "/mainstay/v1/pods?watch=true");
    sd_event_source_set_enabled(c.source, SD_EVENT_OFF);
    for (int i = 0; i < 500; i++) {
        _cleanup_free_ char *message = xasprintf("%s %d.", padding, i);
        pod_worker_set_waiting(etcd, "Waiting", message);
        api_pod_changed(world.agent.api, etcd, false);
        for (int k = 0; k < 20; k++)
            sd_event_run(world.agent.loop, 0);
    }
    sd_event_source_set_enabled(c.source, SD_EVENT_ON);
    client_wait_for(&c, " 499.\"");
    assert_true(c.body.len < 100 * strlen(padding)); // most of them were skipped
    assert_null(strstr(c.body.data, "ERROR"));
    client_close(&c);
}

static void a_reader_that_misses_deletions_is_told(void **state)
{
    _cleanup_free_ char *padding = xasprintf("%0100000d", 0);
    struct client c;
    for (int i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i);
        pod_worker_set_waiting(add_pod(name), "Waiting", padding);
    }
    client_open(&c, "GET", "/mainstay/v1/pods?watch=true");
    client_wait_for(&c, "BOOKMARK");
    buffer_truncate(&c.body, 0);
    while (world.pods.n > 0)
        remove_pod(world.pods.workers[world.pods.n - 1]);
    assert_int_equal(client_wait(&c, false), 200);
    const char *last = strstr(c.body.data, "{\"type\":\"ERROR\"");
    assert_non_null(last);
    json_t *o = json_loads(last, 0, NULL);
    assert_int_equal(json_integer_value(at(o, "object.code")), 410);
    json_decref(o);
    client_close(&c);
}

static void an_event_watch_goes_on_where_the_list_ended(void **state)
{
    struct event_object etcd = {.namespace_ = "kube-system", .pod = "etcd-n1"};
    struct event_object web = {.namespace_ = "default", .pod = "web-n1"};
    struct client c;
    event_add(world.agent.events, etcd, EVENT_NORMAL, "Started", "before");
    event_add(world.agent.events, etcd, EVENT_NORMAL, "Started", "second");
    client_open(&c, "GET", "/mainstay/v1/events?watch=true&after=1&pod=etcd");
    client_wait_for(&c, "second");
    assert_null(strstr(c.body.data, "before"));
    event_add(world.agent.events, web, EVENT_NORMAL, "Started", "of another pod");
    event_add(world.agent.events, etcd, EVENT_NORMAL, "Started", "third");
    client_wait_for(&c, "third");
    assert_null(strstr(c.body.data, "another"));
    buffer_truncate(&c.body, 0);
    for (int i = 0; i < EVENTS_MOST + 100; i++)
        event_add(world.agent.events, etcd, EVENT_NORMAL, "Started", "flood %d", i);
    client_wait_for(&c, "\"type\":\"ERROR\"");
    client_close(&c);
    // An id from before the log began anew is no reason to stay silent.
    client_open(&c, "GET", "/mainstay/v1/events?watch=true&after=99999999");
    client_wait_for(&c, "flood 2147");
    client_close(&c);
}

static void manifests_are_watched_and_shown_at_their_pods(void **state)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct client manifests, pods;
    diag_add(&diags, DIAG_ERROR, (struct diag_place){"/m/etcd.yaml", 3, 7, "spec.x"}, "is wrong");
    add_pod("etcd");
    world.source.files[world.source.n++] =
        (struct manifest_status){.file = "/m/etcd.yaml", .state = MANIFEST_ACCEPTED, .hash = "aa"};
    client_open(&manifests, "GET", "/mainstay/v1/manifests?watch=true");
    client_wait_for(&manifests, "BOOKMARK");
    client_open(&pods, "GET", "/mainstay/v1/pods?watch=true");
    client_wait_for(&pods, "BOOKMARK");
    assert_non_null(strstr(pods.body.data, "\"manifest\":null"));

    world.source.files[0].state = MANIFEST_REFUSED;
    world.source.files[0].diags = &diags;
    api_manifest_changed(world.agent.api, "/m/etcd.yaml");
    client_wait_for(&manifests, "{\"type\":\"MODIFIED\",\"object\":{\"file\":\"/m/etcd.yaml\","
                                "\"state\":\"Refused\"");
    client_wait_for(&manifests, "/m/etcd.yaml:3:7: spec.x: is wrong");
    client_wait_for(&pods, "\"manifest\":{\"state\":\"Refused\",\"findings\":[{\"severity\":"
                           "\"error\",\"line\":3,\"column\":7,\"path\":\"spec.x\"");
    json_t *list = request_json("GET", "/mainstay/v1/manifests", 200);
    assert_string_equal(text_at(list, "items.0.findings.0.message"), "is wrong");
    json_decref(list);

    world.source.n = 0;
    api_manifest_changed(world.agent.api, "/m/etcd.yaml");
    client_wait_for(&manifests, "{\"type\":\"DELETED\",\"object\":{\"file\":\"/m/etcd.yaml\"");
    client_close(&manifests);
    client_close(&pods);
}

static void the_number_of_watches_is_bounded(void **state)
{
    static struct client clients[API_STREAMS_MOST];
    for (size_t i = 0; i < API_STREAMS_MOST; i++) {
        client_open(&clients[i], "GET", "/mainstay/v1/events?watch=true");
        while (!header_end(&clients[i]))
            turn();
    }
    expect_refusal("GET", "/mainstay/v1/pods?watch=true", 503, "open already");
    assert_int_equal(request("GET", "/healthz", NULL), 200);
    for (size_t i = 0; i < API_STREAMS_MOST; i++)
        client_close(&clients[i]);
    while (world.agent.api->streams.n > 0)
        turn();
}

// ---- tests: logs ----

static void write_log(const char *container, int run, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s/%d.log", world.dir, container, run);
    fs_mkdir_parents_of(AT_FDCWD, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

static void end_run(struct pod_worker *w)
{
    struct shim_state over = {.phase = SHIM_PHASE_EXITED, .exit_code = 1};
    pod_worker_container_over(&w->containers[0], &over, monotime_now());
}

static void logs_are_read(void **state)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    struct pod_worker *w = add_pod("etcd");
    expect_refusal("GET", "/containerLogs/kube-system/etcd/etcd", 400, "waiting to start");
    start_pod(w);
    expect_refusal("GET", "/containerLogs/kube-system/etcd/nginx", 404, "it has: etcd");
    expect_refusal("GET", "/containerLogs/-/etcd/etcd?tailLines=x", 400, "tailLines");
    expect_refusal("GET", "/containerLogs/-/etcd/etcd?sinceTime=now", 400, "sinceTime");
    expect_refusal("GET", "/containerLogs/-/etcd/etcd?sinceSeconds=1&sinceTime=x", 400, "at most");
    expect_refusal("GET", "/containerLogs/-/etcd/etcd", 404, "no log");
    write_log("etcd", 0, "2026-11-21T07:00:01Z stdout F one\n2026-11-21T07:00:02Z stderr F two\n");
    assert_int_equal(request("GET", "/containerLogs/-/etcd/etcd", &body), 200);
    assert_string_equal(body.data, "one\ntwo\n");
    assert_int_equal(request("GET", "/containerLogs/-/etcd/etcd?tailLines=1&timestamps", &body),
                     200);
    assert_string_equal(body.data, "2026-11-21T07:00:02Z two\n");
    expect_refusal("GET", "/containerLogs/-/etcd/etcd?previous=true", 400, "previous terminated");
    w->containers[0].restart_count = 1;
    write_log("etcd", 1, "2026-11-21T07:00:03Z stdout F three\n");
    assert_int_equal(request("GET", "/containerLogs/-/etcd/etcd?previous=true", &body), 200);
    assert_string_equal(body.data, "one\ntwo\n");
}

static void a_followed_log_ends_with_its_run(void **state)
{
    struct pod_worker *w = add_pod("etcd");
    struct client c;
    start_pod(w);
    write_log("etcd", 0, "2026-11-21T07:00:01Z stdout F one\n");
    client_open(&c, "GET", "/containerLogs/-/etcd/etcd?follow=true");
    client_wait_for(&c, "one\n");
    write_log("etcd", 0, "2026-11-21T07:00:02Z stdout F two\n");
    client_wait_for(&c, "two\n");
    write_log("etcd", 0, "2026-11-21T07:00:02Z stdout F last words\n");
    end_run(w);
    assert_int_equal(client_wait(&c, false), 200);
    assert_string_equal(c.body.data, "one\ntwo\nlast words\n");
    client_close(&c);
    assert_true(world.agent.api->log_streams.n == 0);
}

static void a_long_log_does_not_hold_up_the_loop(void **state)
{
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    struct pod_worker *w = add_pod("etcd");
    struct client c;
    start_pod(w);
    for (int i = 0; i < 100000; i++)
        buffer_printf(&log, "2026-11-21T07:00:01Z stdout F %060d\n", i);
    write_log("etcd", 0, log.data);
    client_open(&c, "GET", "/containerLogs/-/etcd/etcd");
    while (!header_end(&c))
        turn();
    size_t had = c.raw.len;
    assert_int_equal(request("GET", "/healthz", NULL), 200); // in the middle of it
    assert_true(c.raw.len - had < log.len / 2);
    assert_int_equal(client_wait(&c, false), 200);
    assert_int_equal(c.body.len, 100000 * 61);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_pod_watch_tells_what_changes),
        API_TEST(a_long_list_is_told_in_slices),
        API_TEST(a_client_that_leaves_frees_its_watch),
        API_TEST(an_idle_watch_wakes_nobody),
        API_TEST(watches_end_with_the_agent),
        API_TEST(a_slow_reader_sees_the_newest_state),
        API_TEST(a_reader_that_misses_deletions_is_told),
        API_TEST(an_event_watch_goes_on_where_the_list_ended),
        API_TEST(manifests_are_watched_and_shown_at_their_pods),
        API_TEST(the_number_of_watches_is_bounded),
        API_TEST(logs_are_read),
        API_TEST(a_followed_log_ends_with_its_run),
        API_TEST(a_long_log_does_not_hold_up_the_loop),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
