// The shim that waits for the next start: it becomes the shim of a container like any other, it
// goes with the agent, and where it is not there, or dead, the start does not notice.
#include "supervisor/shim-spare.h"

#include "tests/unit/shim-fixture.h"

static int set_up_spare(void **state)
{
    set_up(state);
    struct fixture *f = *state;
    f->options.spare = shim_spare_new(f->event, f->program);
    return 0;
}

static int tear_down_spare(void **state)
{
    struct fixture *f = *state;
    shim_spare_free(f->options.spare);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // no child is left, not even a zombie
    assert_int_equal(errno, ECHILD);
    return tear_down(state);
}

static pid_t await_spare(struct fixture *f)
{
    monotime deadline = monotime_add_ms(monotime_now(), PATIENCE_SEC * MSEC_PER_SEC);
    while (shim_spare_pid(f->options.spare) == 0) {
        assert_false(monotime_reached(deadline, monotime_now()));
        assert_true(sd_event_run(f->event, PATIENCE_SEC * (uint64_t)USEC_PER_SEC) >= 0);
    }
    return shim_spare_pid(f->options.spare);
}

// One container from its start to its end; the pid of its shim.
static pid_t run_one(struct fixture *f)
{
    _cleanup_seen_ struct seen seen = {0};
    struct shim_link *link = start_shell(f, "exit 7", &seen);
    pid_t shim = shim_link_state(link)->shim_pid;
    await(f, &seen.over);
    assert_true(seen.running && seen.had_exit);
    assert_int_equal(seen.exit.exit_code, 7);
    assert_int_equal(seen.exit.shim_pid, shim);
    forget(f, link);
    return shim;
}

static void there_is_none_before_the_first_start(void **state)
{
    struct fixture *f = *state;
    await_rest(f);
    assert_int_equal(shim_spare_pid(f->options.spare), 0);
    run_one(f);
    assert_true(await_spare(f) > 0);
}

static void each_start_takes_the_one_that_waits(void **state)
{
    struct fixture *f = *state;
    run_one(f);
    for (int i = 0; i < 3; i++) {
        pid_t waiting = await_spare(f);
        assert_int_equal(run_one(f), waiting);
    }
}

static void read_proc(pid_t pid, const char *name, struct buffer *out)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int)pid, name);
    assert_int_equal(fs_read_file(AT_FDCWD, path, 4096, out), 0);
}

static void it_looks_like_any_other_shim(void **state)
{
    static const char arguments[] = "mainstay-shim kube-system/etcd-node/etcd";
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    _cleanup_buffer_ struct buffer comm = BUFFER_EMPTY, cmdline = BUFFER_EMPTY;
    run_one(f);
    pid_t waiting = await_spare(f);
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    assert_int_equal(shim_link_state(link)->shim_pid, waiting);
    read_proc(waiting, "comm", &comm);
    assert_string_equal(buffer_str(&comm), "mainstay-shim\n");
    read_proc(waiting, "cmdline", &cmdline);
    assert_int_equal(cmdline.len, sizeof(arguments));
    assert_memory_equal(cmdline.data, arguments, sizeof(arguments));
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    forget(f, link);
}

static void a_dead_one_does_not_hinder_a_start(void **state)
{
    struct fixture *f = *state;
    siginfo_t info;
    run_one(f);
    pid_t waiting = await_spare(f);
    assert_int_equal(kill(waiting, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)waiting, &info, WEXITED | WNOWAIT), 0);
    assert_int_not_equal(run_one(f), waiting);
    assert_int_not_equal(await_spare(f), waiting);
}

static void starts_that_come_together_all_start(void **state)
{
    struct fixture *f = *state;
    run_one(f);
    await_spare(f);
    struct seen seen[4] = {0};
    struct shim_link *links[4];
    for (int i = 0; i < 4; i++) {
        struct shim_spec spec = shell_spec(f, "exit 3");
        free(spec.id);
        spec.id = xasprintf("0123456789abcdef0123456789abcdef_c_%d", i);
        links[i] = start(f, &spec, &seen[i]);
        shim_spec_free(&spec);
    }
    for (int i = 0; i < 4; i++) {
        await(f, &seen[i].over);
        assert_int_equal(seen[i].exit.exit_code, 3);
        assert_int_equal(shim_link_forget(links[i]), 0);
        shim_link_free(links[i]);
        seen_clear(&seen[i]);
    }
}

// As when the agent is killed: nobody tells it but the kernel.
static void it_goes_when_the_agent_is_gone(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    _cleanup_error_ struct error err = ERROR_NONE;
    pid_t pid = 0;
    siginfo_t info = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(shim_spawn_waiting(f->program, ends[1], &pid, &err), 0);
    close(ends[1]);
    close(ends[0]);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
    assert_int_equal(info.si_code, CLD_EXITED);
    assert_int_equal(info.si_status, 0);
}

#define spare_test(name) cmocka_unit_test_setup_teardown(name, set_up_spare, tear_down_spare)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spare_test(there_is_none_before_the_first_start),
        spare_test(each_start_takes_the_one_that_waits),
        spare_test(it_looks_like_any_other_shim),
        spare_test(a_dead_one_does_not_hinder_a_start),
        spare_test(starts_that_come_together_all_start),
        spare_test(it_goes_when_the_agent_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
