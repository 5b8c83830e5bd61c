// What the files of a layout share: the run over a set, which keeps, makes or refuses each piece,
// and the report that it fills.
#pragma once

#include <openssl/x509.h>

#include "base/monotime.h"
#include "pki/certificate.h"
#include "pki/key-pool.h"
#include "pki/layout.h"

// A CA as far as it could be had: no certificate means that what it signs is left alone; no key,
// that it can check but not sign.
struct pki_signer {
    X509 *certificate;
    EVP_PKEY *key;
    const char *base;    // "etcd/ca"
    const char *witness; // a certificate that shows that this CA was there once
};

struct pki_maker {
    const struct pki_layout *layout;
    struct pki_report *report;
    struct key_pool *pool;
    walltime now;
};

// A key with a certificate. Borrowed.
struct pki_leaf {
    const char *base;   // "etcd/server"
    const char *suffix; // of the certificate: ".crt"
    struct certificate_spec spec;
    bool fixed_subject; // a certificate that is there must have this subject
};

// ---- layout-report.c ----

// Takes `note`.
void pki_maker_report(struct pki_maker *maker, enum pki_outcome outcome, const char *path,
                      char *note);
// What is wrong with the piece; clears `err`. Returns -EINVAL.
int pki_maker_report_wrong(struct pki_maker *maker, const char *path, struct error *err);
// Warnings about a piece that is kept, "; " between; NULL for none.
char *pki_maker_kept_note(const struct pki_maker *maker, X509 *certificate, mode_t key_mode,
                          const char *more);

// ---- layout-pairs.c ----

// signer->base says which; its certificate and key are filled in where they can be used.
void pki_make_authority(struct pki_maker *maker, struct pki_signer *signer,
                        const char *common_name);
void pki_make_leaf(struct pki_maker *maker, const struct pki_signer *signer,
                   const struct pki_leaf *leaf);
void pki_signer_free(struct pki_signer *signer);

// ---- layout-request.c ----

// The leaf's key and signing request.
void pki_request_leaf(struct pki_maker *maker, const struct pki_leaf *leaf);
// Those of a kubeconfig: FILE.key and FILE.csr.
void pki_request_client(struct pki_maker *maker, const char *file,
                        const struct certificate_spec *spec);

// ---- layout-clients.c, layout-service-account.c, layout-external.c ----

// admin.conf and so on: made and signed; or, with `request`, their keys and signing requests.
void pki_make_clients(struct pki_maker *maker, const struct pki_signer *signer, bool request);
// How many of them are not there, where they are wanted.
size_t pki_missing_clients(const struct pki_layout *layout);
void pki_make_service_account_key(struct pki_maker *maker);
// The files of an etcd that somebody else runs: whether they are there and good.
void pki_check_external_etcd(struct pki_maker *maker);

// ---- layout-srv.c ----

void pki_make_srv(struct pki_maker *maker, const struct string_list *api_names);
// Whether a text of basic_auth.csv or known_tokens.csv is one that kube-apiserver starts with: it
// refuses lines with fewer than three columns.
int pki_check_accounts(const char *text, struct error *err);

// ---- layout-lock.c ----

// Takes the set for this process alone, and clears away what a killed one left half-written. The
// lock goes with the descriptor. 0, -EBUSY where another has it.
int pki_layout_lock(const struct pki_layout *layout, int *ret_fd, struct error *err);
