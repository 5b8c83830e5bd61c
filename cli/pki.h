// `mainstay pki`: what its files share.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "cli/certificate-files.h"
#include "cli/options.h"
#include "cli/pki-init.h"
#include "pki/pki.h"

#define PKI_DIR "/etc/kubernetes/pki"

struct pki_options {
    bool initca, renewca, force, new_key, dry_run, status, days_given;
    const char *if_older_than, *user, *org, *server, *cluster_name, *for_node, *key;
    const char *manifests, *dir, *output;
    int64_t days;
    const char *ca, *ca_key, *config, *profile, *hostname, *bare, *cert, *csr, *log_level;
    struct pki_init_options init;
    struct common_options common;
};

// What one of its words does with the words behind it: the exit status.
typedef int (*pki_fn)(const struct pki_options *options, const char *const *words, size_t n);

int pki_gencert(const struct pki_options *options, const char *const *words, size_t n);
int pki_genkey(const struct pki_options *options, const char *const *words, size_t n);
int pki_sign(const struct pki_options *options, const char *const *words, size_t n);
int pki_selfsign(const struct pki_options *options, const char *const *words, size_t n);
int pki_certinfo(const struct pki_options *options, const char *const *words, size_t n);
int pki_check(const struct pki_options *options, const char *const *words, size_t n);
int pki_list(const struct pki_options *options, const char *const *words, size_t n);
int pki_renew(const struct pki_options *options, const char *const *words, size_t n);
int pki_export(const struct pki_options *options, const char *const *words, size_t n);
int pki_import(const struct pki_options *options, const char *const *words, size_t n);
int pki_kubeconfig(const struct pki_options *options, const char *const *words, size_t n);
int pki_token(const struct pki_options *options, const char *const *words, size_t n);
int pki_rotate_ca(const struct pki_options *options, const char *const *words, size_t n);
int pki_rescue(const struct pki_options *options, const char *const *words, size_t n);
int pki_init(const struct pki_options *options, const char *const *words, size_t n);
int pki_print_defaults(const struct pki_options *options, const char *const *words, size_t n);

// "error: …" on stderr; returns the exit status.
int pki_failed(const struct error *err);
// "error: …" and the way to --help; returns the exit status.
int pki_usage(const char *format, ...) _printf_(1, 2);

// ---- pki-files.c ----

// The whole file, or standard input where it is "-"; at most CFSSL_FILE_MAX bytes.
int pki_read(const char *path, struct buffer *ret, struct error *err);

// A CA's certificate and key, with everything that speaks against signing by them: the key is
// somebody else's, or may be read by everybody.
int pki_load_ca(const char *certificate_path, const char *key_path, X509 **ret_certificate,
                EVP_PKEY **ret_key, struct error *err);

// ---- pki-find.c ----

// What the manifests name, what lies in `dir`, and the kubeconfigs above it.
void pki_find_files(const struct pki_options *options, const char *dir,
                    struct certificate_files *ret);
// What lies in `dir` and below it.
void pki_find_in(const char *dir, struct certificate_files *ret);

// What was made. Any may be NULL.
struct pki_made {
    X509 *certificate;
    EVP_PKEY *key;
    X509_REQ *csr;
};

// As cfssl's JSON on standard output; or, with -bare NAME, into NAME.pem, NAME-key.pem and
// NAME.csr. What is there already is left alone, or (with -force) kept under its name and the date.
int pki_put_out(const struct pki_options *options, const struct pki_made *made, struct error *err);
