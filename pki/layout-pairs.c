// A key and its certificate, of a CA or of what it signs: kept, made or refused.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/layout-internal.h"

// A key and its certificate on disk. What is missing is NULL.
struct pair {
    char *key_path, *certificate_path;
    EVP_PKEY *key;
    X509 *certificate;
    mode_t key_mode;
};

static void pair_free(struct pair *pair)
{
    free(pair->key_path);
    free(pair->certificate_path);
    EVP_PKEY_free(pair->key);
    X509_free(pair->certificate);
    *pair = (struct pair){0};
}
#define _cleanup_pair_ _cleanup_(pair_free)

static int pair_load(struct pair *pair, struct pki_maker *maker, const char *base,
                     const char *suffix)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *dir = maker->layout->pki_dir;
    pair->key_path = xasprintf("%s/%s.key", dir, base);
    pair->certificate_path = xasprintf("%s/%s%s", dir, base, suffix);
    int code = key_load(pair->key_path, &pair->key, &pair->key_mode, &err);
    if (code < 0 && code != -ENOENT)
        return pki_maker_report_wrong(maker, pair->key_path, &err);
    code = certificate_load(pair->certificate_path, &pair->certificate, &err);
    if (code < 0 && code != -ENOENT)
        return pki_maker_report_wrong(maker, pair->certificate_path, &err);
    return 0;
}

static int pair_write(struct pair *pair, const struct pki_maker *maker,
                      const struct certificate_spec *spec, const struct pki_signer *signer,
                      struct error *err)
{
    int code = fs_mkdir_parents_of(AT_FDCWD, pair->key_path);
    if (code < 0)
        return error_errno(err, code, "cannot make the directory of %s", pair->key_path);
    if (!pair->key) {
        code = key_pool_take(maker->pool, &pair->key, err);
        if (code == 0)
            code = key_write(pair->key_path, pair->key, err);
    }
    if (code == 0)
        code = certificate_make(spec, pair->key, signer ? signer->certificate : NULL,
                                signer ? signer->key : NULL, &pair->certificate, err);
    return code < 0 ? code : certificate_write(pair->certificate_path, pair->certificate, err);
}

// Makes what the pair lacks, the key before the certificate, and reports it. False where that
// failed.
static bool pair_make(struct pair *pair, struct pki_maker *maker,
                      const struct certificate_spec *spec, const struct pki_signer *signer)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (pair_write(pair, maker, spec, signer, &err) < 0) {
        pki_maker_report_wrong(maker, pair->certificate_path, &err);
        return false;
    }
    pki_maker_report(maker, PKI_MADE, pair->certificate_path, NULL);
    return true;
}

// ---- authorities ----

// What speaks against a CA that is there.
static int check_authority(const struct pki_maker *maker, const struct pair *pair,
                           const struct certificate_spec *spec, struct error *err)
{
    struct certificate_expectation expectation = {
        .spec = spec, .key = pair->key, .now = maker->now};
    if (pair->key_mode & 0007)
        return error_set(err, EACCES,
                         "everybody on this machine may read its key (mode %04o), so it is no "
                         "secret: chmod 600 %s, and think of whom it was shown to",
                         (unsigned)pair->key_mode, pair->key_path);
    return certificate_check(pair->certificate, &expectation, err);
}

// False where it cannot be used.
static bool keep_authority(struct pki_maker *maker, const struct pair *pair,
                           const struct certificate_spec *spec)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *note = pair->key ? NULL : "its key is not here, so it can sign nothing new";
    if (check_authority(maker, pair, spec, &err) < 0) {
        error_prefix(&err, 0, "this CA cannot be used");
        pki_maker_report_wrong(maker, pair->certificate_path, &err);
        return false;
    }
    pki_maker_report(maker, PKI_KEPT, pair->certificate_path,
                     pki_maker_kept_note(maker, pair->certificate, pair->key_mode, note));
    return true;
}

// A CA that has signed something is missed, not new: another one in its place would be of no use to
// what is there.
static bool was_there(struct pki_maker *maker, const struct pki_signer *signer,
                      const struct pair *pair)
{
    struct stat st;
    _cleanup_free_ char *witness = path_join(maker->layout->pki_dir, signer->witness);
    if (pair->certificate || pair->key || lstat(witness, &st) < 0)
        return false;
    pki_maker_report(maker, PKI_WRONG, pair->certificate_path,
                     xasprintf("is missing, but %s, which it signed, is here: bring it back, or "
                               "move all that it signed away to begin anew",
                               signer->witness));
    return true;
}

void pki_make_authority(struct pki_maker *maker, struct pki_signer *signer, const char *common_name)
{
    _cleanup_pair_ struct pair pair = {0};
    struct certificate_spec spec = {
        .common_name = common_name,
        .is_ca = true,
        .lifetime_sec = CERTIFICATE_CA_LIFETIME_SEC,
    };
    if (pair_load(&pair, maker, signer->base, ".crt") < 0 || was_there(maker, signer, &pair))
        return;
    if (pair.certificate ? keep_authority(maker, &pair, &spec)
                         : pair_make(&pair, maker, &spec, NULL)) {
        signer->certificate = TAKE_PTR(pair.certificate);
        signer->key = TAKE_PTR(pair.key);
    }
}

void pki_signer_free(struct pki_signer *signer)
{
    X509_free(signer->certificate);
    EVP_PKEY_free(signer->key);
    *signer = (struct pki_signer){0};
}

// ---- leaves ----

static void keep_leaf(struct pki_maker *maker, const struct pki_signer *signer,
                      const struct pair *pair, const struct pki_leaf *leaf)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct certificate_expectation expectation = {
        .spec = &leaf->spec,
        .subject = leaf->fixed_subject,
        .issuer = signer->certificate,
        .key = pair->key,
        .now = maker->now,
    };
    if (!pair->key)
        error_set(&err, ENOENT,
                  "its private key %s is missing; move the certificate away and run this again to "
                  "make both anew",
                  pair->key_path);
    else if (certificate_check(pair->certificate, &expectation, &err) < 0)
        error_set(&err, EINVAL, "%s; move it away (not its key) and run this again to make it anew",
                  error_message(&err));
    if (err.code < 0)
        pki_maker_report_wrong(maker, pair->certificate_path, &err);
    else
        pki_maker_report(maker, PKI_KEPT, pair->certificate_path,
                         pki_maker_kept_note(maker, pair->certificate, pair->key_mode, NULL));
}

void pki_make_leaf(struct pki_maker *maker, const struct pki_signer *signer,
                   const struct pki_leaf *leaf)
{
    _cleanup_pair_ struct pair pair = {0};
    if (!signer->certificate)
        return; // its CA has been reported
    if (pair_load(&pair, maker, leaf->base, leaf->suffix) < 0)
        return;
    if (pair.certificate)
        keep_leaf(maker, signer, &pair, leaf);
    else if (signer->key)
        pair_make(&pair, maker, &leaf->spec, signer);
    else
        pki_maker_report(maker, PKI_WRONG, pair.certificate_path,
                         xasprintf("cannot be made here: %s/%s.key is missing. `mainstay pki init "
                                   "--csr-only` makes %s.csr; sign that where the key is and put "
                                   "the certificate here",
                                   maker->layout->pki_dir, signer->base, leaf->base));
}
