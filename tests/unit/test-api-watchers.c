// supervisor/api-watchers: who watches the agent, as its environment and its askers tell.
#include "tests/unit/api-world.h"

static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "MONIT_SERVICE"};

static void set_environment(const char *notify_socket, const char *watchdog_usec,
                            const char *monit_service)
{
    const char *values[] = {notify_socket, watchdog_usec, NULL, monit_service};
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        if (values[i])
            setenv(variables[i], values[i], 1);
        else
            unsetenv(variables[i]);
    }
}

// "systemd(watchdog every 30s)RH": R restarts, H notices hangs.
static char *watchers(void)
{
    struct buffer out = BUFFER_EMPTY;
    json_t *o = request_json("GET", "/mainstay/v1/status", 200), *watcher;
    size_t i;
    json_array_foreach (json_object_get(o, "watchers"), i, watcher) {
        buffer_printf(&out, "%s%s(%s)%s%s", i > 0 ? " " : "", text_at(watcher, "name"),
                      text_at(watcher, "detail"), json_is_true(at(watcher, "restarts")) ? "R" : "",
                      json_is_true(at(watcher, "noticesHangs")) ? "H" : "");
    }
    json_decref(o);
    return buffer_take(&out);
}

static void the_environment_tells_who_started_it(void **state)
{
    static const struct {
        const char *notify_socket, *watchdog_usec, *monit_service, *expected;
    } cases[] = {
        {NULL, NULL, NULL, ""},
        {"/run/systemd/notify", "30000000", NULL, "systemd(watchdog every 30s)RH"},
        {"/run/systemd/notify", NULL, NULL, "systemd(started it, without a watchdog)R"},
        {"@/org/freedesktop/systemd1/notify/7", NULL, NULL,
         "systemd(started it, without a watchdog)R"},
        {"/run/user/1000/systemd/notify", NULL, NULL, "systemd(started it, without a watchdog)R"},
        // start-stop-daemon --notify-await listens until the agent is ready, and is gone then.
        {"@dpkg", NULL, NULL, ""},
        {"/somebody/else", "1000000", NULL, "systemd(watchdog every 1s)RH"},
        {NULL, NULL, "kubelet", "monit(started it as kubelet, has not asked yet)RH"},
        {"/run/systemd/notify", "30000000", "mainstayd",
         "systemd(watchdog every 30s)RH monit(started it as mainstayd, has not asked yet)RH"},
    };
    world.agent.started_at = walltime_now();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set_environment(cases[i].notify_socket, cases[i].watchdog_usec, cases[i].monit_service);
        _cleanup_free_ char *found = watchers();
        set_environment(NULL, NULL, NULL);
        assert_string_equal(found, cases[i].expected);
    }
}

static void monit_that_never_asks_is_forgotten(void **state)
{
    world.agent.started_at.nsec = walltime_now().nsec - 601 * NSEC_PER_SEC;
    set_environment(NULL, NULL, "mainstayd");
    _cleanup_free_ char *found = watchers();
    set_environment(NULL, NULL, NULL);
    assert_string_equal(found, "");
}

static void ask(const char *user_agent)
{
    struct client c;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", world.config.socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    _cleanup_free_ char *text =
        xasprintf("GET /healthz HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\n\r\n", user_agent);
    client_on(&c, fd);
    client_send(&c, text);
    assert_int_equal(client_wait(&c, false), 200);
    client_close(&c);
}

// On the socket anybody may be an operator, but nobody else calls himself monit.
static void monit_may_ask_over_the_socket(void **state)
{
    set_environment(NULL, NULL, NULL);
    ask("curl/7.88.1");
    _cleanup_free_ char *nobody = watchers();
    assert_string_equal(nobody, "");
    ask("Monit/5.33.0");
    ask("curl/7.88.1");
    _cleanup_free_ char *found = watchers();
    assert_true(str_starts_with(found, "monit(Monit/5.33.0 asked for the health "));
    assert_true(str_ends_with(found, " ago)RH"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(the_environment_tells_who_started_it),
        API_TEST(monit_that_never_asks_is_forgotten),
        API_TEST(monit_may_ask_over_the_socket),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
