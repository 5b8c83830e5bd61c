// Files that somebody else may have written into the certificate directory: PEM and base64 from
// memory, a certificate's check, and a kubeconfig through a file.
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fs.h"
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
    return 0;
}
