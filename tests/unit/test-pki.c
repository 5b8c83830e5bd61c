// Keys and certificates: the kubeadm layout, what is kept, what is refused and what is never
// touched. OpenSSL's own verifier judges what comes out.
#include <errno.h>
#include <fcntl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "pki/pki.h"

struct fixture {
    char dir[64];
    char *pki;
    struct pki_layout layout;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-pki-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->pki = path_join(f->dir, "pki");
    f->layout = (struct pki_layout){.pki_dir = f->pki,
                                    .kubeconfig_dir = f->dir,
                                    .node_name = "m0",
                                    .advertise_address = "10.0.0.5",
                                    .api_port = 6443,
                                    .service_cidr = "10.96.0.0/12",
                                    .dns_domain = "cluster.local",
                                    .cluster_name = "kubernetes",
                                    .algorithm = KEY_ECDSA_P256};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(AT_FDCWD, f->dir);
    free(f->pki);
    free(f);
    return 0;
}

// Makes the set and says how many pieces were made, kept and wrong.
static void assert_make(const struct fixture *f, size_t made, size_t kept, size_t wrong)
{
    _cleanup_pki_report_ struct pki_report report = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = pki_layout_make(&f->layout, &report, &err);
    for (size_t i = 0; i < report.n; i++) {
        if (report.items[i].note)
            print_message("%s: %s\n", report.items[i].path, report.items[i].note);
    }
    assert_int_equal(report.made, made);
    assert_int_equal(report.kept, kept);
    assert_int_equal(report.wrong, wrong);
    assert_int_equal(code, wrong > 0 ? -EINVAL : 0);
}

// What the report says about the one file whose path ends so.
static char *note_of(const struct fixture *f, const char *suffix)
{
    _cleanup_pki_report_ struct pki_report report = {0};
    char *note = NULL;
    pki_layout_make(&f->layout, &report, NULL);
    for (size_t i = 0; i < report.n; i++) {
        if (str_ends_with(report.items[i].path, suffix))
            note = xstrdup_or_null(report.items[i].note);
    }
    return note;
}

static X509 *load(const struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = path_join(f->pki, name);
    X509 *certificate = NULL;
    assert_int_equal(certificate_load(path, &certificate, NULL), 0);
    return certificate;
}

static void move_away(const struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = path_join(f->pki, name);
    assert_int_equal(unlink(path), 0);
}

enum { PIECES = 3 + 7 + 1 + 3 };

static void the_whole_set_is_made_and_then_kept(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    _cleanup_x509_ X509 *before = load(f, "ca.crt");
    assert_make(f, 0, PIECES, 0);
    _cleanup_x509_ X509 *after = load(f, "ca.crt");
    assert_int_equal(X509_cmp(before, after), 0);
}

static void keys_are_private_and_certificates_public(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *name;
        unsigned mode;
    } rows[] = {{"pki/ca.key", 0600}, {"pki/ca.crt", 0644}, {"pki/etcd/peer.key", 0600},
                {"pki/sa.key", 0600}, {"pki/sa.pub", 0600}, {"admin.conf", 0600}};
    mode_t old = umask(0);
    assert_make(f, PIECES, 0, 0);
    umask(old);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *path = path_join(f->dir, rows[i].name);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, rows[i].mode);
    }
}

// As a TLS peer would judge it.
static int verify(const struct fixture *f, const char *ca, const char *leaf, int purpose)
{
    _cleanup_x509_ X509 *issuer = load(f, ca), *certificate = load(f, leaf);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, issuer);
    X509_STORE_CTX_init(context, store, certificate, NULL);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_X509_STRICT);
    X509_STORE_CTX_set_purpose(context, purpose);
    int good = X509_verify_cert(context);
    if (good != 1)
        print_message("%s: %s\n", leaf,
                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
}

static void certificates_verify_for_their_purpose_only(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    const struct {
        const char *ca, *leaf;
        int server, client;
    } rows[] = {
        {"ca.crt", "apiserver.crt", 1, 0},
        {"ca.crt", "apiserver-kubelet-client.crt", 0, 1},
        {"front-proxy-ca.crt", "front-proxy-client.crt", 0, 1},
        {"etcd/ca.crt", "etcd/server.crt", 1, 1},
        {"etcd/ca.crt", "etcd/peer.crt", 1, 1},
        {"etcd/ca.crt", "etcd/healthcheck-client.crt", 0, 1},
        {"etcd/ca.crt", "apiserver-etcd-client.crt", 0, 1},
        {"ca.crt", "etcd/server.crt", 0, 0}, // another CA's
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(verify(f, rows[i].ca, rows[i].leaf, X509_PURPOSE_SSL_SERVER),
                         rows[i].server);
        assert_int_equal(verify(f, rows[i].ca, rows[i].leaf, X509_PURPOSE_SSL_CLIENT),
                         rows[i].client);
    }
}

static void assert_subject(const struct fixture *f, const char *name, const char *expected)
{
    _cleanup_x509_ X509 *certificate = load(f, name);
    char text[256];
    X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof(text));
    assert_string_equal(text, expected);
}

static void subjects_are_kubeadms(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    assert_subject(f, "ca.crt", "/CN=kubernetes");
    assert_subject(f, "front-proxy-ca.crt", "/CN=front-proxy-ca");
    assert_subject(f, "etcd/ca.crt", "/CN=etcd-ca");
    assert_subject(f, "apiserver.crt", "/CN=kube-apiserver");
    assert_subject(f, "apiserver-kubelet-client.crt",
                   "/O=system:masters/CN=kube-apiserver-kubelet-client");
    assert_subject(f, "front-proxy-client.crt", "/CN=front-proxy-client");
    assert_subject(f, "etcd/server.crt", "/CN=m0");
    assert_subject(f, "etcd/peer.crt", "/CN=m0");
    assert_subject(f, "etcd/healthcheck-client.crt",
                   "/O=system:masters/CN=kube-etcd-healthcheck-client");
    assert_subject(f, "apiserver-etcd-client.crt",
                   "/O=system:masters/CN=kube-apiserver-etcd-client");
}

static bool names(X509 *certificate, const char *host, const char *ip)
{
    return host ? X509_check_host(certificate, host, 0, 0, NULL) == 1
                : X509_check_ip_asc(certificate, ip, 0) == 1;
}

static void servers_have_their_names(void **state)
{
    struct fixture *f = *state;
    _cleanup_string_list_ struct string_list sans = {0};
    string_list_add(&sans, "api.example.org");
    string_list_add(&sans, "192.0.2.9");
    f->layout.api_sans = &sans;
    f->layout.control_plane_endpoint = "lb.example.org:8443";
    assert_make(f, PIECES, 0, 0);
    _cleanup_x509_ X509 *api = load(f, "apiserver.crt"), *etcd = load(f, "etcd/server.crt");
    const char *const api_names[] = {"m0",
                                     "kubernetes",
                                     "kubernetes.default",
                                     "kubernetes.default.svc",
                                     "kubernetes.default.svc.cluster.local",
                                     "api.example.org",
                                     "lb.example.org"};
    for (size_t i = 0; i < ARRAY_SIZE(api_names); i++)
        assert_true(names(api, api_names[i], NULL));
    assert_true(names(api, NULL, "10.96.0.1"));
    assert_true(names(api, NULL, "10.0.0.5"));
    assert_true(names(api, NULL, "192.0.2.9"));
    assert_false(names(api, NULL, "127.0.0.1"));
    assert_true(names(etcd, "m0", NULL));
    assert_true(names(etcd, "localhost", NULL));
    assert_true(names(etcd, NULL, "127.0.0.1"));
    assert_true(names(etcd, NULL, "::1"));
    assert_true(names(etcd, NULL, "10.0.0.5"));
}

static int64_t days_left(X509 *certificate)
{
    return (certificate_not_after(certificate).nsec - walltime_now().nsec + NSEC_PER_SEC * 60) /
           (CERTIFICATE_DAY_SEC * NSEC_PER_SEC);
}

static void lifetimes_are_ten_years_and_one(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    _cleanup_x509_ X509 *ca = load(f, "ca.crt"), *leaf = load(f, "apiserver.crt");
    assert_int_equal(days_left(ca), 3650);
    assert_int_equal(days_left(leaf), 365);
}

static void what_is_missing_is_made_from_what_is_there(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    move_away(f, "apiserver.crt"); // its key stays and is used again
    move_away(f, "etcd/peer.crt");
    move_away(f, "etcd/peer.key");
    move_away(f, "sa.pub");
    assert_make(f, 3, PIECES - 3, 0);
    assert_int_equal(verify(f, "ca.crt", "apiserver.crt", X509_PURPOSE_SSL_SERVER), 1);
}

static void a_ca_that_lost_its_certificate_keeps_its_key(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    move_away(f, "ca.crt");
    // The kubeconfigs hold the old certificate: not the same bytes, so they are not trusted.
    assert_make(f, 1, PIECES - 4, 3);
    assert_int_equal(verify(f, "ca.crt", "apiserver.crt", X509_PURPOSE_SSL_SERVER), 1);
}

static void a_ca_without_key_signs_nothing_new(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    move_away(f, "ca.key");
    assert_make(f, 0, PIECES, 0);
    _cleanup_free_ char *note = note_of(f, "pki/ca.crt");
    assert_string_equal(note, "its key is not here, so it can sign nothing new");
    move_away(f, "apiserver.crt");
    assert_make(f, 0, PIECES - 1, 1);
}

static void another_ca_makes_old_certificates_wrong(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    _cleanup_x509_ X509 *old = load(f, "front-proxy-client.crt");
    _cleanup_free_ char *path = path_join(f->pki, "front-proxy-client.crt");
    move_away(f, "front-proxy-ca.crt");
    move_away(f, "front-proxy-ca.key");
    move_away(f, "front-proxy-client.crt");
    assert_make(f, 2, PIECES - 2, 0);
    move_away(f, "front-proxy-client.crt");
    assert_int_equal(certificate_write(path, old, NULL), 0);
    assert_make(f, 0, PIECES - 1, 1);
    _cleanup_free_ char *note = note_of(f, "front-proxy-client.crt");
    assert_non_null(strstr(note, "this CA"));
    assert_non_null(strstr(note, "move it away"));
}

static void a_ca_that_has_gone_is_missed(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    move_away(f, "front-proxy-ca.crt");
    move_away(f, "front-proxy-ca.key");
    assert_make(f, 0, PIECES - 2, 1);
    _cleanup_free_ char *note = note_of(f, "front-proxy-ca.crt");
    assert_non_null(strstr(note, "is missing, but front-proxy-client.crt, which it signed"));
}

static void certificates_for_another_address_are_wrong(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    f->layout.advertise_address = "10.0.0.6";
    assert_make(f, 0, PIECES - 3, 3); // apiserver, etcd's two; the kubeconfigs only get a note
    _cleanup_free_ char *note = note_of(f, "apiserver.crt"), *conf = note_of(f, "admin.conf");
    assert_non_null(strstr(note, "does not name 10.0.0.6"));
    assert_non_null(strstr(conf, "its server is https://10.0.0.5:6443, not "
                                 "https://10.0.0.6:6443"));
}

static void a_missing_key_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    move_away(f, "apiserver.key");
    move_away(f, "sa.key");
    assert_make(f, 0, PIECES - 2, 2);
    _cleanup_free_ char *path = path_join(f->pki, "sa.key");
    assert_int_equal(access(path, F_OK), -1);
}

static void damaged_files_are_named_and_left_alone(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    _cleanup_free_ char *path = path_join(f->pki, "etcd/ca.crt");
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, "garbage", 7, 0644, 0), 0);
    // What that CA has signed is not looked at.
    assert_make(f, 0, PIECES - 5, 1);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, path, 100, &text), 0);
    assert_string_equal(buffer_str(&text), "garbage");
}

static void open_keys_are_warned_about(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    _cleanup_free_ char *path = path_join(f->pki, "ca.key");
    assert_int_equal(chmod(path, 0640), 0);
    _cleanup_free_ char *note = note_of(f, "pki/ca.crt");
    assert_string_equal(note, "the private key can be read by others (mode 0640)");
}

static void a_ca_whose_key_everybody_may_read_signs_nothing(void **state)
{
    struct fixture *f = *state;
    assert_make(f, PIECES, 0, 0);
    _cleanup_free_ char *path = path_join(f->pki, "ca.key");
    assert_int_equal(chmod(path, 0644), 0);
    move_away(f, "apiserver.crt");
    // What it signs is left alone: two leaves and three kubeconfigs.
    assert_make(f, 0, PIECES - 6, 1);
    _cleanup_free_ char *note = note_of(f, "pki/ca.crt");
    assert_non_null(strstr(note, "everybody on this machine may read its key (mode 0644)"));
    assert_non_null(strstr(note, "chmod 600"));
}

static void layouts_that_make_no_sense_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct pki_layout rows[] = {f->layout, f->layout, f->layout, f->layout, f->layout};
    _cleanup_string_list_ struct string_list sans = {0};
    string_list_add(&sans, "not a name");
    rows[0].node_name = "M0";
    rows[1].advertise_address = "m0";
    rows[2].service_cidr = "10.96.0.0";
    rows[3].control_plane_endpoint = "a:b:c:";
    rows[4].etcd_peer_sans = &sans;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_pki_report_ struct pki_report report = {0};
        assert_int_equal(pki_layout_make(&rows[i], &report, NULL), -EINVAL);
        assert_int_equal(report.n, 0);
        assert_int_equal(access(f->pki, F_OK), -1);
    }
}

static void p384_works_too(void **state)
{
    struct fixture *f = *state;
    f->layout.algorithm = KEY_ECDSA_P384;
    assert_make(f, PIECES, 0, 0);
    assert_int_equal(verify(f, "ca.crt", "apiserver.crt", X509_PURPOSE_SSL_SERVER), 1);
}

// One CA only: RSA keys take their time.
static void rsa_works_too(void **state)
{
    struct fixture *f = *state;
    struct certificate_spec spec = {
        .common_name = "kubernetes", .is_ca = true, .lifetime_sec = CERTIFICATE_DAY_SEC};
    _cleanup_key_ EVP_PKEY *key = NULL, *loaded = NULL;
    _cleanup_x509_ X509 *certificate = NULL;
    _cleanup_free_ char *path = path_join(f->dir, "ca.key");
    assert_int_equal(key_generate(KEY_RSA_2048, &key, NULL), 0);
    assert_int_equal(certificate_make(&spec, key, NULL, NULL, &certificate, NULL), 0);
    assert_int_equal(X509_verify(certificate, key), 1);
    assert_int_equal(key_write(path, key, NULL), 0);
    assert_int_equal(key_load(path, &loaded, NULL, NULL), 0);
    assert_int_equal(EVP_PKEY_eq(key, loaded), 1);
    assert_int_equal(EVP_PKEY_get_bits(loaded), 2048);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, path, 1 << 16, &text), 0);
    assert_true(str_starts_with(buffer_str(&text), "-----BEGIN RSA PRIVATE KEY-----\n"));
}

static void algorithms_have_names(void **state)
{
    enum key_algorithm algorithm = KEY_RSA_4096;
    assert_int_equal(key_algorithm_parse("ecdsa", &algorithm, NULL), 0);
    assert_int_equal(algorithm, KEY_ECDSA_P256);
    assert_int_equal(key_algorithm_parse("rsa-3072", &algorithm, NULL), 0);
    assert_string_equal(key_algorithm_name(algorithm), "rsa-3072");
    assert_int_equal(key_algorithm_parse("dsa", &algorithm, NULL), -EINVAL);
}

static void service_addresses_are_the_first(void **state)
{
    const struct {
        const char *cidr, *first;
    } rows[] = {{"10.96.0.0/12", "10.96.0.1"},
                {"10.96.7.9/12", "10.96.0.1"},
                {"192.168.1.128/25", "192.168.1.129"},
                {"10.0.0.0/30", "10.0.0.1"},
                {"fd00:10:96::/112", "fd00:10:96::1"},
                {"10.0.0.0/31", NULL},
                {"10.0.0.0", NULL},
                {"10.0.0.0/", NULL},
                {"10.0.0.0/-1", NULL},
                {"x/8", NULL},
                {"", NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[46] = "";
        assert_int_equal(pki_first_address(rows[i].cidr, text, NULL), rows[i].first ? 0 : -EINVAL);
        if (rows[i].first)
            assert_string_equal(text, rows[i].first);
    }
}

static void urls_have_brackets_where_they_must(void **state)
{
    const struct {
        const char *endpoint, *url;
    } rows[] = {{NULL, "https://10.0.0.5:6443"},
                {"lb.example.org", "https://lb.example.org:6443"},
                {"lb.example.org:443", "https://lb.example.org:443"},
                {"fd00::1", "https://[fd00::1]:6443"},
                {"[fd00::1]:443", "https://[fd00::1]:443"},
                {"[fd00::1]", "https://[fd00::1]:6443"}};
    struct pki_layout layout = {.advertise_address = "10.0.0.5", .api_port = 6443};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        layout.control_plane_endpoint = rows[i].endpoint;
        _cleanup_free_ char *url = pki_endpoint_url(&layout);
        assert_string_equal(url, rows[i].url);
    }
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(the_whole_set_is_made_and_then_kept),
        WITH_DIRECTORY(keys_are_private_and_certificates_public),
        WITH_DIRECTORY(certificates_verify_for_their_purpose_only),
        WITH_DIRECTORY(subjects_are_kubeadms),
        WITH_DIRECTORY(servers_have_their_names),
        WITH_DIRECTORY(lifetimes_are_ten_years_and_one),
        WITH_DIRECTORY(what_is_missing_is_made_from_what_is_there),
        WITH_DIRECTORY(a_ca_that_lost_its_certificate_keeps_its_key),
        WITH_DIRECTORY(a_ca_without_key_signs_nothing_new),
        WITH_DIRECTORY(another_ca_makes_old_certificates_wrong),
        WITH_DIRECTORY(a_ca_that_has_gone_is_missed),
        WITH_DIRECTORY(certificates_for_another_address_are_wrong),
        WITH_DIRECTORY(a_missing_key_is_not_replaced),
        WITH_DIRECTORY(damaged_files_are_named_and_left_alone),
        WITH_DIRECTORY(open_keys_are_warned_about),
        WITH_DIRECTORY(a_ca_whose_key_everybody_may_read_signs_nothing),
        WITH_DIRECTORY(layouts_that_make_no_sense_change_nothing),
        WITH_DIRECTORY(p384_works_too),
        WITH_DIRECTORY(rsa_works_too),
        cmocka_unit_test(algorithms_have_names),
        cmocka_unit_test(service_addresses_are_the_first),
        cmocka_unit_test(urls_have_brackets_where_they_must),
    };
    return cmocka_run_group_tests_name("pki", tests, NULL, NULL);
}
