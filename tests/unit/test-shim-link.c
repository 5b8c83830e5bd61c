// The agent's end of the shim against the real mainstay-shim: start, exit, signals, kills,
// adoption.
#include "tests/unit/shim-fixture.h"

static void exit_code_and_output_arrive(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    struct shim_link *link =
        start_shell(f, "echo out; echo err >&2; printf unfinished; exit 7", &seen);
    await(f, &seen.over);
    assert_true(seen.running && seen.had_exit);
    assert_int_equal(seen.exit.phase, SHIM_PHASE_EXITED);
    assert_false(seen.exit.signaled);
    assert_int_equal(seen.exit.exit_code, 7);
    assert_true(seen.exit.pid > 0 && seen.exit.shim_pid > 0 && seen.exit.start_ticks > 0);
    assert_true(seen.exit.finished_at.nsec >= seen.exit.started_at.nsec);
    assert_int_equal(seen.exit.log_bytes, 8 + 10);
    assert_string_equal(seen.exit.command, "/bin/sh");
    read_log(f, &log);
    assert_non_null(strstr(buffer_str(&log), "Z stdout F out\n"));
    assert_non_null(strstr(buffer_str(&log), "Z stderr F err\n"));
    assert_non_null(strstr(buffer_str(&log), "Z stdout P unfinished\n"));
    forget(f, link);
}

static void termination_messages_come_with_the_exit(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_spec spec =
        shell_spec(f, "head -c 100000 /dev/zero | tr '\\0' x > /dev/termination-log; "
                      "printf 'a\\000b\\\\\\n' >> /dev/termination-log");
    spec.termination_path = xstrdup(SHIM_TERMINATION_DEFAULT);
    struct shim_link *link = start(f, &spec, &seen);
    shim_spec_free(&spec);
    await(f, &seen.over);
    assert_non_null(seen.exit.termination);
    assert_int_equal(strlen(seen.exit.termination), SHIM_TERMINATION_BYTES - 1); // but the NUL
    assert_true(str_ends_with(seen.exit.termination, "xab\\\n"));
    forget(f, link);
}

static void a_missing_command_is_a_failed_start(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_spec spec = shell_spec(f, "");
    string_list_free(&spec.argv);
    string_list_add(&spec.argv, "/nonexistent/etcd");
    struct shim_link *link = start(f, &spec, &seen);
    shim_spec_free(&spec);
    await(f, &seen.over);
    assert_false(seen.running);
    assert_int_equal(seen.exit.phase, SHIM_PHASE_FAILED);
    assert_int_equal(seen.exit.error_code, ENOENT);
    assert_string_equal(seen.exit.error_reason, "StartError");
    assert_non_null(strstr(seen.exit.message, "/nonexistent/etcd"));
    forget(f, link);
}

static void a_signal_reaches_the_first_process(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    assert_int_equal(shim_link_signal(link, SIGTERM), 0);
    await(f, &seen.over);
    assert_true(seen.exit.signaled);
    assert_int_equal(seen.exit.exit_code, SIGTERM);
    assert_int_equal(shim_link_signal(link, SIGTERM), -ESRCH);
    forget(f, link);
}

static void kill_takes_the_whole_tree(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    make_fifo(f, "held");
    _cleanup_free_ char *script = xasprintf(
        "trap '' TERM; (setsid sh -c 'exec 8>%s/held; sleep 1000' &) ; sleep 1000", f->dir);
    _cleanup_free_ char *held = path_join(f->dir, "held");
    struct shim_link *link = start_shell(f, script, &seen);
    await(f, &seen.changed);
    int fifo = open(held, O_RDONLY | O_CLOEXEC);
    assert_true(fifo >= 0);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    assert_int_equal(seen.exit.exit_code, SIGKILL);
    char byte;
    assert_int_equal(read(fifo, &byte, 1), 0); // the end: the forked one is gone too
    close(fifo);
    forget(f, link);
}

static void a_killed_shim_leaves_no_exit_and_no_process(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    int pidfd = process_pidfd(shim_link_state(link)->pid);
    assert_true(pidfd >= 0);
    assert_int_equal(shim_link_kill_shim(link), 0);
    await(f, &seen.over);
    assert_false(seen.had_exit);
    while (!process_exited(pidfd)) // its parent-death signal is on its way
        sched_yield();
    close(pidfd);
    forget(f, link);
}

static void a_living_shim_is_adopted(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen first = {0}, second = {0};
    make_fifo(f, "trapped");
    _cleanup_free_ char *trapped = path_join(f->dir, "trapped");
    _cleanup_free_ char *script =
        xasprintf("trap 'exit 9' TERM; : > %s; while :; do sleep 0.01; done", trapped);
    struct shim_link *link = start_shell(f, script, &first);
    await(f, &first.changed);
    close(open(trapped, O_RDONLY | O_CLOEXEC)); // waits for the trap
    pid_t pid = shim_link_state(link)->pid, shim = shim_link_state(link)->shim_pid;
    shim_link_free(link);
    link = adopt(f, &second);
    assert_int_equal(shim_link_state(link)->phase, SHIM_PHASE_RUNNING);
    assert_int_equal(shim_link_state(link)->pid, pid);
    assert_int_equal(shim_link_signal(link, SIGTERM), 0);
    await(f, &second.over);
    assert_int_equal(first.over, 0);
    assert_int_equal(second.exit.exit_code, 9);
    await_rest(f); // the shim is a zombie until its parent, this program, reaps it
    forget(f, link);
    waitpid(shim, NULL, 0);
}

static void an_exit_that_nobody_saw_is_adopted(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen first = {0}, second = {0};
    struct shim_link *link = start_shell(f, "read line; exit 5", &first); // stdin is /dev/null
    int pidfd = process_pidfd(shim_link_state(link)->shim_pid);
    pid_t shim = shim_link_state(link)->shim_pid;
    shim_link_free(link);
    waitpid(shim, NULL, 0);
    close(pidfd);
    link = adopt(f, &second);
    assert_int_equal(second.over, 0); // from the loop, not from adopt()
    await(f, &second.over);
    assert_int_equal(second.exit.exit_code, 5);
    forget(f, link);
}

static void a_newborn_shim_is_adopted(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 50; i++) {
        _cleanup_seen_ struct seen first = {0}, second = {0};
        pid_t shim;
        struct shim_link *link = start_shell(f, "exit 3", &first);
        shim = shim_link_state(link)->shim_pid;
        shim_link_free(link);
        link = adopt(f, &second);
        await(f, &second.over);
        assert_true(second.had_exit);
        assert_int_equal(second.exit.exit_code, 3);
        forget(f, link);
        waitpid(shim, NULL, 0);
    }
}

static void what_never_started_is_cleared_away(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = path_join(f->shims, "half-made");
    _cleanup_free_ char *lock = path_join(path, "lock");
    _cleanup_string_list_ struct string_list ids = {0};
    struct shim_link *link = NULL;
    struct shim_spec spec;
    struct seen seen = {0};
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, path, 0700), 0);
    close(open(lock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(shim_link_adopt(&f->options, "half-made", &ops, &seen, &link, &spec, NULL),
                     -ENOENT);
    assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
    assert_int_equal(ids.n, 0);
}

static void the_same_id_is_not_started_twice(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_link *second = NULL;
    struct shim_spec spec = shell_spec(f, "exec sleep 1000");
    struct shim_link *link = start(f, &spec, &seen);
    assert_int_equal(shim_link_start(&f->options, &spec, &ops, &seen, &second, NULL), -EEXIST);
    shim_spec_free(&spec);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    forget(f, link);
}

static void removes_itself(void *userdata, struct shim_link *link, const struct shim_state *state)
{
    struct seen *seen = userdata;
    seen->over++;
    assert_int_equal(shim_link_forget(link), 0);
    shim_link_free(link);
}

static void goes_at_once(void *userdata, struct shim_link *link, const struct shim_state *state)
{
    struct seen *seen = userdata;
    seen->changed++;
    shim_link_free(link);
}

static void a_link_may_be_freed_by_its_callbacks(void **state)
{
    static const struct shim_link_ops when_over = {.changed = on_changed, .over = removes_itself};
    static const struct shim_link_ops when_started = {.changed = goes_at_once, .over = on_over};
    struct fixture *f = *state;
    _cleanup_seen_ struct seen first = {0}, second = {0}, third = {0};
    struct shim_link *link;
    struct shim_spec spec = shell_spec(f, "exit 0");
    assert_int_equal(shim_link_start(&f->options, &spec, &when_over, &first, &link, NULL), 0);
    await(f, &first.over);
    assert_int_equal(shim_link_start(&f->options, &spec, &when_started, &second, &link, NULL), 0);
    pid_t shim = shim_link_state(link)->shim_pid;
    await(f, &second.changed);
    link = adopt(f, &third);
    await(f, &third.over);
    assert_int_equal(second.over, 0);
    forget(f, link);
    waitpid(shim, NULL, 0);
    shim_spec_free(&spec);
}

static void stdin_and_terminal_are_as_the_spec_says(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen closed = {0}, open_one = {0}, terminal = {0};
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    struct shim_link *link = start_shell(f, "read line || exit 6", &closed);
    await(f, &closed.over);
    assert_int_equal(closed.exit.exit_code, 6); // /dev/null
    forget(f, link);

    struct shim_spec spec = shell_spec(f, "read -t 0.01 line; test $? -gt 128 && exit 5");
    spec.stdin_open = true;
    free(spec.argv.items[0]);
    spec.argv.items[0] = xstrdup("/bin/bash");
    link = start(f, &spec, &open_one);
    shim_spec_free(&spec);
    await(f, &open_one.over);
    assert_int_equal(open_one.exit.exit_code, 5); // it waited in vain
    forget(f, link);

    spec = shell_spec(f, "test -t 0 && test -t 1 && echo yes && exit 4");
    spec.tty = true;
    link = start(f, &spec, &terminal);
    shim_spec_free(&spec);
    await(f, &terminal.over);
    assert_int_equal(terminal.exit.exit_code, 4);
    read_log(f, &log);
    assert_non_null(strstr(buffer_str(&log), "stdout F yes\r\n"));
    forget(f, link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        shim_test(exit_code_and_output_arrive),
        shim_test(termination_messages_come_with_the_exit),
        shim_test(a_missing_command_is_a_failed_start),
        shim_test(a_signal_reaches_the_first_process),
        shim_test(kill_takes_the_whole_tree),
        shim_test(a_killed_shim_leaves_no_exit_and_no_process),
        shim_test(a_living_shim_is_adopted),
        shim_test(an_exit_that_nobody_saw_is_adopted),
        shim_test(a_newborn_shim_is_adopted),
        shim_test(what_never_started_is_cleared_away),
        shim_test(the_same_id_is_not_started_twice),
        shim_test(a_link_may_be_freed_by_its_callbacks),
        shim_test(stdin_and_terminal_are_as_the_spec_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
