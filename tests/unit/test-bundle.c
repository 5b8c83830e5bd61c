// Several certificates in one file, and how two states of one CA's rotation stand to each other.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/pki-rotation.h"

enum { CAS = 3 };

struct fixture {
    EVP_PKEY *keys[CAS];
    X509 *cas[CAS]; // each takes over from the one before it; of the same name
    EVP_PKEY *leaf_key;
    X509 *leaf; // signed by the second
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct certificate_spec ca = {
        .common_name = "kubernetes", .is_ca = true, .lifetime_sec = 9 * CERTIFICATE_DAY_SEC};
    const struct certificate_spec leaf = {
        .common_name = "m0", .usages = CERTIFICATE_CLIENT, .lifetime_sec = CERTIFICATE_DAY_SEC};
    for (int i = 0; i < CAS; i++)
        if (key_generate(KEY_ECDSA_P256, &f->keys[i], NULL) < 0)
            return -1;
    if (certificate_make(&ca, f->keys[0], NULL, NULL, &f->cas[0], NULL) < 0)
        return -1;
    for (int i = 1; i < CAS; i++)
        if (certificate_renew(f->cas[i - 1], f->keys[i], NULL, NULL, &f->cas[i], NULL) < 0)
            return -1;
    if (key_generate(KEY_ECDSA_P256, &f->leaf_key, NULL) < 0 ||
        certificate_make(&leaf, f->leaf_key, f->cas[1], f->keys[1], &f->leaf, NULL) < 0)
        return -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < CAS; i++) {
        X509_free(f->cas[i]);
        EVP_PKEY_free(f->keys[i]);
    }
    X509_free(f->leaf);
    EVP_PKEY_free(f->leaf_key);
    free(f);
    return 0;
}

// "01": a bundle of these CAs. Its certificates are borrowed.
static struct certificate_bundle bundle_of(const struct fixture *f, const char *which)
{
    struct certificate_bundle bundle = {0};
    for (; *which; which++) {
        X509_up_ref(f->cas[*which - '0']);
        certificate_bundle_add(&bundle, f->cas[*which - '0']);
    }
    return bundle;
}

static void a_bundle_is_written_and_read(void **state)
{
    const struct fixture *f = *state;
    _cleanup_certificate_bundle_ struct certificate_bundle bundle = bundle_of(f, "20"), read = {0};
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    buffer_add_str(&text, "a remark\n");
    assert_int_equal(certificate_bundle_to_pem(&bundle, &text, NULL), 0);
    buffer_add_str(&text, "another\n");
    assert_int_equal(certificate_bundle_from_pem(text.data, text.len, &read, NULL), 0);
    assert_int_equal(read.n, 2);
    assert_int_equal(X509_cmp(read.items[0], f->cas[2]), 0);
    assert_true(certificate_bundle_has(&read, f->cas[0]));
    assert_false(certificate_bundle_has(&read, f->cas[1]));
}

static void what_is_damaged_or_too_much_is_refused(void **state)
{
    const struct fixture *f = *state;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    struct certificate_bundle read = {0};
    assert_int_equal(certificate_bundle_from_pem("", 0, &read, NULL), -EINVAL);
    assert_int_equal(certificate_bundle_from_pem("no PEM", 6, &read, NULL), -EINVAL);
    certificate_to_pem(f->cas[0], &text, NULL);
    size_t one = text.len;
    certificate_to_pem(f->cas[1], &text, NULL);
    text.data[one + 60] = '!';
    assert_int_equal(certificate_bundle_from_pem(text.data, text.len, &read, &err), -EINVAL);
    assert_true(str_starts_with(error_message(&err), "certificate 2: "));
    assert_int_equal(certificate_bundle_from_pem(text.data, one + 100, &read, NULL), -EINVAL);
    _cleanup_free_ char *first = xstrndup(text.data, one);
    buffer_truncate(&text, one);
    for (int i = 0; i < CERTIFICATE_BUNDLE_MAX; i++)
        buffer_add(&text, first, one);
    assert_int_equal(certificate_bundle_from_pem(text.data, text.len, &read, NULL), -E2BIG);
    assert_null(read.items);
}

static void issuers_and_keys_are_found(void **state)
{
    const struct fixture *f = *state;
    _cleanup_certificate_bundle_ struct certificate_bundle all = bundle_of(f, "012"),
                                                           two = bundle_of(f, "02");
    assert_ptr_equal(certificate_bundle_issuer(&all, f->leaf), f->cas[1]); // of three of one name
    assert_null(certificate_bundle_issuer(&two, f->leaf));
    assert_ptr_equal(certificate_bundle_of_key(&all, f->keys[2]), f->cas[2]);
    assert_null(certificate_bundle_of_key(&two, f->keys[1]));
    assert_null(certificate_bundle_of_key(&two, NULL));
}

// Also where all of them were made within one second.
static void who_takes_over_is_younger(void **state)
{
    const struct fixture *f = *state;
    assert_true(rotation_is_younger(f->cas[1], f->cas[0]));
    assert_true(rotation_is_younger(f->cas[2], f->cas[1]));
    assert_false(rotation_is_younger(f->cas[0], f->cas[1]));
    assert_false(rotation_is_younger(f->cas[0], f->cas[0]));
}

static void the_steps_of_a_rotation_are_in_order(void **state)
{
    const struct fixture *f = *state;
    // The bundle here and there; the first of each signs.
    static const struct {
        const char *here, *there;
        enum rotation_order order;
    } rows[] = {
        {"0", "0", ROTATION_SAME},    {"01", "01", ROTATION_SAME},   {"10", "10", ROTATION_SAME},
        {"0", "01", ROTATION_NEXT},   {"01", "10", ROTATION_NEXT},   {"10", "1", ROTATION_NEXT},
        {"01", "0", ROTATION_BEHIND}, {"10", "01", ROTATION_BEHIND}, {"1", "10", ROTATION_BEHIND},
        {"10", "0", ROTATION_BEHIND}, {"0", "10", ROTATION_NEXT},    {"01", "1", ROTATION_SKIPS},
        {"0", "1", ROTATION_ANOTHER}, {"1", "0", ROTATION_ANOTHER},  {"0", "2", ROTATION_ANOTHER},
        {"1", "12", ROTATION_NEXT},   {"10", "12", ROTATION_NEXT},   {"12", "10", ROTATION_BEHIND},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_certificate_bundle_ struct certificate_bundle here = bundle_of(f, rows[i].here),
                                                               there = bundle_of(f, rows[i].there);
        if (rotation_compare(&here, here.items[0], &there, there.items[0]) != rows[i].order)
            fail_msg("%s and %s", rows[i].here, rows[i].there);
    }
}

static void the_signers_file_stands_beside_the_ca(void **state)
{
    static const char *const rows[][2] = {{"/pki/ca.crt", "/pki/ca-signer.crt"},
                                          {"ca.pem", "ca-signer.pem"},
                                          {"/p.k.i/ca", "/p.k.i/ca-signer"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *path = rotation_signer_path(rows[i][0]);
        assert_string_equal(path, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_is_written_and_read),
        cmocka_unit_test(what_is_damaged_or_too_much_is_refused),
        cmocka_unit_test(issuers_and_keys_are_found),
        cmocka_unit_test(who_takes_over_is_younger),
        cmocka_unit_test(the_steps_of_a_rotation_are_in_order),
        cmocka_unit_test(the_signers_file_stands_beside_the_ca),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
