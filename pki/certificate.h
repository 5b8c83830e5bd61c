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
#include "pki/alt-names.h"
#include "pki/usages.h"

#define CERTIFICATE_DAY_SEC           ((int64_t)24 * 60 * 60)
#define CERTIFICATE_CA_LIFETIME_SEC   (3650 * CERTIFICATE_DAY_SEC) // kubeadm: 10 years
#define CERTIFICATE_LEAF_LIFETIME_SEC (365 * CERTIFICATE_DAY_SEC)  // kubeadm: 1 year

// What a certificate says. All borrowed.
struct certificate_spec {
    const char *common_name;
    const char *organization; // NULL for none
    X509_NAME *subject;       // instead of these two; NULL for none
    bool is_ca;
    bool limits_path; // of a CA: at most `path_length` further CAs below it
    int path_length;
    unsigned key_usage; // KU_… of OpenSSL; 0: what kubeadm gives to a CA or to others
    unsigned usages;    // enum certificate_usage; 0 for a CA
    const struct string_list *alt_names; // see alt-names.h; NULL for none
    int64_t lifetime_sec;                // from now; nothing outlives its issuer
    bool lives_from_start;               // from NotBefore instead, as cfssl counts it
    int64_t backdate_sec;                // 0: five minutes
    const char *ocsp_url, *crl_url;      // NULL for none
};

// Signs a certificate for `key`. With issuer NULL it is self-signed. NotBefore is a little in the
// past (clocks differ), but not before the issuer's. -EINVAL where a name has no form that is
// known, or where the issuer may not sign this: not a CA, not its key, its path length, its name
// constraints. -EKEYEXPIRED where the issuer has expired.
int certificate_make(const struct certificate_spec *spec, EVP_PKEY *key, X509 *issuer,
                     EVP_PKEY *issuer_key, X509 **ret, struct error *err);

// Appends the spec's organization and common name to an empty name. False with OpenSSL's queue
// filled.
bool certificate_fill_subject(const struct certificate_spec *spec, X509_NAME *name);

// The same certificate anew, from now on and for as long as the old one was to live: subject,
// names, usages and every other extension stay (identifiers of keys are made again); the serial is
// new. `key` may be another than the old one's. With issuer NULL it is self-signed. Errors as
// above.
int certificate_renew(X509 *old, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, X509 **ret,
                      struct error *err);

// The digest to sign with by this key; NULL where it has its own.
const EVP_MD *certificate_digest_for(EVP_PKEY *key);

// What must hold for a certificate that is already there to be of use.
struct certificate_expectation {
    const struct certificate_spec *spec; // is_ca, usages, alt_names; of the subject: see `subject`
    bool subject;                        // common name and organization must be those of the spec
    X509 *issuer;                        // NULL: self-signed
    bool any_issuer;                     // whoever signed it is not looked at
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

walltime certificate_time(const ASN1_TIME *time); // not set where it is none
walltime certificate_not_after(X509 *certificate);

DEFINE_CLEANUP(X509 *, X509_free)
#define _cleanup_x509_ _cleanup_(cleanup_X509_free)
