// The shim's state as text, and the messages of its socket.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim/shim-proto.h"

static void a_state_round_trips(void **state)
{
    struct shim_state in = {
        .phase = SHIM_PHASE_FAILED,
        .shim_pid = 10,
        .pid = 11,
        .shim_start_ticks = 12,
        .start_ticks = INT64_MAX,
        .started_at = {1},
        .finished_at = {INT64_MAX},
        .signaled = true,
        .exit_code = 9,
        .oom_killed = true,
        .error_code = 2,
        .error_reason = (char *)"StartError",
        .message = (char *)"a\\b\nsecond=line\n",
        .command = (char *)"",
        .log_lines = 1,
        .log_bytes = 2,
        .journal_dropped = 3,
        .termination = (char *)"because\n\\ of\xff\r\n",
    };
    struct shim_state out;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, again = BUFFER_EMPTY;
    shim_state_format(&in, &text);
    assert_int_equal(shim_state_parse(text.data, &out, NULL), 0);
    assert_string_equal(out.message, in.message);
    assert_string_equal(out.command, "");
    assert_string_equal(out.termination, in.termination);
    assert_true(out.signaled && out.oom_killed);
    shim_state_format(&out, &again);
    assert_string_equal(text.data, again.data);
    shim_state_clear(&out);
    assert_null(out.message);
}

static void unknown_keys_are_passed_over(void **state)
{
    struct shim_state out;
    assert_int_equal(shim_state_parse("phase=running\nnew=1\npid=5\n\n", &out, NULL), 0);
    assert_int_equal(out.phase, SHIM_PHASE_RUNNING);
    assert_int_equal(out.pid, 5);
    shim_state_clear(&out);
}

static void damaged_states_are_refused(void **state)
{
    static const char *const damaged[] = {
        "phase",          "phase=unheard\n",         "pid=x\n",    "pid=99999999999\n",
        "signaled=yes\n", "message=a\nlog_lines=-1", "exit_code=",
    };
    for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
        struct shim_state out = {0};
        _cleanup_error_ struct error err = ERROR_NONE;
        assert_int_equal(shim_state_parse(damaged[i], &out, &err), -EBADMSG);
        assert_null(out.message);
    }
}

static void messages_carry_descriptors(void **state)
{
    int pair[2];
    struct shim_received got = SHIM_RECEIVED_NONE;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(shim_message_receive(pair[1], &got), -EAGAIN);
    struct shim_message message = {.type = SHIM_EXEC, .length = 4, .number = -7, .flags = 1};
    assert_int_equal(shim_message_send(pair[0], &message, "a\0b", pair, 2), 0);
    assert_int_equal(shim_message_receive(pair[1], &got), 0);
    assert_int_equal(got.head.type, SHIM_EXEC);
    assert_int_equal(got.head.number, -7);
    assert_int_equal(got.text.len, 4);
    assert_memory_equal(got.text.data, "a\0b", 5);
    assert_true(got.fds[0] >= 0 && got.fds[1] >= 0 && got.fds[2] == -1);
    assert_int_equal(fcntl(got.fds[0], F_GETFD), FD_CLOEXEC);
    shim_received_clear(&got);
    close(pair[0]);
    assert_int_equal(shim_message_receive(pair[1], &got), -ECONNRESET);
    close(pair[1]);
}

static void malformed_messages_are_refused(void **state)
{
    int pair[2];
    struct shim_received got = SHIM_RECEIVED_NONE;
    struct shim_message lying = {.type = SHIM_HELLO, .length = 5};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(send(pair[0], "short", 5, 0), 5);
    assert_int_equal(shim_message_receive(pair[1], &got), -EBADMSG);
    assert_int_equal(send(pair[0], &lying, sizeof(lying), 0), sizeof(lying));
    assert_int_equal(shim_message_receive(pair[1], &got), -EBADMSG);
    _cleanup_free_ char *big = xcalloc(1, SHIM_MESSAGE_MAX + 4096);
    assert_true(send(pair[0], big, SHIM_MESSAGE_MAX + 4096, 0) > 0);
    assert_int_equal(shim_message_receive(pair[1], &got), -EBADMSG);
    struct shim_message long_one = {.type = SHIM_HELLO, .length = SHIM_MESSAGE_MAX};
    assert_int_equal(shim_message_send(pair[0], &long_one, big, NULL, 0), -EMSGSIZE);
    shim_received_clear(&got);
    close(pair[0]);
    close(pair[1]);
}

static void sockets_have_long_paths(void **state)
{
    char dir[] = "/tmp/test-shim-state-XXXXXX";
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *deep = xasprintf("%s/%0200d", dir, 0);
    _cleanup_free_ char *path = path_join(deep, "socket");
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, deep, 0700), 0);
    int listener = shim_socket_listen(AT_FDCWD, path);
    assert_true(listener >= 0);
    int fd = shim_socket_connect(AT_FDCWD, path);
    assert_true(fd >= 0);
    close(fd);
    close(listener);
    assert_int_equal(shim_socket_connect(AT_FDCWD, path), -ECONNREFUSED);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_round_trips),
        cmocka_unit_test(unknown_keys_are_passed_over),
        cmocka_unit_test(damaged_states_are_refused),
        cmocka_unit_test(messages_carry_descriptors),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(sockets_have_long_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
