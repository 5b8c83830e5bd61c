// See usages.h.
#include "pki/usages.h"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "base/macro.h"
#include "base/string-list.h"

static const struct {
    const char *name;
    unsigned bit;
} key_usages[] = {
    {"signing", KU_DIGITAL_SIGNATURE},
    {"digital signature", KU_DIGITAL_SIGNATURE},
    {"content commitment", KU_NON_REPUDIATION},
    {"content committment", KU_NON_REPUDIATION}, // as older cfssl spells it
    {"key encipherment", KU_KEY_ENCIPHERMENT},
    {"data encipherment", KU_DATA_ENCIPHERMENT},
    {"key agreement", KU_KEY_AGREEMENT},
    {"cert sign", KU_KEY_CERT_SIGN},
    {"crl sign", KU_CRL_SIGN},
    {"encipher only", KU_ENCIPHER_ONLY},
    {"decipher only", KU_DECIPHER_ONLY},
};

// In the order in which they are written.
static const struct {
    const char *name;
    unsigned bit;
    int nid;
} extended_usages[] = {
    {"any", CERTIFICATE_ANY, NID_anyExtendedKeyUsage},
    {"server auth", CERTIFICATE_SERVER, NID_server_auth},
    {"client auth", CERTIFICATE_CLIENT, NID_client_auth},
    {"code signing", CERTIFICATE_CODE_SIGNING, NID_code_sign},
    {"email protection", CERTIFICATE_EMAIL, NID_email_protect},
    {"s/mime", CERTIFICATE_EMAIL, NID_undef},
    {"ipsec end system", CERTIFICATE_IPSEC_END_SYSTEM, NID_ipsecEndSystem},
    {"ipsec tunnel", CERTIFICATE_IPSEC_TUNNEL, NID_ipsecTunnel},
    {"ipsec user", CERTIFICATE_IPSEC_USER, NID_ipsecUser},
    {"timestamping", CERTIFICATE_TIMESTAMPING, NID_time_stamp},
    {"ocsp signing", CERTIFICATE_OCSP_SIGNING, NID_OCSP_sign},
};

bool usage_from_name(const char *name, unsigned *key_usage, unsigned *extended)
{
    for (size_t i = 0; i < ARRAY_SIZE(key_usages); i++)
        if (str_equal(name, key_usages[i].name)) {
            *key_usage |= key_usages[i].bit;
            return true;
        }
    for (size_t i = 0; i < ARRAY_SIZE(extended_usages); i++)
        if (str_equal(name, extended_usages[i].name)) {
            *extended |= extended_usages[i].bit;
            return true;
        }
    return false;
}

const char *usage_nearest(const char *name)
{
    const char *names[ARRAY_SIZE(key_usages) + ARRAY_SIZE(extended_usages)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(key_usages); i++)
        names[n++] = key_usages[i].name;
    for (size_t i = 0; i < ARRAY_SIZE(extended_usages); i++)
        names[n++] = extended_usages[i].name;
    return str_nearest(name, names, n);
}

// RFC 5280: bit 0 of the string is the most significant one of its first byte; "decipher only" is
// the ninth.
static bool add_key_usage(X509 *certificate, unsigned usage)
{
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    bool ok = bits != NULL;
    for (int i = 0; ok && i < 8; i++)
        if (usage & (0x80U >> i))
            ok = ASN1_BIT_STRING_set_bit(bits, i, 1) == 1;
    if (ok && (usage & KU_DECIPHER_ONLY))
        ok = ASN1_BIT_STRING_set_bit(bits, 8, 1) == 1;
    ok = ok && X509_add1_ext_i2d(certificate, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1;
    ASN1_BIT_STRING_free(bits);
    return ok;
}

static bool add_extended_usage(X509 *certificate, unsigned usages)
{
    EXTENDED_KEY_USAGE *list = sk_ASN1_OBJECT_new_null();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < ARRAY_SIZE(extended_usages); i++)
        if ((usages & extended_usages[i].bit) && extended_usages[i].nid != NID_undef)
            ok = sk_ASN1_OBJECT_push(list, OBJ_nid2obj(extended_usages[i].nid)) > 0;
    ok = ok && X509_add1_ext_i2d(certificate, NID_ext_key_usage, list, 0, X509V3_ADD_DEFAULT) == 1;
    EXTENDED_KEY_USAGE_free(list);
    return ok;
}

bool usages_add(X509 *certificate, unsigned key_usage, unsigned extended)
{
    return (key_usage == 0 || add_key_usage(certificate, key_usage)) &&
           (extended == 0 || add_extended_usage(certificate, extended));
}
