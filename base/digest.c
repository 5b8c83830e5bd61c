// See digest.h.
#include "base/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static void write_hex(const unsigned char *sum, unsigned int n, char *hex)
{
    for (unsigned int i = 0; i < n; i++)
        snprintf(hex + (size_t)i * 2, 3, "%02x", sum[i]);
}

char *digest_sha256_hex(const void *data, size_t len, char *hex)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    // Fails only where OpenSSL itself is broken: no hash could be trusted then.
    if (EVP_Digest(data, len, sum, &n, EVP_sha256(), NULL) != 1 || n != 32)
        abort();
    write_hex(sum, n, hex);
    return hex;
}

static EVP_MD_CTX *context_of(struct digest *digest)
{
    return (EVP_MD_CTX *)(void *)digest;
}

struct digest *digest_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort();
    return (struct digest *)(void *)context;
}

void digest_add(struct digest *digest, const void *data, size_t len)
{
    if (EVP_DigestUpdate(context_of(digest), data, len) != 1)
        abort();
}

void digest_end(struct digest *digest, char *hex)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (digest && EVP_DigestFinal_ex(context_of(digest), sum, &n) != 1)
        abort();
    if (digest && hex)
        write_hex(sum, n, hex);
    EVP_MD_CTX_free(context_of(digest));
}
