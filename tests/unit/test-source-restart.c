// What the directory source remembers over a restart of the agent.
#include "source-fixture.h"

#include <signal.h>
#include <sys/resource.h>

static void last_good_outlives_the_agent(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    drop_text(f, "etcd.yaml", "kind: [");
    settle(f);
    restart(f);
    assert_runs(f, "etcd", "v1");
    assert_state(f, "etcd.yaml", MANIFEST_REFUSED);
    assert_string_equal(f->log.items[f->log.n - 1], "synced");
    stop_source(f);
    drop_text(f, "etcd.yaml", "kind: {"); // broken anew, while nobody looks
    start_source_at(f, f->dir);
    turn_once(f);
    assert_runs(f, "etcd", "v1"); // at once, whatever comes of the file
    settle(f);
    remove_file(f, "etcd.yaml");
    settle(f);
    assert_runs_not(f, "etcd");
    drop_text(f, "etcd.yaml", "kind: [");
    settle(f);
    restart(f);
    assert_runs_not(f, "etcd"); // it went with its manifest
}

static void a_manifest_removed_meanwhile_is_gone(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    drop_pod(f, "api.yaml", "api", "v1");
    settle(f);
    stop_source(f);
    remove_file(f, "etcd.yaml");
    start_source_at(f, f->dir);
    settle(f);
    assert_int_equal(f->pods.n, 1);
    drop_text(f, "etcd.yaml", "kind: [");
    settle(f);
    assert_runs_not(f, "etcd");
}

static void damaged_state_costs_itself_only(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    drop_pod(f, "api.yaml", "api", "v1");
    settle(f);
    stop_source(f);
    write_text(f, "etcd.yaml", "kind: [");
    write_text(f, "api.yaml", "kind: [");
    _cleanup_free_ char *stored = path_join(f->state, "etcd.yaml");
    _cleanup_close_ int fd = open(stored, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(fs_write_all(fd, "x", 1), 0);
    start_source_at(f, f->dir);
    settle(f);
    assert_runs_not(f, "etcd");
    assert_runs(f, "api", "v1");
    drop_pod(f, "etcd.yaml", "etcd", "v2");
    settle(f);
    write_text(f, "etcd.yaml", "kind: [");
    restart(f);
    assert_runs(f, "etcd", "v2");
}

// As on a full disk: what cannot be stored runs all the same.
static void a_failing_store_stops_nothing(void **state)
{
    struct fixture *f = running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    drop_pod(f, "etcd.yaml", "etcd", "v2");
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    settle(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_runs(f, "etcd", "v2");
    manifest_source_rescan(f->source); // there is room again
    settle(f);
    stop_source(f);
    drop_text(f, "etcd.yaml", "kind: [");
    start_source_at(f, f->dir);
    settle(f);
    assert_runs(f, "etcd", "v2");
}

static void strange_names_are_stored_too(void **state)
{
    struct fixture *f = running(state);
    char name[256];
    memset(name, 'x', sizeof(name));
    memcpy(name + 250, ".yaml", 6);
    write_pod(f, name, "long", "v1");
    write_pod(f, "a b\n%2F\xff.yaml", "strange", "v1");
    settle(f);
    write_text(f, name, "kind: [");
    write_text(f, "a b\n%2F\xff.yaml", "kind: [");
    restart(f);
    assert_runs(f, "long", "v1");
    assert_runs(f, "strange", "v1");
}

static void without_a_store_it_runs_as_well(void **state)
{
    struct fixture *f = *state;
    free(f->state);
    f->state = NULL;
    running(state);
    drop_pod(f, "etcd.yaml", "etcd", "v1");
    settle(f);
    drop_text(f, "etcd.yaml", "kind: [");
    settle(f);
    assert_runs(f, "etcd", "v1");
    restart(f);
    assert_runs_not(f, "etcd");
}

static void a_torn_file_holds_up_the_first_sync(void **state)
{
    struct fixture *f = *state;
    write_text(f, "etcd.yaml", "kind: [");
    start_source_at(f, f->dir);
    turn_once(f);
    assert_int_equal(f->syncs, 0);
    write_pod(f, "etcd.yaml", "etcd", "v1");
    turn_once(f);
    assert_int_equal(f->syncs, 1);
    assert_string_equal(f->log.items[f->log.n - 1], "synced");
    assert_runs(f, "etcd", "v1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(last_good_outlives_the_agent),        TEST(a_manifest_removed_meanwhile_is_gone),
        TEST(damaged_state_costs_itself_only),     TEST(a_failing_store_stops_nothing),
        TEST(strange_names_are_stored_too),        TEST(without_a_store_it_runs_as_well),
        TEST(a_torn_file_holds_up_the_first_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
