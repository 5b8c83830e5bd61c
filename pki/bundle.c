// See bundle.h.
#include "pki/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "pki/certificate.h"
#include "pki/key.h"

enum { BUNDLE_FILE_MAX = 1 << 20 };

static int read_all(const char *text, struct certificate_bundle *bundle, struct error *err)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    for (text = strstr(text, begin); text; text = strstr(text + strlen(begin), begin)) {
        X509 *certificate = NULL;
        if (bundle->n >= CERTIFICATE_BUNDLE_MAX)
            return error_set(err, E2BIG, "more than %d certificates", CERTIFICATE_BUNDLE_MAX);
        int code = certificate_from_pem(text, strlen(text), &certificate, err);
        if (code < 0)
            return error_prefix(err, code, "certificate %zu", bundle->n + 1);
        certificate_bundle_add(bundle, certificate);
    }
    return bundle->n > 0 ? 0 : error_set(err, EINVAL, "holds no certificate in PEM form");
}

int certificate_bundle_from_pem(const char *text, size_t len, struct certificate_bundle *ret,
                                struct error *err)
{
    if (len > BUNDLE_FILE_MAX)
        return error_set(err, EFBIG, "larger than any bundle of certificates");
    _cleanup_free_ char *copy = xstrndup(text, len);
    _cleanup_certificate_bundle_ struct certificate_bundle bundle = {0};
    int code = read_all(copy, &bundle, err);
    OPENSSL_cleanse(copy, strlen(copy)); // a key may stand beside them
    if (code < 0)
        return code;
    *ret = bundle;
    bundle = (struct certificate_bundle){0};
    return 0;
}

int certificate_bundle_load(const char *path, struct certificate_bundle *ret, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, BUNDLE_FILE_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    code = certificate_bundle_from_pem(buffer_str(&text), text.len, ret, err);
    return code < 0 ? error_prefix(err, code, "%s", path) : 0;
}

int certificate_bundle_to_pem(const struct certificate_bundle *bundle, struct buffer *out,
                              struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < bundle->n && code == 0; i++)
        code = certificate_to_pem(bundle->items[i], out, err);
    return code;
}

void certificate_bundle_add(struct certificate_bundle *bundle, X509 *certificate)
{
    *LIST_APPEND(bundle) = certificate;
}

X509 *certificate_bundle_issuer(const struct certificate_bundle *bundle, X509 *certificate)
{
    X509 *found = NULL;
    for (size_t i = 0; i < bundle->n && !found; i++) {
        X509 *ca = bundle->items[i];
        if (X509_NAME_cmp(X509_get_subject_name(ca), X509_get_issuer_name(certificate)) == 0 &&
            X509_verify(certificate, X509_get0_pubkey(ca)) == 1)
            found = ca;
    }
    ERR_clear_error();
    return found;
}

X509 *certificate_bundle_of_key(const struct certificate_bundle *bundle, EVP_PKEY *key)
{
    for (size_t i = 0; key && i < bundle->n; i++)
        if (EVP_PKEY_eq(X509_get0_pubkey(bundle->items[i]), key) == 1)
            return bundle->items[i];
    ERR_clear_error();
    return NULL;
}

bool certificate_bundle_has(const struct certificate_bundle *bundle, X509 *certificate)
{
    for (size_t i = 0; i < bundle->n; i++)
        if (X509_cmp(bundle->items[i], certificate) == 0)
            return true;
    return false;
}

void certificate_bundle_free(struct certificate_bundle *bundle)
{
    for (size_t i = 0; i < bundle->n; i++)
        X509_free(bundle->items[i]);
    free(bundle->items);
    *bundle = (struct certificate_bundle){0};
}
