// `mainstay pki renew` and `rescue`: certificates and kubeconfigs anew by the CAs that issued them.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "cli/commands.h"
#include "cli/pki-store.h"

struct renewal {
    struct pki_store store;
    const struct pki_options *options;
    bool is_rescue, age_is_limited;
    int64_t part, whole; // -if-older-than=part/whole
    walltime now;
    size_t n_renewed, n_failed;
    struct pki_followers followers;
};

// ---- which ----

// "2/3", or "66%".
static int parse_part(const char *text, int64_t *ret_part, int64_t *ret_whole, struct error *err)
{
    long long part = 0, whole = 100;
    size_t n = strcspn(text, "/%");
    _cleanup_free_ char *first = xstrndup(text, n);
    bool ok = str_to_int(first, 1, 1000, &part) == 0;
    if (text[n] == '/')
        ok = ok && str_to_int(text + n + 1, 1, 1000, &whole) == 0;
    else
        ok = ok && text[n] == '%' && !text[n + 1];
    if (!ok || part > whole)
        return error_set(err, EINVAL,
                         "-if-older-than takes a part of a certificate's life, as 2/3 or 66%%, "
                         "not \"%s\"",
                         text);
    *ret_part = part;
    *ret_whole = whole;
    return 0;
}

static bool is_due(const struct renewal *r, X509 *certificate)
{
    int64_t from = certificate_time(X509_get0_notBefore(certificate)).nsec / NSEC_PER_SEC;
    int64_t to = certificate_not_after(certificate).nsec / NSEC_PER_SEC;
    int64_t now = r->now.nsec / NSEC_PER_SEC;
    if (r->options->days_given && to - now < r->options->days * CERTIFICATE_DAY_SEC)
        return true;
    return r->age_is_limited && now - from >= (to - from) / r->whole * r->part;
}

static bool is_meant(const struct renewal *r, const struct pki_item *item, const char *const *words,
                     size_t n)
{
    bool named = n == 0;
    for (size_t i = 0; i < n && !named; i++)
        named = str_equal(words[i], "all") || pki_store_find(&r->store, words[i]) == item;
    return named;
}

// ---- saying it ----

static void say_renewed(const struct renewal *r, const struct pki_item *item)
{
    char until[RFC3339_NANO_SIZE];
    printf("%s  %s  until %.10s\n", r->options->dry_run ? "would renew" : "renewed", item->path,
           walltime_format(certificate_not_after(item->chain.items[0]), until));
}

static void say_failed(struct renewal *r, const struct pki_item *item, const struct error *err)
{
    const char *message = error_message(err);
    bool named = str_starts_with(message, item->path);
    printf("failed   %s%s%s\n", named ? "" : item->path, named ? "" : ": ", message);
    r->n_failed++;
}

// ---- doing it ----

// A kubeconfig trusts what the file of its CA holds.
static void take_trust(struct pki_item *item, const struct pki_item *ca)
{
    if (!item->is_kubeconfig || !ca || item->cas.n == 0)
        return;
    certificate_bundle_free(&item->cas);
    for (size_t i = 0; i < ca->chain.n; i++) {
        X509_up_ref(ca->chain.items[i]);
        certificate_bundle_add(&item->cas, ca->chain.items[i]);
    }
}

static void put_first(struct pki_item *item, X509 *certificate)
{
    X509_free(item->chain.items[0]);
    item->chain.items[0] = certificate;
}

static int choose_key(const struct renewal *r, struct pki_item *item, struct error *err)
{
    X509 *certificate = item->chain.items[0];
    EVP_PKEY *new = NULL;
    if (r->options->new_key) {
        int code = key_generate_like(X509_get0_pubkey(certificate), &new, err);
        if (code < 0)
            return code;
        EVP_PKEY_free(item->key);
        item->key = new;
        return 0;
    }
    if (!item->key || X509_check_private_key(certificate, item->key) != 1)
        return openssl_error(err, ENOKEY,
                             "its own key is not here, or is another's (%s); with --new-key it "
                             "gets another",
                             item->key_path ? item->key_path : "client-key-data");
    return 0;
}

static int renew_leaf(struct renewal *r, struct pki_item *item, struct error *err)
{
    X509 *signer = NULL, *made = NULL;
    EVP_PKEY *signer_key = NULL;
    const struct pki_item *ca = NULL;
    int code = pki_store_signer(&r->store, item, &signer, &signer_key, &ca, err);
    if (code == 0)
        code = choose_key(r, item, err);
    if (code == 0)
        code = certificate_renew(item->chain.items[0], item->key, signer, signer_key, &made, err);
    if (code < 0)
        return code;
    put_first(item, made);
    take_trust(item, ca);
    return r->options->dry_run ? 0 : pki_item_write(item, r->options->new_key, err);
}

static void renew(struct renewal *r, struct pki_item *item)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (renew_leaf(r, item, &err) < 0) {
        say_failed(r, item, &err);
        return;
    }
    r->n_renewed++;
    say_renewed(r, item);
    pki_followers_add(&r->followers, item);
}

static void renew_all(struct renewal *r, const char *const *words, size_t n)
{
    bool limited = r->options->days_given || r->age_is_limited;
    LIST_EACH (item, &r->store.items)
        if (!item->is_ca && is_meant(r, item, words, n) &&
            (!limited || is_due(r, item->chain.items[0])))
            renew(r, item);
}

// ---- rescue: the CAs first, where they need it ----

static bool has_expired(const struct renewal *r, X509 *certificate)
{
    return certificate_not_after(certificate).nsec <= r->now.nsec;
}

// With its own key and name, so that what it has signed stays its own.
static int renew_ca(struct renewal *r, struct pki_item *item, size_t place, struct error *err)
{
    X509 *old = item->chain.items[place], *made = NULL;
    if (!item->key)
        return error_set(err, ENOKEY,
                         "this CA has expired, and its key is not here (%s): renew it where that "
                         "key is, and bring the certificate here",
                         item->key_path);
    int code = certificate_renew(old, item->key, NULL, NULL, &made, err);
    if (code < 0)
        return code;
    X509_free(old);
    item->chain.items[place] = made;
    return r->options->dry_run ? 0 : pki_item_write(item, false, err);
}

static X509 *renewed_by(const struct renewal *r, X509 *expired)
{
    LIST_EACH (ca, &r->store.items) {
        X509 *found =
            ca->is_ca ? certificate_bundle_of_key(&ca->chain, X509_get0_pubkey(expired)) : NULL;
        if (found && !has_expired(r, found))
            return found;
    }
    return NULL;
}

// Another file with the same CA in it, without its key: the renewed one takes its place.
static bool take_renewed_copy(struct renewal *r, struct pki_item *item, struct error *err)
{
    X509 *found = item->key ? NULL : renewed_by(r, item->chain.items[0]);
    if (!found)
        return false;
    X509_up_ref(found);
    put_first(item, found);
    return r->options->dry_run || pki_item_write(item, false, err) == 0;
}

static void rescue_ca(struct renewal *r, struct pki_item *item)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    X509 *own = certificate_bundle_of_key(&item->chain, item->key);
    size_t place = 0;
    while (own && item->chain.items[place] != own)
        place++;
    if (!has_expired(r, own ? own : item->chain.items[0]))
        return;
    if (!take_renewed_copy(r, item, &err) && renew_ca(r, item, place, &err) < 0) {
        say_failed(r, item, &err);
        return;
    }
    r->n_renewed++;
    say_renewed(r, item);
    pki_followers_add(&r->followers, item);
}

static void rescue_cas(struct renewal *r)
{
    LIST_EACH (item, &r->store.items)
        if (item->is_ca && item->key)
            rescue_ca(r, item);
    LIST_EACH (item, &r->store.items)
        if (item->is_ca && !item->key)
            rescue_ca(r, item);
}

// ---- the commands ----

static int check_words(const struct renewal *r, const char *const *words, size_t n,
                       struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct pki_item *item = pki_store_find(&r->store, words[i]);
        if (str_equal(words[i], "all"))
            continue;
        if (!item)
            return error_set(err, ENOENT,
                             "%s: is no certificate or kubeconfig of this node (`mainstay pki "
                             "list` shows them)",
                             words[i]);
        if (item->is_ca)
            return error_set(err, EINVAL,
                             "%s: is a CA; `mainstay pki rotate-ca` puts another in its place, and "
                             "`mainstay pki rescue` renews one that has expired",
                             item->path);
    }
    return 0;
}

static int finish(struct renewal *r)
{
    if (r->n_renewed > 0)
        pki_followers_say(&r->followers);
    else if (r->n_failed == 0)
        printf("Nothing needs to be renewed.\n");
    if (r->n_failed > 0)
        fprintf(stderr, "error: %zu could not be renewed\n", r->n_failed);
    int status = r->n_failed > 0 ? CLI_NO : CLI_DONE;
    pki_followers_free(&r->followers);
    pki_store_free(&r->store);
    return status;
}

static int run(struct renewal *r, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = 0;
    if (r->options->if_older_than)
        code = parse_part(r->options->if_older_than, &r->part, &r->whole, &err);
    r->age_is_limited = r->options->if_older_than != NULL;
    if (code == 0)
        code = pki_store_open(r->options, words, n, &r->store, &err);
    if (code == 0)
        code = check_words(r, words, n, &err);
    if (code < 0) {
        pki_store_free(&r->store);
        return pki_failed(&err);
    }
    if (r->is_rescue)
        rescue_cas(r);
    renew_all(r, words, n);
    return finish(r);
}

int pki_renew(const struct pki_options *options, const char *const *words, size_t n)
{
    struct renewal r = {.options = options, .now = walltime_now()};
    if (n == 0 && !options->days_given && !options->if_older_than)
        return pki_usage("say what to renew: names, files, or all (-days and -if-older-than "
                         "choose by age)");
    return run(&r, words, n);
}

int pki_rescue(const struct pki_options *options, const char *const *words, size_t n)
{
    struct renewal r = {.options = options, .now = walltime_now(), .is_rescue = true};
    if (n > 0)
        return pki_usage("rescue takes no files: it renews what the manifests name and what lies "
                         "in -dir");
    return run(&r, NULL, 0);
}
