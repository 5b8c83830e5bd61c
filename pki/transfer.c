// See transfer.h.
#include "pki/transfer.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/key.h"

static const char magic[] = "MAINSTAY-PKI";
enum {
    MAGIC_SIZE = sizeof(magic) - 1,
    VERSION = 1,
    NONCE_SIZE = 12,
    TAG_SIZE = 16,
    TEXT_MAX = 255
};

// ---- numbers and texts ----

struct reader {
    const unsigned char *at;
    size_t left;
};

static const unsigned char *take(struct reader *r, size_t n)
{
    const unsigned char *p = r->at;
    if (n > r->left)
        return NULL;
    r->at += n;
    r->left -= n;
    return p;
}

static bool take_u32(struct reader *r, uint32_t *ret)
{
    const unsigned char *p = take(r, 4);
    if (p)
        *ret = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return p != NULL;
}

// A text behind its length in one byte, without zeros. The caller frees; NULL where there is none.
static char *take_text(struct reader *r)
{
    const unsigned char *n = take(r, 1), *p = n ? take(r, *n) : NULL;
    return p && *n > 0 && !memchr(p, 0, *n) ? xstrndup((const char *)p, *n) : NULL;
}

static void add_u32(struct buffer *out, size_t n)
{
    const unsigned char bytes[] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                                   (unsigned char)(n >> 8), (unsigned char)n};
    buffer_add(out, bytes, sizeof(bytes));
}

static int add_text(struct buffer *out, const char *text, struct error *err)
{
    size_t n = strlen(text);
    if (n == 0 || n > TEXT_MAX)
        return error_set(err, EINVAL, "\"%.40s\" cannot be a name here", text);
    buffer_add_char(out, (char)n);
    buffer_add_str(out, text);
    return 0;
}

// Relative, and nothing in it that leads out of the directory.
static bool is_good_name(const char *name)
{
    while (*name) {
        size_t n = strcspn(name, "/");
        _cleanup_free_ char *part = xstrndup(name, n);
        if (!path_is_name(part) || part[0] == '.' || (name[n] && !name[n + 1]))
            return false;
        name += n + (name[n] == '/');
    }
    return true;
}

// ---- what is sealed ----

static int encode(const struct transfer *transfer, struct buffer *out, struct error *err)
{
    buffer_reserve(out, TRANSFER_MAX); // so that growing leaves no copies of keys behind
    if (transfer->files.n > TRANSFER_FILES_MAX)
        return error_set(err, EFBIG, "more than %d files", TRANSFER_FILES_MAX);
    LIST_EACH (file, &transfer->files) {
        if (!is_good_name(file->name) || add_text(out, file->name, err) < 0)
            return error_set(err, EINVAL, "\"%s\" cannot be the name of a file here", file->name);
        if (file->data.len > TRANSFER_FILE_MAX ||
            out->len + file->data.len + TEXT_MAX > TRANSFER_MAX)
            return error_set(err, EFBIG, "%s: is too large to travel", file->name);
        add_u32(out, file->data.len);
        buffer_add(out, file->data.data, file->data.len);
    }
    return 0;
}

static int decode_file(struct reader *r, struct transfer_file *file, struct error *err)
{
    uint32_t size = 0;
    file->name = take_text(r);
    if (!file->name || !is_good_name(file->name))
        return error_set(err, EINVAL, "a file in it has no proper name");
    const unsigned char *data =
        take_u32(r, &size) && size <= TRANSFER_FILE_MAX ? take(r, size) : NULL;
    if (!data)
        return error_set(err, EINVAL, "%s ends early", file->name);
    buffer_reserve(&file->data, size + 1);
    buffer_add(&file->data, data, size);
    return 0;
}

int transfer_decode(const void *data, size_t len, struct transfer *ret, struct error *err)
{
    struct reader r = {data, len};
    while (r.left > 0) {
        if (ret->files.n >= TRANSFER_FILES_MAX)
            return error_set(err, EFBIG, "more than %d files", TRANSFER_FILES_MAX);
        int code = decode_file(&r, LIST_APPEND(&ret->files), err);
        if (code < 0)
            return code;
    }
    return 0;
}

// ---- sealing ----

// One of both ways; the tag is made or compared. False with OpenSSL's queue filled, or where the
// tag is another.
static bool run_cipher(bool seal, const unsigned char *key, const struct reader *header,
                       const unsigned char *nonce, const struct reader *in, char *out,
                       unsigned char *tag)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    unsigned char *to = (unsigned char *)out;
    int n = 0, m = 0;
    bool ok = context &&
              EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), key, nonce, seal, NULL) == 1 &&
              EVP_CipherUpdate(context, NULL, &n, header->at, (int)header->left) == 1 &&
              EVP_CipherUpdate(context, to, &n, in->at, (int)in->left) == 1;
    if (ok && !seal)
        ok = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1;
    ok = ok && EVP_CipherFinal_ex(context, to + n, &m) == 1;
    if (ok && seal)
        ok = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag) == 1;
    EVP_CIPHER_CTX_free(context);
    return ok;
}

int transfer_seal(const struct transfer *transfer, const unsigned char key[TRANSFER_KEY_SIZE],
                  struct buffer *out, struct error *err)
{
    _cleanup_secret_ struct buffer plain = BUFFER_EMPTY;
    _cleanup_buffer_ struct buffer header = BUFFER_EMPTY;
    unsigned char nonce[NONCE_SIZE], tag[TAG_SIZE];
    int code = encode(transfer, &plain, err);
    if (code < 0)
        return code;
    if (RAND_bytes(nonce, sizeof(nonce)) != 1)
        return openssl_error(err, EIO, "no random numbers");
    buffer_add(&header, magic, MAGIC_SIZE);
    buffer_add_char(&header, VERSION);
    code = add_text(&header, transfer->node, err);
    if (code < 0)
        return code;
    buffer_add(&header, nonce, sizeof(nonce));
    add_u32(&header, plain.len);
    struct reader head = {(const unsigned char *)header.data, header.len};
    struct reader in = {(const unsigned char *)buffer_str(&plain), plain.len};
    _cleanup_buffer_ struct buffer sealed = BUFFER_EMPTY;
    if (!run_cipher(true, key, &head, nonce, &in, buffer_reserve(&sealed, plain.len + TAG_SIZE),
                    tag))
        return openssl_error(err, EIO, "cannot seal the keys");
    buffer_add(out, header.data, header.len);
    buffer_add(out, sealed.data, plain.len);
    buffer_add(out, tag, sizeof(tag));
    return 0;
}

static int read_header(struct reader *r, struct transfer *ret, const unsigned char **ret_nonce,
                       uint32_t *ret_size, struct error *err)
{
    const unsigned char *start = take(r, MAGIC_SIZE), *version = start ? take(r, 1) : NULL;
    if (!version || memcmp(start, magic, MAGIC_SIZE) != 0)
        return error_set(err, EINVAL, "is nothing that `mainstay pki export` has written");
    if (*version != VERSION)
        return error_set(err, EPROTONOSUPPORT,
                         "was written by another version of `mainstay pki export` (format %u, not "
                         "%d)",
                         *version, VERSION);
    ret->node = take_text(r);
    *ret_nonce = ret->node ? take(r, NONCE_SIZE) : NULL;
    if (!*ret_nonce || !take_u32(r, ret_size) || *ret_size > TRANSFER_MAX ||
        r->left != (size_t)*ret_size + TAG_SIZE)
        return error_set(err, EINVAL, "is not whole");
    return 0;
}

static int open_sealed(const void *data, size_t len, const unsigned char *key, struct transfer *ret,
                       struct error *err)
{
    struct reader r = {data, len};
    const unsigned char *nonce = NULL;
    unsigned char tag[TAG_SIZE];
    uint32_t size = 0;
    _cleanup_secret_ struct buffer plain = BUFFER_EMPTY;
    int code = read_header(&r, ret, &nonce, &size, err);
    if (code < 0)
        return code;
    struct reader head = {data, len - r.left}, sealed = {r.at, size};
    memcpy(tag, r.at + size, TAG_SIZE);
    if (!run_cipher(false, key, &head, nonce, &sealed, buffer_reserve(&plain, size + TAG_SIZE),
                    tag))
        return openssl_error(err, EBADMSG,
                             "cannot be opened: this is not its key, or it was changed on its way");
    plain.len = size;
    return transfer_decode(plain.data, size, ret, err);
}

int transfer_open(const void *data, size_t len, const unsigned char key[TRANSFER_KEY_SIZE],
                  struct transfer *ret, struct error *err)
{
    struct transfer opened = {0};
    int code = open_sealed(data, len, key, &opened, err);
    if (code < 0)
        transfer_free(&opened);
    else
        *ret = opened;
    return code;
}

void transfer_free(struct transfer *transfer)
{
    LIST_EACH (file, &transfer->files) {
        free(file->name);
        secret_free(&file->data);
    }
    free(transfer->files.items);
    free(transfer->node);
    *transfer = (struct transfer){0};
}
