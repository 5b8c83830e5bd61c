// SHA-256 (OpenSSL), for canonical hashes and for the checksums of files on disk.
#pragma once

#include <stddef.h>

enum { DIGEST_HEX_SIZE = 65 };

// 64 lower-case hex digits and a NUL into `hex` (DIGEST_HEX_SIZE bytes). Returns hex.
char *digest_sha256_hex(const void *data, size_t len, char *hex);
