// See csr.h.
#include "pki/csr.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki/alt-names.h"
#include "pki/certificate.h"
#include "pki/key.h"

enum { CSR_SIZE_MAX = 1 << 20 };

static int add_alt_names(X509_REQ *csr, const struct string_list *alt_names, struct error *err)
{
    _cleanup_general_names_ GENERAL_NAMES *names = NULL;
    int code = alt_names_make(alt_names, &names, err);
    if (code < 0 || !names)
        return code;
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    bool ok =
        X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
        X509_REQ_add_extensions(csr, extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return ok ? 0 : openssl_error(err, EIO, "cannot add the subject alternative names");
}

int csr_make(X509_NAME *subject, const struct string_list *alt_names, EVP_PKEY *key, X509_REQ **ret,
             struct error *err)
{
    _cleanup_x509_req_ X509_REQ *csr = X509_REQ_new();
    if (!csr || X509_REQ_set_version(csr, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_subject_name(csr, subject) != 1 || X509_REQ_set_pubkey(csr, key) != 1)
        return openssl_error(err, EIO, "cannot make a certificate request");
    int code = add_alt_names(csr, alt_names, err);
    if (code < 0)
        return code;
    if (X509_REQ_sign(csr, key, certificate_digest_for(key)) <= 0)
        return openssl_error(err, EIO, "cannot sign the certificate request");
    *ret = TAKE_PTR(csr);
    return 0;
}

int csr_to_pem(X509_REQ *csr, struct buffer *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    if (!bio || PEM_write_bio_X509_REQ(bio, csr) != 1) {
        BIO_free(bio);
        return openssl_error(err, EIO, "cannot encode a certificate request");
    }
    long len = BIO_get_mem_data(bio, &data);
    buffer_add(out, data, (size_t)len);
    BIO_free(bio);
    return 0;
}

int csr_from_pem(const char *text, size_t len, X509_REQ **ret, struct error *err)
{
    if (len > CSR_SIZE_MAX)
        return error_set(err, EFBIG, "larger than any certificate request");
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    _cleanup_x509_req_ X509_REQ *csr = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!csr)
        return openssl_error(err, EINVAL, "holds no certificate request in PEM form");
    EVP_PKEY *key = X509_REQ_get0_pubkey(csr);
    if (!key || X509_REQ_verify(csr, key) != 1)
        return openssl_error(err, EINVAL, "the request is not signed by the key that is in it");
    *ret = TAKE_PTR(csr);
    return 0;
}

void csr_alt_names(const X509_REQ *csr, struct string_list *ret)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions((X509_REQ *)csr);
    _cleanup_general_names_ GENERAL_NAMES *names =
        X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
    alt_names_list(names, ret);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
