// Files that somebody else may have written into the certificate directory: PEM of every kind
// (certificates, bundles, keys, requests) and base64 from memory, a certificate's check, a
// kubeconfig through a file and as it is rewritten, the files of passwords and tokens.
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/fs.h"
#include "pki/bundle.h"
#include "pki/csr.h"
#include "pki/layout-internal.h"
#include "pki/pki.h"

enum { INPUT_MAX = 64 << 10 };

static void check_certificate(const char *text, size_t len)
{
    static const struct certificate_spec spec = {.common_name = "m0", .usages = CERTIFICATE_SERVER};
    _cleanup_x509_ X509 *certificate = NULL;
    if (certificate_from_pem(text, len, &certificate, NULL) < 0)
        return;
    struct certificate_expectation expectation = {.spec = &spec, .subject = true, .now = {1}};
    certificate_check(certificate, &expectation, NULL);
}

static void load_kubeconfig(const char *text, size_t len)
{
    char path[] = "/tmp/fuzz-pki-XXXXXX";
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        abort();
    if (fs_write_all(fd, text, len) == 0)
        kubeconfig_load(path, &content, NULL);
    close(fd);
    unlink(path);
}

static void read_pem(const char *text, size_t len)
{
    _cleanup_key_ EVP_PKEY *key = NULL;
    _cleanup_x509_req_ X509_REQ *request = NULL;
    _cleanup_string_list_ struct string_list names = {0};
    _cleanup_certificate_bundle_ struct certificate_bundle bundle = {0};
    _cleanup_buffer_ struct buffer again = BUFFER_EMPTY;
    if (key_from_pem(text, len, &key, NULL) == 0)
        key_to_pem(key, &again, NULL);
    if (csr_from_pem(text, len, &request, NULL) == 0)
        csr_alt_names(request, &names);
    if (certificate_bundle_from_pem(text, len, &bundle, NULL) == 0) {
        certificate_bundle_of_key(&bundle, key);
        certificate_bundle_issuer(&bundle, bundle.items[0]);
        certificate_bundle_to_pem(&bundle, &again, NULL);
    }
}

// What is changed in a kubeconfig, and nothing else, is what was to be.
static void change_kubeconfig(const char *text, size_t len)
{
    static EVP_PKEY *key;
    static X509 *certificate;
    static const struct certificate_spec spec = {.common_name = "m0", .lifetime_sec = 3600};
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    if (!key && (key_generate(KEY_ECDSA_P256, &key, NULL) < 0 ||
                 certificate_make(&spec, key, NULL, NULL, &certificate, NULL) < 0))
        abort();
    const struct certificate_bundle cas = {.items = &certificate, .n = 1};
    const struct kubeconfig_change change = {&cas, certificate, key};
    _cleanup_free_ char *copy = xstrndup(text, len);
    kubeconfig_replace(copy, &change, &out, NULL);
    pki_check_accounts(copy, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    const char *text = (const char *)data;
    _cleanup_buffer_ struct buffer plain = BUFFER_EMPTY;
    base64_decode(text, size, &plain);
    check_certificate(text, size);
    load_kubeconfig(text, size);
    read_pem(text, size);
    change_kubeconfig(text, size);
    return 0;
}
