// X.509 certificates: CAs and what they sign, in the shape that kubeadm gives them
// (cmd/kubeadm/app/util/pkiutil), plus subject and authority key identifiers and 128-bit serials.
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/monotime.h"
#include "base/string-list.h"

enum certificate_usage {
    CERTIFICATE_SERVER = 1 << 0, // extended key usage serverAuth
    CERTIFICATE_CLIENT = 1 << 1, // clientAuth
};

#define CERTIFICATE_DAY_SEC           ((int64_t)24 * 60 * 60)
#define CERTIFICATE_CA_LIFETIME_SEC   (3650 * CERTIFICATE_DAY_SEC) // kubeadm: 10 years
#define CERTIFICATE_LEAF_LIFETIME_SEC (365 * CERTIFICATE_DAY_SEC)  // kubeadm: 1 year

// What a certificate says. All borrowed.
struct certificate_spec {
    const char *common_name;
    const char *organization; // NULL for none
    bool is_ca;
    unsigned usages;                     // enum certificate_usage; 0 for a CA
    const struct string_list *alt_names; // DNS names (also "*.x") and IP addresses; NULL for none
    int64_t lifetime_sec;                // from now; a leaf never outlives its issuer
};

// Signs a certificate for `key`. With issuer NULL it is self-signed. NotBefore is five minutes ago
// (clocks differ), but not before the issuer's. -EINVAL where a name is neither an IP address nor a
// DNS name, -EKEYEXPIRED where the issuer has expired.
int certificate_make(const struct certificate_spec *spec, EVP_PKEY *key, X509 *issuer,
                     EVP_PKEY *issuer_key, X509 **ret, struct error *err);

// True for an IP address, a DNS-1123 name or such a name behind "*.".
bool certificate_name_is_valid(const char *name);

// What must hold for a certificate that is already there to be of use.
struct certificate_expectation {
    const struct certificate_spec *spec; // is_ca, usages, alt_names; of the subject: see `subject`
    bool subject;                        // common name and organization must be those of the spec
    X509 *issuer;                        // NULL: self-signed
    EVP_PKEY *key;                       // the private key beside it, NULL where there is none
    walltime now;
};

// 0, or -EINVAL with everything that is wrong in one message, "; " between.
int certificate_check(X509 *certificate, const struct certificate_expectation *expectation,
                      struct error *err);

int certificate_to_pem(X509 *certificate, struct buffer *out, struct error *err);
int certificate_from_pem(const char *text, size_t len, X509 **ret, struct error *err);

// The first certificate of a PEM file. -ENOENT where there is no file.
int certificate_load(const char *path, X509 **ret, struct error *err);
// 0644, synced, and -EEXIST where something is there already.
int certificate_write(const char *path, X509 *certificate, struct error *err);

walltime certificate_not_after(X509 *certificate);

DEFINE_CLEANUP(X509 *, X509_free)
#define _cleanup_x509_ _cleanup_(cleanup_X509_free)
