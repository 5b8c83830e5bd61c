// cfssl's files: the JSON that guides print for certificate requests (ca-csr.json) and signing
// policies (ca-config.json), and the JSON that cfssl answers with, which cfssljson reads. What
// cfssl takes is taken; what it would pass over in silence (a misspelt field, a profile that is not
// there) is told.
#pragma once

#include <jansson.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"

enum { CFSSL_FILE_MAX = 1 << 20 };

// ---- requests: csr.CertificateRequest of cfssl ----

struct cfssl_name {
    char *country, *province, *locality, *organization, *unit, *serial_number; // NULL: none
};

struct cfssl_request {
    char *common_name, *serial_number;
    LIST_OF(struct cfssl_name) names;
    struct string_list hosts;
    char *algorithm; // "rsa", "ecdsa" or "ed25519"; cfssl's default is ecdsa with 256 bits
    unsigned bits;
    // "ca", for -initca.
    int64_t ca_expiry_sec;   // 0: five years
    int64_t ca_backdate_sec; // 0: five minutes
    bool ca_limits_path;
    int ca_path_length;
};

// Reads a request. 0; -EINVAL with "file: path: what is wrong". `warnings` gets a sentence for what
// is passed over.
int cfssl_request_read(const char *file, const void *data, size_t size, struct cfssl_request *ret,
                       struct string_list *warnings, struct error *err);
void cfssl_request_free(struct cfssl_request *request);
#define _cleanup_cfssl_request_ _cleanup_(cfssl_request_free)

// The subject, in cfssl's order of attributes. The caller frees (X509_NAME_free()).
int cfssl_request_subject(const struct cfssl_request *request, X509_NAME **ret, struct error *err);

// ---- configuration: config.Config of cfssl ----

struct cfssl_profile {
    char *name;                       // "" for signing.default
    int64_t expiry_sec, backdate_sec; // 0: the default's; five minutes
    unsigned key_usage, usages;       // of usages.h
    bool is_ca, limits_path;
    int path_length;
    char *ocsp_url, *crl_url; // NULL: none
};

struct cfssl_config {
    LIST_OF(struct cfssl_profile) profiles; // the first is the default
};

int cfssl_config_read(const char *file, const void *data, size_t size, struct cfssl_config *ret,
                      struct string_list *warnings, struct error *err);
// What cfssl uses without a file.
void cfssl_config_default(struct cfssl_config *ret);
void cfssl_config_free(struct cfssl_config *config);
#define _cleanup_cfssl_config_ _cleanup_(cfssl_config_free)

// By name; NULL or "": the default. -ENOENT with the nearest name, -EINVAL where it says nothing of
// what its certificates are for.
int cfssl_config_profile(const struct cfssl_config *config, const char *name,
                         const struct cfssl_profile **ret, struct error *err);

// The texts of `cfssl print-defaults csr` and `config`.
extern const char cfssl_default_csr[], cfssl_default_config[];

// ---- answers ----

// What `cfssl certinfo` says about a certificate. A new reference.
json_t *cfssl_certificate_info(X509 *certificate, struct error *err);
