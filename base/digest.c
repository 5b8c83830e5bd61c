// See digest.h.
#include "base/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

char *digest_sha256_hex(const void *data, size_t len, char *hex)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    // Fails only where OpenSSL itself is broken: no hash could be trusted then.
    if (EVP_Digest(data, len, sum, &n, EVP_sha256(), NULL) != 1 || n != 32)
        abort();
    for (unsigned int i = 0; i < n; i++)
        snprintf(hex + (size_t)i * 2, 3, "%02x", sum[i]);
    return hex;
}
