// The configuration that was in force last: when it is kept, when it is taken, and what differs.
#include "tests/unit/config-fixture.h"

static void write_file(struct fixture *f, const char *fields)
{
    _cleanup_free_ char *text = xasprintf("apiVersion: kubelet.config.k8s.io/v1beta1\n"
                                          "kind: KubeletConfiguration\n%s",
                                          fields);
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->file, text, strlen(text), 0600, 0), 0);
}

// As the agent starts, with this flag behind --config and --root-dir.
static int start(struct fixture *f, const char *flag)
{
    char *argv[] = {(char *)"mainstayd",
                    (char *)"--config",
                    f->file,
                    (char *)"--root-dir",
                    f->dir,
                    (char *)flag,
                    NULL};
    config_free(&f->config);
    error_clear(&f->err);
    return config_parse_for_start_of(&root, flag ? 6 : 5, argv, &f->config, &f->err);
}

static void be_ready(struct fixture *f)
{
    _cleanup_free_ char *state = path_join(f->dir, "state");
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, state, 0700), 0);
    assert_int_equal(config_keep(&f->config, &f->err), 0);
}

static void a_wrong_file_starts_with_the_last_good_one(void **state)
{
    struct fixture *f = *state;
    write_file(f, "healthzPort: 7\nstaticPodPath: m\n");
    assert_int_equal(start(f, NULL), 0);
    assert_null(f->config.refused);
    be_ready(f);
    write_file(f, "healthzPort: 8\nhealthzBort: 9\n");
    assert_int_equal(start(f, "--v=2"), 0);
    assert_int_equal(f->config.healthz_port, 7);
    assert_int_equal(f->config.verbosity, 2); // flags win over it as over the file
    _cleanup_free_ char *manifests = path_join(f->dir, "m");
    assert_string_equal(f->config.manifest_path,
                        manifests); // relative to the file, not to the state
    assert_non_null(strstr(f->config.refused, "config.yaml:4:1: healthzBort: unknown field"));
    // It is not kept once more as if it were the file; and a file that is gone is a wrong one.
    be_ready(f);
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(start(f, NULL), 0);
    assert_int_equal(f->config.healthz_port, 7);
    assert_non_null(strstr(f->config.refused, "cannot be read"));
    write_file(f, "healthzPort: 8\n");
    assert_int_equal(start(f, NULL), 0);
    assert_int_equal(f->config.healthz_port, 8);
    assert_null(f->config.refused);
}

static void there_may_be_no_last_good_one(void **state)
{
    struct fixture *f = *state;
    write_file(f, "healthzPort: no\n");
    assert_int_equal(start(f, NULL), -EINVAL);
    assert_non_null(strstr(error_message(&f->err), "config.yaml:3:14: healthzPort"));
    write_file(f, "healthzPort: 7\n");
    assert_int_equal(start(f, NULL), 0);
    be_ready(f);
    // A wrong flag is no matter of the file.
    assert_int_equal(start(f, "--bogus"), -EINVAL);
    write_file(f, "healthzPort: no\n");
    assert_int_equal(start(f, "--bogus"), -EINVAL);
    assert_non_null(strstr(error_message(&f->err), "--bogus"));
    // What was kept is damaged.
    _cleanup_free_ char *kept = path_join(f->dir, "state/configuration");
    assert_int_equal(fs_write_atomic(AT_FDCWD, kept, "rubbish", 7, 0600, 0), 0);
    assert_int_equal(start(f, NULL), -EINVAL);
    assert_non_null(strstr(error_message(&f->err), "healthzPort"));
    assert_int_equal(fs_write_atomic(AT_FDCWD, kept, "# /x\nkind: Pot\n", 15, 0600, 0), 0);
    assert_int_equal(start(f, NULL), -EINVAL);
    assert_non_null(strstr(error_message(&f->err), "healthzPort"));
}

static void one_that_fails_is_not_tried_twice(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {
        (char *)"mainstayd", (char *)"--config", f->file, (char *)"--root-dir", f->dir, NULL};
    struct config kept = {0};
    write_file(f, "healthzPort: 7\n");
    assert_int_equal(start(f, NULL), 0);
    be_ready(f);
    assert_int_equal(config_parse_kept(5, argv, &f->config, &kept, NULL), -ENOENT);
    config_free(&kept);
    write_file(f, "healthzPort: 8\n");
    assert_int_equal(start(f, NULL), 0);
    assert_int_equal(config_parse_kept(5, argv, &f->config, &kept, NULL), 0);
    assert_int_equal(kept.healthz_port, 7);
    config_free(&kept);
}

static void what_differs_is_named_once(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_config_ struct config before = {0};
    char *argv[] = {(char *)"mainstayd", (char *)"--config", f->file, NULL};
    write_file(f, "");
    assert_int_equal(config_parse_for(&root, 3, argv, &before, &f->err), 0);
    assert_int_equal(config_parse_for(&root, 3, argv, &f->config, &f->err), 0);
    assert_int_equal(config_differences(&before, &f->config, &text), 0);
    config_free(&f->config);
    write_file(f, "healthzPort: 0\ncgroupRoot: /x\nfileCheckFrequency: 5s\n"
                  "crashLoopBackOff:\n  maxContainerRestartPeriod: 60s\n");
    assert_int_equal(config_parse_for(&root, 3, argv, &f->config, &f->err), 0);
    assert_int_equal(config_differences(&before, &f->config, &text), 4);
    assert_string_equal(text.data,
                        "fileCheckFrequency: 20s → 5s, healthzPort: 10248 → 0, cgroupRoot: "
                        "mainstay → x, crashLoopBackOff.maxContainerRestartPeriod: 5m0s → 1m0s");
    buffer_truncate(&text, 0);
    config_replace(&f->config.node_ip, xstrdup("10.0.0.1"));
    assert_int_equal(config_differences(&before, &f->config, &text), 5);
    assert_non_null(strstr(text.data, "--node-ip: (none) → 10.0.0.1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_file_starts_with_the_last_good_one),
        TEST(there_may_be_no_last_good_one),
        TEST(one_that_fails_is_not_tried_twice),
        TEST(what_differs_is_named_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
