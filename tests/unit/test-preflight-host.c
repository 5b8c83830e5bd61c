// What preflight says of machines that have too little, and of those that have enough: each is a
// tree with /proc and /sys in it, and answers of the kernel.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/preflight-internal.h"

#define MIB ((uint64_t)1 << 20)

// What the kernel and the disk answer. Set by each test.
static struct {
    uint64_t free_bytes;
    int statvfs_errno;
    int clock_state, clock_status;
    int64_t sync_usec, slow_usec;
    int slow_from, n_syncs; // the writes from this one on take slow_usec
} played;

static int play_statvfs(const char *path, struct statvfs *ret)
{
    *ret = (struct statvfs){.f_frsize = 4096, .f_bavail = played.free_bytes / 4096};
    errno = played.statvfs_errno;
    return played.statvfs_errno ? -1 : 0;
}

static int play_adjtimex(struct timex *state)
{
    state->status = played.clock_status;
    errno = ENOSYS;
    return played.clock_state;
}

static int64_t play_write_synced(int fd, const void *data, size_t size)
{
    return played.n_syncs++ < played.slow_from ? played.sync_usec : played.slow_usec;
}

struct fixture {
    char root[32];
    struct preflight_machine machine;
    struct node_manifests pods;
    struct control_plane plane;
    struct preflight_subject subject;
    struct preflight_report report;
};

static void put(const struct fixture *f, const char *path, const char *text)
{
    _cleanup_free_ char *full = xasprintf("%s/%s", f->root, path);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, full), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, full, text, strlen(text), 0600, 0), 0);
}

static void add_pod(struct fixture *f, const char *program)
{
    _cleanup_free_ char *text =
        xasprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\nspec:\n  hostNetwork: true\n"
                  "  containers:\n  - name: c\n    image: %s\n    command: [%s]\n",
                  program, program, program);
    _cleanup_free_ char *path = xasprintf("new/%s.yaml", program);
    put(f, path, text);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->root, "/tmp/test-preflight-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    memset(&played, 0, sizeof(played));
    played.free_bytes = 100000 * MIB;
    f->machine =
        (struct preflight_machine){f->root, play_statvfs, play_adjtimex, play_write_synced};
    add_pod(f, "etcd");
    add_pod(f, "kube-apiserver");
    put(f, "there/README", "");
    put(f, "data/README", "");
    _cleanup_free_ char *from = xasprintf("%s/new", f->root);
    assert_int_equal(node_manifests_load(from, NULL, &f->pods, NULL), 0);
    f->plane.etcd_data_dir = xasprintf("%s/data", f->root);
    f->subject = (struct preflight_subject){
        .plane = &f->plane, .pods = &f->pods, .manifests = xasprintf("%s/there", f->root)};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->root), 0);
    node_manifests_free(&f->pods);
    preflight_report_free(&f->report);
    free((char *)f->plane.etcd_data_dir);
    free((char *)f->subject.manifests);
    free(f);
    return 0;
}

// Runs a check: it finds this one thing, in words that hold these.
static void expect(struct fixture *f, void (*check)(struct preflight *p),
                   enum preflight_verdict verdict, const char *words)
{
    struct preflight p = {
        .machine = &f->machine, .subject = &f->subject, .report = &f->report, .check = "X"};
    preflight_report_free(&f->report);
    check(&p);
    assert_int_equal(f->report.findings.n, 1);
    const struct preflight_finding *finding = &f->report.findings.items[0];
    if (finding->verdict != verdict || !strstr(finding->text, words))
        fail_msg("verdict %d: %s", finding->verdict, finding->text);
    assert_int_equal(f->report.warnings, verdict == PREFLIGHT_WARNING);
    assert_int_equal(f->report.errors, verdict == PREFLIGHT_ERROR);
}

static void swap(void **state)
{
    struct fixture *f = *state;
    expect(f, preflight_swap, PREFLIGHT_GOOD, "no swap is on"); // a kernel without it
    put(f, "proc/swaps", "Filename Type Size Used Priority\n");
    expect(f, preflight_swap, PREFLIGHT_GOOD, "no swap is on");
    put(f, "proc/swaps", "Filename Type Size Used Priority\n/dev/dm-1 partition 2097152 0 -2\n");
    expect(f, preflight_swap, PREFLIGHT_WARNING, "2048 MiB of swap are on");
}

static void memory(void **state)
{
    struct fixture *f = *state;
    put(f, "proc/meminfo", "MemTotal: 900000 kB\nMemAvailable: 716799 kB\n");
    expect(f, preflight_memory, PREFLIGHT_WARNING,
           "699 MiB of memory are available, and 700 MiB are wanted");
    put(f, "proc/meminfo", "MemTotal: 900000 kB\nMemAvailable: 716800 kB\n");
    expect(f, preflight_memory, PREFLIGHT_GOOD, "700 MiB of memory are available");
    // What runs here already has its memory.
    put(f, "there/kube-apiserver.yaml", "{}");
    put(f, "proc/meminfo", "MemAvailable: 102400 kB\n");
    expect(f, preflight_memory, PREFLIGHT_GOOD, "100 MiB");
    put(f, "proc/meminfo", "MemAvailable: 102399 kB\n");
    expect(f, preflight_memory, PREFLIGHT_WARNING, "and 100 MiB are wanted");
}

static void disk_space(void **state)
{
    struct fixture *f = *state;
    played.free_bytes = 2048 * MIB;
    expect(f, preflight_disk_space, PREFLIGHT_GOOD, "2048 MiB are free");
    played.free_bytes -= 4096;
    expect(f, preflight_disk_space, PREFLIGHT_WARNING, "2047 MiB are free");
    played.free_bytes = 256 * MIB;
    expect(f, preflight_disk_space, PREFLIGHT_WARNING, "a full disk stops it");
    played.free_bytes -= 4096;
    expect(f, preflight_disk_space, PREFLIGHT_ERROR, "give --etcd-data-dir");
    played.statvfs_errno = EIO;
    expect(f, preflight_disk_space, PREFLIGHT_ERROR, "Input/output error");
}

static void cgroups(void **state)
{
    struct fixture *f = *state;
    expect(f, preflight_cgroups, PREFLIGHT_WARNING, "no cgroup file system is mounted");
    put(f, "proc/self/mounts", "proc /proc proc rw 0 0\n");
    expect(f, preflight_cgroups, PREFLIGHT_WARNING, "no cgroup file system is mounted");
    put(f, "sys/fs/cgroup/cgroup.controllers", "cpuset io pids\n");
    expect(f, preflight_cgroups, PREFLIGHT_WARNING, "the cgroup controllers memory and cpu are");
    put(f, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n");
    expect(f, preflight_cgroups, PREFLIGHT_WARNING, "the cgroup controller memory is missing");
    put(f, "sys/fs/cgroup/cgroup.controllers", "cpuset memory pids\n");
    expect(f, preflight_cgroups, PREFLIGHT_WARNING, "the cgroup controller cpu is missing");
    put(f, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    expect(f, preflight_cgroups, PREFLIGHT_GOOD, "cpu and memory are there");
    // Version 1, or half of each.
    put(f, "sys/fs/cgroup/cgroup.controllers", "\n");
    put(f, "proc/self/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu,cpuacct 0 0\n");
    expect(f, preflight_cgroups, PREFLIGHT_WARNING, "the cgroup controller memory is missing");
    put(f, "sys/fs/cgroup/cgroup.controllers", "memory\n");
    expect(f, preflight_cgroups, PREFLIGHT_GOOD, "cpu and memory are there");
}

static void clock_is_kept(void **state)
{
    struct fixture *f = *state;
    played.clock_state = TIME_OK;
    expect(f, preflight_clock, PREFLIGHT_GOOD, "the clock is kept right");
    played.clock_status = STA_UNSYNC;
    expect(f, preflight_clock, PREFLIGHT_WARNING, "nobody keeps this clock right");
    played.clock_status = 0;
    played.clock_state = TIME_ERROR;
    expect(f, preflight_clock, PREFLIGHT_WARNING, "timedatectl set-ntp true");
    played.clock_state = -1;
    expect(f, preflight_clock, PREFLIGHT_NOT_CHECKED, "Function not implemented");
}

static void disk_is_fast(void **state)
{
    struct fixture *f = *state;
    played.sync_usec = 10000;
    played.slow_from = INT32_MAX;
    expect(f, preflight_etcd_disk, PREFLIGHT_GOOD, "within 10.0 ms");
    played.sync_usec = 12500;
    expect(f, preflight_etcd_disk, PREFLIGHT_WARNING, "within 12.5 ms; etcd recommends 10 ms");
    // The slow ones count.
    played.sync_usec = 100;
    played.slow_usec = 31000;
    played.slow_from = 63;
    played.n_syncs = 0;
    expect(f, preflight_etcd_disk, PREFLIGHT_WARNING, "within 31.0 ms");
    played.sync_usec = -ENOSPC;
    played.n_syncs = 0;
    expect(f, preflight_etcd_disk, PREFLIGHT_NOT_CHECKED, "No space left on device");
}

static void without_etcd_its_disk_is_not_looked_at(void **state)
{
    struct fixture *f = *state;
    struct preflight p = {
        .machine = &f->machine, .subject = &f->subject, .report = &f->report, .check = "X"};
    const struct node_manifests none = {0};
    f->subject.pods = &none;
    played.free_bytes = 0;
    preflight_disk_space(&p);
    preflight_etcd_disk(&p);
    assert_int_equal(f->report.findings.n, 0);
}

static void this_machine_answers(void **state)
{
    struct fixture *f = *state;
    const struct preflight_machine *m = &preflight_this_machine;
    struct statvfs vfs = {0};
    struct timex clock = {0};
    assert_int_equal(m->statvfs(f->root, &vfs), 0);
    assert_true(vfs.f_frsize > 0);
    assert_int_equal(m->statvfs("/nowhere/at/all", &vfs), -1);
    assert_true(m->adjtimex(&clock) >= 0 || errno != EINVAL);
    _cleanup_close_ int fd = open(f->root, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        skip();
    assert_true(m->write_synced(fd, "x", 1) >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 1);
    _cleanup_close_ int reading = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(m->write_synced(reading, "x", 1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(swap, setup, teardown),
        cmocka_unit_test_setup_teardown(memory, setup, teardown),
        cmocka_unit_test_setup_teardown(disk_space, setup, teardown),
        cmocka_unit_test_setup_teardown(cgroups, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(disk_is_fast, setup, teardown),
        cmocka_unit_test_setup_teardown(without_etcd_its_disk_is_not_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(this_machine_answers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
