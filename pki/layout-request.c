// External CA mode: keys and signing requests for what a CA elsewhere is to sign.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/csr.h"
#include "pki/layout-internal.h"

enum { CSR_FILE_MAX = 1 << 20 };

static int make_csr(const struct certificate_spec *spec, EVP_PKEY *key, struct buffer *pem,
                    struct error *err)
{
    _cleanup_x509_req_ X509_REQ *csr = NULL;
    X509_NAME *subject = X509_NAME_new();
    int code =
        subject && certificate_fill_subject(spec, subject)
            ? csr_make(subject, spec->alt_names, key, &csr, err)
            : openssl_error(err, EINVAL, "cannot make a subject of \"%s\"", spec->common_name);
    X509_NAME_free(subject);
    return code < 0 ? code : csr_to_pem(csr, pem, err);
}

// Whether a request that is there still asks for the same.
static int check_csr(X509_REQ *csr, const struct certificate_spec *spec, EVP_PKEY *key,
                     struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    if (EVP_PKEY_eq(X509_REQ_get0_pubkey(csr), key) != 1)
        return error_set(err, EINVAL,
                         "asks for another key than the one that is there; move it "
                         "away and run this again to make it anew");
    csr_alt_names(csr, &names);
    for (size_t i = 0; spec->alt_names && i < spec->alt_names->n; i++) {
        if (!string_list_contains(&names, spec->alt_names->items[i]))
            return error_set(err, EINVAL,
                             "does not ask for the name %s; move it away and run this again to "
                             "make it anew",
                             spec->alt_names->items[i]);
    }
    return 0;
}

static int write_csr(const char *path, const struct certificate_spec *spec, EVP_PKEY *key,
                     struct error *err)
{
    _cleanup_buffer_ struct buffer pem = BUFFER_EMPTY;
    int code = make_csr(spec, key, &pem, err);
    if (code < 0)
        return code;
    code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code == 0)
        code = fs_write_atomic(AT_FDCWD, path, pem.data, pem.len, 0644,
                               FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 ? error_errno(err, code, "cannot write %s", path) : 0;
}

// 1: it is there and good; 0: it was made.
static int keep_or_make_csr(const char *path, const struct certificate_spec *spec, EVP_PKEY *key,
                            struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_x509_req_ X509_REQ *csr = NULL;
    int code = fs_read_file(AT_FDCWD, path, CSR_FILE_MAX, &text);
    if (code == -ENOENT)
        return write_csr(path, spec, key, err);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    code = csr_from_pem(buffer_str(&text), text.len, &csr, err);
    if (code == 0)
        code = check_csr(csr, spec, key, err);
    return code < 0 ? code : 1;
}

static int keep_or_make_key(struct pki_maker *maker, const char *path, EVP_PKEY **ret,
                            mode_t *ret_mode, struct error *err)
{
    int code = key_load(path, ret, ret_mode, err);
    if (code != -ENOENT)
        return code;
    error_clear(err);
    code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code < 0)
        return error_errno(err, code, "cannot make the directory of %s", path);
    code = key_pool_take(maker->pool, ret, err);
    return code < 0 ? code : key_write(path, *ret, err);
}

static void request(struct pki_maker *maker, const char *key_path, const char *csr_path,
                    const struct certificate_spec *spec)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_key_ EVP_PKEY *key = NULL;
    mode_t mode = 0;
    if (keep_or_make_key(maker, key_path, &key, &mode, &err) < 0) {
        pki_maker_report_wrong(maker, key_path, &err);
        return;
    }
    int code = keep_or_make_csr(csr_path, spec, key, &err);
    if (code < 0)
        pki_maker_report_wrong(maker, csr_path, &err);
    else
        pki_maker_report(maker, code > 0 ? PKI_KEPT : PKI_MADE, csr_path,
                         pki_maker_kept_note(maker, NULL, mode, NULL));
}

void pki_request_leaf(struct pki_maker *maker, const struct pki_leaf *leaf)
{
    const struct pki_layout *layout = maker->layout;
    _cleanup_free_ char *key_path = xasprintf("%s/%s.key", layout->pki_dir, leaf->base);
    _cleanup_free_ char *csr_path =
        xasprintf("%s/%s.csr", layout->csr_dir ? layout->csr_dir : layout->pki_dir, leaf->base);
    request(maker, key_path, csr_path, &leaf->spec);
}

void pki_request_client(struct pki_maker *maker, const char *file,
                        const struct certificate_spec *spec)
{
    const struct pki_layout *layout = maker->layout;
    _cleanup_free_ char *key_path = xasprintf("%s/%s.key", layout->kubeconfig_dir, file);
    _cleanup_free_ char *csr_path =
        xasprintf("%s/%s.csr", layout->csr_dir ? layout->csr_dir : layout->kubeconfig_dir, file);
    request(maker, key_path, csr_path, spec);
}
