// What `cfssl certinfo` says about a certificate, in its words. See cfssl.h.
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "pki/certificate.h"
#include "pki/cfssl.h"

static const struct {
    const char *key;
    int nid;
} attributes[] = {
    {"common_name", NID_commonName},
    {"serial_number", NID_serialNumber},
    {"country", NID_countryName},
    {"organization", NID_organizationName},
    {"organizational_unit", NID_organizationalUnitName},
    {"locality", NID_localityName},
    {"province", NID_stateOrProvinceName},
};

// The value of an attribute as UTF-8; NULL where it cannot be shown. The caller frees.
static char *value_text(const ASN1_STRING *value)
{
    unsigned char *utf8 = NULL;
    int length = ASN1_STRING_to_UTF8(&utf8, value);
    char *text = length < 0 || memchr(utf8, '\0', (size_t)length)
                     ? NULL
                     : xstrndup((const char *)utf8, (size_t)length);
    OPENSSL_free(utf8);
    return text;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_t *value = json_string(text);
    if (value)
        json_object_set_new(object, key, value);
}

static void add_values(json_t *object, const char *key, X509_NAME *name, int nid)
{
    _cleanup_buffer_ struct buffer joined = BUFFER_EMPTY;
    for (int i = -1; (i = X509_NAME_get_index_by_NID(name, nid, i)) >= 0;) {
        _cleanup_free_ char *text =
            value_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
        if (text)
            buffer_printf(&joined, "%s%s", joined.len > 0 ? "," : "", text);
    }
    if (joined.len > 0)
        set_text(object, key, buffer_str(&joined));
}

static json_t *name_info(X509_NAME *name)
{
    json_t *object = json_object(), *names = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
        add_values(object, attributes[i].key, name, attributes[i].nid);
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        _cleanup_free_ char *text =
            value_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
        json_t *value = text ? json_string(text) : NULL;
        if (value)
            json_array_append_new(names, value);
    }
    json_object_set_new(object, "names", names);
    return object;
}

static json_t *alt_names(X509 *certificate)
{
    _cleanup_string_list_ struct string_list list = {0};
    _cleanup_general_names_ GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    json_t *array = json_array();
    alt_names_list(names, &list);
    LIST_EACH (name, &list) {
        json_t *value = json_string(*name);
        if (value)
            json_array_append_new(array, value);
    }
    return array;
}

// "3D:0D:27": with both digits of each byte, unlike cfssl's, which drops zeroes.
static void add_key_id(json_t *object, const char *key, const ASN1_OCTET_STRING *id)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const unsigned char *bytes = id ? ASN1_STRING_get0_data(id) : NULL;
    for (int i = 0; id && i < ASN1_STRING_length(id); i++)
        buffer_printf(&text, "%s%02X", i > 0 ? ":" : "", bytes[i]);
    set_text(object, key, buffer_str(&text));
}

static void add_time(json_t *object, const char *key, const ASN1_TIME *time)
{
    char text[RFC3339_NANO_SIZE];
    set_text(object, key, walltime_format(certificate_time(time), text));
}

// The names of Go's x509.SignatureAlgorithm.
static const char *signature_name(X509 *certificate)
{
    static const struct {
        int nid;
        const char *name;
    } names[] = {
        {NID_sha1WithRSAEncryption, "SHA1WithRSA"},
        {NID_sha256WithRSAEncryption, "SHA256WithRSA"},
        {NID_sha384WithRSAEncryption, "SHA384WithRSA"},
        {NID_sha512WithRSAEncryption, "SHA512WithRSA"},
        {NID_ecdsa_with_SHA256, "ECDSAWithSHA256"},
        {NID_ecdsa_with_SHA384, "ECDSAWithSHA384"},
        {NID_ecdsa_with_SHA512, "ECDSAWithSHA512"},
        {NID_ED25519, "Ed25519"},
    };
    int nid = X509_get_signature_nid(certificate);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].nid == nid)
            return names[i].name;
    const char *other = OBJ_nid2sn(nid);
    return other ? other : "unknown";
}

static char *serial_text(X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *decimal = number ? BN_bn2dec(number) : NULL;
    char *text = xstrdup(decimal ? decimal : "");
    OPENSSL_free(decimal);
    BN_free(number);
    return text;
}

json_t *cfssl_certificate_info(X509 *certificate, struct error *err)
{
    _cleanup_buffer_ struct buffer pem = BUFFER_EMPTY;
    _cleanup_free_ char *serial = serial_text(certificate);
    if (certificate_to_pem(certificate, &pem, err) < 0)
        return NULL;
    json_t *info = json_object();
    json_object_set_new(info, "subject", name_info(X509_get_subject_name(certificate)));
    json_object_set_new(info, "issuer", name_info(X509_get_issuer_name(certificate)));
    set_text(info, "serial_number", serial);
    json_object_set_new(info, "sans", alt_names(certificate));
    add_time(info, "not_before", X509_get0_notBefore(certificate));
    add_time(info, "not_after", X509_get0_notAfter(certificate));
    set_text(info, "sigalg", signature_name(certificate));
    add_key_id(info, "authority_key_id", X509_get0_authority_key_id(certificate));
    add_key_id(info, "subject_key_id", X509_get0_subject_key_id(certificate));
    set_text(info, "pem", buffer_str(&pem));
    return info;
}
