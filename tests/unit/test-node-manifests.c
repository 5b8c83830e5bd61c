// What is read out of manifests' flags and mounts.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/node-manifests.h"

static const char manifest[] = "apiVersion: v1\n"
                               "kind: Pod\n"
                               "metadata: {name: etcd, namespace: kube-system}\n"
                               "spec:\n"
                               "  hostNetwork: true\n"
                               "  containers:\n"
                               "  - name: etcd\n"
                               "    image: x\n"
                               "    command: [/usr/bin/etcd, --a=1, --data-dir, /data/m0, -b=2]\n"
                               "    args: [--a=3, --ab=4, '--c=', plain, --last]\n"
                               "    volumeMounts:\n"
                               "    - {name: data, mountPath: /data}\n"
                               "    - {name: deep, mountPath: /data/deep/, subPath: s/t}\n"
                               "    - {name: tmp, mountPath: /tmp}\n"
                               "  volumes:\n"
                               "  - {name: data, hostPath: {path: /srv/etcd}}\n"
                               "  - {name: deep, hostPath: {path: /deep}}\n"
                               "  - {name: tmp, emptyDir: {}}\n";

struct fixture {
    char dir[32];
    struct node_manifests manifests;
    const struct pod *pod;
    const struct container *container;
    size_t n;
};

static void put(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, 0), 0);
}

static void take(void *userdata, const struct pod *pod, const struct container *container)
{
    struct fixture *f = userdata;
    f->pod = pod;
    f->container = container;
    f->n++;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-node-manifestsXXXXXX");
    assert_non_null(mkdtemp(f->dir));
    put(f, "etcd.yaml", manifest);
    put(f, "etcd.yaml.bak", manifest);
    put(f, "bad.yaml", "kind: Pod\nspec: [");
    assert_int_equal(node_manifests_load(f->dir, "n1", &f->manifests, NULL), 0);
    node_manifests_each(&f->manifests, take, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    node_manifests_free(&f->manifests);
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f);
    return 0;
}

static void good_manifests_are_read_and_bad_ones_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->n, 1);
    assert_int_equal(f->manifests.passed_over.n, 1);
    assert_non_null(strstr(f->manifests.passed_over.items[0], "/bad.yaml: is no good manifest"));
    _cleanup_free_ char *name = pod_short_name(f->pod);
    assert_string_equal(f->pod->metadata.name, "etcd-n1");
    assert_string_equal(name, "etcd");
}

static void one_file_and_none_at_all(void **state)
{
    struct fixture *f = *state;
    _cleanup_node_manifests_ struct node_manifests one = {0}, none = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *path = path_join(f->dir, "etcd.yaml"), *no = path_join(f->dir, "no");
    assert_int_equal(node_manifests_load(path, NULL, &one, NULL), 0);
    assert_int_equal(one.drafts.n, 1);
    assert_true(node_manifests_load(no, NULL, &none, &err) < 0);
    assert_non_null(strstr(error_message(&err), "/no cannot be read"));
}

static void flags_are_read_as_the_programs_do(void **state)
{
    const struct container *c = ((struct fixture *)*state)->container;
    assert_true(container_runs(c, "etcd"));
    assert_false(container_runs(c, "etc"));
    assert_string_equal(container_flag(c, "a"), "3"); // arguments come after the command
    assert_string_equal(container_flag(c, "ab"), "4");
    assert_string_equal(container_flag(c, "b"), "2");
    assert_string_equal(container_flag(c, "c"), "");
    assert_string_equal(container_flag(c, "data-dir"), "/data/m0");
    assert_null(container_flag(c, "last"));
    assert_null(container_flag(c, "plain"));
    assert_null(container_flag(c, "data"));
}

static void paths_are_followed_through_the_mounts(void **state)
{
    const struct fixture *f = *state;
    static const char *const cases[][2] = {
        {"/data", "/srv/etcd"},
        {"/data/m0", "/srv/etcd/m0"},
        {"/data/deep/x", "/deep/s/t/x"},
        {"/database", "/database"},
        {"/etc/ssl/ca.crt", "/etc/ssl/ca.crt"},
        {"/tmp/x", "/tmp/x"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *path = container_host_path(f->pod, f->container, cases[i][0]);
        assert_string_equal(path, cases[i][1]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(good_manifests_are_read_and_bad_ones_told),
        TEST(one_file_and_none_at_all),
        TEST(flags_are_read_as_the_programs_do),
        TEST(paths_are_followed_through_the_mounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
