// supervisor/events*: adding, repeating, forgetting, the file and what may be wrong with it.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string-list.h"
#include "supervisor/event-ids.h"
#include "supervisor/events.h"

struct fixture {
    char dir[32];
    char *path, *old_path;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-events.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = path_join(f->dir, "events");
    f->old_path = path_join(f->dir, "events.1");
    log_set_level(LOG_LEVEL_ERROR);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f->path);
    free(f->old_path);
    free(f);
    return 0;
}

static const struct event_object etcd = {
    .namespace_ = "kube-system", .pod = "etcd-n1", .uid = "u1", .container = "etcd"};

static const struct event *only(const struct event_log *log)
{
    const struct event **events;
    assert_int_equal(event_log_since(log, 0, &events), 1);
    const struct event *e = events[0];
    free(events);
    return e;
}

static void a_repetition_counts_and_gets_a_new_id(void **state)
{
    struct event_log *log = event_log_open(NULL, "n1");
    const struct event **events;
    event_add(log, etcd, EVENT_WARNING, "BackOff", "wait %d", 1);
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 7");
    event_add(log, etcd, EVENT_WARNING, "BackOff", "wait %d", 1);
    assert_int_equal(event_log_since(log, 0, &events), 2);
    assert_string_equal(events[0]->reason, "Started");
    assert_string_equal(events[1]->reason, "BackOff");
    assert_int_equal(events[1]->count, 2);
    assert_int_equal(events[1]->id, 3);
    assert_true(events[1]->last.nsec >= events[1]->first.nsec);
    free(events);
    assert_int_equal(event_log_since(log, 2, &events), 1);
    free(events);
    assert_int_equal(event_log_since(log, 3, &events), 0);
    free(events);
    assert_int_equal(event_log_newest(log), 3);
    event_log_free(log);
}

static void another_message_or_object_is_another_event(void **state)
{
    struct event_log *log = event_log_open(NULL, "n1");
    struct event_object scheduler = etcd;
    scheduler.pod = "kube-scheduler-n1";
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 7");
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 8");
    event_add(log, etcd, EVENT_WARNING, "Started", "pid 7");
    event_add(log, scheduler, EVENT_NORMAL, "Started", "pid 7");
    event_add(log, (struct event_object){.file = "/m/a.yaml"}, EVENT_NORMAL, "Started", "pid 7");
    assert_int_equal(event_log_count(log), 5);
    event_log_free(log);
}

static void memory_is_bounded_and_says_what_it_forgot(void **state)
{
    struct event_log *log = event_log_open(NULL, "n1");
    for (int i = 0; i < EVENTS_MOST + 10; i++)
        event_add(log, etcd, EVENT_NORMAL, "Started", "pid %d", i);
    assert_int_equal(event_log_count(log), EVENTS_MOST);
    assert_int_equal(event_log_forgotten(log), 10);
    const struct event **events;
    assert_int_equal(event_log_since(log, 0, &events), EVENTS_MOST);
    assert_int_equal(events[0]->id, 11);
    free(events);
    event_log_free(log);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    struct event_log *log = event_log_open(NULL, "n1");
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    while (text.len < 2 * EVENT_MESSAGE_MAX)
        buffer_add_str(&text, "äöü€");
    event_add(log, etcd, EVENT_NORMAL, "Started", "%s", text.data);
    const struct event *e = only(log);
    assert_true(strlen(e->message) < EVENT_MESSAGE_MAX);
    assert_true(str_is_utf8(e->message, strlen(e->message), NULL));
    assert_true(str_ends_with(e->message, "…"));
    event_log_free(log);
}

static void events_survive_the_agent(void **state)
{
    struct fixture *f = *state;
    struct event_log *log = event_log_open(f->path, "n1");
    event_add(log, etcd, EVENT_WARNING, "BackOff", "line one\nline \"two\"");
    event_add(log, etcd, EVENT_WARNING, "BackOff", "line one\nline \"two\"");
    event_log_free(log);
    log = event_log_open(f->path, "n1");
    const struct event *e = only(log);
    assert_int_equal(e->id, 2);
    assert_int_equal(e->count, 2);
    assert_int_equal(e->type, EVENT_WARNING);
    assert_string_equal(e->message, "line one\nline \"two\"");
    assert_string_equal(e->container, "etcd");
    assert_null(e->file);
    event_add(log, etcd, EVENT_WARNING, "BackOff", "line one\nline \"two\"");
    assert_int_equal(only(log)->count, 3);
    assert_int_equal(only(log)->id, 3);
    event_log_free(log);
}

static void a_damaged_line_costs_itself(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "{\"id\":1,\"count\":1,\"reason\":\"A\",\"message\":\"x\"}\n"
                               "{\"id\":2,\"count\":1,\"rea\n"
                               "\n"
                               "[]\n"
                               "{\"id\":-3,\"count\":1,\"reason\":\"B\"}\n"
                               "{\"id\":4,\"count\":99999999999,\"reason\":\"B\"}\n"
                               "{\"id\":5,\"count\":1,\"reason\":5}\n"
                               "\xff\xfe\x00garbage\n"
                               "{\"id\":6,\"count\":2,\"reason\":\"C\"}\n"
                               "{\"id\":7,\"count\":1,\"reason\":\"cut o";
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->path, text, sizeof(text) - 1, 0600, 0), 0);
    struct event_log *log = event_log_open(f->path, "n1");
    const struct event **events;
    assert_int_equal(event_log_since(log, 0, &events), 2);
    assert_string_equal(events[0]->reason, "A");
    assert_string_equal(events[1]->reason, "C");
    assert_string_equal(events[1]->message, "");
    free(events);
    // What is added behind the torn line stands on a line of its own.
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 7");
    event_log_free(log);
    log = event_log_open(f->path, "n1");
    assert_int_equal(event_log_since(log, 6, &events), 1);
    assert_string_equal(events[0]->reason, "Started");
    free(events);
    event_log_free(log);
}

static void the_file_is_rotated_and_both_are_read(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    struct event_log *log = event_log_open(f->path, "n1");
    _cleanup_free_ char *padding = xasprintf("%02000d", 0);
    int n = EVENTS_FILE_MAX / 2000 * 3 / 2;
    for (int i = 0; i < n; i++)
        event_add(log, etcd, EVENT_NORMAL, "Started", "%s %d", padding, i);
    event_log_free(log);
    assert_int_equal(stat(f->old_path, &st), 0);
    assert_true(st.st_size < EVENTS_FILE_MAX + 10000);
    log = event_log_open(f->path, "n1");
    assert_int_equal(event_log_count(log), n);
    assert_int_equal(event_log_newest(log), n);
    event_log_free(log);
}

static void without_a_file_it_works_from_memory(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *nowhere = path_join(f->dir, "no/such/directory/events");
    struct event_log *log = event_log_open(nowhere, "n1");
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 7");
    assert_int_equal(event_log_count(log), 1);
    event_log_free(log);
    // A directory, or a FIFO that nobody reads, in the file's place.
    log = event_log_open(f->dir, "n1");
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 7");
    event_log_free(log);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    log = event_log_open(f->path, "n1");
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 7");
    assert_int_equal(event_log_count(log), 1);
    event_log_free(log);
}

static void a_full_disk_tears_one_line_only(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;
    struct event_log *log = event_log_open(f->path, "n1");
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 1");
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit tight = {(rlim_t)st.st_size + 20, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 2");
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 3");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 4");
    event_log_free(log);
    log = event_log_open(f->path, "n1");
    const struct event **events;
    assert_int_equal(event_log_since(log, 0, &events), 2);
    assert_string_equal(events[0]->message, "pid 1");
    assert_string_equal(events[1]->message, "pid 4");
    assert_int_equal(events[1]->id, 4);
    free(events);
    event_log_free(log);
}

static void count_call(void *userdata, const struct event *event)
{
    *(uint64_t *)userdata = *(uint64_t *)userdata * 10 + event->id;
}

static void the_listener_hears_every_addition(void **state)
{
    struct event_log *log = event_log_open(NULL, "n1");
    uint64_t heard = 0;
    event_log_set_listener(log, count_call, &heard);
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 1");
    event_add(log, etcd, EVENT_NORMAL, "Started", "pid 1");
    assert_int_equal(heard, 12);
    event_log_free(log);
}

static const char *text_at(const json_t *o, const char *a, const char *b)
{
    return json_string_value(json_object_get(b ? json_object_get(o, a) : o, b ? b : a));
}

static void an_event_is_a_v1_event(void **state)
{
    struct event_log *log = event_log_open(NULL, "n1");
    event_add(log, etcd, EVENT_WARNING, "BackOff", "bytes \xff\xc3 that are no text");
    json_t *o = event_to_json(only(log), "n1");
    assert_string_equal(text_at(o, "kind", NULL), "Event");
    assert_string_equal(text_at(o, "type", NULL), "Warning");
    assert_string_equal(text_at(o, "message", NULL),
                        "bytes \xef\xbf\xbd\xef\xbf\xbd that are no text");
    assert_string_equal(text_at(o, "metadata", "resourceVersion"), "1");
    assert_string_equal(text_at(o, "metadata", "namespace"), "kube-system");
    assert_string_equal(text_at(o, "involvedObject", "kind"), "Pod");
    assert_string_equal(text_at(o, "involvedObject", "fieldPath"), "spec.containers{etcd}");
    assert_string_equal(text_at(o, "source", "host"), "n1");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "mainstay"), "id")), 1);
    _cleanup_free_ char *name = xstrdup(text_at(o, "metadata", "name"));
    json_decref(o);
    event_add(log, etcd, EVENT_WARNING, "BackOff", "bytes \xff\xc3 that are no text");
    o = event_to_json(only(log), "n1");
    assert_string_equal(text_at(o, "metadata", "name"), name); // the same one, seen again
    assert_int_equal(json_integer_value(json_object_get(o, "count")), 2);
    json_decref(o);
    event_log_free(log);
}

static void an_event_without_a_pod_is_about_the_node(void **state)
{
    struct event_log *log = event_log_open(NULL, "n1");
    event_add(log, (struct event_object){.file = "/m/a.yaml"}, EVENT_WARNING, "ManifestRefused",
              "a.yaml:3:1: no");
    json_t *o = event_to_json(only(log), "n1");
    assert_string_equal(text_at(o, "involvedObject", "kind"), "Node");
    assert_string_equal(text_at(o, "involvedObject", "name"), "n1");
    assert_string_equal(text_at(o, "mainstay", "file"), "/m/a.yaml");
    json_decref(o);
    event_log_free(log);
}

static void reasons_have_ids_of_their_own(void **state)
{
    size_t n;
    const struct event_id *ids = event_ids(&n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(event_message_id(ids[i].reason), ids[i].id);
        assert_int_equal(strlen(ids[i].id), 32);
        assert_int_equal(strspn(ids[i].id, "0123456789abcdef"), 32);
        assert_string_not_equal(ids[i].id, event_message_id("NoSuch"));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ids[i].id, ids[k].id);
    }
    assert_string_equal(event_message_id("NoSuch"), event_message_id("AnotherUnknown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repetition_counts_and_gets_a_new_id),
        cmocka_unit_test(another_message_or_object_is_another_event),
        cmocka_unit_test(memory_is_bounded_and_says_what_it_forgot),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test_setup_teardown(events_survive_the_agent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_line_costs_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_is_rotated_and_both_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_file_it_works_from_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_tears_one_line_only, setup, teardown),
        cmocka_unit_test(the_listener_hears_every_addition),
        cmocka_unit_test(an_event_is_a_v1_event),
        cmocka_unit_test(an_event_without_a_pod_is_about_the_node),
        cmocka_unit_test(reasons_have_ids_of_their_own),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
