// Kubeconfigs: what is written can be read back, and what others wrote is understood or left alone.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/pki.h"

struct fixture {
    char dir[64];
    char *path;
    EVP_PKEY *key;
    X509 *certificate;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-kubeconfig-XXXXXX");
    struct certificate_spec spec = {
        .common_name = "kubernetes", .is_ca = true, .lifetime_sec = CERTIFICATE_DAY_SEC};
    if (!mkdtemp(f->dir) || key_generate(KEY_ECDSA_P256, &f->key, NULL) < 0 ||
        certificate_make(&spec, f->key, NULL, NULL, &f->certificate, NULL) < 0)
        return -1;
    f->path = path_join(f->dir, "admin.conf");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(AT_FDCWD, f->dir);
    X509_free(f->certificate);
    EVP_PKEY_free(f->key);
    free(f->path);
    free(f);
    return 0;
}

static struct kubeconfig config_of(const struct fixture *f)
{
    return (struct kubeconfig){.server = "https://[fd00::5]:6443",
                               .cluster_name = "kubernetes",
                               .user = "system:kube-scheduler",
                               .ca = f->certificate,
                               .certificate = f->certificate,
                               .key = f->key};
}

static void what_is_written_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct kubeconfig config = config_of(f);
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    assert_int_equal(kubeconfig_write(f->path, &config, NULL), 0);
    assert_int_equal(kubeconfig_write(f->path, &config, NULL), -EEXIST);
    assert_int_equal(kubeconfig_load(f->path, &content, NULL), 0);
    assert_string_equal(content.server, "https://[fd00::5]:6443");
    assert_int_equal(content.mode, 0600);
    assert_int_equal(X509_cmp(content.ca, f->certificate), 0);
    assert_int_equal(X509_cmp(content.certificate, f->certificate), 0);
}

static void the_context_is_kubeadms(void **state)
{
    struct fixture *f = *state;
    struct kubeconfig config = config_of(f);
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(kubeconfig_render(&config, &text, NULL), 0);
    assert_non_null(
        strstr(buffer_str(&text), "\ncurrent-context: system:kube-scheduler@kubernetes\n"));
    assert_null(strstr(buffer_str(&text), "\t"));
}

static void odd_names_are_refused(void **state)
{
    struct fixture *f = *state;
    const char *const servers[] = {"", "https://a b", "https://a\nusers: []", "- x", "a #b", "x:"};
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
        _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
        struct kubeconfig config = config_of(f);
        config.server = servers[i];
        assert_int_equal(kubeconfig_render(&config, &text, NULL), -EINVAL);
    }
}

static void files_of_other_tools_are_understood_in_part(void **state)
{
    struct fixture *f = *state;
    const char text[] = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority: ca.crt\n"
                        "    server: \"https://10.0.0.1:6443\"\n  name: k\n";
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    assert_int_equal(fs_write_atomic(AT_FDCWD, f->path, text, strlen(text), 0644, 0), 0);
    assert_int_equal(kubeconfig_load(f->path, &content, NULL), 0);
    assert_string_equal(content.server, "https://10.0.0.1:6443");
    assert_null(content.ca);
    assert_null(content.certificate);
    assert_int_equal(content.mode, 0644);
}

static void what_is_not_there_is_said(void **state)
{
    struct fixture *f = *state;
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(kubeconfig_load(f->path, &content, &err), -ENOENT);
    assert_int_equal(kubeconfig_load(f->dir, &content, &err), -EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_context_is_kubeadms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_names_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_other_tools_are_understood_in_part, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("kubeconfig", tests, NULL, NULL);
}
