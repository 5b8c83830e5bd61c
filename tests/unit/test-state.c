// State on disk: what is written is read again, damage is found and costs no more than it must.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/state.h"

static const char manifest[] = "apiVersion: v1\n"
                               "kind: Pod\n"
                               "metadata: {name: web, namespace: default, labels: {a: b}}\n"
                               "spec:\n"
                               "  hostNetwork: true\n"
                               "  containers:\n"
                               "  - {name: main, image: x, command: [sleep, \"1000\"]}\n";

struct fixture {
    char dir[64];
    struct event_log *events;
    struct pod_worker *w;
};

static void ignore_save(void *runtime, struct pod_worker *w)
{
}

static const struct pod_runtime_ops ops = {.save = ignore_save};

static struct pod *parse_pod(void)
{
    _cleanup_pod_list_ struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    assert_int_equal(podspec_parse("web.yaml", manifest, strlen(manifest), &pods, &diags), 0);
    struct pod *pod = TAKE_PTR(pods.items[0]);
    struct podspec_node node = {.name = "node1", .source = "file"};
    assert_int_equal(podspec_make_static(pod, &node, &diags), 0);
    return pod;
}

static struct pod_worker *new_worker(struct fixture *f, struct pod *pod)
{
    return pod_worker_new(pod, "/m/web.yaml", BACKOFF_KUBELET, &ops, NULL, f->events);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/mainstay-state-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->events = event_log_open(NULL, "node1");
    f->w = new_worker(f, parse_pod());
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pod_worker_free(f->w);
    event_log_free(f->events);
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f);
    return 0;
}

static void save(struct fixture *f)
{
    assert_int_equal(state_save_pod(f->dir, f->w, NULL), 0);
    assert_int_equal(state_save_worker(f->dir, f->w, NULL), 0);
}

static struct pod_worker *load(struct fixture *f, bool *rebooted)
{
    struct pod *pod = NULL;
    _cleanup_free_ char *file = NULL;
    assert_int_equal(state_load_pod(f->dir, f->w->pod->metadata.uid, &pod, &file, NULL), 0);
    assert_string_equal(file, "/m/web.yaml");
    struct pod_worker *w = new_worker(f, pod);
    assert_int_equal(state_load_worker(f->dir, w, rebooted, NULL), 0);
    return w;
}

// An agent that dies while it stops its pods: the next one starts them.
static void test_a_hold_for_the_agents_end_does_not_last(void **state)
{
    struct fixture *f = *state;
    bool rebooted;
    f->w->held = f->w->held_for_exit = true;
    save(f);
    struct pod_worker *w = load(f, &rebooted);
    assert_false(w->held);
    pod_worker_free(w);
}

static void test_what_is_saved_is_loaded(void **state)
{
    struct fixture *f = *state;
    struct container_worker *c = &f->w->containers[0];
    bool rebooted = true;
    f->w->state = POD_RUNNING;
    f->w->held = true;
    f->w->started_at = (walltime){1234567890123456789};
    c->state = CONTAINER_BACKOFF;
    c->restart_count = 17;
    c->deadline = (monotime){987654321};
    c->grace_end = MONOTIME_NEVER;
    c->waiting_reason = xstrdup("CrashLoopBackOff");
    c->process_at = (monotime){31415926};
    c->probes[PROBE_STARTUP] = PROBE_SUCCESS;
    c->probes[PROBE_READINESS] = PROBE_SUCCESS;
    c->probes[PROBE_LIVENESS] = PROBE_FAILURE;
    c->unhealthy = true;
    c->last = (struct container_exit){.known = true,
                                      .restart_count = 17,
                                      .exit_code = 137,
                                      .signal = 9,
                                      .reason = xstrdup("OOMKilled"),
                                      .message = xstrdup("line one\nline \"two\"")};
    c->backoff = (struct backoff){.delay_usec = 40000000, .decided = {777}};
    save(f);
    struct pod_worker *w = load(f, &rebooted);
    const struct container_worker *d = &w->containers[0];
    assert_false(rebooted);
    assert_int_equal(w->state, POD_RUNNING);
    assert_true(w->held);
    assert_int_equal(w->started_at.nsec, 1234567890123456789);
    assert_string_equal(w->hash, f->w->hash);
    assert_string_equal(w->pod->metadata.name, "web-node1");
    assert_int_equal(d->state, CONTAINER_BACKOFF);
    assert_int_equal(d->restart_count, 17);
    assert_int_equal(d->deadline.usec, 987654321);
    assert_true(monotime_is_never(d->grace_end));
    assert_string_equal(d->waiting_reason, "CrashLoopBackOff");
    assert_int_equal(d->process_at.usec, 31415926);
    assert_int_equal(d->probes[PROBE_STARTUP], PROBE_SUCCESS);
    assert_int_equal(d->probes[PROBE_READINESS], PROBE_SUCCESS);
    assert_int_equal(d->probes[PROBE_LIVENESS], PROBE_FAILURE);
    assert_true(d->unhealthy);
    assert_true(d->last.known);
    assert_int_equal(d->last.exit_code, 137);
    assert_string_equal(d->last.message, "line one\nline \"two\"");
    assert_int_equal(d->backoff.delay_usec, 40000000);
    assert_int_equal(d->backoff.decided.usec, 777);
    assert_null(d->previous.reason);
    pod_worker_free(w);
}

static void test_lists_and_removes(void **state)
{
    struct fixture *f = *state;
    _cleanup_string_list_ struct string_list uids = {0}, after = {0};
    save(f);
    assert_int_equal(state_list(f->dir, &uids, NULL), 0);
    assert_int_equal(uids.n, 1);
    assert_string_equal(uids.items[0], f->w->pod->metadata.uid);
    state_remove(f->dir, uids.items[0]);
    assert_int_equal(state_list(f->dir, &after, NULL), 0);
    assert_int_equal(after.n, 0);
    assert_int_equal(state_list("/no/such/directory", &after, NULL), 0);
}

static char *path_of(struct fixture *f, const char *kind)
{
    return xasprintf("%s/%s.%s", f->dir, f->w->pod->metadata.uid, kind);
}

// Every single byte of a file, changed: found, never a crash, and never taken for the truth.
static void test_each_damaged_byte_is_found(void **state)
{
    struct fixture *f = *state;
    save(f);
    _cleanup_free_ char *path = path_of(f, "state");
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, path, 1 << 20, &content), 0);
    for (size_t i = 0; i < content.len; i++) {
        char right = content.data[i];
        content.data[i] ^= 1;
        assert_int_equal(fs_write_atomic(AT_FDCWD, path, content.data, content.len, 0600, 0), 0);
        bool rebooted;
        struct pod_worker *w = new_worker(f, parse_pod());
        assert_int_equal(state_load_worker(f->dir, w, &rebooted, NULL), -EBADMSG);
        assert_int_equal(w->state, POD_WAITING);
        pod_worker_free(w);
        content.data[i] = right;
    }
}

static void test_a_damaged_file_is_moved_aside(void **state)
{
    struct fixture *f = *state;
    save(f);
    struct pod *pod = NULL;
    char *file = NULL;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *path = path_of(f, "pod"), *aside = path_of(f, "pod.damaged");
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(state_load_pod(f->dir, f->w->pod->metadata.uid, &pod, &file, &err), -EBADMSG);
    assert_non_null(strstr(error_message(&err), ".pod.damaged"));
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(state_load_pod(f->dir, f->w->pod->metadata.uid, &pod, &file, NULL), -ENOENT);
}

static void test_a_file_that_cannot_be_written_is_told(void **state)
{
    struct fixture *f = *state;
    save(f);
    _cleanup_free_ char *dir = xasprintf("%s/not-there", f->dir);
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(state_save_worker(dir, f->w, &err), -ENOENT);
    assert_non_null(strstr(error_message(&err), dir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_saved_is_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_hold_for_the_agents_end_does_not_last, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lists_and_removes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_damaged_byte_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_file_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_written_is_told, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
