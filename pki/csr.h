// Certificate signing requests (PKCS#10, RFC 2986).
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"

// A request for these names, signed with the key. The caller frees (X509_REQ_free()).
int csr_make(X509_NAME *subject, const struct string_list *alt_names, EVP_PKEY *key, X509_REQ **ret,
             struct error *err);

int csr_to_pem(X509_REQ *csr, struct buffer *out, struct error *err);
// -EINVAL where it is none, or where its signature is not that of the key in it.
int csr_from_pem(const char *text, size_t len, X509_REQ **ret, struct error *err);

// The subject alternative names that it asks for.
void csr_alt_names(const X509_REQ *csr, struct string_list *ret);

DEFINE_CLEANUP(X509_REQ *, X509_REQ_free)
#define _cleanup_x509_req_ _cleanup_(cleanup_X509_REQ_free)
