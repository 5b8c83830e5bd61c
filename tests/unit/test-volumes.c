// Volumes on disk: what is made for a pod's mounts, and that all of it goes again.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/podspec.h"
#include "supervisor/shim/sweep.h"
#include "supervisor/volumes-internal.h"

struct fixture {
    char dir[32];
    struct volumes_options options;
    struct pod_list pods;
    struct shim_spec spec;
    struct string_list notes;
    struct error err;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-volumes-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->options = (struct volumes_options){f->dir, f->dir, geteuid() != 0};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int code = fs_remove_tree(AT_FDCWD, f->dir);
    pod_list_free(&f->pods);
    shim_spec_free(&f->spec);
    string_list_free(&f->notes);
    error_clear(&f->err);
    free(f);
    return code;
}

static int prepare(struct fixture *f, const char *volumes, const char *mounts)
{
    struct diag_list diags = {0};
    _cleanup_free_ char *text = xasprintf(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: d, uid: u1, labels: {c: 'd "
        "\"e\"', a: b}}\n"
        "spec:\n  hostNetwork: true\n  volumes:\n%s  containers:\n  - name: c\n    image: i\n"
        "    volumeMounts:\n%s",
        volumes, mounts);
    pod_list_free(&f->pods);
    shim_spec_free(&f->spec);
    f->spec = (struct shim_spec){0};
    error_clear(&f->err);
    if (podspec_parse("test.yaml", text, strlen(text), &f->pods, &diags) < 0)
        fail_msg("the test's own manifest is wrong:\n%s", text);
    diag_list_free(&diags);
    struct pod *pod = f->pods.items[0];
    struct string_map vars = {0};
    string_map_set(&vars, "NAME", "etcd");
    int code = volumes_prepare(&f->options, pod, &pod->spec.containers.items[0], &vars, &f->spec,
                               &f->notes, &f->err);
    string_map_free(&vars);
    if (code < 0)
        print_message("%s\n", error_message(&f->err));
    return code;
}

// What the helper does with what was put aside.
static void sweep(const struct fixture *f)
{
    int status;
    _cleanup_free_ char *aside = path_join(f->dir, "pods/.removed");
    char *dirs[] = {aside, NULL};
    pid_t pid = fork(); // it gives up its priority
    if (pid == 0)
        _exit(sweep_remove(dirs));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(rmdir(aside) == 0 || errno == ENOENT); // nothing is left in it
}

static void assert_gone(struct fixture *f)
{
    struct stat st;
    _cleanup_free_ char *pod = path_join(f->dir, "pods/u1");
    if (volumes_remove(&f->options, "u1", &f->err) < 0)
        fail_msg("%s", error_message(&f->err));
    assert_int_equal(stat(pod, &st), -1);
    sweep(f);
    assert_int_equal(volumes_remove(&f->options, "u1", &f->err), 0);
}

static void host_paths_become_mounts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        prepare(f,
                "  - {name: a, hostPath: {path: /etc/kubernetes/pki, type: DirectoryOrCreate}}\n"
                "  - {name: b, hostPath: {path: /run/x.sock, type: Socket}}\n",
                "    - {name: a, mountPath: /pki/, readOnly: true}\n"
                "    - {name: b, mountPath: /x.sock, mountPropagation: HostToContainer}\n"
                "    - {name: a, mountPath: /sub, subPathExpr: \"$(NAME)/x\"}\n"),
        0);
    const struct shim_mount *mounts = f->spec.mounts.items;
    assert_int_equal(f->spec.mounts.n, 3);
    assert_string_equal(mounts[0].source, "/etc/kubernetes/pki");
    assert_string_equal(mounts[0].destination, "/pki");
    assert_int_equal(mounts[0].check, SHIM_PATH_DIRECTORY_OR_CREATE);
    assert_true(mounts[0].read_only);
    assert_int_equal(mounts[1].check, SHIM_PATH_SOCKET);
    assert_true(mounts[1].propagate_from_host);
    assert_false(mounts[1].read_only);
    assert_string_equal(mounts[2].sub_path, "etcd/x");
    assert_int_equal(prepare(f, "  - {name: a, hostPath: {path: /srv}}\n",
                             "    - {name: a, mountPath: /sub, subPathExpr: \"$(OTHER)/x\"}\n"),
                     -EINVAL);
}

static void empty_dirs_are_shared_and_removed(void **state)
{
    struct fixture *f = *state;
    const char *volume = "  - {name: scratch, emptyDir: {}}\n";
    const char *mount = "    - {name: scratch, mountPath: /scratch}\n";
    assert_int_equal(prepare(f, volume, mount), 0);
    _cleanup_free_ char *source = xstrdup(f->spec.mounts.items[0].source);
    struct stat st;
    assert_int_equal(stat(source, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0777);
    assert_true(str_ends_with(source, "/pods/u1/volumes/kubernetes.io~empty-dir/scratch"));
    _cleanup_free_ char *file = path_join(source, "kept");
    assert_int_equal(fs_write_atomic(AT_FDCWD, file, "x", 1, 0644, 0), 0);
    assert_int_equal(prepare(f, volume, mount), 0); // the next start of the container
    assert_int_equal(access(file, F_OK), 0);
    assert_gone(f);
}

static void memory_is_mounted_once(void **state)
{
    struct fixture *f = *state;
    const char *volume = "  - {name: m, emptyDir: {medium: Memory, sizeLimit: 1Mi}}\n";
    const char *mount = "    - {name: m, mountPath: /m}\n";
    int code = prepare(f, volume, mount);
    if (code == -EPERM) {
        print_message("skipped: nothing can be mounted here\n");
        skip();
    }
    assert_int_equal(code, 0);
    _cleanup_free_ char *file = path_join(f->spec.mounts.items[0].source, "kept");
    assert_int_equal(fs_write_atomic(AT_FDCWD, file, "x", 1, 0644, 0), 0);
    assert_int_equal(prepare(f, volume, mount), 0);
    assert_int_equal(access(file, F_OK), 0);
    assert_gone(f);
}

static void foreign_mounts_are_not_deleted_through(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *target = path_join(f->dir, "pods/u1/elsewhere");
    _cleanup_free_ char *precious = path_join(f->dir, "precious");
    _cleanup_free_ char *file = path_join(f->dir, "precious/file");
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, target, 0755), 0);
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, precious, 0755), 0);
    if (mount("tmpfs", precious, "tmpfs", 0, NULL) < 0) {
        print_message("skipped: nothing can be mounted here\n");
        skip();
    }
    assert_int_equal(fs_write_atomic(AT_FDCWD, file, "x", 1, 0644, 0), 0);
    assert_int_equal(mount(precious, target, NULL, MS_BIND, NULL), 0);
    int code = volumes_remove(&f->options, "u1", &f->err);
    bool kept = access(file, F_OK) == 0;
    umount2(target, MNT_DETACH);
    umount2(precious, MNT_DETACH);
    assert_int_equal(code, -EBUSY);
    assert_true(kept);
    assert_non_null(strstr(error_message(&f->err), "still mounted"));
    error_clear(&f->err);
    assert_gone(f);
}

static void assert_file(const char *dir, const char *name, const char *expected, mode_t mode)
{
    struct stat st;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_free_ char *path = path_join(dir, name);
    assert_int_equal(fs_read_file(AT_FDCWD, path, 4096, &text), 0);
    assert_string_equal(buffer_str(&text), expected);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void pods_are_described_in_files(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        prepare(f,
                "  - name: info\n    downwardAPI:\n      items:\n"
                "      - {path: labels, fieldRef: {fieldPath: metadata.labels}}\n"
                "      - {path: deep/name, mode: 0400, fieldRef: {fieldPath: metadata.name}}\n"
                "  - name: all\n    projected:\n      defaultMode: 0440\n      sources:\n"
                "      - downwardAPI:\n          items:\n"
                "          - {path: uid, fieldRef: {fieldPath: metadata.uid}}\n",
                "    - {name: info, mountPath: /info}\n    - {name: all, mountPath: /all}\n"),
        0);
    const struct shim_mount *mounts = f->spec.mounts.items;
    assert_true(mounts[0].read_only);
    assert_file(mounts[0].source, "labels", "a=\"b\"\nc=\"d \\\"e\\\"\"", 0644);
    assert_file(mounts[0].source, "deep/name", "p", 0400);
    assert_file(mounts[1].source, "uid", "u1", 0440);
    assert_gone(f);
}

// ---- what the writer lays out ----

static void assert_link(const char *dir, const char *name, const char *expected)
{
    char target[256];
    _cleanup_free_ char *path = path_join(dir, name);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    assert_true(n > 0);
    target[n] = '\0';
    if (expected)
        assert_string_equal(target, expected);
    else
        assert_true(str_starts_with(target, "..2"));
}

static size_t count_entries(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void write_payload(const char *dir, const char *const texts[][2], size_t n)
{
    _cleanup_payload_ struct payload payload = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(payload_add(&payload, texts[i][0], texts[i][1], 0644, &err), 0);
    assert_int_equal(payload_write(&payload, dir, (gid_t)-1, &err), 0);
}

static void files_change_all_at_once(void **state)
{
    struct fixture *f = *state;
    static const char *const first[][2] = {{"a", "1"}, {"d/b", "2"}, {"d/e/c", "3"}},
                             *const second[][2] = {{"a", "1"}, {"d/b", "changed"}};
    char before[256], after[256];
    _cleanup_free_ char *dir = path_join(f->dir, "volume"), *data = path_join(dir, "..data");
    _cleanup_free_ char *stale = path_join(dir, "..2001_01_01_00_00_00.1");
    assert_int_equal(mkdir(dir, 0755), 0);
    write_payload(dir, first, 3);
    assert_file(dir, "a", "1", 0644);
    assert_file(dir, "d/e/c", "3", 0644);
    assert_link(dir, "a", "..data/a");
    assert_link(dir, "d", "..data/d");
    assert_link(dir, "..data", NULL);
    assert_int_equal(count_entries(dir), 4);
    assert_true(readlink(data, before, sizeof(before)) > 0);
    _cleanup_close_ int reader = open(data, O_PATH | O_DIRECTORY | O_CLOEXEC);

    write_payload(dir, first, 3); // the same: nothing is touched
    assert_true(readlink(data, after, sizeof(after)) > 0);
    assert_memory_equal(before, after, 20);

    assert_int_equal(mkdir(stale, 0700), 0); // an agent died while it wrote
    write_payload(dir, second, 2);
    assert_file(dir, "d/b", "changed", 0644);
    assert_int_equal(count_entries(dir), 4);
    _cleanup_free_ char *gone = path_join(dir, "d/e/c");
    assert_int_equal(access(gone, F_OK), -1);
    struct stat st; // whoever has the old directory open finds no new file in it
    assert_int_equal(fstatat(reader, "d/b", &st, 0), -1);
}

static void groups_may_read(void **state)
{
    struct fixture *f = *state;
    _cleanup_payload_ struct payload payload = {0};
    _cleanup_free_ char *dir = path_join(f->dir, "volume"), *below = path_join(dir, "d/");
    _cleanup_free_ char *file = path_join(dir, "d/x");
    struct stat st;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(payload_add(&payload, "d/x", "x", 0400, &f->err), 0);
    assert_int_equal(payload_write(&payload, dir, 4711, &f->err), 0);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0440);
    assert_int_equal(st.st_gid, 4711);
    assert_int_equal(stat(below, &st), 0);
    assert_int_equal(st.st_mode & 07777, 02755);
    assert_int_equal(st.st_gid, 4711);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 02755);
}

// An earlier release wrote the files where the links are now.
static void older_layouts_are_replaced(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[][2] = {{"labels", "new"}, {"deep/x", "y"}};
    _cleanup_free_ char *dir = path_join(f->dir, "volume"), *old = path_join(dir, "labels");
    _cleanup_free_ char *deep = path_join(dir, "deep");
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(mkdir(deep, 0755), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, old, "old", 3, 0644, 0), 0);
    write_payload(dir, texts, 2);
    assert_file(dir, "labels", "new", 0644);
    assert_link(dir, "deep", "..data/deep");
}

static void paths_are_cleaned_or_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const good[][2] = {
        {"a", "a"},         {"a/b", "a/b"},     {"./a", "a"},       {"a//b/", "a/b"},
        {"a/./b", "a/b"},   {"a/..b", "a/..b"}, {"a../b", "a../b"}, {"...", NULL},
        {"", NULL},         {".", NULL},        {"/a", NULL},       {"..", NULL},
        {"../a", NULL},     {"a/../b", NULL},   {"a/..", NULL},     {"..data", NULL},
        {"..data/x", NULL}, {"./..data", NULL}, {"//", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_free_ char *clean = NULL;
        int code = payload_clean_path(good[i][0], &clean, &f->err);
        if (code != (good[i][1] ? 0 : -EINVAL) || (clean && strcmp(clean, good[i][1]) != 0))
            fail_msg("%s: %d, %s", good[i][0], code, clean ? clean : "");
        error_clear(&f->err);
    }
    char name[300];
    _cleanup_free_ char *clean = NULL;
    memset(name, 'x', sizeof(name));
    name[256] = '\0';
    assert_int_equal(payload_clean_path(name, &clean, &f->err), -EINVAL);
    error_clear(&f->err);
    name[255] = '\0';
    assert_int_equal(payload_clean_path(name, &clean, &f->err), 0);
}

// ---- emptyDir ----

static void sizes_of_memory(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *limit, *resources;
        int64_t expected;
    } cases[] = {
        {"", "", 1 << 30},
        {", sizeLimit: 1Mi", "", 1 << 20},
        {", sizeLimit: 2Gi", "", 1 << 30},
        {", sizeLimit: 0", "", 1 << 30},
        {"", "{limits: {memory: 5Mi}}", 5 << 20},
        {", sizeLimit: 9Mi", "{limits: {memory: 5Mi}}", 5 << 20},
        {", sizeLimit: 3Mi", "{limits: {memory: 5Mi}}", 3 << 20},
        {"", "{requests: {memory: 5Mi}}", 1 << 30},
        {"", "{limits: {memory: 4Gi}}", 1 << 30},
    };
    f->options.memory_capacity_bytes = 1 << 30;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct diag_list diags = {0};
        _cleanup_free_ char *text =
            xasprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: p, uid: u1}\nspec:\n  volumes:\n"
                      "  - {name: m, emptyDir: {medium: Memory%s}}\n  containers:\n  - name: c\n   "
                      " image: i\n"
                      "    resources: %s\n",
                      cases[i].limit, *cases[i].resources ? cases[i].resources : "{}");
        pod_list_free(&f->pods);
        assert_int_equal(podspec_parse("test.yaml", text, strlen(text), &f->pods, &diags), 0);
        diag_list_free(&diags);
        const struct pod *pod = f->pods.items[0];
        assert_int_equal(volumes_memory_size(&f->options, pod, pod->spec.volumes.items),
                         cases[i].expected);
    }
}

static void groups_own_empty_dirs(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    if (geteuid() != 0)
        skip();
    const char *volumes = "  - {name: e, emptyDir: {}}\n  securityContext: {fsGroup: 4711}\n";
    assert_int_equal(prepare(f, volumes, "    - {name: e, mountPath: /e}\n"), 0);
    const char *source = f->spec.mounts.items[0].source;
    assert_int_equal(stat(source, &st), 0);
    assert_int_equal(st.st_mode & 07777, 02777);
    assert_int_equal(st.st_gid, 4711);
    assert_int_equal(chmod(source, 0700), 0); // the container's business from now on
    _cleanup_free_ char *again = xstrdup(source);
    assert_int_equal(prepare(f, volumes, "    - {name: e, mountPath: /e}\n"), 0);
    assert_int_equal(stat(again, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

// ---- what is put aside ----

static void nothing_outside_is_removed(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    const char *volume = "  - {name: e, emptyDir: {}}\n",
               *mount_e = "    - {name: e, mountPath: /e}\n";
    assert_int_equal(prepare(f, volume, mount_e), 0);
    const char *source = f->spec.mounts.items[0].source;
    _cleanup_free_ char *precious = path_join(f->dir, "precious");
    _cleanup_free_ char *file = path_join(f->dir, "precious/file");
    _cleanup_free_ char *link = path_join(source, "link"), *bound = path_join(source, "bound dir");
    assert_int_equal(mkdir(precious, 0755) | mkdir(bound, 0755), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, file, "x", 1, 0644, 0), 0);
    assert_int_equal(symlink(precious, link), 0);
    // A mount of the same file system, as a container with Bidirectional mounts leaves it.
    bool mounted = mount(precious, bound, NULL, MS_BIND, NULL) == 0;
    if (!mounted)
        print_message("nothing can be mounted here\n");
    assert_gone(f);
    assert_int_equal(stat(file, &st), 0);
}

static void deep_trees_are_removed(void **state)
{
    struct fixture *f = *state;
    const char *volume = "  - {name: e, emptyDir: {}}\n";
    assert_int_equal(prepare(f, volume, "    - {name: e, mountPath: /e}\n"), 0);
    int at = open(f->spec.mounts.items[0].source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 3000; i++) { // deeper than there are descriptors, longer than PATH_MAX
        assert_int_equal(mkdirat(at, "directory", 0700), 0);
        if (i % 100 == 0)
            assert_int_equal(mknodat(at, "file", S_IFREG | 0600, 0), 0);
        int next = openat(at, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        if (i == 1500)
            assert_int_equal(fchmod(at, 0), 0); // stops nobody but an ordinary user
        close(at);
        at = next;
    }
    close(at);
    assert_gone(f);
}

static void usage_is_measured(void **state)
{
    struct fixture *f = *state;
    int ends[2], status;
    char text[64] = "";
    _cleanup_free_ char *dir = path_join(f->dir, "volume"), *file = path_join(dir, "d/file");
    _cleanup_free_ char *other = path_join(dir, "same"), *link = path_join(dir, "link");
    _cleanup_free_ char *big = path_join(f->dir, "big"), *none = path_join(f->dir, "none");
    _cleanup_free_ char *data = xcalloc(1, 1 << 20);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, file), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, file, data, 1 << 20, 0600, 0), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, big, data, 1 << 20, 0600, 0), 0);
    assert_int_equal(linkat(AT_FDCWD, file, AT_FDCWD, other, 0), 0); // counts once
    assert_int_equal(symlink(f->dir, link), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *dirs[] = {dir, none, NULL};
        dup2(ends[1], 1);
        _exit(sweep_measure(dirs));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    char *end = NULL;
    assert_in_range(strtoll(text, &end, 10), 1 << 20, (1 << 20) + (64 << 10));
    assert_string_equal(end, "\n-1\n");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(host_paths_become_mounts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_dirs_are_shared_and_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_mounted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_mounts_are_not_deleted_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pods_are_described_in_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_change_all_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_may_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(older_layouts_are_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_are_cleaned_or_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sizes_of_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_own_empty_dirs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_outside_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deep_trees_are_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(usage_is_measured, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("volumes", tests, NULL, NULL);
}
