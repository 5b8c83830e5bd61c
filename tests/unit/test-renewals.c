// The agent's renewal of certificates: when its helper runs, by a clock of the test's own
// (sd-event's two calls that arm the timer are taken over here), and what becomes of what the
// helper says.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/renewals.h"

#define DAY_USEC ((uint64_t)24 * 60 * 60 * 1000000)

// ---- the clock ----

static struct {
    sd_event_time_handler_t fn;
    void *userdata;
    clockid_t clock;
    sd_event_source *source;
    uint64_t in_usec; // when it is due, from when it was armed last
    int armed;        // how often
} timer;

static int on_nothing(sd_event_source *source, void *userdata)
{
    return 0;
}

int sd_event_add_time_relative(sd_event *event, sd_event_source **ret, clockid_t clock,
                               uint64_t usec, uint64_t accuracy, sd_event_time_handler_t fn,
                               void *userdata)
{
    timer.fn = fn;
    timer.userdata = userdata;
    timer.clock = clock;
    timer.in_usec = usec;
    timer.armed++;
    int code = sd_event_add_defer(event, ret, on_nothing, NULL); // only to have a source
    timer.source = *ret;
    return code;
}

int sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec)
{
    timer.in_usec = usec;
    timer.armed++;
    return 0;
}

static void a_day_goes_by(void)
{
    assert_int_equal(timer.in_usec, DAY_USEC);
    assert_int_equal(timer.fn(timer.source, 0, timer.userdata), 0);
}

// ---- the world ----

struct fixture {
    char dir[64];
    char *program, *calls;
    sd_event *event;
    struct event_log *events;
    struct renewals *renewals;
};

// In the place of `mainstay`: notes its arguments, says `output`, ends with `status`.
static void play_program(const struct fixture *f, const char *output, int status)
{
    _cleanup_free_ char *text = xasprintf(
        "#!/bin/sh\necho \"$@\" >> %s\nprintf '%%s' '%s'\nexit %d\n", f->calls, output, status);
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->program, text, strlen(text), 0755, 0), 0);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-renewals-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->program = path_join(f->dir, "program");
    f->calls = path_join(f->dir, "calls");
    assert_true(sd_event_new(&f->event) >= 0);
    f->events = event_log_open(NULL, "node1");
    memset(&timer, 0, sizeof(timer));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    renewals_free(f->renewals);
    event_log_free(f->events);
    sd_event_unref(f->event);
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f->program);
    free(f->calls);
    free(f);
    return 0;
}

static size_t count_calls(const struct fixture *f)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    size_t n = 0;
    fs_read_file(AT_FDCWD, f->calls, 1 << 16, &text);
    for (const char *p = buffer_str(&text); (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static void begin(struct fixture *f)
{
    const struct renewals_options options = {.event = f->event,
                                             .events = f->events,
                                             .program = f->program,
                                             .dir = "/pki",
                                             .manifests = "/manifests"};
    f->renewals = renewals_new(&options);
}

// Until so many events have been told, repetitions included.
static void run_until_told(struct fixture *f, size_t n)
{
    while (event_log_newest(f->events) < n)
        assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
}

static const struct event *event_at(const struct fixture *f, size_t i)
{
    const struct event **events;
    size_t n = event_log_since(f->events, 0, &events);
    assert_true(i < n);
    const struct event *event = events[i];
    free(events);
    return event;
}

// ---- tests ----

static void it_runs_at_the_start_and_each_day(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    play_program(f, "renewed  /pki/apiserver.crt  until 2030-01-01\n", 0);
    begin(f);
    assert_int_equal(timer.clock, CLOCK_BOOTTIME);
    for (size_t day = 1; day <= 4; day++) {
        run_until_told(f, day);
        assert_int_equal(count_calls(f), day);
        assert_int_equal(timer.armed, day);
        a_day_goes_by();
    }
    run_until_told(f, 5);
    assert_int_equal(fs_read_file(AT_FDCWD, f->calls, 1 << 16, &text), 0);
    assert_true(str_starts_with(buffer_str(&text), "pki renew --if-older-than=2/3 --dir=/pki "
                                                   "--manifests=/manifests\n"));
}

static void a_second_one_does_not_start_beside_the_first(void **state)
{
    struct fixture *f = *state;
    play_program(f, "renewed  /pki/apiserver.crt  until 2030-01-01\n", 0);
    begin(f);
    a_day_goes_by(); // the first has not been reaped yet
    a_day_goes_by();
    run_until_told(f, 1);
    assert_int_equal(count_calls(f), 1);
    a_day_goes_by();
    run_until_told(f, 2);
    assert_int_equal(count_calls(f), 2);
}

static void what_it_says_becomes_events(void **state)
{
    struct fixture *f = *state;
    play_program(f,
                 "renewed  /pki/a.crt  until 2030-01-01\n"
                 "failed   /pki/b.crt: its own key is not here\n"
                 "restart  kube-scheduler: it reads\n"
                 "nothing to do for etcd: it reads\n",
                 1);
    begin(f);
    run_until_told(f, 3);
    const struct event *renewed = event_at(f, 0), *failed = event_at(f, 1);
    assert_string_equal(renewed->reason, "CertificateRenewed");
    assert_string_equal(renewed->message, "renewed  /pki/a.crt  until 2030-01-01");
    assert_string_equal(failed->reason, "CertificateNotRenewed");
    assert_string_equal(failed->message, "/pki/b.crt: its own key is not here");
}

static void a_failure_without_a_word_is_told_and_the_next_day_comes(void **state)
{
    struct fixture *f = *state;
    play_program(f, "", 1);
    begin(f);
    run_until_told(f, 1);
    assert_non_null(strstr(event_at(f, 0)->message, "did not succeed"));
    assert_int_equal(unlink(f->program), 0);
    a_day_goes_by(); // the program has gone
    run_until_told(f, 2);
    assert_string_equal(event_at(f, 1)->reason, "CertificateNotRenewed");
    play_program(f, "renewed  /pki/a.crt  until 2030-01-01\n", 0);
    a_day_goes_by();
    run_until_told(f, 3);
    assert_string_equal(event_at(f, 2)->reason, "CertificateRenewed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_runs_at_the_start_and_each_day, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_one_does_not_start_beside_the_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_it_says_becomes_events, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_without_a_word_is_told_and_the_next_day_comes,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
