// `mainstay pki kubeconfig` and `token`: ways in for people and for nodes.
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/pki.h"

// ---- kubeconfig ----

struct signing {
    X509 *signer;
    EVP_PKEY *key;
    struct certificate_bundle cas;
};

static void signing_free(struct signing *s)
{
    X509_free(s->signer);
    EVP_PKEY_free(s->key);
    certificate_bundle_free(&s->cas);
}

// The cluster's CA; of a bundle the one whose key is here.
static int load_signing(const struct pki_options *options, struct signing *ret, struct error *err)
{
    const char *dir = options->dir ? options->dir : PKI_DIR;
    _cleanup_free_ char *ca = options->ca ? xstrdup(options->ca) : path_join(dir, "ca.crt");
    _cleanup_free_ char *ca_key =
        options->ca_key ? xstrdup(options->ca_key) : path_join(dir, "ca.key");
    mode_t mode;
    int code = certificate_bundle_load(ca, &ret->cas, err);
    if (code == 0)
        code = key_load(ca_key, &ret->key, &mode, err);
    if (code < 0)
        return code;
    X509 *signer = certificate_bundle_of_key(&ret->cas, ret->key);
    if (!signer)
        return error_set(err, EINVAL, "%s: is not the key of %s", ca_key, ca);
    X509_up_ref(signer);
    ret->signer = signer;
    return 0;
}

static int print_kubeconfig(const struct pki_options *options, const struct signing *by,
                            X509 *certificate, EVP_PKEY *key, struct error *err)
{
    _cleanup_secret_ struct buffer one = BUFFER_EMPTY, all = BUFFER_EMPTY;
    const struct kubeconfig config = {
        .server = options->server,
        .cluster_name = options->cluster_name ? options->cluster_name : "kubernetes",
        .user = options->user,
        .ca = by->signer,
        .certificate = certificate,
        .key = key,
    };
    const struct kubeconfig_change trust = {.cas = &by->cas};
    int code = kubeconfig_render(&config, &one, err);
    if (code == 0)
        code = kubeconfig_replace(buffer_str(&one), &trust, &all, err);
    if (code < 0)
        return code;
    bool failed = fwrite(all.data, 1, all.len, stdout) != all.len || fflush(stdout) == EOF;
    return failed ? error_errno(err, EIO, "standard output") : 0;
}

static int make_kubeconfig(const struct pki_options *options, struct signing *by, struct error *err)
{
    _cleanup_key_ EVP_PKEY *key = NULL;
    _cleanup_x509_ X509 *certificate = NULL;
    const struct certificate_spec spec = {
        .common_name = options->user,
        .organization = options->org,
        .usages = CERTIFICATE_CLIENT,
        .lifetime_sec = options->days_given ? options->days * CERTIFICATE_DAY_SEC
                                            : CERTIFICATE_LEAF_LIFETIME_SEC,
    };
    int code = load_signing(options, by, err);
    if (code == 0)
        code = key_generate(KEY_ECDSA_P256, &key, err);
    if (code == 0)
        code = certificate_make(&spec, key, by->signer, by->key, &certificate, err);
    return code < 0 ? code : print_kubeconfig(options, by, certificate, key, err);
}

int pki_kubeconfig(const struct pki_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct signing by = {0};
    if (n > 0 || str_empty(options->user) || str_empty(options->server))
        return pki_usage("kubeconfig takes --user NAME and --server URL (and --org NAME); it goes "
                         "to standard output");
    int code = make_kubeconfig(options, &by, &err);
    signing_free(&by);
    return code < 0 ? pki_failed(&err) : CLI_DONE;
}

// ---- tokens ----

// Each of the letters as likely as every other.
static int random_letters(char *out, size_t n, const char *letters, struct error *err)
{
    size_t base = strlen(letters), limit = 256 - 256 % base;
    for (size_t i = 0; i < n;) {
        unsigned char byte;
        if (RAND_priv_bytes(&byte, 1) != 1)
            return openssl_error(err, EIO, "no random numbers");
        if (byte < limit)
            out[i++] = letters[byte % base];
    }
    out[n] = '\0';
    return 0;
}

// A line of known_tokens.csv (--token-auth-file): token, user, uid, "groups".
static int print_known_token(const struct pki_options *options, struct error *err)
{
    static const char bad[] = ",\"\r\n";
    char token[33];
    const char *org = options->org ? options->org : "";
    if (strpbrk(options->user, bad) || strpbrk(org, "\"\r\n"))
        return error_set(err, EINVAL, "a comma, quotation mark or new line cannot be in the name");
    int code = random_letters(token, sizeof(token) - 1, "0123456789abcdef", err);
    if (code == 0 && *org)
        printf("%s,%s,%s,\"%s\"\n", token, options->user, options->user, org);
    else if (code == 0)
        printf("%s,%s,%s\n", token, options->user, options->user);
    OPENSSL_cleanse(token, sizeof(token));
    return code;
}

// k8s.io/cluster-bootstrap/token/api: [a-z0-9]{6}.[a-z0-9]{16}
static int print_bootstrap_token(struct error *err)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char id[7], secret[17];
    int code = random_letters(id, sizeof(id) - 1, letters, err);
    if (code == 0)
        code = random_letters(secret, sizeof(secret) - 1, letters, err);
    if (code == 0)
        printf("%s.%s\n", id, secret);
    OPENSSL_cleanse(secret, sizeof(secret));
    return code;
}

int pki_token(const struct pki_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (n > 0)
        return pki_usage("token takes no words; --user NAME (and --org NAMES) makes a line of "
                         "known_tokens.csv");
    int code = options->user ? print_known_token(options, &err) : print_bootstrap_token(&err);
    return code < 0 ? pki_failed(&err) : CLI_DONE;
}
