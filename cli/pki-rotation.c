// See pki-rotation.h. How two states of one CA's rotation stand to each other.
#include "cli/pki-rotation.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

enum { LED_MAX = 64 };

bool rotation_is_younger(X509 *a, X509 *b)
{
    return certificate_time(X509_get0_notBefore(a)).nsec >
           certificate_time(X509_get0_notBefore(b)).nsec;
}

char *rotation_signer_path(const char *ca_path)
{
    const char *base = path_base(ca_path), *dot = strrchr(base, '.');
    const char *suffix = dot ? dot : base + strlen(base);
    return xasprintf("%.*s-signer%s", (int)(suffix - ca_path), ca_path, suffix);
}

char *rotation_led_path(const char *ca_path)
{
    const char *base = path_base(ca_path), *dot = strrchr(base, '.');
    const char *suffix = dot ? dot : base + strlen(base);
    return xasprintf("%.*s.led", (int)(suffix - ca_path), ca_path);
}

static const char *const led_words[] = {[ROTATION_TODO] = "todo\n", [ROTATION_DONE] = "done\n"};

enum rotation_led rotation_led(const char *ca_path)
{
    _cleanup_free_ char *path = rotation_led_path(ca_path);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (fs_read_file(AT_FDCWD, path, LED_MAX, &text) < 0)
        return ROTATION_OWN;
    return str_equal(buffer_str(&text), led_words[ROTATION_DONE]) ? ROTATION_DONE : ROTATION_TODO;
}

int rotation_led_set(const char *ca_path, enum rotation_led led, struct error *err)
{
    _cleanup_free_ char *path = rotation_led_path(ca_path);
    const char *word = led_words[led];
    int code = 0;
    if (word)
        code = fs_write_atomic(AT_FDCWD, path, word, strlen(word), 0600, FS_WRITE_SYNC);
    else if (unlink(path) < 0 && errno != ENOENT)
        code = -errno;
    return code < 0 ? error_errno(err, code, "%s", path) : 0;
}

static bool has_key_of(const struct certificate_bundle *bundle, X509 *certificate)
{
    return certificate_bundle_of_key(bundle, X509_get0_pubkey(certificate)) != NULL;
}

// Of the CA's own name: others that somebody has put beside it do not count.
static bool is_a_successor(X509 *certificate, X509 *signer)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_subject_name(signer)) == 0;
}

// What comes is younger than the one that signs, what leaves is older.
static enum rotation_order compare_trust(const struct certificate_bundle *here,
                                         const struct certificate_bundle *there, X509 *signer)
{
    enum rotation_order order = ROTATION_SAME;
    for (size_t i = 0; i < there->n; i++)
        if (!has_key_of(here, there->items[i]) && is_a_successor(there->items[i], signer)) {
            if (!rotation_is_younger(there->items[i], signer))
                return ROTATION_BEHIND;
            order = ROTATION_NEXT;
        }
    for (size_t i = 0; i < here->n; i++)
        if (!has_key_of(there, here->items[i]) && is_a_successor(here->items[i], signer)) {
            if (rotation_is_younger(here->items[i], signer))
                return ROTATION_BEHIND;
            order = ROTATION_NEXT;
        }
    return order;
}

enum rotation_order rotation_compare(const struct certificate_bundle *here, X509 *here_signer,
                                     const struct certificate_bundle *there, X509 *there_signer)
{
    bool related = has_key_of(there, here_signer) || has_key_of(here, there_signer);
    if (!related)
        return ROTATION_ANOTHER;
    if (EVP_PKEY_eq(X509_get0_pubkey(here_signer), X509_get0_pubkey(there_signer)) == 1) {
        if (rotation_is_younger(there_signer, here_signer)) // rescued with its own key
            return ROTATION_NEXT;
        return rotation_is_younger(here_signer, there_signer)
                   ? ROTATION_BEHIND
                   : compare_trust(here, there, here_signer);
    }
    ERR_clear_error();
    if (!rotation_is_younger(there_signer, here_signer))
        return ROTATION_BEHIND;
    return has_key_of(there, here_signer) ? ROTATION_NEXT : ROTATION_SKIPS;
}
