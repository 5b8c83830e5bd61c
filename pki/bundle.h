// Several certificates in one file: a certificate and its chain, or the CAs that are trusted while
// one takes over from another.
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

enum { CERTIFICATE_BUNDLE_MAX = 512 }; // certificates

struct certificate_bundle {
    X509 **items; // owned, in the file's order
    size_t n;
};

// Every certificate of a PEM text; what stands between them is passed over. -EINVAL where there is
// none, or where one is damaged.
int certificate_bundle_from_pem(const char *text, size_t len, struct certificate_bundle *ret,
                                struct error *err);
// -ENOENT where there is no file.
int certificate_bundle_load(const char *path, struct certificate_bundle *ret, struct error *err);
int certificate_bundle_to_pem(const struct certificate_bundle *bundle, struct buffer *out,
                              struct error *err);

// Takes a certificate in (its reference is the bundle's now), at the end.
void certificate_bundle_add(struct certificate_bundle *bundle, X509 *certificate);

// The one among them that signed it, by name and signature; NULL where none did. Borrowed.
X509 *certificate_bundle_issuer(const struct certificate_bundle *bundle, X509 *certificate);
// The one whose private key this is, or NULL. Borrowed.
X509 *certificate_bundle_of_key(const struct certificate_bundle *bundle, EVP_PKEY *key);
bool certificate_bundle_has(const struct certificate_bundle *bundle, X509 *certificate);

void certificate_bundle_free(struct certificate_bundle *bundle);
#define _cleanup_certificate_bundle_ _cleanup_(certificate_bundle_free)
