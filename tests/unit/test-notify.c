// monit/notify: what reaches the service manager, and when the watchdog is fed. The manager is a
// datagram socket of the test.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/string-list.h"
#include "monit/notify.h"

struct fixture {
    int manager;
    sd_event *loop;
    struct health *health;
    struct notify *notify;
    char got[64 << 10];
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "test-notify-%d", (int)getpid());
    size_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1);
    f->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->manager, (struct sockaddr *)&address, (socklen_t)size), 0);
    address.sun_path[0] = '@';
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    assert_int_equal(sd_event_new(&f->loop), 0);
    f->health = health_new(USEC_PER_SEC, monotime_now());
    log_set_level(LOG_LEVEL_ERROR - 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    notify_free(f->notify);
    health_free(f->health);
    sd_event_unref(f->loop);
    close(f->manager);
    free(f);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

static void start(struct fixture *f)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(notify_new(f->loop, f->health, &f->notify, &err), 0);
}

// The next datagram, or "" where there is none.
static const char *receive(struct fixture *f)
{
    ssize_t n = recv(f->manager, f->got, sizeof(f->got) - 1, 0);
    f->got[n < 0 ? 0 : n] = '\0';
    return f->got;
}

static void it_says_what_it_does(void **state)
{
    struct fixture *f = *state;
    char expected[64];
    start(f);
    notify_status(f->notify, "%d pods", 3);
    assert_string_equal(receive(f), "STATUS=3 pods");
    notify_status(f->notify, "%d pods", 3);
    assert_string_equal(receive(f), "");
    notify_status(f->notify, "two\nlines");
    assert_string_equal(receive(f), "STATUS=two lines");
    notify_ready(f->notify);
    snprintf(expected, sizeof(expected), "READY=1\nMAINPID=%d", (int)getpid());
    assert_string_equal(receive(f), expected);
    notify_reloading(f->notify);
    assert_true(str_starts_with(receive(f), "RELOADING=1\nMONOTONIC_USEC="));
    notify_stopping(f->notify);
    assert_string_equal(receive(f), "STOPPING=1");
}

static void it_keeps_descriptors_there(void **state)
{
    struct fixture *f = *state;
    int pipe_fds[2];
    char control[64];
    struct iovec iov = {.iov_base = f->got, .iov_len = sizeof(f->got) - 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    start(f);
    assert_int_equal(pipe(pipe_fds), 0);
    notify_store_fd(f->notify, "api", pipe_fds[1]);
    close(pipe_fds[1]); // its own copy is what is sent
    ssize_t n = recvmsg(f->manager, &message, MSG_CMSG_CLOEXEC);
    assert_true(n > 0);
    f->got[n] = '\0';
    assert_string_equal(f->got, "FDSTORE=1\nFDNAME=api");
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    assert_non_null(header);
    assert_int_equal(header->cmsg_type, SCM_RIGHTS);
    memcpy(&pipe_fds[1], CMSG_DATA(header), sizeof(int));
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], f->got, sizeof(f->got)), 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    notify_forget_fd(f->notify, "api");
    assert_string_equal(receive(f), "FDSTOREREMOVE=1\nFDNAME=api");
    notify_extend(f->notify, 1500000);
    assert_string_equal(receive(f), "EXTEND_TIMEOUT_USEC=1500000");
}

static void descriptors_wait_for_a_manager_that_hangs(void **state)
{
    struct fixture *f = *state;
    start(f);
    for (int i = 0; i < 1000; i++)
        notify_extend(f->notify, i);
    notify_store_fd(f->notify, "a", f->manager);
    notify_forget_fd(f->notify, "b");
    int stored = 0, removed = 0;
    while (!removed) {
        if (receive(f)[0] == '\0')
            assert_true(sd_event_run(f->loop, UINT64_MAX) > 0);
        stored += strcmp(f->got, "FDSTORE=1\nFDNAME=a") == 0;
        removed += strcmp(f->got, "FDSTOREREMOVE=1\nFDNAME=b") == 0;
    }
    assert_int_equal(stored, 1);
}

static void without_a_manager_nothing_happens(void **state)
{
    struct fixture *f = *state;
    unsetenv("NOTIFY_SOCKET");
    start(f);
    notify_ready(f->notify);
    notify_status(f->notify, "nobody listens");
    notify_extend(f->notify, 1);
    notify_store_fd(f->notify, "api", f->manager);
    notify_forget_fd(f->notify, "api");
    assert_string_equal(receive(f), "");
}

static void a_socket_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    _cleanup_error_ struct error err = ERROR_NONE;
    setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
    assert_int_equal(notify_new(f->loop, f->health, &f->notify, &err), -ENOENT);
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(notify_new(f->loop, f->health, &f->notify, &err), -EINVAL);
}

static void the_watchdog_is_fed_while_all_is_well(void **state)
{
    struct fixture *f = *state;
    setenv("WATCHDOG_USEC", "20000", 1);
    size_t part = health_register(f->health, "source", 0);
    start(f);
    for (int i = 0; i < 3; i++) {
        assert_true(sd_event_run(f->loop, UINT64_MAX) > 0);
        assert_string_equal(receive(f), "WATCHDOG=1");
    }
    notify_status(f->notify, "4 pods");
    assert_string_equal(receive(f), "STATUS=4 pods");
    health_set_failed(f->health, part, "cannot be read");
    assert_true(sd_event_run(f->loop, UINT64_MAX) > 0);
    assert_string_equal(receive(f), "STATUS=Unhealthy: source: cannot be read");
    // It is said once, and the watchdog goes hungry.
    assert_true(sd_event_run(f->loop, UINT64_MAX) > 0);
    assert_string_equal(receive(f), "");
    notify_status(f->notify, "5 pods");
    assert_string_equal(receive(f), "");
    health_set_failed(f->health, part, NULL);
    assert_true(sd_event_run(f->loop, UINT64_MAX) > 0);
    assert_string_equal(receive(f), "STATUS=5 pods");
    assert_string_equal(receive(f), "WATCHDOG=1");
}

static void what_is_degraded_is_told_and_fed(void **state)
{
    struct fixture *f = *state;
    size_t loop = health_register(f->health, "loop", 0);
    size_t logs = health_register(f->health, "logs", 0);
    start(f);
    assert_int_equal(notify_feeds_every(f->notify), 0);
    notify_status(f->notify, "4 pods");
    assert_string_equal(receive(f), "STATUS=4 pods");
    health_set_degraded(f->health, logs, "a shim is silent for 1m");
    assert_true(notify_health(f->notify));
    assert_string_equal(receive(f), "STATUS=Degraded: logs: a shim is silent for 1m");
    assert_true(notify_health(f->notify));
    assert_string_equal(receive(f), "");
    // What it is about changes, and it gets worse.
    health_set_degraded(f->health, logs, "a shim is silent for 2m");
    assert_true(notify_health(f->notify));
    assert_string_equal(receive(f), "STATUS=Degraded: logs: a shim is silent for 2m");
    health_set_failed(f->health, loop, "stuck");
    assert_false(notify_health(f->notify));
    assert_string_equal(receive(f), "STATUS=Unhealthy: loop: stuck; logs: a shim is silent for 2m");
    notify_repeat_status(f->notify);
    assert_string_equal(receive(f), "STATUS=Unhealthy: loop: stuck; logs: a shim is silent for 2m");
    health_set_failed(f->health, loop, NULL);
    health_set_degraded(f->health, logs, NULL);
    assert_true(notify_health(f->notify));
    assert_string_equal(receive(f), "STATUS=4 pods");
}

static void count(void *userdata)
{
    ++*(int *)userdata;
}

static void it_is_fed_every_15_seconds_at_least(void **state)
{
    struct fixture *f = *state;
    int checks = 0;
    setenv("WATCHDOG_USEC", "90000000", 1);
    start(f);
    assert_int_equal(notify_feeds_every(f->notify), 15 * USEC_PER_SEC);
    notify_set_check(f->notify, count, &checks);
    assert_true(sd_event_run(f->loop, UINT64_MAX) > 0); // the first time at once
    assert_string_equal(receive(f), "WATCHDOG=1");
    assert_int_equal(checks, 1);
}

static void a_manager_that_hangs_does_not_hold_up_the_loop(void **state)
{
    struct fixture *f = *state;
    start(f);
    // Its queue is full after a few; what does not fit is sent when it reads again.
    for (int i = 0; i < 1000; i++)
        notify_status(f->notify, "status %d", i);
    notify_stopping(f->notify);
    bool stopped = false;
    for (int i = 0; i < 2000 && !stopped; i++) {
        if (receive(f)[0] == '\0')
            assert_true(sd_event_run(f->loop, UINT64_MAX) > 0);
        stopped = strstr(f->got, "STOPPING=1") != NULL;
    }
    assert_true(stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_what_it_does, setup, teardown),
        cmocka_unit_test_setup_teardown(it_keeps_descriptors_there, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_wait_for_a_manager_that_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_manager_nothing_happens, setup, teardown),
        cmocka_unit_test_setup_teardown(a_socket_that_is_not_there_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_fed_while_all_is_well, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_degraded_is_told_and_fed, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_fed_every_15_seconds_at_least, setup, teardown),
        cmocka_unit_test_setup_teardown(a_manager_that_hangs_does_not_hold_up_the_loop, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
