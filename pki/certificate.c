// Certificates: names, extensions, signing, and PEM files. Checking is in certificate-check.c.
#include "pki/certificate.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/fs.h"
#include "pki/key.h"

enum { CERTIFICATE_FILE_MAX = 1 << 20, BACKDATE_SEC = 300, DNS_NAME_MAX = 253, DNS_LABEL_MAX = 63 };

static size_t ip_bytes(const char *name, unsigned char *bytes)
{
    if (inet_pton(AF_INET, name, bytes) == 1)
        return sizeof(struct in_addr);
    return inet_pton(AF_INET6, name, bytes) == 1 ? sizeof(struct in6_addr) : 0;
}

static bool is_dns_label(const char *label, size_t len)
{
    if (len == 0 || len > DNS_LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!islower((unsigned char)label[i]) && !isdigit((unsigned char)label[i]) &&
            label[i] != '-')
            return false;
    }
    return true;
}

bool certificate_name_is_valid(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (ip_bytes(name, bytes) > 0)
        return true;
    if (str_starts_with(name, "*."))
        name += 2;
    if (strlen(name) > DNS_NAME_MAX)
        return false;
    for (;;) {
        size_t len = strcspn(name, ".");
        if (!is_dns_label(name, len))
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
}

static GENERAL_NAME *general_name(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    size_t n = ip_bytes(name, bytes);
    GENERAL_NAME *general = GENERAL_NAME_new();
    ASN1_STRING *value = n > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (!general || !value ||
        ASN1_STRING_set(value, n > 0 ? (const void *)bytes : name, n > 0 ? (int)n : -1) != 1) {
        GENERAL_NAME_free(general);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(general, n > 0 ? GEN_IPADD : GEN_DNS, value);
    return general;
}

// DNS names first, then addresses, each once, as Go writes them.
static int fill_general_names(GENERAL_NAMES *names, const struct string_list *from, bool addresses)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    for (size_t i = 0; i < from->n; i++) {
        struct string_list before = {from->items, i};
        if ((ip_bytes(from->items[i], bytes) > 0) != addresses ||
            string_list_contains(&before, from->items[i]))
            continue;
        GENERAL_NAME *name = general_name(from->items[i]);
        if (!name || sk_GENERAL_NAME_push(names, name) <= 0) {
            GENERAL_NAME_free(name);
            return -ENOMEM;
        }
    }
    return 0;
}

static int add_alt_names(X509 *certificate, const struct string_list *alt_names, struct error *err)
{
    if (!alt_names || alt_names->n == 0)
        return 0;
    for (size_t i = 0; i < alt_names->n; i++) {
        if (!certificate_name_is_valid(alt_names->items[i]))
            return error_set(err, EINVAL, "\"%s\" is neither an IP address nor a DNS name",
                             alt_names->items[i]);
    }
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    int code = 0;
    if (!names || fill_general_names(names, alt_names, false) < 0 ||
        fill_general_names(names, alt_names, true) < 0 ||
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        code = openssl_error(err, EIO, "cannot add the subject alternative names");
    GENERAL_NAMES_free(names);
    return code;
}

static int add_extension(X509V3_CTX *context, X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, context, nid, value);
    int ok = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static int add_extensions(const struct certificate_spec *spec, X509 *certificate, X509 *issuer,
                          struct error *err)
{
    static const char *const extended[] = {
        [CERTIFICATE_SERVER] = "serverAuth",
        [CERTIFICATE_CLIENT] = "clientAuth",
        [CERTIFICATE_SERVER | CERTIFICATE_CLIENT] = "serverAuth,clientAuth",
    };
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : certificate, certificate, NULL, NULL, 0);
    const char *usage = spec->is_ca ? "critical,digitalSignature,keyEncipherment,keyCertSign"
                                    : "critical,digitalSignature,keyEncipherment";
    bool ok = add_extension(&context, certificate, NID_key_usage, usage);
    if (ok && spec->usages)
        ok = add_extension(&context, certificate, NID_ext_key_usage, extended[spec->usages]);
    ok = ok && add_extension(&context, certificate, NID_basic_constraints,
                             spec->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    ok = ok && add_extension(&context, certificate, NID_subject_key_identifier, "hash");
    if (ok && issuer && X509_get0_subject_key_id(issuer))
        ok = add_extension(&context, certificate, NID_authority_key_identifier, "keyid:always");
    if (!ok)
        return openssl_error(err, EIO, "cannot add the certificate's extensions");
    return add_alt_names(certificate, spec->alt_names, err);
}

static bool set_subject(X509 *certificate, const struct certificate_spec *spec)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    if (spec->organization &&
        X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8,
                                   (const unsigned char *)spec->organization, -1, -1, 0) != 1)
        return false;
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)spec->common_name, -1, -1, 0) == 1;
}

static bool set_random_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool ok = number && BN_rand(number, 128, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return ok;
}

static int set_validity(X509 *certificate, X509 *issuer, int64_t lifetime_sec, struct error *err)
{
    time_t now = time(NULL);
    time_t past = now - BACKDATE_SEC, end = now + (time_t)lifetime_sec;
    const ASN1_TIME *first = issuer ? X509_get0_notBefore(issuer) : NULL;
    const ASN1_TIME *last = issuer ? X509_get0_notAfter(issuer) : NULL;
    if (last && X509_cmp_time(last, &now) < 0)
        return error_set(err, EKEYEXPIRED, "the CA has expired");
    bool ok = first && X509_cmp_time(first, &past) > 0
                  ? X509_set1_notBefore(certificate, first)
                  : ASN1_TIME_set(X509_getm_notBefore(certificate), past) != NULL;
    ok = ok && (last && X509_cmp_time(last, &end) < 0
                    ? X509_set1_notAfter(certificate, last)
                    : ASN1_TIME_set(X509_getm_notAfter(certificate), end) != NULL);
    return ok ? 0 : openssl_error(err, EIO, "cannot set the certificate's validity");
}

static const EVP_MD *digest_for(EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
}

static int fill_and_sign(X509 *certificate, const struct certificate_spec *spec, EVP_PKEY *key,
                         X509 *issuer, EVP_PKEY *issuer_key, struct error *err)
{
    if (X509_set_version(certificate, X509_VERSION_3) != 1 || !set_random_serial(certificate) ||
        X509_set_pubkey(certificate, key) != 1)
        return openssl_error(err, EIO, "cannot make a certificate");
    if (!set_subject(certificate, spec))
        return openssl_error(err, EINVAL, "cannot put \"%s\" into a certificate's subject",
                             spec->common_name);
    X509_NAME *by = X509_get_subject_name(issuer ? issuer : certificate);
    if (X509_set_issuer_name(certificate, by) != 1)
        return openssl_error(err, EIO, "cannot make a certificate");
    int code = set_validity(certificate, issuer, spec->lifetime_sec, err);
    if (code == 0)
        code = add_extensions(spec, certificate, issuer, err);
    if (code == 0 && X509_sign(certificate, issuer_key, digest_for(issuer_key)) <= 0)
        code = openssl_error(err, EIO, "cannot sign the certificate");
    return code;
}

int certificate_make(const struct certificate_spec *spec, EVP_PKEY *key, X509 *issuer,
                     EVP_PKEY *issuer_key, X509 **ret, struct error *err)
{
    _cleanup_x509_ X509 *certificate = X509_new();
    if (!certificate)
        return openssl_error(err, ENOMEM, "cannot make a certificate");
    int code = fill_and_sign(certificate, spec, key, issuer, issuer ? issuer_key : key, err);
    if (code < 0)
        return code;
    *ret = TAKE_PTR(certificate);
    return 0;
}

int certificate_to_pem(X509 *certificate, struct buffer *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    if (!bio || PEM_write_bio_X509(bio, certificate) != 1) {
        BIO_free(bio);
        return openssl_error(err, EIO, "cannot encode a certificate");
    }
    long len = BIO_get_mem_data(bio, &data);
    buffer_add(out, data, (size_t)len);
    BIO_free(bio);
    return 0;
}

int certificate_from_pem(const char *text, size_t len, X509 **ret, struct error *err)
{
    if (len > CERTIFICATE_FILE_MAX)
        return error_set(err, EFBIG, "larger than any certificate");
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!certificate)
        return openssl_error(err, EINVAL, "holds no certificate in PEM form");
    *ret = certificate;
    return 0;
}

int certificate_load(const char *path, X509 **ret, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, CERTIFICATE_FILE_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    code = certificate_from_pem(buffer_str(&text), text.len, ret, err);
    return code < 0 ? error_prefix(err, code, "%s", path) : 0;
}

int certificate_write(const char *path, X509 *certificate, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = certificate_to_pem(certificate, &text, err);
    if (code < 0)
        return code;
    code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0644,
                           FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 ? error_errno(err, code, "cannot write %s", path) : 0;
}
