// base/work and monit/hang: what the main thread is at work on, and when that takes too long. The
// service manager is a datagram socket of the test; what is awaited is its messages.
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "monit/hang.h"

enum { LIMIT_USEC = 100000, WAIT_MSEC = 20000 };

struct fixture {
    int manager;
    char address[64];
    struct hang *hang;
    char got[1024];
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(f->address, sizeof(f->address), "@test-hang-%d", (int)getpid());
    memcpy(address.sun_path + 1, f->address + 1, strlen(f->address) - 1);
    size_t size = offsetof(struct sockaddr_un, sun_path) + strlen(f->address);
    f->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->manager, (struct sockaddr *)&address, (socklen_t)size), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hang_free(f->hang);
    close(f->manager);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct hang_options options = {
        .limit_usec = LIMIT_USEC, .identifier = "test", .notify_socket = f->address};
    assert_int_equal(hang_new(&options, &f->hang, &err), 0);
}

// The next message within `msec`, or "".
static const char *receive(struct fixture *f, int msec)
{
    struct pollfd polled = {.fd = f->manager, .events = POLLIN};
    ssize_t n = poll(&polled, 1, msec) > 0 ? recv(f->manager, f->got, sizeof(f->got) - 1, 0) : 0;
    f->got[n < 0 ? 0 : n] = '\0';
    return f->got;
}

// It is told to the service manager a moment before.
static void wait_over(struct hang *hang, struct hang_report *report)
{
    struct timespec moment = {.tv_nsec = 1000000};
    while (!hang_is_over(hang, report))
        nanosleep(&moment, NULL);
}

// ---- what it works on ----

static void the_innermost_work_counts(void **state)
{
    struct work before, work;
    assert_true(work_read(&before));
    assert_null(before.part);
    {
        WORK_SCOPE("pods", "pod", "default", "etcd-n1");
        assert_true(work_read(&work));
        assert_string_equal(work.part, "pods");
        assert_string_equal(work.what, "pod default/etcd-n1");
        assert_true(work.step != before.step);
        {
            WORK_SCOPE("state", "file", NULL, "etcd.json");
            assert_true(work_read(&work));
            assert_string_equal(work.part, "state");
            assert_string_equal(work.what, "file etcd.json");
        }
        assert_true(work_read(&work));
        assert_string_equal(work.what, "pod default/etcd-n1");
    }
    assert_true(work_read(&work));
    assert_null(work.part);
}

static void enter_deeper(int depth)
{
    char name[16];
    struct work work;
    snprintf(name, sizeof(name), "%d", depth);
    WORK_SCOPE("pods", NULL, NULL, name);
    assert_true(work_read(&work));
    assert_string_equal(work.part, "pods");
    if (depth < 20)
        enter_deeper(depth + 1);
}

static void depth_and_length_are_bounded(void **state)
{
    struct work work;
    char name[1000];
    enter_deeper(0);
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    WORK_SCOPE("pods", "pod", name, name);
    assert_true(work_read(&work));
    assert_int_equal(strlen(work.what), WORK_WHAT_SIZE - 1);
    assert_true(str_starts_with(work.what, "pod xxx"));
}

// ---- when it takes too long ----

static void a_hang_is_named_and_its_end_is_known(void **state)
{
    struct fixture *f = *state;
    struct hang_report report;
    start(f);
    assert_false(hang_is_over(f->hang, &report));
    {
        WORK_SCOPE("pods", "pod", "default", "etcd\nn1");
        assert_true(str_starts_with(receive(f, WAIT_MSEC),
                                    "STATUS=Unhealthy: pods hangs for 0s: pod default/etcd?n1"));
    }
    wait_over(f->hang, &report);
    assert_string_equal(report.part, "pods");
    assert_string_equal(report.what, "pod default/etcd?n1");
    assert_true(report.usec >= LIMIT_USEC * 9 / 10);
    assert_false(hang_is_over(f->hang, &report));
    // The next one is told as well.
    hang_rest(f->hang);
    hang_work(f->hang);
    assert_true(str_starts_with(receive(f, WAIT_MSEC), "STATUS=Unhealthy: loop hangs for 0s"));
}

static void an_endless_loop_is_a_hang(void **state)
{
    struct fixture *f = *state;
    start(f);
    WORK_SCOPE("source", "file", NULL, "a.yaml");
    while (receive(f, 0)[0] == '\0')
        continue;
    assert_true(str_starts_with(f->got, "STATUS=Unhealthy: source hangs for 0s: file a.yaml"));
}

static void who_rests_does_not_hang(void **state)
{
    struct fixture *f = *state;
    start(f);
    hang_rest(f->hang);
    assert_string_equal(receive(f, 4 * LIMIT_USEC / 1000), "");
}

static void who_gets_on_does_not_hang(void **state)
{
    struct fixture *f = *state;
    start(f);
    int64_t end = work_clock() + 4 * LIMIT_USEC;
    while (work_clock() < end) {
        WORK_SCOPE("pods", "pod", "default", "one of many");
        assert_string_equal(receive(f, 1), "");
    }
}

// The whole process is stopped for longer than the limit, as it is when a machine is frozen.
static void a_process_that_is_stopped_does_not_hang(void **state)
{
    struct fixture *f = *state;
    start(f);
    pid_t parent = getpid(), child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct timespec frozen = {.tv_nsec = 5L * LIMIT_USEC * 1000};
        kill(parent, SIGSTOP);
        nanosleep(&frozen, NULL);
        kill(parent, SIGCONT);
        _exit(0);
    }
    // It works on one thing all the time, and ends that as soon as it may run again.
    int64_t before = work_clock(), now = before;
    while (now - before < 3 * LIMIT_USEC) {
        before = now;
        work_step();
        now = work_clock();
    }
    hang_rest(f->hang);
    assert_string_equal(receive(f, 3 * LIMIT_USEC / 1000), "");
}

static void without_a_manager_it_works_too(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct hang_options options = {.limit_usec = LIMIT_USEC, .identifier = "test"};
    struct hang *hang;
    struct hang_report report;
    assert_int_equal(hang_new(&options, &hang, &err), 0);
    wait_over(hang, &report);
    assert_string_equal(report.part, "loop");
    hang_free(hang);
    hang_free(NULL);
    hang_work(NULL);
    hang_rest(NULL);
    assert_false(hang_is_over(NULL, &report));
}

int main(void)
{
#define HANG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_innermost_work_counts),
        cmocka_unit_test(depth_and_length_are_bounded),
        HANG_TEST(a_hang_is_named_and_its_end_is_known),
        HANG_TEST(an_endless_loop_is_a_hang),
        HANG_TEST(who_rests_does_not_hang),
        HANG_TEST(who_gets_on_does_not_hang),
        HANG_TEST(a_process_that_is_stopped_does_not_hang),
        cmocka_unit_test(without_a_manager_it_works_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
