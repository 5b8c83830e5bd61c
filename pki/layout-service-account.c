// sa.key and sa.pub: the key pair that service account tokens are signed with.
#include <errno.h>
#include <fcntl.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "pki/layout-internal.h"

// 0600, as kubeadm leaves it, though it is no secret.
static int write_public_key(const char *path, EVP_PKEY *key, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = key_public_to_pem(key, &text, err);
    if (code < 0)
        return code;
    code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0600,
                           FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 ? error_errno(err, code, "cannot write %s", path) : 0;
}

// The two files sa.key and sa.pub. What is missing is NULL.
struct key_pair {
    char *path, *public_path;
    EVP_PKEY *key, *public_key;
    mode_t mode;
};

static void key_pair_free(struct key_pair *pair)
{
    free(pair->path);
    free(pair->public_path);
    EVP_PKEY_free(pair->key);
    EVP_PKEY_free(pair->public_key);
}

static int key_pair_load(struct key_pair *pair, struct error *err)
{
    int code = key_load(pair->path, &pair->key, &pair->mode, err);
    if (code < 0 && code != -ENOENT)
        return code;
    code = key_public_load(pair->public_path, &pair->public_key, err);
    return code < 0 && code != -ENOENT ? code : 0;
}

static int key_pair_check(const struct key_pair *pair, struct error *err)
{
    if (!pair->key)
        return error_set(err, ENOENT,
                         "the private key sa.key that belongs to it is missing; every service "
                         "account token is signed with it: bring it back, or move this file away");
    if (EVP_PKEY_eq(pair->key, pair->public_key) != 1)
        return error_set(err, EINVAL,
                         "does not belong to sa.key; move it away to have it made anew from there");
    return 0;
}

static int key_pair_make(struct key_pair *pair, struct pki_maker *maker, struct error *err)
{
    int code = fs_mkdir_parents_of(AT_FDCWD, pair->path);
    if (code < 0)
        return error_errno(err, code, "cannot make its directory");
    if (!pair->key) {
        code = key_pool_take(maker->pool, &pair->key, err);
        if (code == 0)
            code = key_write(pair->path, pair->key, err);
    }
    return code < 0 ? code : write_public_key(pair->public_path, pair->key, err);
}

void pki_make_service_account_key(struct pki_maker *maker)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_(key_pair_free) struct key_pair pair = {
        .path = path_join(maker->layout->pki_dir, "sa.key"),
        .public_path = path_join(maker->layout->pki_dir, "sa.pub"),
    };
    int code = key_pair_load(&pair, &err);
    bool keep = pair.public_key != NULL;
    if (code == 0)
        code = keep ? key_pair_check(&pair, &err) : key_pair_make(&pair, maker, &err);
    if (code < 0)
        pki_maker_report_wrong(maker, pair.public_path, &err);
    else if (keep)
        pki_maker_report(maker, PKI_KEPT, pair.public_path,
                         pki_maker_kept_note(maker, NULL, pair.mode, NULL));
    else
        pki_maker_report(maker, PKI_MADE, pair.public_path, NULL);
}
