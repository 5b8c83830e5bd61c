// Inside of this room: the gateway's JSON in its parts.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

// For requests; new references.
json_t *gateway_bytes(const void *data, size_t len); // in base64
json_t *gateway_int64(int64_t number);               // as a string
json_t *gateway_uint64(int64_t id);                  // the bit pattern of an unsigned one
// The text of the object, which is used up. The caller frees.
char *gateway_dump(json_t *object);

// For replies. -EBADMSG with "etcd's reply is not understood (what)".
int gateway_malformed(struct error *err, const char *what);
// A new reference, or NULL, and -EBADMSG in *err, where the text is no JSON object.
json_t *gateway_parse(const char *text, size_t len, struct error *err);
// 64-bit integers come as strings, small ones sometimes as numbers; absent is 0. False where it is
// neither.
bool gateway_get_int64(const json_t *object, const char *name, int64_t *ret);
// A member's id is an unsigned 64-bit number; as a bit pattern it fits.
bool gateway_get_uint64(const json_t *object, const char *name, int64_t *ret);
bool gateway_get_bytes(const json_t *object, const char *name, struct buffer *out);
