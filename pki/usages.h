// What a certificate may be used for, in the words of cfssl's profiles ("signing", "server auth")
// and of RFC 5280 (sections 4.2.1.3 and 4.2.1.12).
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>

// Bits of the extended key usage.
enum certificate_usage {
    CERTIFICATE_SERVER = 1 << 0, // serverAuth
    CERTIFICATE_CLIENT = 1 << 1, // clientAuth
    CERTIFICATE_CODE_SIGNING = 1 << 2,
    CERTIFICATE_EMAIL = 1 << 3,
    CERTIFICATE_TIMESTAMPING = 1 << 4,
    CERTIFICATE_OCSP_SIGNING = 1 << 5,
    CERTIFICATE_ANY = 1 << 6,
    CERTIFICATE_IPSEC_END_SYSTEM = 1 << 7,
    CERTIFICATE_IPSEC_TUNNEL = 1 << 8,
    CERTIFICATE_IPSEC_USER = 1 << 9,
};

// A key usage as a bit of OpenSSL's KU_… added to *key_usage, or an extended one added to
// *extended. False where nobody knows the name.
bool usage_from_name(const char *name, unsigned *key_usage, unsigned *extended);
// The known name nearest to one that is not known, or NULL.
const char *usage_nearest(const char *name);

// Adds the extensions (the extended one only where there is a bit in it). False with OpenSSL's
// queue filled.
bool usages_add(X509 *certificate, unsigned key_usage, unsigned extended);
