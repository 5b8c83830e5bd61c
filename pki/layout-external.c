// An etcd that somebody else runs: kube-apiserver's files for it are theirs, and only looked at.
#include <errno.h>

#include "base/alloc.h"
#include "pki/layout-internal.h"

// Who signed it is etcd's matter: its --trusted-ca-file may be another than the CA that signed its
// server's certificate. The key, the time and the usage are what can be judged here.
static int check_client(const struct pki_maker *maker, X509 *certificate, EVP_PKEY *key,
                        struct error *err)
{
    const struct certificate_spec spec = {.usages = CERTIFICATE_CLIENT};
    struct certificate_expectation expectation = {
        .spec = &spec, .any_issuer = true, .key = key, .now = maker->now};
    return certificate_check(certificate, &expectation, err);
}

// NULL where it is not good, which was reported then.
static X509 *look_at_ca(struct pki_maker *maker, const char *path)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_x509_ X509 *ca = NULL;
    const struct certificate_spec spec = {.is_ca = true};
    struct certificate_expectation expectation = {
        .spec = &spec, .any_issuer = true, .now = maker->now};
    int code = certificate_load(path, &ca, &err);
    if (code == 0)
        code = certificate_check(ca, &expectation, &err);
    if (code < 0) {
        pki_maker_report_wrong(maker, path, &err);
        return NULL;
    }
    pki_maker_report(maker, PKI_KEPT, path, pki_maker_kept_note(maker, ca, 0, NULL));
    return TAKE_PTR(ca);
}

void pki_check_external_etcd(struct pki_maker *maker)
{
    const struct pki_external_etcd *etcd = maker->layout->external_etcd;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_x509_ X509 *ca = etcd->ca_file ? look_at_ca(maker, etcd->ca_file) : NULL;
    _cleanup_x509_ X509 *certificate = NULL;
    _cleanup_key_ EVP_PKEY *key = NULL;
    mode_t mode = 0;
    if (!etcd->certificate_file || !etcd->key_file || (etcd->ca_file && !ca))
        return;
    if (key_load(etcd->key_file, &key, &mode, &err) < 0) {
        pki_maker_report_wrong(maker, etcd->key_file, &err);
        return;
    }
    int code = certificate_load(etcd->certificate_file, &certificate, &err);
    if (code == 0)
        code = check_client(maker, certificate, key, &err);
    if (code < 0)
        pki_maker_report_wrong(maker, etcd->certificate_file, &err);
    else
        pki_maker_report(maker, PKI_KEPT, etcd->certificate_file,
                         pki_maker_kept_note(maker, certificate, mode, NULL));
}
