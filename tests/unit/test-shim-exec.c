// Commands inside a container and the shim's control socket, against the real mainstay-shim.
#include "tests/unit/shim-fixture.h"

static struct shim_exec *exec_shell(struct shim_link *link, const char *script,
                                    int64_t timeout_usec, struct seen *seen)
{
    _cleanup_string_list_ struct string_list argv = {0};
    struct shim_exec *exec = NULL;
    string_list_add(&argv, "/bin/sh");
    string_list_add(&argv, "-c");
    string_list_add(&argv, script);
    assert_int_equal(shim_link_exec(link, &argv, timeout_usec, on_done, seen, &exec, NULL), 0);
    return exec;
}

static void commands_run_inside(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0}, ok = {0}, slow = {0}, big = {0}, dying = {0};
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    exec_shell(link, "echo yes; echo no >&2; exit 3", 0, &ok);
    await(f, &ok.done);
    assert_int_equal(ok.code, 0);
    assert_int_equal(WEXITSTATUS(ok.wait_status), 3);
    assert_string_equal(buffer_str(&ok.output), "yes\nno\n");

    exec_shell(link, "sleep 1000", 20000, &slow);
    await(f, &slow.done);
    assert_int_equal(slow.code, -ETIMEDOUT);

    exec_shell(link, "yes | head -c 1000000; (sleep 1000 &)", 0, &big);
    await(f, &big.done);
    assert_int_equal(big.code, 0);
    assert_int_equal(big.output.len, 10 << 10);

    exec_shell(link, "sleep 1000", 0, &dying);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &dying.done);
    await(f, &seen.over);
    assert_int_equal(seen.exit.exit_code, SIGKILL);
    forget(f, link);
}

static void a_missing_exec_command_is_an_error(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0}, missing = {0};
    _cleanup_string_list_ struct string_list argv = {0};
    struct shim_exec *exec = NULL;
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    string_list_add(&argv, "/nonexistent");
    assert_int_equal(shim_link_exec(link, &argv, 0, on_done, &missing, &exec, NULL), 0);
    await(f, &missing.done);
    assert_int_equal(missing.code, -ENOENT);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    forget(f, link);
}

static void a_cancelled_command_is_killed(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0}, cancelled = {0};
    make_fifo(f, "held");
    _cleanup_free_ char *held = path_join(f->dir, "held");
    _cleanup_free_ char *script = xasprintf("exec 8>%s; exec sleep 1000", held);
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    struct shim_exec *exec = exec_shell(link, script, 0, &cancelled);
    int fifo = open(held, O_RDONLY | O_CLOEXEC);
    assert_true(fifo >= 0);
    shim_exec_cancel(exec);
    char byte;
    assert_int_equal(read(fifo, &byte, 1), 0);
    close(fifo);
    assert_int_equal(cancelled.done, 0);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    forget(f, link);
}

static int connect_raw(struct fixture *f, struct shim_link *link)
{
    _cleanup_free_ char *path = xasprintf("%s/%s/socket", f->shims, shim_link_id(link));
    int fd = shim_socket_connect(AT_FDCWD, path);
    assert_true(fd >= 0);
    assert_int_equal(fs_set_nonblocking(fd, false), 0);
    return fd;
}

static void receive_raw(int fd, struct shim_received *ret)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_SEC * 1000), 1);
    assert_int_equal(shim_message_receive(fd, ret), 0);
}

static void strangers_words_are_refused(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    int fd = connect_raw(f, link);
    assert_int_equal(send(fd, "garbage", 7, 0), 7);
    struct shim_message answer;
    assert_true(recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(answer));
    assert_int_equal(answer.type, SHIM_ERROR);
    assert_int_equal(recv(fd, &answer, sizeof(answer), 0), 0);
    close(fd);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    forget(f, link);
}

// As `mainstay exec` does it: the command's descriptors are the client's own.
static void commands_take_the_clients_descriptors(void **state)
{
    static const char command[] = "/bin/sh\0-c\0read x; echo got $x; echo err >&2; kill -9 $$";
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_received got = SHIM_RECEIVED_NONE;
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    char text[64];
    await(f, &seen.changed);
    int fd = connect_raw(f, link);
    assert_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
                pipe2(err, O_CLOEXEC) == 0);
    const int fds[3] = {in[0], out[1], err[1]};
    struct shim_message message = {.type = SHIM_EXEC, .length = sizeof(command)};
    assert_int_equal(shim_message_send(fd, &message, command, fds, 3), 0);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    receive_raw(fd, &got);
    assert_int_equal(got.head.type, SHIM_EXEC_STARTED);
    assert_true(got.head.number > 0);
    assert_int_equal(write(in[1], "word\n", 5), 5);
    receive_raw(fd, &got);
    assert_int_equal(got.head.type, SHIM_EXEC_EXITED);
    assert_true(WIFSIGNALED((int)got.head.number));
    assert_int_equal(got.text.len, 0);
    assert_int_equal(read(out[0], text, sizeof(text)), 9);
    assert_memory_equal(text, "got word\n", 9);
    assert_int_equal(read(err[0], text, sizeof(text)), 4);
    shim_received_clear(&got);
    close(in[1]);
    close(out[0]);
    close(err[0]);
    close(fd);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    forget(f, link);
}

// The oldest clients are served, those above the bound are told so.
static void clients_are_bounded(void **state)
{
    enum { CLIENTS = 40 };
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_received got = SHIM_RECEIVED_NONE;
    int fds[CLIENTS], served = 0;
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    for (int i = 0; i < CLIENTS; i++) {
        struct shim_message hello = {.type = SHIM_HELLO};
        fds[i] = connect_raw(f, link);
        (void)shim_message_send(fds[i], &hello, NULL, NULL, 0); // may be closed already
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        assert_int_equal(poll(&p, 1, PATIENCE_SEC * 1000), 1);
        int code = shim_message_receive(fds[i], &got);
        served += code == 0 && got.head.type == SHIM_STATE;
        assert_true(code == 0 || code == -ECONNRESET); // closed before it heard the hello
    }
    assert_int_equal(served, 31); // and the link itself
    shim_received_clear(&got);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    forget(f, link);
}

// logrotate renames the file and asks for a new one.
static void a_renamed_log_is_reopened_on_request(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    struct shim_received got = SHIM_RECEIVED_NONE;
    make_fifo(f, "go");
    _cleanup_free_ char *go = path_join(f->dir, "go");
    _cleanup_free_ char *path = path_join(f->dir, "pods/etcd/0.log");
    _cleanup_free_ char *renamed = path_join(f->dir, "renamed");
    _cleanup_free_ char *script = xasprintf("read line < %s; echo after", go);
    struct shim_link *link = start_shell(f, script, &seen);
    await(f, &seen.changed);
    assert_int_equal(rename(path, renamed), 0);
    int fd = connect_raw(f, link);
    struct shim_message rotate = {.type = SHIM_ROTATE}, hello = {.type = SHIM_HELLO};
    assert_int_equal(shim_message_send(fd, &rotate, NULL, NULL, 0), 0);
    assert_int_equal(shim_message_send(fd, &hello, NULL, NULL, 0), 0);
    receive_raw(fd, &got); // so the file is open again
    assert_int_equal(got.head.type, SHIM_STATE);
    close(open(go, O_WRONLY | O_CLOEXEC));
    await(f, &seen.over);
    read_log(f, &log);
    assert_non_null(strstr(buffer_str(&log), "stdout F after\n"));
    shim_received_clear(&got);
    close(fd);
    forget(f, link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        shim_test(commands_run_inside),
        shim_test(a_missing_exec_command_is_an_error),
        shim_test(a_cancelled_command_is_killed),
        shim_test(strangers_words_are_refused),
        shim_test(commands_take_the_clients_descriptors),
        shim_test(clients_are_bounded),
        shim_test(a_renamed_log_is_reopened_on_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
