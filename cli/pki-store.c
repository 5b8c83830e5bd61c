// See pki-store.h.
#include "cli/pki-store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/time-format.h"

enum { FILE_MAX_BYTES = 1 << 20, TEXT_USUAL = 64 << 10 };

// ---- names ----

static char *with_suffix(const char *path, const char *suffix, const char *instead)
{
    return xasprintf("%.*s%s", (int)(strlen(path) - strlen(suffix)), path, instead);
}

// "apiserver.crt": "apiserver.key"; "ca.pem": "ca-key.pem", as cfssljson names them.
static char *key_path_of(const char *path)
{
    static const char *const suffixes[] = {".crt", ".cert"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
        if (str_ends_with(path, suffixes[i]))
            return with_suffix(path, suffixes[i], ".key");
    if (!str_ends_with(path, ".pem"))
        return xasprintf("%s.key", path);
    char *key = with_suffix(path, ".pem", "-key.pem");
    if (access(key, F_OK) == 0)
        return key;
    free(key);
    return with_suffix(path, ".pem", ".key");
}

char *pki_store_path(const char *dir, const char *word)
{
    static const char *const suffixes[] = {"", ".crt", ".pem"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes) && word[0] != '/'; i++) {
        char *path = xasprintf("%s/%s%s", dir, word, suffixes[i]);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            return path;
        free(path);
    }
    if (word[0] != '/' && str_ends_with(word, ".conf")) {
        char *path = xasprintf("%s/../%s", dir, word), *real = realpath(path, NULL);
        free(path);
        if (real)
            return real;
    }
    return xstrdup(word);
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return str_equal(a, b) ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

struct pki_item *pki_store_find(const struct pki_store *store, const char *word)
{
    _cleanup_free_ char *path = pki_store_path(store->dir, word);
    LIST_EACH (item, &store->items)
        if (same_file(item->path, path))
            return item;
    return NULL;
}

// ---- reading ----

static void item_free(struct pki_item *item)
{
    free(item->key_path);
    certificate_bundle_free(&item->chain);
    certificate_bundle_free(&item->cas);
    EVP_PKEY_free(item->key);
}

static int read_kubeconfig(struct pki_item *item, struct error *err)
{
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    int code = kubeconfig_load(item->path, &content, err);
    if (code < 0)
        return code;
    if (!content.certificate)
        return error_set(err, EINVAL, "%s: holds no client certificate by value", item->path);
    certificate_bundle_add(&item->chain, TAKE_PTR(content.certificate));
    item->cas = content.cas;
    content.cas = (struct certificate_bundle){0};
    item->key = TAKE_PTR(content.key);
    return 0;
}

static int read_certificate(struct pki_item *item, const char *text, size_t len, struct error *err)
{
    item->key_path = key_path_of(item->path);
    int code = certificate_bundle_from_pem(text, len, &item->chain, err);
    if (code < 0)
        return error_prefix(err, code, "%s", item->path);
    item->is_ca = X509_check_ca(item->chain.items[0]) == 1;
    key_load(item->key_path, &item->key, NULL, NULL); // without it, whoever needs it says so
    return 0;
}

static int read_item(struct pki_item *item, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    buffer_reserve(&text, TEXT_USUAL);
    int code = fs_read_file(AT_FDCWD, item->path, FILE_MAX_BYTES, &text);
    if (code < 0)
        return error_errno(err, code, "%s", item->path);
    item->is_kubeconfig = !strstr(buffer_str(&text), "-----BEGIN CERTIFICATE-----");
    return item->is_kubeconfig ? read_kubeconfig(item, err)
                               : read_certificate(item, buffer_str(&text), text.len, err);
}

static void read_items(struct pki_store *store)
{
    LIST_EACH (file, &store->files) {
        _cleanup_error_ struct error err = ERROR_NONE;
        struct pki_item item = {.path = file->path, .users = &file->users};
        bool known = false;
        LIST_EACH (other, &store->items)
            known = known || same_file(other->path, file->path);
        if (known)
            continue;
        if (read_item(&item, &err) == 0) {
            *LIST_APPEND(&store->items) = item;
            continue;
        }
        fprintf(stderr, "warning: %s\n", error_message(&err));
        item_free(&item);
    }
}

// ---- opening ----

static int lock_directory_of(struct pki_store *store, const char *path, struct string_list *seen,
                             struct error *err)
{
    const char *base = path_base(path);
    _cleanup_free_ char *dir = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    _cleanup_free_ char *real = realpath(dir, NULL);
    if (!real || string_list_contains(seen, real))
        return 0; // what is not there is told when it is read
    string_list_add(seen, real);
    int fd = -1, code = replace_lock_directory_of(path, &fd, err);
    if (code == 0)
        *LIST_APPEND(&store->locks) = fd;
    return code;
}

static int lock_all(struct pki_store *store, struct error *err)
{
    _cleanup_string_list_ struct string_list seen = {0};
    int code = 0;
    if (store->options->dry_run)
        return 0;
    LIST_EACH (file, &store->files)
        if (code == 0)
            code = lock_directory_of(store, file->path, &seen, err);
    return code;
}

static void add_word(struct pki_store *store, const char *word)
{
    _cleanup_free_ char *path = pki_store_path(store->dir, word);
    LIST_EACH (file, &store->files)
        if (same_file(file->path, path))
            return;
    const char *base = path_base(path);
    _cleanup_free_ char *beside =
        base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path - (base - path > 1)));
    certificate_files_get(&store->files, path);
    pki_find_in(beside, &store->files);
}

int pki_store_open(const struct pki_options *options, const char *const *words, size_t n,
                   struct pki_store *ret, struct error *err)
{
    *ret = (struct pki_store){.options = options, .dir = options->dir ? options->dir : PKI_DIR};
    int code = 0;
    if (!options->ca != !options->ca_key)
        return error_set(err, EINVAL, "-ca and -ca-key go together");
    if (options->ca)
        code = pki_load_ca(options->ca, options->ca_key, &ret->given_ca, &ret->given_key, err);
    if (code < 0)
        return code;
    pki_find_files(options, ret->dir, &ret->files);
    for (size_t i = 0; i < n; i++)
        if (!str_equal(words[i], "all"))
            add_word(ret, words[i]);
    code = lock_all(ret, err);
    if (code == 0)
        read_items(ret);
    return code;
}

void pki_store_free(struct pki_store *store)
{
    LIST_EACH (item, &store->items)
        item_free(item);
    LIST_EACH (lock, &store->locks)
        close(*lock);
    free(store->items.items);
    free(store->locks.items);
    certificate_files_free(&store->files);
    X509_free(store->given_ca);
    EVP_PKEY_free(store->given_key);
    *store = (struct pki_store){0};
}

// ---- who signs ----

static int check_signer(const struct pki_item *ca, X509 *certificate, struct error *err)
{
    char until[RFC3339_NANO_SIZE];
    walltime end = certificate_not_after(certificate);
    if (end.nsec > walltime_now().nsec)
        return 0;
    return error_set(err, EKEYEXPIRED,
                     "its CA %s has expired on %s: `mainstay pki rescue` renews the CA with its "
                     "own key, and everything that it has signed",
                     ca->path, walltime_format(end, until));
}

int pki_store_signer(const struct pki_store *store, const struct pki_item *item, X509 **ret,
                     EVP_PKEY **ret_key, const struct pki_item **ret_ca, struct error *err)
{
    X509 *certificate = item->chain.items[0];
    const struct pki_item *without_key = NULL;
    if (ret_ca)
        *ret_ca = NULL;
    if (store->given_ca) {
        *ret = store->given_ca;
        *ret_key = store->given_key;
        return 0;
    }
    LIST_EACH (ca, &store->items) {
        if (!ca->is_ca || !certificate_bundle_issuer(&ca->chain, certificate))
            continue;
        X509 *signer = certificate_bundle_of_key(&ca->chain, ca->key);
        without_key = without_key ? without_key : ca;
        if (!signer)
            continue;
        *ret = signer;
        *ret_key = ca->key;
        if (ret_ca)
            *ret_ca = ca;
        return check_signer(ca, signer, err);
    }
    if (without_key)
        return error_set(err, ENOKEY,
                         "the key of its CA %s is not here (%s): renew it where that key is, or "
                         "name both with -ca and -ca-key",
                         without_key->path, without_key->key_path);
    return error_set(err, ENOENT,
                     "the CA that has signed it is not here; name it with -ca and -ca-key");
}

// ---- writing ----

static int write_kubeconfig(const struct pki_item *item, bool new_key, struct error *err)
{
    _cleanup_secret_ struct buffer old = BUFFER_EMPTY, text = BUFFER_EMPTY;
    struct kubeconfig_change change = {.cas = item->cas.n > 0 ? &item->cas : NULL,
                                       .certificate = item->chain.items[0],
                                       .key = new_key ? item->key : NULL};
    buffer_reserve(&old, TEXT_USUAL);
    buffer_reserve(&text, TEXT_USUAL);
    int code = fs_read_file(AT_FDCWD, item->path, FILE_MAX_BYTES, &old);
    if (code < 0)
        return error_errno(err, code, "%s", item->path);
    code = kubeconfig_replace(buffer_str(&old), &change, &text, err);
    if (code < 0)
        return error_prefix(err, code, "%s", item->path);
    return replace_file(item->path, &text, true, err);
}

int pki_item_write(const struct pki_item *item, bool new_key, struct error *err)
{
    _cleanup_buffer_ struct buffer certificate = BUFFER_EMPTY;
    _cleanup_secret_ struct buffer key = BUFFER_EMPTY;
    if (item->is_kubeconfig)
        return write_kubeconfig(item, new_key, err);
    int code = certificate_bundle_to_pem(&item->chain, &certificate, err);
    if (code == 0 && !new_key)
        return replace_file(item->path, &certificate, false, err);
    buffer_reserve(&key, TEXT_USUAL);
    if (code == 0)
        code = key_to_pem(item->key, &key, err);
    const struct replacement pair[] = {{item->key_path, &key, true},
                                       {item->path, &certificate, false}};
    return code < 0 ? code : replace_files(pair, ARRAY_SIZE(pair), 0, err);
}
