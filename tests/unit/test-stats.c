// What containers use: the texts of cgroupfs and /proc, cgroups of v1 and v2 that are played by
// plain files, rates, and sums.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/stats.h"

// ---- texts ----

static void keys_are_found_in_their_lines(void **state)
{
    static const char text[] = "usage_usec 12\nuser_usec 5\nnr_throttled 0\nMemTotal:  2 kB\n"
                               "bad x\nhuge 99999999999999999999\nInactive(file): 3 kB\nlast 7";
    assert_int_equal(stats_parse_key(text, "usage_usec"), 12);
    assert_int_equal(stats_parse_key(text, "nr_throttled"), 0);
    assert_int_equal(stats_parse_key(text, "usage"), STATS_UNKNOWN);
    assert_int_equal(stats_parse_key(text, "MemTotal"), 2048);
    assert_int_equal(stats_parse_key(text, "Inactive(file)"), 3072);
    assert_int_equal(stats_parse_key(text, "bad"), STATS_UNKNOWN);
    assert_int_equal(stats_parse_key(text, "huge"), STATS_UNKNOWN);
    assert_int_equal(stats_parse_key(text, "last"), 7);
    assert_int_equal(stats_parse_key(text, ""), STATS_UNKNOWN);
    assert_int_equal(stats_parse_key(NULL, "x"), STATS_UNKNOWN);
    assert_int_equal(stats_parse_number("max\n"), STATS_UNKNOWN);
    assert_int_equal(stats_parse_number("-1\n"), STATS_UNKNOWN);
    assert_int_equal(stats_parse_number("9223372036854775807\n"), INT64_MAX);
    assert_int_equal(stats_parse_number(NULL), STATS_UNKNOWN);
}

static void devices_are_added_up(void **state)
{
    struct stats s;
    stats_init(&s);
    stats_parse_io("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"
                   "8:16 rbytes=10 wbytes=20 rios=30 wios=40\n254:0 \nrbytes=5\n",
                   &s);
    assert_int_equal(s.read_bytes, 11);
    assert_int_equal(s.written_bytes, 22);
    assert_int_equal(s.reads, 33);
    assert_int_equal(s.writes, 44);
    stats_init(&s);
    stats_parse_io("", &s);
    assert_int_equal(s.read_bytes, STATS_UNKNOWN);
    stats_parse_blkio("8:0 Read 5\n8:0 Write 6\n8:0 Sync 11\n8:16 Read 1\n8:0 Total 11\nTotal 12\n",
                      false, &s);
    stats_parse_blkio("8:0 Read 2\n8:0 Write 3\nTotal 5\n", true, &s);
    assert_int_equal(s.read_bytes, 6);
    assert_int_equal(s.written_bytes, 6);
    assert_int_equal(s.reads, 2);
    assert_int_equal(s.writes, 3);
}

static void pressure_is_read(void **state)
{
    struct stats_pressure p;
    stats_parse_pressure("some avg10=0.12 avg60=1.5 avg300=100.00 total=4007623\n"
                         "full avg10=0.00 avg60=0.00 avg300=0.09 total=7\n",
                         &p);
    assert_int_equal(p.some.avg10, 12);
    assert_int_equal(p.some.avg60, 150);
    assert_int_equal(p.some.avg300, 10000);
    assert_int_equal(p.some.total_usec, 4007623);
    assert_int_equal(p.full.avg300, 9);
    assert_int_equal(p.full.total_usec, 7);
    stats_parse_pressure("some avg10=9999999 total=\nfull\n", &p);
    assert_int_equal(p.some.avg10, 0);
    assert_int_equal(p.some.total_usec, STATS_UNKNOWN);
    assert_int_equal(p.full.total_usec, STATS_UNKNOWN);
}

static void processes_are_read_whatever_they_are_called(void **state)
{
    struct stats_process p;
    assert_true(
        stats_parse_process("7 (a) R 1 ) S 1 2 3 0 -1 4194560 10 20 1 2 5 6 7 8 20 0 3 0 99 "
                            "4096 12 18446744073709551615\n",
                            &p));
    assert_int_equal(p.faults, 30);
    assert_int_equal(p.major_faults, 3);
    assert_int_equal(p.user_ticks, 12);
    assert_int_equal(p.system_ticks, 14);
    assert_int_equal(p.threads, 3);
    assert_int_equal(p.resident_pages, 12);
    assert_false(stats_parse_process("7 (a) S 1 2 3", &p));
    assert_false(stats_parse_process("7 (a", &p));
    assert_false(stats_parse_process("", &p));
    assert_false(stats_parse_process(NULL, &p));
}

// ---- cgroups ----

struct host {
    char dir[64];
    struct string_list dirs;
};

static void put(const struct host *h, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(h->dir, name);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0), 0);
}

static void begin(struct host *h, const char *const *dirs)
{
    *h = (struct host){.dir = "/tmp/test-stats-XXXXXX"};
    assert_non_null(mkdtemp(h->dir));
    for (; *dirs; dirs++)
        string_list_add_owned(&h->dirs, path_join(h->dir, *dirs));
}

static void end(struct host *h)
{
    string_list_free(&h->dirs);
    assert_int_equal(fs_remove_tree(AT_FDCWD, h->dir), 0);
}

static void a_v2_cgroup_tells_all(void **state)
{
    struct host h;
    struct stats s;
    begin(&h, (const char *const[]){"c", NULL});
    put(&h, "c/cgroup.events", "populated 1\n");
    put(&h, "c/cgroup.procs", "");
    put(&h, "c/cpu.stat",
        "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 10\n"
        "nr_throttled 4\nthrottled_usec 500\n");
    put(&h, "c/memory.current", "1000\n");
    put(&h, "c/memory.max", "2000\n");
    put(&h, "c/memory.swap.current", "5\n");
    put(&h, "c/memory.stat",
        "anon 600\nfile 300\nfile_mapped 20\ninactive_file 250\npgfault 9\n"
        "pgmajfault 2\n");
    put(&h, "c/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n");
    put(&h, "c/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n");
    put(&h, "c/pids.current", "8\n");
    put(&h, "c/pids.max", "max\n");
    put(&h, "c/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=11\n");
    stats_read(&h.dirs, true, &s);
    assert_int_equal(s.cpu_usec, 3000000);
    assert_int_equal(s.cpu_throttled_periods, 4);
    assert_int_equal(s.memory_usage, 1000);
    assert_int_equal(s.memory_working_set, 750);
    assert_int_equal(s.memory_rss, 600);
    assert_int_equal(s.memory_limit, 2000);
    assert_int_equal(s.memory_swap, 5);
    assert_int_equal(s.oom_kills, 1);
    assert_int_equal(s.memory_failures, 3);
    assert_false(s.memory_of_processes);
    assert_int_equal(s.writes, 4);
    assert_int_equal(s.threads, 8);
    assert_int_equal(s.threads_limit, STATS_UNKNOWN);
    assert_int_equal(s.pressure[STATS_MEMORY].some.total_usec, 11);
    assert_int_equal(s.pressure[STATS_CPU].some.total_usec, STATS_UNKNOWN);
    end(&h);
}

static void v1_hierarchies_are_put_together(void **state)
{
    struct host h;
    struct stats s;
    begin(&h, (const char *const[]){"freezer", "cpu", "memory", "blkio", "pids", "gone", NULL});
    put(&h, "freezer/cgroup.procs", "");
    put(&h, "cpu/cpuacct.usage", "3000000000\n");
    put(&h, "cpu/cpuacct.usage_user", "2000000000\n");
    put(&h, "cpu/cpuacct.usage_sys", "1000000000\n");
    put(&h, "cpu/cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 500000\n");
    put(&h, "memory/memory.usage_in_bytes", "1000\n");
    put(&h, "memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(&h, "memory/memory.failcnt", "3\n");
    put(&h, "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    put(&h, "memory/memory.stat",
        "cache 1\ntotal_cache 300\ntotal_rss 600\ntotal_mapped_file 20\n"
        "total_inactive_file 2500\ntotal_pgfault 9\n");
    put(&h, "blkio/blkio.throttle.io_service_bytes", "8:0 Read 5\n8:0 Write 6\nTotal 11\n");
    put(&h, "pids/pids.current", "8\n");
    put(&h, "pids/pids.max", "40\n");
    stats_read(&h.dirs, true, &s);
    assert_int_equal(s.cpu_usec, 3000000);
    assert_int_equal(s.cpu_user_usec, 2000000);
    assert_int_equal(s.cpu_throttled_usec, 500);
    assert_int_equal(s.memory_usage, 1000);
    assert_int_equal(s.memory_working_set, 0); // never below
    assert_int_equal(s.memory_limit, STATS_UNKNOWN);
    assert_int_equal(s.memory_rss, 600);
    assert_int_equal(s.memory_swap, STATS_UNKNOWN);
    assert_int_equal(s.oom_kills, 2);
    assert_int_equal(s.read_bytes, 5);
    assert_int_equal(s.threads_limit, 40);
    assert_int_equal(s.processes, 0);
    end(&h);
}

// Where no controller counts, the processes are asked: this one.
static void processes_tell_what_cgroups_do_not(void **state)
{
    struct host h;
    struct stats s;
    begin(&h, (const char *const[]){"c", NULL});
    _cleanup_free_ char *self = xasprintf("%d\n", (int)getpid());
    put(&h, "c/cgroup.procs", self);
    stats_read(&h.dirs, false, &s);
    assert_int_equal(s.processes, STATS_UNKNOWN);
    assert_int_equal(s.memory_usage, STATS_UNKNOWN);
    stats_read(&h.dirs, true, &s);
    assert_int_equal(s.processes, 1);
    assert_true(s.memory_usage > 0 && s.memory_of_processes);
    assert_true(s.cpu_usec >= 0);
    assert_true(s.threads >= 1);
    end(&h);
}

// ---- rates and sums ----

static void rates_are_those_between_two_questions(void **state)
{
    struct stats_rate rate = {0};
    struct stats s;
    stats_init(&s);
    s.clock = (monotime){1000000};
    s.cpu_usec = 500000;
    stats_rate_update(&rate, &s);
    assert_int_equal(s.cpu_rate, STATS_UNKNOWN);
    s.clock = (monotime){3000000};
    s.cpu_usec = 1500000;
    stats_rate_update(&rate, &s);
    assert_int_equal(s.cpu_rate, 500000000); // half a CPU
    s.clock = (monotime){3100000};           // somebody else asks at once: the same answer
    s.cpu_usec = 1600000;
    stats_rate_update(&rate, &s);
    assert_int_equal(s.cpu_rate, 500000000);
    s.clock = (monotime){4000000};
    s.cpu_usec = 10; // another cgroup, or a counter that began anew
    stats_rate_update(&rate, &s);
    assert_int_equal(s.cpu_rate, STATS_UNKNOWN);
    s.cpu_usec = STATS_UNKNOWN;
    stats_rate_update(&rate, &s);
    assert_int_equal(rate.cpu_usec, 10);
}

static void sums_leave_out_what_is_unknown(void **state)
{
    struct stats sum, one;
    stats_init(&sum);
    stats_init(&one);
    one.memory_usage = 5;
    stats_add_all(&sum, &one);
    one.memory_usage = INT64_MAX;
    one.threads = 2;
    stats_add_all(&sum, &one);
    assert_int_equal(sum.memory_usage, INT64_MAX);
    assert_int_equal(sum.threads, 2);
    assert_int_equal(sum.read_bytes, STATS_UNKNOWN);
}

static void the_node_tells_something(void **state)
{
    struct stats_node node;
    struct stats_fs fs;
    stats_read_node(&node);
    assert_true(node.cpu_usec > 0 && node.cpus >= 1);
    assert_true(node.memory_total > node.memory_working_set && node.memory_working_set > 0);
    assert_true(node.processes > 0);
    stats_read_fs("/tmp", &fs);
    assert_true(fs.capacity > 0 && fs.available <= fs.capacity);
    stats_read_fs("/does/not/exist", &fs);
    assert_int_equal(fs.capacity, STATS_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_in_their_lines),
        cmocka_unit_test(devices_are_added_up),
        cmocka_unit_test(pressure_is_read),
        cmocka_unit_test(processes_are_read_whatever_they_are_called),
        cmocka_unit_test(a_v2_cgroup_tells_all),
        cmocka_unit_test(v1_hierarchies_are_put_together),
        cmocka_unit_test(processes_tell_what_cgroups_do_not),
        cmocka_unit_test(rates_are_those_between_two_questions),
        cmocka_unit_test(sums_leave_out_what_is_unknown),
        cmocka_unit_test(the_node_tells_something),
    };
    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
