// monit/handover: descriptors that a program passes to the next one in its process. What the
// service manager passes is in tests/integration/test_systemd.py.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "monit/handover.h"

#define VARIABLE "MAINSTAYD_SOCKETS"

static int some_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void what_is_passed_is_received(void **state)
{
    struct handover *before = handover_receive();
    int first = some_fd(), second = some_fd(), claimed = some_fd();
    handover_add(before, "api", first);
    handover_add(before, "healthz", second);
    handover_add(before, "gone", claimed);
    assert_int_equal(handover_claim(before, "gone"), claimed);
    handover_pass(before);
    assert_int_equal(fcntl(first, F_GETFD),
                     0); // they stay open over an exec, the other one does not
    assert_int_equal(fcntl(claimed, F_GETFD), FD_CLOEXEC);
    struct handover *after = handover_receive();
    assert_null(getenv(VARIABLE)); // no child shall take it for its own
    assert_int_equal(handover_claim(after, "api"), first);
    assert_int_equal(handover_claim(after, "api"), -1);
    assert_int_equal(handover_claim(after, "gone"), -1);
    assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(second, F_GETFD), FD_CLOEXEC);
    handover_free(after); // closes what nobody has claimed
    assert_int_equal(fcntl(second, F_GETFD), -1);
    close(first);
    close(claimed);
    // `before` would have been replaced by the exec; its descriptors are closed already.
    handover_claim(before, "api");
    handover_claim(before, "healthz");
    handover_free(before);
}

static void what_means_another_process_means_nothing(void **state)
{
    int fd = some_fd();
    char text[64];
    const char *const wrong[] = {"1,api=%d", "x,api=%d", "", ",", "api=%d"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), wrong[i], fd);
#pragma GCC diagnostic pop
        setenv(VARIABLE, text, 1);
        struct handover *handover = handover_receive();
        assert_int_equal(handover_claim(handover, "api"), -1);
        handover_free(handover);
    }
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    snprintf(text, sizeof(text), "%d,api,api=,api=0,api=x,api=99999,ok=%d", (int)getpid(), fd);
    setenv(VARIABLE, text, 1);
    struct handover *handover = handover_receive();
    assert_int_equal(handover_claim(handover, "api"), -1);
    assert_int_equal(handover_claim(handover, "ok"), fd);
    handover_free(handover);
    close(fd);
    assert_int_equal(handover_claim(NULL, "api"), -1);
    handover_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_passed_is_received),
        cmocka_unit_test(what_means_another_process_means_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
