// supervisor/api*: requests and their refusals, status, verbs, sockets and who may use them.
#include "tests/unit/api-world.h"

// ---- tests: plain requests ----

static void health_is_answered(void **state)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    size_t part = health_register(world.agent.health, "source", 0);
    assert_int_equal(request("GET", "/healthz", &body), 200);
    assert_string_equal(body.data, "ok");
    assert_int_equal(request("GET", "/livez?verbose", &body), 200);
    assert_string_equal(body.data, "[+]source ok\nlivez check passed\n");
    assert_int_equal(request("HEAD", "/readyz", &body), 200);
    assert_string_equal(buffer_str(&body), "");
    health_set_ready(world.agent.health, part, false);
    assert_int_equal(request("GET", "/healthz", &body), 200);
    assert_int_equal(request("GET", "/readyz", &body), 500);
    health_set_failed(world.agent.health, part, "no");
    assert_int_equal(request("GET", "/healthz", &body), 500);
    assert_string_equal(body.data, "[-]source failed: no\nhealthz check failed\n");
}

static void a_part_is_asked_for_or_left_out(void **state)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    size_t logs = health_register(world.agent.health, "logs", 0);
    health_register(world.agent.health, "loop", 0);
    health_set_degraded(world.agent.health, logs, "a shim is silent");
    assert_int_equal(request("GET", "/livez/logs", &body), 200);
    assert_string_equal(body.data, "ok");
    assert_int_equal(request("GET", "/readyz/logs", &body), 500);
    assert_string_equal(body.data, "[-]logs failed: a shim is silent\n");
    assert_int_equal(request("GET", "/readyz/loop?verbose", &body), 200);
    assert_string_equal(body.data, "[+]loop ok\n");
    assert_int_equal(request("GET", "/readyz/log", &body), 404);
    assert_int_equal(request("GET", "/readyz", &body), 500);
    assert_int_equal(request("GET", "/readyz?exclude=logs&exclude=loop", &body), 200);
    assert_string_equal(body.data, "ok");
    assert_int_equal(request("GET", "/readyz?verbose&exclude=logs&exclude=x", &body), 200);
    assert_string_equal(body.data, "[+]logs excluded: ok\n[+]loop ok\nreadyz check passed\n"
                                   "warn: there is no check \"x\" to exclude\n");
}

static void wrong_requests_are_refused_by_name(void **state)
{
    expect_refusal("GET", "/nothing/here", 404, "nothing at this address");
    expect_refusal("GET", "/mainstay/v1/pods/a/b/c/d/e/f/g", 400, "too many parts");
    expect_refusal("POST", "/pods", 405, "GET, HEAD");
    expect_refusal("GET", "/mainstay/v1/rescan", 405, "POST");
    expect_refusal("DELETE", "/mainstay/v1/pods/-/etcd", 405, "GET, HEAD");
    expect_refusal("GET", "/pods?limit=1", 400, "unknown query parameter \"limit\"");
    expect_refusal("GET", "/mainstay/v1/pods?wath=true", 400, "known: watch");
    expect_refusal("GET", "/mainstay/v1/pods?watch=1&watch=1", 400, "given twice");
    expect_refusal("GET", "/mainstay/v1/pods?watch=perhaps", 400, "must be true or false");
    expect_refusal("GET", "/mainstay/v1/events?after=-1", 400, "whole number");
    expect_refusal("GET", "/mainstay/v1/events?after=99999999999999999999", 400, "whole number");
    expect_refusal("GET", "/mainstay/v1/pods/%zz/x", 400, "%-encoded");
    expect_refusal("GET", "/mainstay/v1/pods/a%00/x", 400, "%-encoded");
    expect_refusal("GET", "/mainstay/v1/pods/%ff/x", 400, "%-encoded");
    expect_refusal("GET", "/mainstay/v1/pods/-/nobody", 404, "nobody");
    expect_refusal("GET", "/mainstay/v1/pods/a%2Fb/nobody", 404, "nobody");
    _cleanup_free_ char *lengthy = xasprintf("/pods?%05000d", 0);
    expect_refusal("GET", lengthy, 400, "too long");
}

static void bodies_are_bounded(void **state)
{
    struct client c;
    client_on(&c, connect_local(world.config.socket_path));
    client_send(&c,
                "POST /mainstay/v1/rescan HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(client_wait(&c, false), 202);
    assert_int_equal(world.source.rescans, 1);
    client_close(&c);
    client_on(&c, connect_local(world.config.socket_path));
    client_send(&c,
                "POST /mainstay/v1/rescan HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n");
    assert_int_equal(client_wait(&c, false), 413);
    client_close(&c);
    assert_int_equal(world.source.rescans, 1);
}

static void one_connection_serves_many_requests(void **state)
{
    struct client c;
    client_on(&c, connect_local(world.config.socket_path));
    for (int i = 0; i < 3; i++) {
        client_send(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(client_wait(&c, false), 200);
        assert_string_equal(c.body.data, "ok");
        buffer_truncate(&c.raw, 0);
        buffer_truncate(&c.body, 0);
    }
    client_close(&c);
}

static void pods_carry_their_status(void **state)
{
    struct pod_worker *w = add_pod("etcd");
    start_pod(w);
    json_t *list = request_json("GET", "/pods", 200);
    assert_string_equal(text_at(list, "kind"), "PodList");
    assert_string_equal(text_at(list, "items.0.metadata.name"), "etcd-n1");
    assert_string_equal(text_at(list, "items.0.status.phase"), "Running");
    assert_string_equal(text_at(list, "items.0.status.podIP"), "10.0.0.1");
    assert_string_equal(text_at(list, "items.0.status.qosClass"), "BestEffort");
    assert_string_equal(text_at(list, "items.0.status.conditions.2.type"), "Ready");
    assert_string_equal(text_at(list, "items.0.status.conditions.2.status"), "True");
    assert_true(json_is_true(at(list, "items.0.status.containerStatuses.0.ready")));
    assert_non_null(at(list, "items.0.status.containerStatuses.0.state.running.startedAt"));
    assert_string_equal(text_at(list, "items.0.mainstay.containers.0.state"), "Running");
    assert_string_equal(text_at(list, "items.0.mainstay.containers.0.command"), "/usr/bin/etcd");
    assert_int_equal(json_integer_value(at(list, "items.0.mainstay.containers.0.pid")), 4711);
    json_decref(list);
    json_t *pod = request_json("GET", "/mainstay/v1/pods/kube-system/etcd", 200);
    assert_string_equal(text_at(pod, "metadata.name"), "etcd-n1");
    assert_string_equal(text_at(pod, "mainstay.file"), "/m/etcd.yaml");
    json_decref(pod);
    expect_refusal("GET", "/mainstay/v1/pods/default/etcd", 404, "etcd");
}

static void the_agent_describes_itself(void **state)
{
    struct pod_worker *w = add_pod("etcd");
    start_pod(w);
    add_pod("waiting");
    world.source.files[world.source.n++] =
        (struct manifest_status){.file = "/m/a.yaml", .state = MANIFEST_REFUSED};
    string_list_add(&world.agent.limitations, "no memory controller");
    event_add(world.agent.events, (struct event_object){0}, EVENT_NORMAL, "Started", "x");
    json_t *o = request_json("GET", "/mainstay/v1/status", 200);
    assert_string_equal(text_at(o, "version"), MAINSTAY_VERSION);
    assert_int_equal(json_integer_value(at(o, "pid")), getpid());
    assert_string_equal(text_at(o, "node"), "n1");
    assert_true(json_is_true(at(o, "live")));
    assert_true(json_is_null(at(o, "unhealthy")));
    assert_true(json_is_null(at(o, "healthz")));
    assert_string_equal(text_at(o, "directories.podLogs"), world.dir);
    assert_string_equal(text_at(o, "limitations.0"), "no memory controller");
    assert_int_equal(json_integer_value(at(o, "counts.pods")), 2);
    assert_int_equal(json_integer_value(at(o, "counts.ready")), 1);
    assert_int_equal(json_integer_value(at(o, "counts.pending")), 1);
    assert_int_equal(json_integer_value(at(o, "counts.refused")), 1);
    assert_int_equal(json_integer_value(at(o, "lastEvent")),
                     (json_int_t)event_log_newest(world.agent.events));
    json_decref(o);
    string_list_free(&world.agent.limitations);
    o = request_json("GET", "/configz", 200);
    assert_string_equal(text_at(o, "kubeletconfig.staticPodPath"), "/m");
    assert_int_equal(json_integer_value(at(o, "kubeletconfig.healthzPort")), 10248);
    assert_int_equal(json_integer_value(at(o, "kubeletconfig.x.1")), 2);
    json_decref(o);
}

static void operators_verbs_reach_the_pod(void **state)
{
    struct pod_worker *w = add_pod("etcd");
    expect_refusal("POST", "/mainstay/v1/pods/-/etcd/restart", 409, "waiting to start");
    start_pod(w);
    expect_refusal("POST", "/mainstay/v1/pods/-/etcd/restart?container=nginx", 404, "nginx");
    json_decref(request_json("POST", "/mainstay/v1/pods/-/etcd/start", 202));
    assert_int_equal(w->state, POD_RUNNING);
    json_decref(request_json("POST", "/mainstay/v1/pods/-/etcd/retry", 202));
    json_t *o = request_json("POST", "/mainstay/v1/pods/kube-system/etcd-n1/restart", 202);
    assert_non_null(strstr(text_at(o, "message"), "etcd-n1 is being restarted"));
    json_decref(o);
    assert_int_equal(w->containers[0].state, CONTAINER_TERMINATING);
    json_decref(request_json("POST", "/mainstay/v1/pods/-/etcd/stop", 202));
    assert_true(w->held);
    o = request_json("POST", "/mainstay/v1/pods/-/etcd/stop", 202);
    assert_non_null(strstr(text_at(o, "message"), "stopped already"));
    json_decref(o);
    json_decref(request_json("POST", "/mainstay/v1/pods/-/etcd/start", 202));
    assert_false(w->held);
    pod_worker_remove(w, monotime_now());
    expect_refusal("POST", "/mainstay/v1/pods/-/etcd/stop", 409, "being removed");
    json_decref(request_json("POST", "/mainstay/v1/stop-all", 202));
    assert_int_equal(world.stopped, 1);
    assert_int_equal(world.stopped_exit, 0);
    json_decref(request_json("POST", "/mainstay/v1/stop-all?exit=true", 202));
    assert_int_equal(world.stopped_exit, 1);
}

static void events_are_listed_and_filtered(void **state)
{
    struct event_object etcd = {.namespace_ = "kube-system", .pod = "etcd-n1"};
    struct event_object web = {.namespace_ = "default", .pod = "web-n1"};
    event_add(world.agent.events, etcd, EVENT_NORMAL, "Started", "one");
    event_add(world.agent.events, web, EVENT_NORMAL, "Started", "two");
    event_add(world.agent.events, etcd, EVENT_WARNING, "BackOff", "three");
    json_t *o = request_json("GET", "/mainstay/v1/events", 200);
    assert_string_equal(text_at(o, "kind"), "EventList");
    assert_string_equal(text_at(o, "metadata.resourceVersion"), "3");
    assert_int_equal(json_array_size(at(o, "items")), 3);
    json_decref(o);
    o = request_json("GET", "/mainstay/v1/events?pod=etcd&after=1", 200);
    assert_int_equal(json_array_size(at(o, "items")), 1);
    assert_string_equal(text_at(o, "items.0.message"), "three");
    json_decref(o);
    o = request_json("GET", "/mainstay/v1/events?namespace=default", 200);
    assert_int_equal(json_array_size(at(o, "items")), 1);
    json_decref(o);
}

// ---- tests: sockets ----

static void restart_with_health_port(int port)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    api_free(TAKE_PTR(world.agent.api));
    world.config.healthz_port = port;
    if (api_start(&world.agent, &world.agent.api, &err) < 0)
        fail_msg("%s", error_message(&err));
}

// A port that is free just now, and a socket bound to it.
static int bound_port(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void the_health_port_answers_health_only(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client c;
    int port, fd = bound_port(&port);
    close(fd);
    restart_with_health_port(port);
    address.sin_port = htons((uint16_t)port);
    for (int i = 0; i < 2; i++) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        client_on(&c, fd);
        client_send(&c, i == 0
                            ? "GET /healthz HTTP/1.1\r\nHost: x\r\nUser-Agent: Monit/5.33\r\n\r\n"
                            : "GET /pods HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(client_wait(&c, false), i == 0 ? 200 : 404);
        client_close(&c);
    }
    json_t *o = request_json("GET", "/mainstay/v1/status", 200);
    assert_string_equal(text_at(o, "watchers.0.name"), "monit");
    assert_true(str_starts_with(text_at(o, "watchers.0.detail"), "Monit/5.33 asked"));
    assert_true(str_starts_with(text_at(o, "healthz"), "127.0.0.1:"));
    json_decref(o);
}

static void a_taken_health_port_names_the_way_out(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct api *api;
    int port, fd = bound_port(&port);
    assert_int_equal(listen(fd, 1), 0);
    api_free(TAKE_PTR(world.agent.api));
    world.config.healthz_port = port;
    assert_int_equal(api_start(&world.agent, &api, &err), -EADDRINUSE);
    assert_non_null(strstr(error_message(&err), "--healthz-port"));
    close(fd);
}

static void a_second_agent_is_kept_out(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct agent other = world.agent;
    struct api *api;
    struct stat st;
    assert_int_equal(stat(world.config.socket_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(api_start(&other, &api, &err), -EADDRINUSE);
    assert_non_null(strstr(error_message(&err), "another agent is running"));
    assert_int_equal(request("GET", "/healthz", NULL), 200);
}

// The listener is killed while a child of its has not executed anything yet.
static void a_socket_that_only_a_child_still_holds_is_stale(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int hold[2];
    api_free(TAKE_PTR(world.agent.api));
    strcpy(address.sun_path, world.config.socket_path);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t listener = fork();
    if (listener == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
            _exit(1);
        if (fork() > 0)
            _exit(0);
        close(hold[1]);
        _exit((int)read(hold[0], &address, 1)); // until the test is over
    }
    int status;
    assert_int_equal(waitpid(listener, &status, 0), listener);
    assert_int_equal(status, 0);
    assert_int_equal(api_start(&world.agent, &world.agent.api, &err), 0);
    assert_int_equal(request("GET", "/healthz", NULL), 200);
    close(hold[0]);
    close(hold[1]);
}

static void a_stale_socket_is_replaced_and_nothing_else(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = world.config.socket_path;
    api_free(TAKE_PTR(world.agent.api));
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(api_start(&world.agent, &world.agent.api, &err), -EADDRINUSE);
    assert_non_null(strstr(error_message(&err), "somebody answers"));
    close(fd); // it is stale now
    assert_int_equal(api_start(&world.agent, &world.agent.api, &err), 0);
    assert_int_equal(request("GET", "/healthz", NULL), 200);
    api_free(TAKE_PTR(world.agent.api));
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, "precious", 8, 0600, 0), 0);
    assert_int_equal(api_start(&world.agent, &world.agent.api, &err), -EEXIST);
    assert_int_equal(access(path, F_OK), 0);
}

static void restart(void)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (api_start(&world.agent, &world.agent.api, &err) < 0)
        fail_msg("%s", error_message(&err));
}

// A client of the health port that has not been accepted yet.
static int connect_health(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void clients_queue_up_for_the_next_agent(void **state)
{
    struct client clients[2];
    int port, fd = bound_port(&port);
    close(fd);
    world.agent.handover = handover_receive();
    restart_with_health_port(port);
    world.agent.reexec = true;
    api_free(TAKE_PTR(world.agent.api)); // there is no agent
    client_on(&clients[0], connect_local(world.config.socket_path));
    client_on(&clients[1], connect_health(port));
    for (int i = 0; i < 2; i++)
        client_send(&clients[i], "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    restart();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(client_wait(&clients[i], false), 200);
        client_close(&clients[i]);
    }
    world.agent.reexec = false;
    handover_free(TAKE_PTR(world.agent.handover));
}

static void a_socket_that_no_client_reaches_is_let_go(void **state)
{
    int port, other, fd = bound_port(&port);
    close(fd);
    fd = bound_port(&other);
    close(fd);
    world.agent.handover = handover_receive();
    restart_with_health_port(port);
    world.agent.reexec = true;
    // Its file is removed, replaced by somebody else's, and the port is another one.
    api_free(TAKE_PTR(world.agent.api));
    assert_int_equal(unlink(world.config.socket_path), 0);
    world.config.healthz_port = other;
    restart();
    assert_int_equal(request("GET", "/healthz", NULL), 200);
    fd = connect_health(other);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(connect_health(port), -1);
    if (geteuid() == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, world.config.socket_path);
        api_free(TAKE_PTR(world.agent.api));
        assert_int_equal(unlink(world.config.socket_path), 0);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        close(fd);
        restart();
        assert_int_equal(request("GET", "/healthz", NULL), 200);
    }
    api_free(TAKE_PTR(world.agent.api));
    world.config.healthz_port = 0;
    restart();
    assert_int_equal(connect_health(other), -1);
    world.agent.reexec = false;
    handover_free(TAKE_PTR(world.agent.handover));
}

static void a_port_is_tried_before_it_is_moved_to(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct config next = {.healthz_bind_address = world.config.healthz_bind_address};
    int fd = bound_port(&next.healthz_port), moved;
    assert_int_equal(listen(fd, 1), 0);
    world.agent.handover = handover_receive();
    assert_int_equal(api_prepare(world.agent.api, &next, &err), -EADDRINUSE);
    close(fd);
    assert_int_equal(api_prepare(world.agent.api, &next, &err), 0);
    moved = connect_health(next.healthz_port);
    assert_true(moved >= 0);
    close(moved);
    handover_free(TAKE_PTR(world.agent.handover));
}

static void a_reload_is_answered(void **state)
{
    expect_refusal("POST", "/mainstay/v1/reload?now=1", 400, "there are none here");
    json_t *o = request_json("POST", "/mainstay/v1/reload", 202);
    assert_non_null(strstr(text_at(o, "message"), "as before"));
    json_decref(o);
    world.reload = 1;
    o = request_json("POST", "/mainstay/v1/reload", 202);
    assert_string_equal(text_at(o, "message"), "coming into force: healthzPort: 1 → 2");
    json_decref(o);
    world.reload = -EINVAL;
    expect_refusal("POST", "/mainstay/v1/reload", 422, "c.yaml:3:5: healthzPort");
    world.reload = 0;
}

static const char *ask_as_nobody(const char *path)
{
    static char got[256];
    if (setgid(65534) < 0 || setuid(65534) < 0)
        return "could not become nobody";
    int fd = connect_local(path);
    if (fd < 0)
        return "could not connect";
    return recv(fd, got, sizeof(got) - 1, 0) > 0 ? got : "no answer";
}

static void other_users_are_turned_away(void **state)
{
    if (geteuid() != 0) {
        print_message("skipped: only root can try the socket as another user\n");
        skip();
    }
    struct client answer;
    int pair[2];
    _cleanup_free_ char *run_dir = path_join(world.dir, "run");
    assert_int_equal(chmod(world.dir, 0755) | chmod(run_dir, 0755), 0);
    assert_int_equal(chmod(world.config.socket_path, 0666), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        const char *text = ask_as_nobody(world.config.socket_path);
        _exit(send(pair[1], text, strlen(text), 0) < 0);
    }
    close(pair[1]);
    client_on(&answer, pair[0]);
    while (!answer.closed)
        turn();
    assert_true(str_starts_with(answer.raw.data, "HTTP/1.1 403 "));
    client_close(&answer);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(world.agent.api->local.open, 0);
}

static void without_descriptors_connections_wait(void **state)
{
    struct rlimit before, tight;
    struct client c;
    int first_free = dup(0);
    client_on(&c, connect_local(world.config.socket_path));
    client_send(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    close(first_free);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){(rlim_t)first_free, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (world.agent.api->local.open == 0) {
        turn(); // in vain
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    assert_int_equal(client_wait(&c, false), 200);
    client_close(&c);
}

static void the_number_of_connections_is_bounded(void **state)
{
    static int fds[API_CONNECTIONS_MOST];
    struct client one_more;
    for (size_t i = 0; i < API_CONNECTIONS_MOST; i++) {
        fds[i] = connect_local(world.config.socket_path);
        assert_true(fds[i] >= 0);
        while (world.agent.api->local.open <= i)
            turn();
    }
    client_on(&one_more, connect_local(world.config.socket_path));
    while (!one_more.closed)
        turn();
    assert_true(str_starts_with(one_more.raw.data, "HTTP/1.1 503 "));
    client_close(&one_more);
    for (size_t i = 0; i < API_CONNECTIONS_MOST; i++)
        close(fds[i]);
    while (world.agent.api->local.open > 0)
        turn();
    assert_int_equal(request("GET", "/healthz", NULL), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(health_is_answered),
        API_TEST(a_part_is_asked_for_or_left_out),
        API_TEST(wrong_requests_are_refused_by_name),
        API_TEST(bodies_are_bounded),
        API_TEST(one_connection_serves_many_requests),
        API_TEST(pods_carry_their_status),
        API_TEST(the_agent_describes_itself),
        API_TEST(operators_verbs_reach_the_pod),
        API_TEST(events_are_listed_and_filtered),
        API_TEST(the_health_port_answers_health_only),
        API_TEST(a_taken_health_port_names_the_way_out),
        API_TEST(a_second_agent_is_kept_out),
        API_TEST(a_socket_that_only_a_child_still_holds_is_stale),
        API_TEST(a_stale_socket_is_replaced_and_nothing_else),
        API_TEST(clients_queue_up_for_the_next_agent),
        API_TEST(a_socket_that_no_client_reaches_is_let_go),
        API_TEST(a_port_is_tried_before_it_is_moved_to),
        API_TEST(a_reload_is_answered),
        API_TEST(other_users_are_turned_away),
        API_TEST(without_descriptors_connections_wait),
        API_TEST(the_number_of_connections_is_bounded),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
