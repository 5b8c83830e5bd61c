// Private keys: made by OpenSSL, written once, never replaced. EVP_PKEY is OpenSSL's own opaque
// type and is used as such within the room and by its callers.
#pragma once

#include <openssl/evp.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

enum key_algorithm {
    KEY_ECDSA_P256, // the default
    KEY_ECDSA_P384,
    KEY_RSA_2048,
    KEY_RSA_3072,
    KEY_RSA_4096,
};

// "ecdsa-p256", "rsa-2048", … (also "ecdsa" and "rsa"): 0, or -EINVAL with the allowed names.
int key_algorithm_parse(const char *name, enum key_algorithm *ret, struct error *err);
const char *key_algorithm_name(enum key_algorithm algorithm);

int key_generate(enum key_algorithm algorithm, EVP_PKEY **ret, struct error *err);
// "rsa" with 2048 to 8192 bits, "ecdsa" with 256, 384 or 521, "ed25519". -EINVAL for anything else.
int key_generate_sized(const char *family, unsigned bits, EVP_PKEY **ret, struct error *err);
int key_check_size(const char *family, unsigned bits, struct error *err);

// Appends "BEGIN EC PRIVATE KEY" or "BEGIN RSA PRIVATE KEY", the forms that kubeadm writes (for
// others "BEGIN PRIVATE KEY"). Wipe the buffer with secret_free() afterwards.
int key_to_pem(EVP_PKEY *key, struct buffer *out, struct error *err);
// Appends "BEGIN PUBLIC KEY" (sa.pub).
int key_public_to_pem(EVP_PKEY *key, struct buffer *out, struct error *err);

// An unencrypted private key out of a text. -EINVAL where it holds none.
int key_from_pem(const char *text, size_t len, EVP_PKEY **ret, struct error *err);

// A new key of the same kind and size as this one.
int key_generate_like(EVP_PKEY *old, EVP_PKEY **ret, struct error *err);

// Reads an unencrypted private key: PKCS#8, "EC PRIVATE KEY" or "RSA PRIVATE KEY". -ENOENT where
// there is no file, -EINVAL where it holds no such key. *ret_mode (may be NULL) is the file's mode.
int key_load(const char *path, EVP_PKEY **ret, mode_t *ret_mode, struct error *err);
int key_public_load(const char *path, EVP_PKEY **ret, struct error *err);

// 0600, synced, and -EEXIST where something is there already.
int key_write(const char *path, EVP_PKEY *key, struct error *err);

// From now on whatever OpenSSL frees in this process is wiped first: it wipes what it knows to be a
// key, but not every copy on the way into and out of one. For the start of a program, before
// OpenSSL is used; later it does nothing.
void secret_wipe_what_is_freed(void);

// Wipes the memory before it is freed.
void secret_free(struct buffer *b);
#define _cleanup_secret_ _cleanup_(secret_free)

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
#define _cleanup_key_ _cleanup_(cleanup_EVP_PKEY_free)

// Sets *err to "what: <OpenSSL's newest reason>", empties OpenSSL's queue, returns -code.
int openssl_error(struct error *err, int code, const char *format, ...) _printf_(3, 4);
