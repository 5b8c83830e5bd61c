// What a further node of the control plane needs of the first one's keys, in one sealed file:
// AES-256-GCM under a random key that travels another way. The header (version, for which node,
// how much follows) is in the clear and authenticated.
//
//   "MAINSTAY-PKI" u8 version=1 u8 node-length node[…] nonce[12] u32 length | sealed[length]
//   tag[16]
//
// and sealed, for each file: u8 name-length name[…] u32 length bytes[…]. Numbers are big-endian.
#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"

enum {
    TRANSFER_KEY_SIZE = 32,
    TRANSFER_FILE_MAX = 256 << 10, // of one file in it
    TRANSFER_FILES_MAX = 32,
    TRANSFER_MAX = 2 << 20, // of all of it
};

struct transfer_file {
    char *name; // relative: "etcd/ca.key"
    struct buffer data;
};

struct transfer {
    char *node; // for which
    LIST_OF(struct transfer_file) files;
};

// Appends the sealed file. -EFBIG where it is too much, -EINVAL for a node name or file name that
// cannot be in it.
int transfer_seal(const struct transfer *transfer, const unsigned char key[TRANSFER_KEY_SIZE],
                  struct buffer *out, struct error *err);

// The reverse. -EBADMSG where the key is another's or a bit has changed, -EINVAL where it is no
// such file, -EPROTONOSUPPORT for a version that is not known.
int transfer_open(const void *data, size_t len, const unsigned char key[TRANSFER_KEY_SIZE],
                  struct transfer *ret, struct error *err);

// What stands sealed: for transfer_open(), and to be tried with anything.
int transfer_decode(const void *data, size_t len, struct transfer *ret, struct error *err);

// Wipes the contents.
void transfer_free(struct transfer *transfer);
#define _cleanup_transfer_ _cleanup_(transfer_free)
