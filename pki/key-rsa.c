// See key-rsa.h.
#include "pki/key-rsa.h"

#include <errno.h>
#include <gmp.h>
#include <nettle/rsa.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "pki/key.h"

enum {
    EXPONENT = 65537,
    STACK_SIZE = 1 << 20,
    SIGNATURE_MAX = 8192 / 8,
    PRIME_ROUNDS = 28 // of GMP: Baillie-PSW and four of Miller-Rabin
};

// ---- memory that is wiped when it is given back ----

static void *gmp_allocate(size_t size)
{
    return xmalloc(size);
}

static void gmp_free(void *p, size_t size)
{
    OPENSSL_cleanse(p, size);
    free(p);
}

static void *gmp_reallocate(void *p, size_t old_size, size_t new_size)
{
    void *new = xmalloc(new_size);
    memcpy(new, p, MIN(old_size, new_size));
    gmp_free(p, old_size);
    return new;
}

static void wipe_what_gmp_frees(void)
{
    mp_set_memory_functions(gmp_allocate, gmp_reallocate, gmp_free);
}

// ---- a key ----

struct work {
    unsigned bits;
    bool no_random;
    EVP_PKEY *key; // NULL: it failed
};

static void random_bytes(void *userdata, size_t n, uint8_t *out)
{
    struct work *work = userdata;
    if (RAND_priv_bytes(out, (int)n) == 1)
        return;
    work->no_random = true; // nothing will be made of what is in there
    memset(out, 0xa5, n);
}

static EVP_PKEY *key_from(OSSL_PARAM *numbers)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (context && EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, numbers);
    EVP_PKEY_CTX_free(context);
    return key;
}

// OSSL_PARAM takes whole numbers in the machine's own order of bytes.
static EVP_PKEY *to_openssl(const struct rsa_public_key *public,
                            const struct rsa_private_key *private)
{
    enum { NUMBERS = 8, SIZE_MAX_OF_ONE = 8192 / 8 };
    const struct {
        const char *name;
        mpz_srcptr value;
    } parts[NUMBERS] = {
        {OSSL_PKEY_PARAM_RSA_N, public->n},          {OSSL_PKEY_PARAM_RSA_E, public->e},
        {OSSL_PKEY_PARAM_RSA_D, private->d},         {OSSL_PKEY_PARAM_RSA_FACTOR1, private->p},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, private->q},   {OSSL_PKEY_PARAM_RSA_EXPONENT1, private->a},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, private->b}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, private->c},
    };
    const int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? -1 : 1;
    unsigned char space[NUMBERS][SIZE_MAX_OF_ONE];
    OSSL_PARAM numbers[NUMBERS + 1];
    for (size_t i = 0; i < NUMBERS; i++) {
        size_t size = (mpz_sizeinbase(parts[i].value, 2) + 7) / 8;
        if (size > sizeof(space[i]))
            return NULL;
        mpz_export(space[i], &size, order, 1, 0, 0, parts[i].value);
        numbers[i] = OSSL_PARAM_construct_BN(parts[i].name, space[i], size);
    }
    numbers[NUMBERS] = OSSL_PARAM_construct_end();
    EVP_PKEY *key = key_from(numbers);
    OPENSSL_cleanse(space, sizeof(space));
    return key;
}

static bool has_primes(const struct rsa_private_key *private)
{
    return mpz_probab_prime_p(private->p, PRIME_ROUNDS) > 0 &&
           mpz_probab_prime_p(private->q, PRIME_ROUNDS) > 0;
}

// OpenSSL signs by the private part and verifies by the public one.
static bool is_good(EVP_PKEY *key)
{
    static const unsigned char text[] = "a text";
    unsigned char signature[SIGNATURE_MAX];
    size_t n = sizeof(signature);
    EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
    bool good = sign && verify && EVP_DigestSignInit(sign, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(sign, signature, &n, text, sizeof(text)) == 1 &&
                EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(verify, signature, n, text, sizeof(text)) == 1;
    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    return good;
}

static void *make(void *userdata)
{
    struct work *work = userdata;
    struct rsa_public_key public;
    struct rsa_private_key private;
    rsa_public_key_init(&public);
    rsa_private_key_init(&private);
    mpz_set_ui(public.e, EXPONENT);
    bool made =
        rsa_generate_keypair(&public, &private, work, random_bytes, NULL, NULL, work->bits, 0) == 1;
    if (made && !work->no_random && has_primes(&private))
        work->key = to_openssl(&public, &private);
    rsa_private_key_clear(&private);
    rsa_public_key_clear(&public);
    if (work->key && !is_good(work->key)) {
        EVP_PKEY_free(work->key);
        work->key = NULL;
    }
    return NULL;
}

// ---- a stack that is given back ----

static bool run_on(void *stack, struct work *work)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ran = pthread_attr_setstack(&attributes, stack, STACK_SIZE) == 0 &&
               pthread_create(&thread, &attributes, make, work) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ran)
        pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    return ran;
}

// GMP's intermediate numbers lie on its stack, too.
static void make_on_a_stack_of_its_own(struct work *work)
{
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    char *space = mmap(NULL, guard + STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    bool ran = space != MAP_FAILED && mprotect(space, guard, PROT_NONE) == 0 &&
               run_on(space + guard, work);
    if (space != MAP_FAILED)
        munmap(space, guard + STACK_SIZE);
    if (!ran)
        make(work);
}

int key_generate_rsa(unsigned bits, EVP_PKEY **ret, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct work work = {.bits = bits};
    pthread_once(&once, wipe_what_gmp_frees);
    make_on_a_stack_of_its_own(&work);
    if (!work.key)
        return openssl_error(err, EIO,
                             work.no_random ? "no random numbers" : "cannot make an RSA key");
    *ret = work.key;
    return 0;
}
