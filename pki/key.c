// See key.h.
#include "pki/key.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/key-rsa.h"

enum { KEY_FILE_MAX = 64 << 10, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

static const struct {
    const char *name;
    const char *curve; // NULL for RSA
    unsigned bits;
} algorithms[] = {
    [KEY_ECDSA_P256] = {"ecdsa-p256", "P-256", 256},
    [KEY_ECDSA_P384] = {"ecdsa-p384", "P-384", 384},
    [KEY_RSA_2048] = {"rsa-2048", NULL, 2048},
    [KEY_RSA_3072] = {"rsa-3072", NULL, 3072},
    [KEY_RSA_4096] = {"rsa-4096", NULL, 4096},
};

int openssl_error(struct error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *what = xvasprintf(format, args);
    va_end(args);
    unsigned long reason = ERR_peek_last_error();
    const char *text = reason ? ERR_reason_error_string(reason) : NULL;
    ERR_clear_error();
    return error_set(err, code, "%s%s%s", what, text ? ": " : "", text ? text : "");
}

int key_algorithm_parse(const char *name, enum key_algorithm *ret, struct error *err)
{
    if (str_equal(name, "ecdsa"))
        name = "ecdsa-p256";
    if (str_equal(name, "rsa"))
        name = "rsa-2048";
    for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
        if (str_equal(name, algorithms[i].name)) {
            *ret = (enum key_algorithm)i;
            return 0;
        }
    }
    return error_set(err, EINVAL,
                     "unknown key algorithm \"%s\": use ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 "
                     "or rsa-4096",
                     name ? name : "");
}

const char *key_algorithm_name(enum key_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

int key_generate(enum key_algorithm algorithm, EVP_PKEY **ret, struct error *err)
{
    const char *family = algorithms[algorithm].curve ? "ecdsa" : "rsa";
    return key_generate_sized(family, algorithms[algorithm].bits, ret, err);
}

static const char *curve_of(unsigned bits)
{
    return bits == 256 ? "P-256" : bits == 384 ? "P-384" : bits == 521 ? "P-521" : NULL;
}

int key_check_size(const char *family, unsigned bits, struct error *err)
{
    if (str_equal(family, "rsa") && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
        return error_set(err, EINVAL, "an RSA key must have %d to %d bits, not %u", RSA_BITS_MIN,
                         RSA_BITS_MAX, bits);
    if (str_equal(family, "ecdsa") && !curve_of(bits))
        return error_set(err, EINVAL, "an ECDSA key must have 256, 384 or 521 bits, not %u", bits);
    if (!str_equal(family, "rsa") && !str_equal(family, "ecdsa") && !str_equal(family, "ed25519"))
        return error_set(err, EINVAL, "unknown key algorithm \"%.50s\": use rsa, ecdsa or ed25519",
                         family ? family : "");
    return 0;
}

int key_generate_sized(const char *family, unsigned bits, EVP_PKEY **ret, struct error *err)
{
    int code = key_check_size(family, bits, err);
    if (code < 0)
        return code;
    if (str_equal(family, "rsa"))
        return key_generate_rsa(bits, ret, err);
    EVP_PKEY *key = str_equal(family, "ecdsa") ? EVP_EC_gen(curve_of(bits))
                                               : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!key)
        return openssl_error(err, EIO, "cannot make a key (%s, %u bits)", family, bits);
    *ret = key;
    return 0;
}

// Moves what a memory BIO holds behind `out`.
static void take_bio(BIO *bio, struct buffer *out)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    if (len > 0)
        buffer_add(out, data, (size_t)len);
}

int key_to_pem(EVP_PKEY *key, struct buffer *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    int code = 0;
    bool traditional = EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC");
    int ok = !bio ? 0
             : traditional
                 ? PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL)
                 : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    if (ok != 1)
        code = openssl_error(err, EIO, "cannot encode a private key");
    else
        take_bio(bio, out);
    BIO_free(bio);
    return code;
}

int key_public_to_pem(EVP_PKEY *key, struct buffer *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int code = 0;
    if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1)
        code = openssl_error(err, EIO, "cannot encode a public key");
    else
        take_bio(bio, out);
    BIO_free(bio);
    return code;
}

// OpenSSL would ask on the terminal for the passphrase of an encrypted key; nobody is there.
static int no_passphrase(char *buf, int size, int writing, void *userdata)
{
    return -1;
}

int key_from_pem(const char *text, size_t len, EVP_PKEY **ret, struct error *err)
{
    if (len > KEY_FILE_MAX)
        return error_set(err, EFBIG, "larger than any key");
    BIO *bio = BIO_new_mem_buf(text ? text : "", (int)len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (!key)
        return openssl_error(err, EINVAL, "holds no unencrypted private key in PEM form");
    *ret = key;
    return 0;
}

int key_generate_like(EVP_PKEY *old, EVP_PKEY **ret, struct error *err)
{
    const char *family = EVP_PKEY_is_a(old, "RSA")  ? "rsa"
                         : EVP_PKEY_is_a(old, "EC") ? "ecdsa"
                                                    : "ed25519";
    return key_generate_sized(family, (unsigned)EVP_PKEY_get_bits(old), ret, err);
}

int key_load(const char *path, EVP_PKEY **ret, mode_t *ret_mode, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    buffer_reserve(&text, KEY_FILE_MAX + 4096); // so that growing leaves no copies behind
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "%s", path);
    int code = fs_read_file(AT_FDCWD, path, KEY_FILE_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (!key)
        return openssl_error(err, EINVAL, "%s: holds no unencrypted private key in PEM form", path);
    if (ret_mode)
        *ret_mode = st.st_mode & 07777;
    *ret = key;
    return 0;
}

int key_public_load(const char *path, EVP_PKEY **ret, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, KEY_FILE_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    BIO *bio = BIO_new_mem_buf(buffer_str(&text), (int)text.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (!key)
        return openssl_error(err, EINVAL, "%s: holds no public key in PEM form", path);
    *ret = key;
    return 0;
}

int key_write(const char *path, EVP_PKEY *key, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    int code = key_to_pem(key, &text, err);
    if (code < 0)
        return code;
    code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0600,
                           FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 ? error_errno(err, code, "cannot write %s", path) : 0;
}

static void *wiping_malloc(size_t n, const char *file, int line)
{
    return malloc(n);
}

static void wiping_free(void *p, const char *file, int line)
{
    if (p)
        OPENSSL_cleanse(p, malloc_usable_size(p));
    free(p);
}

static void *wiping_realloc(void *p, size_t n, const char *file, int line)
{
    void *new = n > 0 ? malloc(n) : NULL;
    if (new &&p)
        memcpy(new, p, MIN(n, malloc_usable_size(p)));
    if (new || n == 0)
        wiping_free(p, file, line);
    return new;
}

void secret_wipe_what_is_freed(void)
{
    CRYPTO_set_mem_functions(wiping_malloc, wiping_realloc, wiping_free);
}

void secret_free(struct buffer *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buffer_free(b);
}
