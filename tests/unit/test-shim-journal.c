// The shim's messages to a journal that is a datagram socket of the test's own.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/time-format.h"
#include "supervisor/shim/shim-journal.h"

struct fixture {
    char *dir, *path;
    int journald; // -1: absent
    struct shim_journal *journal;
};

static void start_journald(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    f->journald = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(f->journald >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    assert_int_equal(bind(f->journald, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void stop_journald(struct fixture *f)
{
    cleanup_close(&f->journald);
    f->journald = -1;
    unlink(f->path);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char pattern[] = "/tmp/test-shim-journal-XXXXXX";
    assert_non_null(mkdtemp(pattern));
    f->dir = xstrdup(pattern);
    f->path = path_join(pattern, "socket");
    f->journald = -1;
    struct shim_spec spec = {
        .container = (char *)"etcd",
        .pod_name = (char *)"etcd-n0",
        .pod_namespace = (char *)"kube-system",
        .pod_uid = (char *)"42",
        .restart_count = 7,
        .journal_socket = f->path,
        .log_path = (char *)"/var/log/0.log",
    };
    f->journal = shim_journal_new(&spec);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    shim_journal_free(f->journal);
    stop_journald(f);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir), 0);
    free(f->dir);
    free(f->path);
    free(f);
    return 0;
}

static void say(struct fixture *f, const char *line)
{
    shim_journal_add(f->journal, line, strlen(line), false, false);
    shim_journal_flush(f->journal);
}

// The next datagram, or "" where there is none.
static const char *receive(struct fixture *f, char buf[4096])
{
    ssize_t n = recv(f->journald, buf, 4095, 0);
    buf[n > 0 ? n : 0] = '\0';
    return buf;
}

static void lines_carry_the_fields(void **state)
{
    struct fixture *f = *state;
    char buf[4096];
    start_journald(f);
    shim_journal_add(f->journal, "hello", 5, false, false);
    shim_journal_add(f->journal, "part", 4, true, true);
    assert_string_equal(receive(f, buf), "");
    shim_journal_flush(f->journal);
    assert_string_equal(receive(f, buf), "SYSLOG_IDENTIFIER=etcd\n"
                                         "CONTAINER_NAME=etcd\n"
                                         "MAINSTAY_POD=etcd-n0\n"
                                         "MAINSTAY_NAMESPACE=kube-system\n"
                                         "MAINSTAY_CONTAINER=etcd\n"
                                         "MAINSTAY_POD_UID=42\n"
                                         "MAINSTAY_RESTART_COUNT=7\n"
                                         "PRIORITY=6\nMESSAGE=hello\n");
    assert_non_null(
        strstr(receive(f, buf), "\nPRIORITY=3\nMESSAGE=part\nCONTAINER_PARTIAL_MESSAGE=true\n"));
    assert_string_equal(receive(f, buf), "");
}

static void many_lines_go_in_several_batches(void **state)
{
    struct fixture *f = *state;
    char buf[4096], lines[100][32], expected[64];
    start_journald(f);
    int got = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(lines[i], sizeof(lines[i]), "line %d", i);
        shim_journal_add(f->journal, lines[i], strlen(lines[i]), false, false);
        // Some kernels queue ten datagrams only.
        if (i % 8 == 7 || i == 99)
            shim_journal_flush(f->journal);
        for (; *receive(f, buf); got++) {
            snprintf(expected, sizeof(expected), "MESSAGE=line %d\n", got);
            assert_non_null(strstr(buf, expected));
        }
    }
    assert_int_equal(got, 100);
    assert_int_equal(shim_journal_dropped(f->journal), 0);
}

static void what_a_journal_missed_that_went_is_said(void **state)
{
    struct fixture *f = *state;
    char buf[4096];
    start_journald(f);
    say(f, "zero");
    receive(f, buf);
    stop_journald(f);
    say(f, "one");
    say(f, "two");
    assert_int_equal(shim_journal_dropped(f->journal), 2);
    start_journald(f);
    say(f, "three");
    assert_non_null(strstr(receive(f, buf), "\nPRIORITY=4\nMAINSTAY_LOST_LINES=2\n"));
    assert_non_null(strstr(buf, "\nMESSAGE_ID=" SHIM_JOURNAL_GAP_ID "\n"));
    assert_non_null(strstr(buf, "\nMAINSTAY_POD=etcd-n0\n"));
    assert_non_null(strstr(buf, "MESSAGE=mainstay: 2 lines before this one did not reach"));
    assert_non_null(strstr(buf, "Z): they are in /var/log/0.log\n"));
    assert_non_null(strstr(receive(f, buf), "MESSAGE=three\n"));
    say(f, "four");
    assert_non_null(strstr(receive(f, buf), "MESSAGE=four\n")); // said once
    assert_int_equal(shim_journal_dropped(f->journal), 2);
}

// When the marker says that the first and the last line were lost.
static void a_gap_has_its_time(void **state)
{
    struct fixture *f = *state;
    char buf[4096], since[64], till[64];
    walltime begin = walltime_now(), a, b;
    start_journald(f);
    say(f, "zero");
    receive(f, buf);
    stop_journald(f);
    say(f, "one");
    walltime middle = walltime_now();
    say(f, "two");
    walltime end = walltime_now();
    start_journald(f);
    say(f, "three");
    const char *at = strstr(receive(f, buf), "MAINSTAY_LOST_SINCE=");
    assert_non_null(at);
    assert_int_equal(
        sscanf(at, "MAINSTAY_LOST_SINCE=%63[^\n]\nMAINSTAY_LOST_UNTIL=%63[^\n]", since, till), 2);
    assert_int_equal(walltime_parse(since, &a), 0);
    assert_int_equal(walltime_parse(till, &b), 0);
    assert_true(begin.nsec <= a.nsec && a.nsec <= middle.nsec);
    assert_true(middle.nsec <= b.nsec && b.nsec <= end.nsec);
}

static void what_is_missing_is_said_without_a_further_line(void **state)
{
    struct fixture *f = *state;
    char buf[4096];
    assert_true(monotime_is_never(shim_journal_deadline(f->journal)));
    start_journald(f);
    say(f, "zero");
    receive(f, buf);
    stop_journald(f);
    say(f, "one");
    assert_false(monotime_is_never(shim_journal_deadline(f->journal)));
    shim_journal_retry(f->journal); // nobody is there yet
    assert_false(monotime_is_never(shim_journal_deadline(f->journal)));
    start_journald(f);
    shim_journal_retry(f->journal);
    assert_non_null(strstr(receive(f, buf), "1 lines before"));
    assert_true(monotime_is_never(shim_journal_deadline(f->journal)));
    shim_journal_retry(f->journal);
    assert_string_equal(receive(f, buf), "");
}

// Nobody is woken for a journal that there never was, and nothing counts as lost.
static void without_a_journal_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        say(f, "line");
    assert_true(monotime_is_never(shim_journal_deadline(f->journal)));
    assert_int_equal(shim_journal_dropped(f->journal), 0);
    assert_int_equal(shim_journal_unsaid(f->journal), 0);
    shim_journal_retry(f->journal); // the end of the container
    assert_int_equal(shim_journal_unsaid(f->journal), 0);
}

// One that comes later is found, and told how many lines were before it.
static void a_late_journal_is_found(void **state)
{
    struct fixture *f = *state;
    char buf[4096];
    unsigned long before = 0, said = 0;
    say(f, "one");
    say(f, "two");
    start_journald(f);
    monotime deadline = monotime_add_usec(monotime_now(), 30000000);
    for (before = 2; !*receive(f, buf) && !monotime_reached(deadline, monotime_now()); before++)
        say(f, "more");
    const char *at = strstr(buf, "MAINSTAY_LOST_LINES=");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "MAINSTAY_LOST_LINES=%lu", &said), 1);
    assert_int_equal(said, before);
    assert_int_equal(shim_journal_dropped(f->journal), before);
    assert_string_equal(receive(f, buf), "");
    say(f, "after");
    assert_non_null(strstr(receive(f, buf), "MESSAGE=after\n"));
}

static void any_bytes_go_as_they_are(void **state)
{
    static const char line[] = "a\0b=\xff\xfe\r\x1b[1m";
    static const char expected[] = "\nMESSAGE=a\0b=\xff\xfe\r\x1b[1m\n";
    struct fixture *f = *state;
    char buf[4096];
    start_journald(f);
    shim_journal_add(f->journal, line, sizeof(line) - 1, false, false);
    shim_journal_flush(f->journal);
    ssize_t n = recv(f->journald, buf, sizeof(buf), 0);
    assert_true(n > (ssize_t)sizeof(expected));
    size_t len = sizeof(expected) - 1;
    assert_memory_equal(buf + n - len, expected, len);
}

static void a_new_journal_is_found_again(void **state)
{
    struct fixture *f = *state;
    char buf[4096];
    start_journald(f);
    say(f, "one");
    stop_journald(f);
    start_journald(f);
    say(f, "two");
    assert_non_null(strstr(receive(f, buf), "MESSAGE=two\n"));
    stop_journald(f);
    say(f, "three");
    start_journald(f);
    say(f, "four");
    assert_non_null(strstr(receive(f, buf), "1 lines before"));
    assert_non_null(strstr(receive(f, buf), "MESSAGE=four\n"));
    assert_int_equal(shim_journal_dropped(f->journal), 1);
}

static void a_hung_journal_is_not_waited_for_long(void **state)
{
    struct fixture *f = *state;
    char buf[4096];
    uint64_t sent = 0, got = 0;
    start_journald(f);
    while (shim_journal_dropped(f->journal) == 0 && sent < 1000000) {
        say(f, "filler");
        sent++;
    }
    assert_int_equal(shim_journal_dropped(f->journal), 1);
    while (*receive(f, buf))
        got++;
    assert_int_equal(got, sent - 1);
    say(f, "after");
    assert_non_null(strstr(receive(f, buf), "1 lines before"));
    assert_non_null(strstr(receive(f, buf), "MESSAGE=after\n"));
}

// One that reads, though slower than lines come, gets them all.
static void a_busy_journal_is_waited_for(void **state)
{
    struct fixture *f = *state;
    const int lines = 600;
    char buf[4096];
    start_journald(f);
    pid_t reader = fork();
    assert_true(reader >= 0);
    if (reader == 0) {
        int got = 0;
        fcntl(f->journald, F_SETFL, 0);
        while (got < lines && strstr(receive(f, buf), "MESSAGE=line\n"))
            got++;
        _exit(got == lines ? 0 : 1);
    }
    for (int i = 0; i < lines; i++)
        say(f, "line");
    assert_int_equal(shim_journal_dropped(f->journal), 0);
    int status;
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
}

// More than a datagram of the kernel's default size: it comes as a descriptor.
static void a_big_message_goes_as_a_file(void **state)
{
    struct fixture *f = *state;
    const size_t size = 1 << 20;
    start_journald(f);
    _cleanup_free_ char *big = xmalloc(size);
    memset(big, 'x', size);
    shim_journal_add(f->journal, big, size, false, false);
    shim_journal_flush(f->journal);
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr header = {.msg_control = &control, .msg_controllen = sizeof(control)};
    assert_int_equal(recvmsg(f->journald, &header, MSG_CMSG_CLOEXEC), 0);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    int fd = -1;
    if (rights)
        memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GET_SEALS),
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_true(lseek(fd, 0, SEEK_SET) == 0);
    assert_int_equal(fs_read_fd(fd, 2 * size, &text), 0);
    assert_non_null(strstr(text.data, "\nPRIORITY=6\nMESSAGE=xxx"));
    close(fd);
    assert_int_equal(shim_journal_dropped(f->journal), 0);
}

#define journal_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        journal_test(lines_carry_the_fields),
        journal_test(many_lines_go_in_several_batches),
        journal_test(any_bytes_go_as_they_are),
        journal_test(what_a_journal_missed_that_went_is_said),
        journal_test(a_gap_has_its_time),
        journal_test(what_is_missing_is_said_without_a_further_line),
        journal_test(without_a_journal_nothing_is_lost),
        journal_test(a_late_journal_is_found),
        journal_test(a_new_journal_is_found_again),
        journal_test(a_hung_journal_is_not_waited_for_long),
        journal_test(a_busy_journal_is_waited_for),
        journal_test(a_big_message_goes_as_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
