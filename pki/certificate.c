// Certificates: names, extensions, signing, and PEM files. Checking is in certificate-check.c.
#include "pki/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "pki/alt-names.h"
#include "pki/key.h"

enum { CERTIFICATE_FILE_MAX = 1 << 20, BACKDATE_SEC = 300 };

static int add_alt_names(X509 *certificate, const struct string_list *alt_names, struct error *err)
{
    _cleanup_general_names_ GENERAL_NAMES *names = NULL;
    int code = alt_names_make(alt_names, &names, err);
    if (code < 0 || !names)
        return code;
    // RFC 5280, section 4.2.1.6: they are all there is where the subject is empty.
    int critical = X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0;
    if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, critical, X509V3_ADD_DEFAULT) !=
        1)
        return openssl_error(err, EIO, "cannot add the subject alternative names");
    return 0;
}

static bool add_extension(X509V3_CTX *context, X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

// pathLenConstraint as cfssl's configuration has it: only of a CA, and only where it is limited.
static bool add_basic_constraints(X509 *certificate, const struct certificate_spec *spec)
{
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
    bool ok = constraints != NULL;
    if (ok && spec->is_ca) {
        constraints->ca = 0xff;
        if (spec->limits_path)
            ok = (constraints->pathlen = ASN1_INTEGER_new()) &&
                 ASN1_INTEGER_set_int64(constraints->pathlen, spec->path_length) == 1;
    }
    ok = ok && X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints, 1,
                                 X509V3_ADD_DEFAULT) == 1;
    BASIC_CONSTRAINTS_free(constraints);
    return ok;
}

// Where revocation is asked for.
static bool add_places(X509V3_CTX *context, X509 *certificate, const struct certificate_spec *spec)
{
    _cleanup_free_ char *ocsp = spec->ocsp_url ? xasprintf("OCSP;URI:%s", spec->ocsp_url) : NULL;
    _cleanup_free_ char *crl = spec->crl_url ? xasprintf("URI:%s", spec->crl_url) : NULL;
    return (!ocsp || add_extension(context, certificate, NID_info_access, ocsp)) &&
           (!crl || add_extension(context, certificate, NID_crl_distribution_points, crl));
}

static int add_extensions(const struct certificate_spec *spec, X509 *certificate, X509 *issuer,
                          struct error *err)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : certificate, certificate, NULL, NULL, 0);
    unsigned key_usage = spec->key_usage ? spec->key_usage
                                         : KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT |
                                               (spec->is_ca ? KU_KEY_CERT_SIGN : 0U);
    bool ok = usages_add(certificate, key_usage, spec->usages) &&
              add_basic_constraints(certificate, spec) &&
              add_extension(&context, certificate, NID_subject_key_identifier, "hash");
    if (ok && issuer && X509_get0_subject_key_id(issuer))
        ok = add_extension(&context, certificate, NID_authority_key_identifier, "keyid:always");
    ok = ok && add_places(&context, certificate, spec);
    if (!ok)
        return openssl_error(err, EIO, "cannot add the certificate's extensions");
    return add_alt_names(certificate, spec->alt_names, err);
}

bool certificate_fill_subject(const struct certificate_spec *spec, X509_NAME *name)
{
    if (spec->organization &&
        X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8,
                                   (const unsigned char *)spec->organization, -1, -1, 0) != 1)
        return false;
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)spec->common_name, -1, -1, 0) == 1;
}

static bool set_subject(X509 *certificate, const struct certificate_spec *spec)
{
    if (spec->subject)
        return X509_set_subject_name(certificate, spec->subject) == 1;
    return certificate_fill_subject(spec, X509_get_subject_name(certificate));
}

static bool set_random_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool ok = number && BN_rand(number, 128, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return ok;
}

static time_t seconds_of(const ASN1_TIME *time)
{
    return (time_t)(certificate_time(time).nsec / NSEC_PER_SEC);
}

// Within the issuer's own validity.
static int set_validity(X509 *certificate, X509 *issuer, const struct certificate_spec *spec,
                        struct error *err)
{
    time_t now = time(NULL);
    time_t start = now - (spec->backdate_sec > 0 ? (time_t)spec->backdate_sec : BACKDATE_SEC);
    if (issuer && seconds_of(X509_get0_notAfter(issuer)) < now)
        return error_set(err, EKEYEXPIRED, "the CA has expired");
    if (issuer)
        start = MAX(start, seconds_of(X509_get0_notBefore(issuer)));
    time_t end = (spec->lives_from_start ? start : now) + (time_t)spec->lifetime_sec;
    if (issuer)
        end = MIN(end, seconds_of(X509_get0_notAfter(issuer)));
    if (end <= now)
        return error_set(
            err, EINVAL,
            "the certificate would be over before it is made: it is to live for %lld s, "
            "counted from a moment that is past",
            (long long)spec->lifetime_sec);
    bool ok = ASN1_TIME_set(X509_getm_notBefore(certificate), start) &&
              ASN1_TIME_set(X509_getm_notAfter(certificate), end);
    return ok ? 0 : openssl_error(err, EIO, "cannot set the certificate's validity");
}

const EVP_MD *certificate_digest_for(EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "ED25519")) // has its own
        return NULL;
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) > 384)
        return EVP_sha512();
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
}

// What a CA must be to sign for `spec`: its key, a CA at all, and within its path length.
static int check_issuer(const struct certificate_spec *spec, X509 *issuer, EVP_PKEY *key,
                        struct error *err)
{
    if (X509_check_private_key(issuer, key) != 1)
        return openssl_error(err, EINVAL, "the CA's key does not belong to the CA's certificate");
    if (X509_check_ca(issuer) != 1)
        return openssl_error(err, EINVAL, "the certificate to sign with is not a CA");
    if (!(X509_get_key_usage(issuer) & KU_KEY_CERT_SIGN))
        return error_set(err, EINVAL, "the CA may not sign certificates (key usage)");
    if (spec->is_ca && X509_get_pathlen(issuer) == 0)
        return error_set(err, EINVAL, "the CA may not sign further CAs (path length 0)");
    return 0;
}

// RFC 5280, section 4.2.1.10.
static int check_name_constraints(X509 *certificate, X509 *issuer, struct error *err)
{
    NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(issuer, NID_name_constraints, NULL, NULL);
    int verdict = constraints ? NAME_CONSTRAINTS_check(certificate, constraints) : X509_V_OK;
    NAME_CONSTRAINTS_free(constraints);
    if (verdict == X509_V_OK)
        return 0;
    return error_set(err, EINVAL, "the CA's name constraints do not allow these names: %s",
                     X509_verify_cert_error_string(verdict));
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
    int code = set_validity(certificate, issuer, spec, err);
    if (code == 0)
        code = add_extensions(spec, certificate, issuer, err);
    if (code == 0 && issuer)
        code = check_name_constraints(certificate, issuer, err);
    if (code == 0 && X509_sign(certificate, issuer_key, certificate_digest_for(issuer_key)) <= 0)
        code = openssl_error(err, EIO, "cannot sign the certificate");
    return code;
}

int certificate_make(const struct certificate_spec *spec, EVP_PKEY *key, X509 *issuer,
                     EVP_PKEY *issuer_key, X509 **ret, struct error *err)
{
    _cleanup_x509_ X509 *certificate = X509_new();
    if (!certificate)
        return openssl_error(err, ENOMEM, "cannot make a certificate");
    int code = issuer ? check_issuer(spec, issuer, issuer_key, err) : 0;
    if (code < 0)
        return code;
    code = fill_and_sign(certificate, spec, key, issuer, issuer ? issuer_key : key, err);
    if (code < 0)
        return code;
    *ret = TAKE_PTR(certificate);
    return 0;
}

// Whatever the old one says, other than of keys: those are made again. The new serial would not fit
// to an authority key identifier that names the issuer's.
static int copy_extensions(X509 *from, X509 *to, X509 *issuer, struct error *err)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : to, to, NULL, NULL, 0);
    bool ok = true;
    for (int i = 0; ok && i < X509_get_ext_count(from); i++) {
        X509_EXTENSION *extension = X509_get_ext(from, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (nid != NID_subject_key_identifier && nid != NID_authority_key_identifier)
            ok = X509_add_ext(to, extension, -1) == 1;
    }
    ok = ok && add_extension(&context, to, NID_subject_key_identifier, "hash");
    if (ok && issuer && X509_get0_subject_key_id(issuer))
        ok = add_extension(&context, to, NID_authority_key_identifier, "keyid:always");
    return ok ? 0 : openssl_error(err, EIO, "cannot take over the certificate's extensions");
}

// kubeadm dates what it signs back to its CA's first moment (pkiutil.NewSignedCert), which is no
// part of a certificate's life: there it is the year that kubeadm gives.
static int64_t lifetime_of(X509 *certificate, X509 *issuer)
{
    if (issuer &&
        ASN1_TIME_compare(X509_get0_notBefore(certificate), X509_get0_notBefore(issuer)) == 0)
        return CERTIFICATE_LEAF_LIFETIME_SEC;
    return (int64_t)seconds_of(X509_get0_notAfter(certificate)) -
           (int64_t)seconds_of(X509_get0_notBefore(certificate));
}

// Of two CAs of one name the younger is the one that takes over, also where both are made at once.
static int make_younger(X509 *to, X509 *old, struct error *err)
{
    if (ASN1_TIME_compare(X509_get0_notBefore(to), X509_get0_notBefore(old)) > 0)
        return 0;
    time_t start = seconds_of(X509_get0_notBefore(old)) + 1;
    return ASN1_TIME_set(X509_getm_notBefore(to), start)
               ? 0
               : openssl_error(err, EIO, "cannot set the certificate's validity");
}

static int copy_and_sign(X509 *to, X509 *old, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                         struct error *err)
{
    const struct certificate_spec life = {.lifetime_sec = lifetime_of(old, issuer),
                                          .lives_from_start = true};
    X509_NAME *subject = X509_get_subject_name(old);
    if (X509_set_version(to, X509_VERSION_3) != 1 || !set_random_serial(to) ||
        X509_set_pubkey(to, key) != 1 || X509_set_subject_name(to, subject) != 1 ||
        X509_set_issuer_name(to, issuer ? X509_get_subject_name(issuer) : subject) != 1)
        return openssl_error(err, EIO, "cannot make a certificate");
    int code = set_validity(to, issuer, &life, err);
    if (code == 0 && !issuer)
        code = make_younger(to, old, err);
    if (code == 0)
        code = copy_extensions(old, to, issuer, err);
    if (code == 0 && issuer)
        code = check_name_constraints(to, issuer, err);
    if (code == 0 && X509_sign(to, issuer_key, certificate_digest_for(issuer_key)) <= 0)
        code = openssl_error(err, EIO, "cannot sign the certificate");
    return code;
}

int certificate_renew(X509 *old, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, X509 **ret,
                      struct error *err)
{
    const struct certificate_spec spec = {.is_ca = X509_check_ca(old) == 1};
    _cleanup_x509_ X509 *certificate = X509_new();
    if (!certificate)
        return openssl_error(err, ENOMEM, "cannot make a certificate");
    int code = issuer ? check_issuer(&spec, issuer, issuer_key, err) : 0;
    if (code == 0)
        code = copy_and_sign(certificate, old, key, issuer, issuer ? issuer_key : key, err);
    if (code == 0)
        *ret = TAKE_PTR(certificate);
    return code;
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
