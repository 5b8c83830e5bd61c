// SHA-256 (OpenSSL), for canonical hashes and for the checksums of files on disk.
#pragma once

#include <stddef.h>

enum { DIGEST_HEX_SIZE = 65 };

struct digest; // of what comes in pieces

struct digest *digest_new(void);
void digest_add(struct digest *digest, const void *data, size_t len);
// Ends and frees it; as digest_sha256_hex(). `hex` NULL: only freed.
void digest_end(struct digest *digest, char *hex);

// 64 lower-case hex digits and a NUL into `hex` (DIGEST_HEX_SIZE bytes). Returns hex.
char *digest_sha256_hex(const void *data, size_t len, char *hex);
