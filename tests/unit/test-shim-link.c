// The agent's end of the shim against the real mainstay-shim: start, exit, signals, kills,
// adoption, commands, logs. Each test has its own directory, and awaits events, not time.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "supervisor/shim-link.h"

enum { PATIENCE_SEC = 60 };

struct fixture {
    sd_event *event;
    char *dir, *shims, *program;
    struct shim_link_options options;
};

// What the callbacks saw of one container.
struct seen {
    int changed, over, done;
    bool running, had_exit;
    struct shim_state exit;
    int code, wait_status;
    struct buffer output;
};

static void on_changed(void *userdata, struct shim_link *link, const struct shim_state *state)
{
    struct seen *seen = userdata;
    seen->changed++;
    seen->running |= state->phase == SHIM_PHASE_RUNNING;
}

static void on_over(void *userdata, struct shim_link *link, const struct shim_state *state)
{
    struct seen *seen = userdata;
    seen->over++;
    seen->had_exit = state != NULL;
    if (state) {
        seen->exit = *state;
        seen->exit.error_reason = xstrdup_or_null(state->error_reason);
        seen->exit.message = xstrdup_or_null(state->message);
        seen->exit.command = xstrdup_or_null(state->command);
    }
}

static void on_done(void *userdata, int error_code, int wait_status, const char *output,
                    size_t output_len)
{
    struct seen *seen = userdata;
    seen->done++;
    seen->code = error_code;
    seen->wait_status = wait_status;
    buffer_add(&seen->output, output, output_len);
}

static const struct shim_link_ops ops = {.changed = on_changed, .over = on_over};

static void seen_clear(struct seen *seen)
{
    shim_state_clear(&seen->exit);
    buffer_free(&seen->output);
}
#define _cleanup_seen_ _cleanup_(seen_clear)

// Runs the loop until *what is not zero.
static void await(struct fixture *f, const int *what)
{
    monotime deadline = monotime_add_ms(monotime_now(), PATIENCE_SEC * MSEC_PER_SEC);
    while (*what == 0) {
        assert_false(monotime_reached(deadline, monotime_now()));
        assert_true(sd_event_run(f->event, PATIENCE_SEC * (uint64_t)USEC_PER_SEC) >= 0);
    }
}

static char *find_program(void)
{
    char self[4096];
    const char *given = getenv("MAINSTAY_SHIM");
    if (given)
        return xstrdup(given);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0'; // BUILD/tests/test-shim-link
    char *slash = strrchr(self, '/');
    return xasprintf("%.*s/mainstay-shim", (int)(slash - self), self);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char pattern[] = "/tmp/test-shim-link-XXXXXX";
    assert_non_null(mkdtemp(pattern));
    f->dir = xstrdup(pattern);
    f->shims = path_join(pattern, "shims");
    f->program = find_program();
    assert_true(sd_event_new(&f->event) >= 0);
    f->options = (struct shim_link_options){
        .event = f->event,
        .shims_dir = f->shims,
        .shim_path = f->program,
    };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sd_event_unref(f->event);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir), 0);
    free(f->dir);
    free(f->shims);
    free(f->program);
    free(f);
    return 0;
}

static struct shim_spec shell_spec(struct fixture *f, const char *script)
{
    struct shim_spec spec = {
        .id = xstrdup("0123456789abcdef0123456789abcdef_a-container-with-a-long-name-that-does-not-"
                      "fit-into-a-socket-address_0"),
        .pod_namespace = xstrdup("kube-system"),
        .pod_name = xstrdup("etcd-node"),
        .pod_uid = xstrdup("0123"),
        .container = xstrdup("etcd"),
        .run_as_user = -1,
        .run_as_group = -1,
        .oom_score_adj = INT64_MIN,
        .log_path = path_join(f->dir, "pods/etcd/0.log"),
        .exec_output_max = 10 << 10,
    };
    string_list_add(&spec.argv, "/bin/sh");
    string_list_add(&spec.argv, "-c");
    string_list_add(&spec.argv, script);
    string_list_add(&spec.environment, "PATH=/usr/bin:/bin");
    return spec;
}

static struct shim_link *start(struct fixture *f, struct shim_spec *spec, struct seen *seen)
{
    struct shim_link *link = NULL;
    _cleanup_error_ struct error err = ERROR_NONE;
    if (shim_link_start(&f->options, spec, &ops, seen, &link, &err) < 0)
        fail_msg("%s", error_message(&err));
    return link;
}

static struct shim_link *start_shell(struct fixture *f, const char *script, struct seen *seen)
{
    struct shim_spec spec = shell_spec(f, script);
    struct shim_link *link = start(f, &spec, seen);
    shim_spec_free(&spec);
    return link;
}

static char *only_id(struct fixture *f)
{
    _cleanup_string_list_ struct string_list ids = {0};
    assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
    assert_int_equal(ids.n, 1);
    return xstrdup(ids.items[0]);
}

static struct shim_link *adopt(struct fixture *f, struct seen *seen)
{
    struct shim_link *link = NULL;
    struct shim_spec spec;
    _cleanup_free_ char *id = only_id(f);
    _cleanup_error_ struct error err = ERROR_NONE;
    if (shim_link_adopt(&f->options, id, &ops, seen, &link, &spec, &err) < 0)
        fail_msg("%s", error_message(&err));
    assert_string_equal(spec.container, "etcd");
    assert_string_equal(spec.id, id);
    shim_spec_free(&spec);
    return link;
}

static void forget(struct fixture *f, struct shim_link *link)
{
    _cleanup_string_list_ struct string_list ids = {0};
    assert_int_equal(shim_link_forget(link), 0);
    shim_link_free(link);
    assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
    assert_int_equal(ids.n, 0);
}

static void read_log(struct fixture *f, struct buffer *out)
{
    _cleanup_free_ char *path = path_join(f->dir, "pods/etcd/0.log");
    assert_int_equal(fs_read_file(AT_FDCWD, path, 64 << 20, out), 0);
}

static void make_fifo(struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(mkfifo(path, 0600), 0);
}

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

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

// With every number of free descriptors that is too small, the start fails and leaves nothing.
static void a_start_without_descriptors_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, low;
    struct shim_spec spec = shell_spec(f, "exit 0");
    bool started = false;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int open_before = count_fds();
    for (rlim_t limit = 3; !started && limit < 64; limit++) {
        _cleanup_seen_ struct seen seen = {0};
        struct shim_link *link = NULL;
        low = (struct rlimit){.rlim_cur = limit, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        int code = shim_link_start(&f->options, &spec, &ops, &seen, &link, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        started = code == 0;
        if (!started) {
            _cleanup_string_list_ struct string_list ids = {0};
            assert_true(code == -EMFILE || code == -EINVAL);
            assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
            assert_int_equal(ids.n, 0);
            assert_int_equal(count_fds(), open_before);
            continue;
        }
        await(f, &seen.over);
        forget(f, link);
    }
    assert_true(started);
    shim_spec_free(&spec);
}

static void a_missing_program_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    struct shim_link *link = NULL;
    struct shim_spec spec = shell_spec(f, "exit 0");
    _cleanup_string_list_ struct string_list ids = {0};
    f->options.shim_path = "/nonexistent/mainstay-shim";
    assert_int_equal(shim_link_start(&f->options, &spec, &ops, &seen, &link, NULL), -ENOENT);
    shim_spec_free(&spec);
    assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
    assert_int_equal(ids.n, 0);
}

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

static void a_daemon_that_keeps_the_pipe_does_not_keep_the_shim(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    struct shim_link *link = start_shell(
        f, "setsid sh -c 'echo $$; sleep 1000' & while :; do echo last; exit 4; done", &seen);
    await(f, &seen.over);
    assert_int_equal(seen.exit.exit_code, 4);
    read_log(f, &log);
    assert_non_null(strstr(buffer_str(&log), "stdout F last\n"));
    // Without a PID namespace it lives on, as the agent's business.
    const char *number = strstr(buffer_str(&log), "stdout F ");
    pid_t left = number ? (pid_t)atoi(number + strlen("stdout F ")) : 0;
    if (left > 1)
        kill(left, SIGKILL);
    forget(f, link);
}

// Checks that the lines "1", "2", … of all log files, oldest first, are complete.
static long count_numbers(struct fixture *f)
{
    _cleanup_free_ char *dir = path_join(f->dir, "pods/etcd");
    struct dirent **entries;
    int n = scandir(dir, &entries, NULL, alphasort);
    long expected = 1;
    // "0.log" sorts first but is the newest.
    for (int i = 3; i <= n; i++) {
        const char *name = entries[i < n ? i : 2]->d_name;
        _cleanup_free_ char *path = path_join(dir, name);
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        assert_int_equal(fs_read_file(AT_FDCWD, path, 64 << 20, &text), 0);
        for (char *line = text.data, *end; line && *line; line = end + 1) {
            end = strchr(line, '\n');
            assert_non_null(end);
            assert_int_equal(strtol(line + 40, NULL, 10), expected++);
        }
    }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return expected - 1;
}

static void no_line_is_lost_while_links_come_and_go(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_link *link = start_shell(f, "seq 300000", &seen);
    pid_t shim = shim_link_state(link)->shim_pid;
    for (int i = 0; i < 20; i++) {
        shim_link_free(link);
        link = adopt(f, &seen);
        sd_event_run(f->event, 0);
    }
    await(f, &seen.over);
    assert_int_equal(seen.exit.exit_code, 0);
    assert_int_equal(seen.exit.log_lines, 300000);
    assert_int_equal(count_numbers(f), 300000);
    forget(f, link);
    waitpid(shim, NULL, 0);
}

static void rotation_loses_nothing(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_spec spec = shell_spec(f, "seq 100000");
    spec.log_max_bytes = 200 << 10;
    spec.log_max_files = 1000;
    struct shim_link *link = start(f, &spec, &seen);
    shim_spec_free(&spec);
    await(f, &seen.over);
    assert_int_equal(count_numbers(f), 100000);
    forget(f, link);
}

static void a_full_disk_is_told_and_does_not_stop_the_container(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_spec spec = shell_spec(f, "seq 100000; exit 0");
    free(spec.log_path);
    spec.log_path = xstrdup("/dev/full");
    struct shim_link *link = start(f, &spec, &seen);
    shim_spec_free(&spec);
    await(f, &seen.over);
    assert_int_equal(seen.exit.exit_code, 0);
    assert_non_null(strstr(seen.exit.message, "100000 lines"));
    assert_non_null(strstr(seen.exit.message, "No space left on device"));
    forget(f, link);
}

static void strangers_words_are_refused(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    _cleanup_free_ char *path = xasprintf("%s/%s/socket", f->shims, shim_link_id(link));
    int fd = shim_socket_connect(AT_FDCWD, path);
    assert_true(fd >= 0);
    assert_int_equal(fs_set_nonblocking(fd, false), 0);
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

#define link_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        link_test(exit_code_and_output_arrive),
        link_test(a_missing_command_is_a_failed_start),
        link_test(a_signal_reaches_the_first_process),
        link_test(kill_takes_the_whole_tree),
        link_test(a_killed_shim_leaves_no_exit_and_no_process),
        link_test(a_living_shim_is_adopted),
        link_test(an_exit_that_nobody_saw_is_adopted),
        link_test(a_newborn_shim_is_adopted),
        link_test(what_never_started_is_cleared_away),
        link_test(the_same_id_is_not_started_twice),
        link_test(a_start_without_descriptors_leaves_nothing),
        link_test(a_missing_program_leaves_nothing),
        link_test(commands_run_inside),
        link_test(a_missing_exec_command_is_an_error),
        link_test(a_cancelled_command_is_killed),
        link_test(a_daemon_that_keeps_the_pipe_does_not_keep_the_shim),
        link_test(no_line_is_lost_while_links_come_and_go),
        link_test(rotation_loses_nothing),
        link_test(a_full_disk_is_told_and_does_not_stop_the_container),
        link_test(strangers_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
