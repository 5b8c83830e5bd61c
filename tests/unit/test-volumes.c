// Volumes on disk: what is made for a pod's mounts, and that all of it goes again.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/podspec.h"
#include "supervisor/volumes.h"

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
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: d, uid: u1, labels: {a: b}}\n"
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

static void assert_gone(struct fixture *f)
{
    struct stat st;
    _cleanup_free_ char *pod = path_join(f->dir, "pods/u1");
    if (volumes_remove(&f->options, "u1", &f->err) < 0)
        fail_msg("%s", error_message(&f->err));
    assert_int_equal(stat(pod, &st), -1);
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
    assert_file(mounts[0].source, "labels", "a=\"b\"", 0644);
    assert_file(mounts[0].source, "deep/name", "p", 0400);
    assert_file(mounts[1].source, "uid", "u1", 0440);
    assert_gone(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(host_paths_become_mounts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_dirs_are_shared_and_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_mounted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_mounts_are_not_deleted_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pods_are_described_in_files, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("volumes", tests, NULL, NULL);
}
