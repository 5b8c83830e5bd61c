// The shim and its link when things go wrong around them: no descriptors, a full disk, killed
// agents, daemons that hold the pipe; and that no line of a log is lost meanwhile.
#include "tests/unit/shim-fixture.h"

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

static void lines_go_to_the_journal_too(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[4096];
    int journald = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(journald >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/journal", f->dir);
    assert_int_equal(bind(journald, (struct sockaddr *)&address, sizeof(address)), 0);
    struct shim_spec spec = shell_spec(f, "echo to the journal");
    spec.journal_socket = xstrdup(address.sun_path);
    struct shim_link *link = start(f, &spec, &seen);
    shim_spec_free(&spec);
    await(f, &seen.over);
    ssize_t n = recv(journald, text, sizeof(text) - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "MAINSTAY_POD=etcd-node\n"));
    assert_non_null(strstr(text, "MESSAGE=to the journal\n"));
    assert_int_equal(seen.exit.journal_dropped, 0);
    close(journald);
    forget(f, link);
}

// Fills the file system that holds the shim's directory after the start.
static void a_full_run_directory_does_not_hide_the_exit(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    _cleanup_free_ char *filler = path_join(f->shims, ".filler");
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, f->shims, 0700), 0);
    if (mount("tmpfs", f->shims, "tmpfs", 0, "size=256k") < 0) {
        print_message("skipped: no tmpfs may be mounted here\n");
        skip();
    }
    struct shim_link *link = start_shell(f, "exec sleep 1000", &seen);
    await(f, &seen.changed);
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char page[4096] = {0};
    while (write(fd, page, sizeof(page)) > 0)
        continue;
    close(fd);
    assert_int_equal(shim_link_signal(link, SIGTERM), 0);
    await(f, &seen.over);
    _cleanup_free_ char *exit_path = xasprintf("%s/%s/exit", f->shims, shim_link_id(link));
    assert_int_equal(access(exit_path, F_OK), 0);
    assert_int_equal(seen.exit.exit_code, SIGTERM);
    forget(f, link);
    assert_int_equal(umount(f->shims), 0);
}

// An agent that does nothing but start containers, until it is killed.
static void start_until_killed(struct fixture *f, int round)
{
    for (int i = 0;; i++) {
        struct seen *seen = xcalloc(1, sizeof(*seen));
        struct shim_spec spec = shell_spec(f, "seq 2000; exit 7");
        struct shim_link *link = NULL;
        free(spec.id);
        spec.id = xasprintf("shim-%d", i);
        free(spec.log_path);
        spec.log_path = xasprintf("%s/pods/etcd-%d/%d.log", f->dir, i, round);
        if (shim_link_start(&f->options, &spec, &ops, seen, &link, NULL) < 0)
            _exit(1);
        sd_event_run(f->event, 1000);
        if (i == 20)
            pause();
    }
}

static void adopt_and_check(struct fixture *f, const char *id)
{
    _cleanup_seen_ struct seen seen = {0};
    _cleanup_buffer_ struct buffer log = BUFFER_EMPTY;
    struct shim_link *link = NULL;
    struct shim_spec spec;
    int code = shim_link_adopt(&f->options, id, &ops, &seen, &link, &spec, NULL);
    if (code == -ENOENT)
        return;
    assert_int_equal(code, 0);
    await(f, &seen.over);
    if (seen.had_exit) {
        assert_int_equal(seen.exit.exit_code, 7);
        assert_int_equal(seen.exit.log_lines, 2000);
        assert_int_equal(fs_read_file(AT_FDCWD, spec.log_path, 1 << 20, &log), 0);
        assert_non_null(strstr(buffer_str(&log), "stdout F 1\n"));
        assert_true(str_ends_with(buffer_str(&log), "stdout F 2000\n"));
    } else {
        // Killed between the spec and the start of the program.
        assert_int_equal(shim_link_state(link)->pid, 0);
    }
    shim_spec_free(&spec);
    assert_int_equal(shim_link_forget(link), 0);
    shim_link_free(link);
}

static void an_agent_killed_at_any_moment_loses_nothing(void **state)
{
    struct fixture *f = *state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int round = 0; round < 40; round++) {
        _cleanup_string_list_ struct string_list ids = {0};
        pid_t agent = fork();
        if (agent == 0) {
            sd_event_unref(f->event); // it knows that it was forked
            sd_event_new(&f->event);
            f->options.event = f->event;
            start_until_killed(f, round);
        }
        // The moment is the point of the test, not something to be awaited.
        struct timespec moment = {.tv_nsec = (round * 397L % 40) * 250000L};
        nanosleep(&moment, NULL);
        kill(agent, SIGKILL);
        waitpid(agent, NULL, 0);
        assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
        LIST_EACH (id, &ids)
            adopt_and_check(f, *id);
        while (waitpid(-1, NULL, 0) > 0)
            continue;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

// A shim that answers nothing, as one that hangs would: adopted all the same, and killed.
static void a_deaf_shim_is_adopted_and_killed(void **state)
{
    struct fixture *f = *state;
    _cleanup_seen_ struct seen first = {0}, second = {0};
    struct shim_link *link = start_shell(f, "exec sleep 1000", &first);
    await(f, &first.changed);
    pid_t shim = shim_link_state(link)->shim_pid, pid = shim_link_state(link)->pid;
    assert_int_equal(kill(shim, SIGSTOP), 0);
    shim_link_free(link);
    link = adopt(f, &second);
    assert_int_equal(shim_link_state(link)->pid, pid);
    assert_int_equal(shim_link_signal(link, SIGTERM), 0); // on its way
    assert_int_equal(shim_link_kill_shim(link), 0);
    await(f, &second.over);
    assert_false(second.had_exit);
    forget(f, link);
    waitpid(shim, NULL, 0);
}

// A cgroup of the test's own below the first of the hierarchies that can be written; NULL for none.
static char *make_cgroup(const char *const *hierarchies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *dir = xasprintf("%s/test-shim-%d", hierarchies[i], (int)getpid());
        _cleanup_free_ char *procs = path_join(hierarchies[i], "cgroup.procs");
        if (access(procs, F_OK) == 0 && mkdir(dir, 0755) == 0)
            return dir;
        free(dir);
    }
    return NULL;
}

static void kill_in_cgroup(struct fixture *f, const char *dir)
{
    _cleanup_seen_ struct seen seen = {0};
    make_fifo(f, "held");
    _cleanup_free_ char *held = path_join(f->dir, "held");
    _cleanup_free_ char *script =
        xasprintf("(setsid sh -c 'exec 8>%s; sleep 1000' &) ; exec sleep 1000", held);
    struct shim_spec spec = shell_spec(f, script);
    string_list_add(&spec.cgroup_dirs, dir);
    struct shim_link *link = start(f, &spec, &seen);
    shim_spec_free(&spec);
    int fifo = open(held, O_RDONLY | O_CLOEXEC);
    assert_true(fifo >= 0);
    assert_int_equal(shim_link_kill(link), 0);
    await(f, &seen.over);
    assert_true(seen.exit.signaled && !seen.exit.oom_killed);
    assert_int_equal(seen.exit.exit_code, SIGKILL);
    char byte;
    assert_int_equal(read(fifo, &byte, 1), 0); // the end: the daemon is gone too
    close(fifo);
    forget(f, link);
    unlink(held);
    while (rmdir(dir) < 0 && errno == EBUSY) // until the last one is reaped
        sched_yield();
}

// With cgroup.kill where there is a v2 tree, and by the list of a v1 hierarchy.
static void kill_takes_the_whole_cgroup(void **state)
{
    static const char *const v2[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    static const char *const v1[] = {"/sys/fs/cgroup/pids", "/sys/fs/cgroup/freezer"};
    struct fixture *f = *state;
    _cleanup_free_ char *first = make_cgroup(v2, ARRAY_SIZE(v2));
    _cleanup_free_ char *second = make_cgroup(v1, ARRAY_SIZE(v1));
    if (first)
        kill_in_cgroup(f, first);
    if (second)
        kill_in_cgroup(f, second);
    if (!first && !second) {
        print_message("skipped: no cgroup may be made here\n");
        skip();
    }
}

static void a_lack_of_memory_is_told(void **state)
{
    static const char *const hierarchies[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
    static const char *const limits[] = {"memory.limit_in_bytes", "memory.max"};
    struct fixture *f = *state;
    _cleanup_seen_ struct seen seen = {0};
    _cleanup_free_ char *dir = make_cgroup(hierarchies, ARRAY_SIZE(hierarchies));
    bool limited = false;
    struct shim_spec spec = shell_spec(f, "exec tail /dev/zero");
    for (size_t i = 0; dir && i < ARRAY_SIZE(limits) && !limited; i++) {
        _cleanup_free_ char *limit = path_join(dir, limits[i]);
        _cleanup_close_ int fd = open(limit, O_WRONLY | O_CLOEXEC);
        limited = fd >= 0 && write(fd, "16777216", 8) == 8;
    }
    if (!limited) {
        if (dir)
            rmdir(dir);
        shim_spec_free(&spec);
        print_message("skipped: no memory cgroup may be made here\n");
        skip();
    }
    string_list_add(&spec.cgroup_dirs, dir);
    struct shim_link *link = start(f, &spec, &seen);
    shim_spec_free(&spec);
    await(f, &seen.over);
    assert_true(seen.exit.signaled && seen.exit.oom_killed);
    assert_int_equal(seen.exit.exit_code, SIGKILL);
    forget(f, link);
    while (rmdir(dir) < 0 && errno == EBUSY)
        sched_yield();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        shim_test(a_start_without_descriptors_leaves_nothing),
        shim_test(a_missing_program_leaves_nothing),
        shim_test(a_daemon_that_keeps_the_pipe_does_not_keep_the_shim),
        shim_test(no_line_is_lost_while_links_come_and_go),
        shim_test(rotation_loses_nothing),
        shim_test(a_full_disk_is_told_and_does_not_stop_the_container),
        shim_test(lines_go_to_the_journal_too),
        shim_test(a_full_run_directory_does_not_hide_the_exit),
        shim_test(an_agent_killed_at_any_moment_loses_nothing),
        shim_test(a_deaf_shim_is_adopted_and_killed),
        shim_test(kill_takes_the_whole_cgroup),
        shim_test(a_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
