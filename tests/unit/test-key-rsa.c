// RSA keys: OpenSSL's own, thorough checks of what key-rsa.h makes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/macro.h"
#include "pki/key.h"

static BIGNUM *number(EVP_PKEY *key, const char *name)
{
    BIGNUM *value = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
    return value;
}

// SP 800-56B, 6.4.1.2 (the key pair, its primes by 64 rounds of Miller-Rabin), and the public key.
static void assert_openssl_likes(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    assert_int_equal(EVP_PKEY_pairwise_check(context), 1);
    assert_int_equal(EVP_PKEY_private_check(context), 1);
    assert_int_equal(EVP_PKEY_public_check(context), 1);
    assert_int_equal(EVP_PKEY_check(context), 1);
    EVP_PKEY_CTX_free(context);
}

static void keys_of_each_size_are_good(void **state)
{
    static const unsigned sizes[] = {2048, 2048, 2048, 3072, 4096};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        EVP_PKEY *key = NULL;
        assert_int_equal(key_generate_sized("rsa", sizes[i], &key, NULL), 0);
        assert_int_equal(EVP_PKEY_get_bits(key), (int)sizes[i]);
        assert_openssl_likes(key);
        BIGNUM *e = number(key, OSSL_PKEY_PARAM_RSA_E);
        assert_true(BN_is_word(e, 65537));
        BN_free(e);
        EVP_PKEY_free(key);
    }
}

// FIPS 186-4, B.3.1: primes of half the size whose difference is large.
static void primes_are_far_apart(void **state)
{
    for (int i = 0; i < 5; i++) {
        EVP_PKEY *key = NULL;
        assert_int_equal(key_generate_sized("rsa", 2048, &key, NULL), 0);
        BIGNUM *p = number(key, OSSL_PKEY_PARAM_RSA_FACTOR1);
        BIGNUM *q = number(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
        assert_int_equal(BN_num_bits(p), 1024);
        assert_int_equal(BN_num_bits(q), 1024);
        BN_sub(p, p, q);
        assert_true(BN_num_bits(p) > 1024 - 100);
        BN_clear_free(p);
        BN_clear_free(q);
        EVP_PKEY_free(key);
    }
}

static void no_two_share_a_prime(void **state)
{
    enum { KEYS = 6 };
    BIGNUM *n[KEYS], *divisor = BN_new();
    BN_CTX *context = BN_CTX_new();
    for (int i = 0; i < KEYS; i++) {
        EVP_PKEY *key = NULL;
        assert_int_equal(key_generate_sized("rsa", 2048, &key, NULL), 0);
        n[i] = number(key, OSSL_PKEY_PARAM_RSA_N);
        EVP_PKEY_free(key);
        for (int j = 0; j < i; j++) {
            assert_int_equal(BN_gcd(divisor, n[i], n[j], context), 1);
            assert_true(BN_is_one(divisor));
        }
    }
    for (int i = 0; i < KEYS; i++)
        BN_free(n[i]);
    BN_free(divisor);
    BN_CTX_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_each_size_are_good),
        cmocka_unit_test(primes_are_far_apart),
        cmocka_unit_test(no_two_share_a_prime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
