// Image references and image directories.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/image.h"

static int make_directory(void **state)
{
    char *dir = xstrdup("/tmp/test-image-XXXXXX");
    *state = mkdtemp(dir);
    return *state ? 0 : -1;
}

static int remove_directory(void **state)
{
    int code = fs_remove_tree(AT_FDCWD, *state);
    free(*state);
    return code;
}

static void assert_parses(const char *reference, const char *name, const char *tag)
{
    _cleanup_free_ char *got_name = NULL, *got_tag = NULL;
    struct error err = ERROR_NONE;
    assert_int_equal(image_parse(reference, &got_name, &got_tag, &err), 0);
    assert_string_equal(got_name, name);
    assert_string_equal(got_tag, tag);
}

static void references_have_name_and_tag(void **state)
{
    assert_parses("registry.k8s.io/etcd:3.4.13-0", "registry.k8s.io/etcd", "3.4.13-0");
    assert_parses("etcd", "etcd", "latest");
    assert_parses("localhost:5000/a/b", "localhost:5000/a/b", "latest");
    assert_parses("localhost:5000/a/b:v1_x", "localhost:5000/a/b", "v1_x");
    const char *digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    _cleanup_free_ char *by_digest = xasprintf("k8s.gcr.io/pause@%s", digest);
    _cleanup_free_ char *by_both = xasprintf("k8s.gcr.io/pause:3.2@%s", digest);
    assert_parses(by_digest, "k8s.gcr.io/pause", digest);
    assert_parses(by_both, "k8s.gcr.io/pause", digest);
}

static void bad_references_are_refused(void **state)
{
    static const char *const bad[] = {
        "",        "/",       "a//b",      "../x",     "a/../b",  "a:",    ":tag",
        "a:b:c",   "A/B:x y", "etcd:../x", "Etcd:1.0", "a/B:1",   "a@sha", "a@",
        "-a",      "a..b",    "a/",        "a:.x",     ".hidden", "a b",   "a\n",
        "a:b:c/d", "x/",      "x@md5:1",   "x@:aa",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char *name = NULL, *tag = NULL;
        struct error err = ERROR_NONE;
        if (image_parse(bad[i], &name, &tag, &err) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_null(name);
        error_clear(&err);
    }
    struct error err = ERROR_NONE;
    char *name, *tag;
    assert_int_equal(image_parse(NULL, &name, &tag, &err), -EINVAL);
    error_clear(&err);
}

static void make(const char *root, const char *below)
{
    _cleanup_free_ char *dir = path_join(root, below);
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, dir, 0755), 0);
}

static void assert_kind(const char *root, const char *reference, enum image_kind kind,
                        const char *path)
{
    struct image image;
    const char *reason = NULL;
    struct error err = ERROR_NONE;
    assert_int_equal(image_find(root, reference, &image, &reason, &err), 0);
    assert_int_equal(image.kind, kind);
    if (path) {
        _cleanup_free_ char *full = path_join(root, path);
        assert_string_equal(image.path, full);
    } else {
        assert_null(image.path);
    }
    image_clear(&image);
}

static void images_are_directories(void **state)
{
    const char *root = *state, *reason = NULL;
    make(root, "images/registry.k8s.io/etcd/3.4.13-0/bin");
    make(root, "images/busybox/latest/rootfs");
    make(root, "images/busybox/latest/bin");
    make(root, "images/docker.io/library/nginx/1.25/rootfs");
    make(root, "images/empty/latest");
    assert_kind(root, "registry.k8s.io/etcd:3.4.13-0", IMAGE_BIN,
                "images/registry.k8s.io/etcd/3.4.13-0/bin");
    assert_kind(root, "registry.k8s.io/etcd:3.4.14", IMAGE_HOST, NULL);
    assert_kind(root, "busybox", IMAGE_ROOTFS, "images/busybox/latest/rootfs");
    assert_kind(root, "nginx:1.25", IMAGE_ROOTFS, "images/docker.io/library/nginx/1.25/rootfs");
    struct image image;
    struct error err = ERROR_NONE;
    assert_int_equal(image_find(root, "empty", &image, &reason, &err), -EUCLEAN);
    assert_string_equal(reason, "ErrImagePull");
    error_clear(&err);
    assert_int_equal(image_find(root, "../..", &image, &reason, &err), -EINVAL);
    assert_string_equal(reason, "InvalidImageName");
    error_clear(&err);

    _cleanup_string_list_ struct string_list names = {0};
    assert_int_equal(image_list(root, &names, &err), 0);
    assert_int_equal(names.n, 3);
    assert_string_equal(names.items[0], "busybox:latest");
    assert_string_equal(names.items[1], "docker.io/library/nginx:1.25");
    assert_string_equal(names.items[2], "registry.k8s.io/etcd:3.4.13-0");
}

static void commands_are_looked_up(void **state)
{
    const char *root = *state;
    _cleanup_free_ char *tool = path_join(root, "tool"), *text = path_join(root, "text");
    assert_int_equal(fs_write_atomic(AT_FDCWD, tool, "#!/bin/sh\n", 10, 0755, 0), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, text, "x", 1, 0644, 0), 0);
    char *found = NULL;
    _cleanup_free_ char *path = xasprintf("/nowhere::%s", root);
    assert_int_equal(image_find_command("tool", path, &found), 0);
    assert_string_equal(found, tool);
    free(TAKE_PTR(found));
    assert_int_equal(image_find_command("text", path, &found), -EACCES);
    assert_int_equal(image_find_command("none", path, &found), -ENOENT);
    assert_int_equal(image_find_command("none", "", &found), -ENOENT);
    assert_int_equal(image_find_command(root, "", &found), -EACCES); // a directory
    assert_int_equal(image_find_command(tool, "", &found), 0);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_have_name_and_tag),
        cmocka_unit_test(bad_references_are_refused),
        cmocka_unit_test_setup_teardown(images_are_directories, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(commands_are_looked_up, make_directory, remove_directory),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
