// The certificates of this node with all that is needed to make them anew: their keys, their CAs,
// and the kubeconfigs that hold some. What `mainstay pki renew`, `rescue` and `rotate-ca` work on.
#pragma once

#include "cli/pki.h"

struct pki_item {
    const char *path;                // borrowed from `files`
    const struct string_list *users; // "kube-apiserver --tls-cert-file"; borrowed
    bool is_kubeconfig, is_ca;
    char *key_path;                  // NULL for a kubeconfig
    struct certificate_bundle chain; // the certificate itself is the first
    struct certificate_bundle cas;   // of a kubeconfig: whom it trusts
    EVP_PKEY *key;                   // NULL where it is not here
};

struct pki_store {
    const struct pki_options *options;
    const char *dir;
    struct certificate_files files;
    LIST_OF(struct pki_item) items;
    LIST_OF(int) locks;
    X509 *given_ca; // -ca and -ca-key
    EVP_PKEY *given_key;
};

// Finds, locks and reads them; what an earlier run has left half done is finished with the lock.
// `words` name files beyond those that the manifests name and that lie in -dir; with such a file
// comes what lies beside it. What cannot be read is told on stderr and left out. pki_store_free()
// it in any case.
int pki_store_open(const struct pki_options *options, const char *const *words, size_t n,
                   struct pki_store *ret, struct error *err);
void pki_store_free(struct pki_store *store);
#define _cleanup_pki_store_ _cleanup_(pki_store_free)

// By path, or by name in -dir with or without ".crt" ("etcd/server", "admin.conf"). NULL: none.
struct pki_item *pki_store_find(const struct pki_store *store, const char *word);
// The path that such a word stands for where it is a file. The caller frees.
char *pki_store_path(const char *dir, const char *word);

// Who signs for this item: the CA that is known by the item's issuer, by the certificate that its
// key belongs to. -ENOENT, -ENOKEY or -EKEYEXPIRED with what to do. Borrowed. *ret_ca (may be
// NULL) is its item, NULL for -ca.
int pki_store_signer(const struct pki_store *store, const struct pki_item *item, X509 **ret,
                     EVP_PKEY **ret_key, const struct pki_item **ret_ca, struct error *err);

// Writes the item's first certificate (and its key where `new_key`), with the old ones kept; of a
// kubeconfig also whom it trusts.
int pki_item_write(const struct pki_item *item, bool new_key, struct error *err);

// ---- pki-reload.c ----

// The components that use what was written: by name, each once.
struct pki_followers {
    struct string_list restart, anew; // those that must restart; those that notice by themselves
};
void pki_followers_add(struct pki_followers *followers, const struct pki_item *item);
void pki_followers_say(const struct pki_followers *followers);
void pki_followers_free(struct pki_followers *followers);
