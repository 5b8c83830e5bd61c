// Base64 (RFC 4648 with padding, OpenSSL), as kubeconfigs and etcd's JSON gateway use it.
#pragma once

#include <stddef.h>

#include "base/buffer.h"

// Appends the text form of len bytes to `out`, without line breaks.
void base64_encode(const void *data, size_t len, struct buffer *out);

// Appends the bytes that `text` stands for. Strict: no white space, whole groups of four. 0, or
// -EINVAL (nothing is appended then).
int base64_decode(const char *text, size_t len, struct buffer *out);
