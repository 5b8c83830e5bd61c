// `mainstay pki rotate-ca`: another CA in the place of one, while everything goes on. Three steps,
// one for each call, and between them whoever reads its files at the start only must restart:
//
//   1. a new key and CA; every trust file and kubeconfig holds both CAs
//   2. the new key signs: what the old one has signed is made anew
//   3. the old CA leaves
//
// The files themselves say where it stands: KEY.next is there from the first step's beginning to
// the second's, and the bundle holds two CAs until the third's end. So a step that was interrupted
// is completed by the next call.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/time-format.h"
#include "cli/commands.h"
#include "cli/pki-rotation.h"
#include "cli/pki-store.h"

enum { KEY_TEXT_USUAL = 64 << 10 };

enum stage {
    STAGE_NONE,    // one CA, one key
    STAGE_TRUST,   // KEY.next is there, its CA is not
    STAGE_TRUSTED, // both are trusted, the old one signs
    STAGE_LED,     // the same, and the new one's key is on another node
    STAGE_SIGNED,  // both are trusted, the new one signs
};

struct rotation {
    const struct pki_options *options;
    struct pki_store store;
    struct pki_item *ca;
    X509 *signer; // of ca->chain; borrowed
    char *next_path, *signer_path;
    EVP_PKEY *next;
    enum rotation_led led;
    struct pki_followers followers;
    const char *word; // which CA, as it was called
};

// ---- where it stands ----

static bool has_its_name(const struct rotation *r, X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_subject_name(r->signer)) == 0;
}

static size_t count_of_its_name(const struct rotation *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->ca->chain.n; i++)
        n += has_its_name(r, r->ca->chain.items[i]);
    return n;
}

static enum stage stage_of(const struct rotation *r)
{
    if (r->next)
        return certificate_bundle_of_key(&r->ca->chain, r->next) ? STAGE_TRUSTED : STAGE_TRUST;
    for (size_t i = 0; i < r->ca->chain.n; i++) {
        X509 *ca = r->ca->chain.items[i];
        if (has_its_name(r, ca) && rotation_is_younger(ca, r->signer))
            return STAGE_LED;
    }
    return count_of_its_name(r) > 1 ? STAGE_SIGNED : STAGE_NONE;
}

// Signed by another of the CAs in the bundle than by the one that signs now.
static bool is_outdated(const struct rotation *r, const struct pki_item *item)
{
    X509 *certificate = item->chain.items[0];
    const X509 *issuer = certificate_bundle_issuer(&r->ca->chain, certificate);
    return !item->is_ca && issuer && X509_verify(certificate, X509_get0_pubkey(r->signer)) != 1;
}

static size_t count_outdated(const struct rotation *r)
{
    size_t n = 0;
    LIST_EACH (item, &r->store.items)
        n += is_outdated(r, item);
    return n;
}

// ---- whom everybody trusts ----

static struct certificate_bundle *trust_of(const struct rotation *r, struct pki_item *item)
{
    struct certificate_bundle *trust = item->is_kubeconfig ? &item->cas : &item->chain;
    if (item == r->ca || str_equal(item->path, r->signer_path) ||
        (!item->is_kubeconfig && (!item->is_ca || item->key)))
        return NULL;
    for (size_t i = 0; i < trust->n; i++)
        if (certificate_bundle_has(&r->ca->chain, trust->items[i]))
            return trust;
    return NULL;
}

static bool is_same(const struct certificate_bundle *a, const struct certificate_bundle *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = X509_cmp(a->items[i], b->items[i]) == 0;
    return same;
}

static void add_reference(struct certificate_bundle *to, X509 *certificate)
{
    X509_up_ref(certificate);
    certificate_bundle_add(to, certificate);
}

// Other CAs that somebody has put beside this one stay.
static struct certificate_bundle wanted_trust(const struct rotation *r,
                                              const struct certificate_bundle *now)
{
    struct certificate_bundle wanted = {0};
    for (size_t i = 0; i < r->ca->chain.n; i++)
        add_reference(&wanted, r->ca->chain.items[i]);
    for (size_t i = 0; i < now->n; i++)
        if (!has_its_name(r, now->items[i]) && !certificate_bundle_has(&wanted, now->items[i]))
            add_reference(&wanted, now->items[i]);
    return wanted;
}

static int write_item(struct rotation *r, const struct pki_item *item, struct error *err)
{
    int code = pki_item_write(item, false, err);
    if (code < 0)
        return code;
    printf("written  %s\n", item->path);
    pki_followers_add(&r->followers, item);
    return 0;
}

// Kubeconfigs and copies of the CA trust what the CA's own file holds. *ret: how many did not.
static int spread_trust(struct rotation *r, size_t *ret, struct error *err)
{
    int code = 0;
    *ret = 0;
    LIST_EACH (item, &r->store.items) {
        struct certificate_bundle *trust = code == 0 ? trust_of(r, item) : NULL;
        struct certificate_bundle wanted =
            trust ? wanted_trust(r, trust) : (struct certificate_bundle){0};
        if (!trust || is_same(trust, &wanted)) {
            certificate_bundle_free(&wanted);
            continue;
        }
        certificate_bundle_free(trust);
        *trust = wanted;
        (*ret)++;
        code = write_item(r, item, err);
    }
    return code;
}

// ---- the first step ----

static int check_age(const struct rotation *r, struct error *err)
{
    int64_t from = certificate_time(X509_get0_notBefore(r->signer)).nsec;
    if (r->options->force || walltime_now().nsec - from > CERTIFICATE_DAY_SEC * NSEC_PER_SEC)
        return 0;
    return error_set(err, EBUSY,
                     "%s was made within the last day, and no rotation of it is under way; --force "
                     "begins one",
                     r->ca->path);
}

static int make_next_key(struct rotation *r, struct error *err)
{
    int code = check_age(r, err);
    if (code == 0)
        code = pki_signer_prepare(r->options, r->ca->path, r->signer, err);
    if (code == 0)
        code = key_generate_like(r->ca->key, &r->next, err);
    if (code == 0)
        code = key_write(r->next_path, r->next, err);
    if (code == 0 && r->led != ROTATION_OWN) // of one before, which is over
        code = rotation_led_set(r->ca->path, r->led = ROTATION_OWN, err);
    return code;
}

static int trust_both(struct rotation *r, struct error *err)
{
    X509 *made = NULL;
    size_t n;
    int code = certificate_renew(r->signer, r->next, NULL, NULL, &made, err);
    if (code < 0)
        return code;
    certificate_bundle_add(&r->ca->chain, made);
    code = write_item(r, r->ca, err);
    return code < 0 ? code : spread_trust(r, &n, err);
}

// ---- the second ----

// The one that signs is the first, for whoever reads no more than one.
static void put_first(struct certificate_bundle *chain, X509 *certificate)
{
    for (size_t i = 1; i < chain->n; i++)
        if (chain->items[i] == certificate) {
            chain->items[i] = chain->items[0];
            chain->items[0] = certificate;
        }
}

// The key, the CA's file and the one that holds its signer alone change at once, so that no
// kube-controller-manager that starts meanwhile finds a key beside another's certificate.
static int write_signer(const struct rotation *r, EVP_PKEY *key, struct error *err)
{
    _cleanup_secret_ struct buffer secret = BUFFER_EMPTY;
    _cleanup_buffer_ struct buffer bundle = BUFFER_EMPTY, signer = BUFFER_EMPTY;
    const struct replacement files[] = {{r->ca->key_path, &secret, true},
                                        {r->ca->path, &bundle, false},
                                        {r->signer_path, &signer, false}};
    bool has_signer_file = access(r->signer_path, F_OK) == 0;
    buffer_reserve(&secret, KEY_TEXT_USUAL);
    int code = key_to_pem(key, &secret, err);
    if (code == 0)
        code = certificate_bundle_to_pem(&r->ca->chain, &bundle, err);
    if (code == 0)
        code = certificate_to_pem(r->ca->chain.items[0], &signer, err);
    return code < 0 ? code : replace_files(files, has_signer_file ? 3 : 2, 0, err);
}

static int take_next_key(struct rotation *r, struct error *err)
{
    X509 *new = certificate_bundle_of_key(&r->ca->chain, r->next);
    put_first(&r->ca->chain, new);
    int code = write_signer(r, r->next, err);
    if (code < 0)
        return code;
    printf("written  %s\nwritten  %s\n", r->ca->key_path, r->ca->path);
    pki_followers_add(&r->followers, r->ca);
    if (unlink(r->next_path) < 0)
        return error_errno(err, errno, "%s", r->next_path);
    EVP_PKEY_free(r->ca->key);
    r->ca->key = TAKE_PTR(r->next);
    r->signer = new;
    return 0;
}

static int renew_outdated(struct rotation *r, struct error *err)
{
    int code = 0;
    LIST_EACH (item, &r->store.items) {
        X509 *made = NULL;
        if (code < 0 || !is_outdated(r, item))
            continue;
        code = item->key ? certificate_renew(item->chain.items[0], item->key, r->signer, r->ca->key,
                                             &made, err)
                         : error_set(err, ENOKEY, "%s: its key is not here", item->path);
        if (code < 0)
            return error_prefix(err, code, "%s", item->path);
        X509_free(item->chain.items[0]);
        item->chain.items[0] = made;
        code = write_item(r, item, err);
    }
    return code;
}

static int sign_anew(struct rotation *r, struct error *err)
{
    size_t n;
    int code = r->next ? take_next_key(r, err) : 0;
    if (code == 0)
        code = renew_outdated(r, err);
    return code < 0 ? code : spread_trust(r, &n, err);
}

// ---- the third ----

// The CA's own file is the last, so that an interrupted step is one that is not done.
static int drop_old(struct rotation *r, struct error *err)
{
    struct certificate_bundle *chain = &r->ca->chain, kept = {0};
    size_t n;
    for (size_t i = 0; i < chain->n; i++)
        if (chain->items[i] == r->signer || !has_its_name(r, chain->items[i]))
            add_reference(&kept, chain->items[i]);
    certificate_bundle_free(chain);
    *chain = kept;
    int code = spread_trust(r, &n, err);
    return code < 0 ? code : write_item(r, r->ca, err);
}

// ---- saying it ----

static const char *const steps[] = {
    [STAGE_NONE] = "no rotation is under way; the first step makes a new CA that is trusted beside "
                   "the old one",
    [STAGE_TRUST] = "step 1 of 3 was interrupted; the next call completes it",
    [STAGE_TRUSTED] = "step 1 of 3 is done: the old CA and the new one are trusted, the old one "
                      "signs",
    [STAGE_LED] = "step 1 of 3 is done: the old CA and the new one are trusted, the old one signs; "
                  "the new one's key is on the node where the rotation was begun",
    [STAGE_SIGNED] = "step 2 of 3 is done: the new CA signs, and both are trusted",
};

static void say_status(const struct rotation *r)
{
    enum stage stage = stage_of(r);
    size_t n = stage == STAGE_SIGNED ? count_outdated(r) : 0;
    if (n > 0)
        printf("%s: step 2 of 3 was interrupted: %zu certificates are still the old CA's; the next "
               "call completes it\n",
               r->ca->path, n);
    else
        printf("%s: %s\n", r->ca->path, steps[stage]);
}

static void say_next(const struct rotation *r, int step)
{
    static const char *const what[] = {
        [1] =
            "Step 1 of 3 is done here: two CAs are trusted. Before the next, all of the above must "
            "have restarted, and every other control-plane node must have done this step, too.",
        [2] = "Step 2 of 3 is done here: the new CA has signed everything that is known on this "
              "node. Before the next, all of the above must have restarted, and every other node "
              "must have done this step, too, with whatever else the old CA has signed.",
        [3] = "Step 3 of 3 is done here: the old CA is trusted no more, once all of the above has "
              "restarted.",
    };
    pki_followers_say(&r->followers);
    printf("%s\n", what[step]);
    if (stage_of(r) == STAGE_LED || (r->led != ROTATION_OWN && step < 3))
        printf("The next step begins on the node where the rotation was begun.\n");
    else if (r->led == ROTATION_OWN)
        printf(
            "On each other control-plane node: `mainstay pki import` of what `mainstay pki export "
            "--for NODE FILE` seals here now, and `mainstay pki rotate-ca %s`.%s\n",
            r->word, step < 3 ? " Then call this again here." : "");
}

static int must_be_led(const struct rotation *r, struct error *err)
{
    return error_set(
        err, EBUSY,
        "%s: both CAs are trusted on this node. The new one's key is on the node where "
        "the rotation was begun: call this there, and when it has done the second step "
        "`mainstay pki export` there and `mainstay pki import` here",
        r->ca->path);
}

static int must_go_on_elsewhere(const struct rotation *r, struct error *err)
{
    _cleanup_free_ char *note = rotation_led_path(r->ca->path);
    return error_set(err, EBUSY,
                     "%s: the second step is done on this node, and the third begins on the node "
                     "where the rotation was begun: call this there, and then `mainstay pki "
                     "export` there and `mainstay pki import` here. Where that node is gone for "
                     "good, remove %s, and this node goes on by itself",
                     r->ca->path, note);
}

// One step, or on another node's behalf the rest of one: its number, or a negative errno.
static int advance(struct rotation *r, struct error *err)
{
    enum stage stage = stage_of(r);
    size_t n = 0;
    int code = stage == STAGE_TRUST ? 0 : spread_trust(r, &n, err);
    if (code < 0)
        return code;
    switch (stage) {
    case STAGE_NONE:
        if (n > 0 || r->led == ROTATION_TODO)
            return 3;
        code = make_next_key(r, err);
        return code < 0 ? code : (code = trust_both(r, err)) < 0 ? code : 1;
    case STAGE_TRUST:
        code = trust_both(r, err);
        return code < 0 ? code : 1;
    case STAGE_TRUSTED:
        if (n > 0)
            return 1;
        code = sign_anew(r, err);
        return code < 0 ? code : 2;
    case STAGE_LED:
        return n > 0 || r->led == ROTATION_TODO ? 1 : must_be_led(r, err);
    case STAGE_SIGNED:
        if (n == 0 && count_outdated(r) == 0) {
            if (r->led != ROTATION_OWN)
                return r->led == ROTATION_TODO ? 2 : must_go_on_elsewhere(r, err);
            code = drop_old(r, err);
            return code < 0 ? code : 3;
        }
        code = sign_anew(r, err);
        return code < 0 ? code : 2;
    }
    return 0;
}

// ---- the command ----

static int find_next(struct rotation *r, struct error *err)
{
    int code = key_load(r->next_path, &r->next, NULL, err);
    if (code == -ENOENT) {
        error_clear(err);
        return 0;
    }
    // Interrupted when it had taken its place already.
    if (code == 0 && EVP_PKEY_eq(r->next, r->ca->key) == 1) {
        EVP_PKEY_free(TAKE_PTR(r->next));
        if (!r->options->dry_run && unlink(r->next_path) < 0)
            code = error_errno(err, errno, "%s", r->next_path);
    }
    return code;
}

static int find_ca(struct rotation *r, const char *word, struct error *err)
{
    r->ca = pki_store_find(&r->store, word);
    if (!r->ca || !r->ca->is_ca)
        return error_set(err, ENOENT, "%s: is no CA of this node (`mainstay pki list` shows them)",
                         word);
    r->signer = certificate_bundle_of_key(&r->ca->chain, r->ca->key);
    if (!r->signer)
        return error_set(err, ENOKEY,
                         "%s: its key is not here (%s): rotate it where that key is, and bring the "
                         "files here after each step",
                         r->ca->path, r->ca->key_path);
    r->next_path = xasprintf("%s.next", r->ca->key_path);
    r->signer_path = rotation_signer_path(r->ca->path);
    r->led = rotation_led(r->ca->path);
    return find_next(r, err);
}

static void forget_ca(struct rotation *r)
{
    free(TAKE_PTR(r->next_path));
    free(TAKE_PTR(r->signer_path));
    EVP_PKEY_free(TAKE_PTR(r->next));
}

void pki_rotation_say_all(const struct pki_options *options)
{
    struct pki_options looking = *options;
    struct rotation r = {.options = &looking};
    _cleanup_error_ struct error err = ERROR_NONE;
    looking.dry_run = true;
    if (pki_store_open(&looking, NULL, 0, &r.store, &err) == 0)
        LIST_EACH (item, &r.store.items) {
            error_clear(&err);
            if (item->is_ca && item->key && find_ca(&r, item->path, &err) == 0 &&
                stage_of(&r) != STAGE_NONE)
                say_status(&r);
            forget_ca(&r);
        }
    pki_store_free(&r.store);
}

static int run(struct rotation *r, const char *word, struct error *err)
{
    int code = pki_store_open(r->options, &word, 1, &r->store, err);
    if (code == 0)
        code = find_ca(r, word, err);
    if (code < 0)
        return code;
    if (r->options->status || r->options->dry_run) {
        say_status(r);
        return 0;
    }
    int step = code = advance(r, err);
    if (code > 0 && r->led != ROTATION_OWN)
        code = rotation_led_set(r->ca->path, step == 3 ? ROTATION_OWN : ROTATION_DONE, err);
    if (code >= 0 && step > 0)
        say_next(r, step);
    return code;
}

int pki_rotate_ca(const struct pki_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct rotation r = {.options = options, .word = n > 0 ? words[0] : NULL};
    if (n != 1 || str_equal(words[0], "all"))
        return pki_usage("rotate-ca takes one CA: ca, etcd/ca, front-proxy-ca, or a file");
    int code = run(&r, words[0], &err);
    forget_ca(&r);
    pki_followers_free(&r.followers);
    pki_store_free(&r.store);
    return code < 0 ? pki_failed(&err) : CLI_DONE;
}
