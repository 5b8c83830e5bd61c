// The commands of cfssl, as guides print them: gencert, genkey, sign, selfsign, certinfo and
// print-defaults.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "cli/commands.h"
#include "cli/pki.h"
#include "pki/cfssl.h"
#include "pki/csr.h"

enum {
    CA_EXPIRY_SEC = 43800 * 3600,  // csr.CAConfig of cfssl: five years
    SELF_EXPIRY_SEC = 2190 * 3600, // cli/selfsign of cfssl
};

struct work {
    const struct pki_options *options;
    struct string_list warnings;
    struct cfssl_request request;
    struct cfssl_config config;
    X509_NAME *subject;
    X509 *ca;
    EVP_PKEY *ca_key;
    struct pki_made made;
    struct error err;
};

static void work_free(struct work *w)
{
    string_list_free(&w->warnings);
    cfssl_request_free(&w->request);
    cfssl_config_free(&w->config);
    X509_NAME_free(w->subject);
    X509_free(w->ca);
    EVP_PKEY_free(w->ca_key);
    X509_free(w->made.certificate);
    EVP_PKEY_free(w->made.key);
    X509_REQ_free(w->made.csr);
    error_clear(&w->err);
}

// Warnings, then what was made or what went wrong: the exit status.
static int finish(struct work *w, int code)
{
    LIST_EACH (warning, &w->warnings)
        fprintf(stderr, "warning: %s\n", *warning);
    if (code == 0)
        code = pki_put_out(w->options, &w->made, &w->err);
    int status = code < 0 ? pki_failed(&w->err) : CLI_DONE;
    work_free(w);
    return status;
}

// ---- the pieces of the work ----

// -hostname=a,b replaces what the request names, as in cfssl.
static void take_hostnames(struct work *w, struct string_list *hosts)
{
    const char *text = w->options->hostname;
    if (!text || !*text)
        return;
    string_list_free(hosts);
    *hosts = (struct string_list){0};
    while (*text) {
        size_t n = strcspn(text, ",");
        if (n > 0)
            string_list_add_owned(hosts, xstrndup(text, n));
        text += n + (text[n] == ',');
    }
}

static int read_request(struct work *w, const char *file)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const char *name = str_equal(file, "-") ? "standard input" : file;
    int code = pki_read(file, &text, &w->err);
    if (code == 0)
        code = cfssl_request_read(name, text.data, text.len, &w->request, &w->warnings, &w->err);
    if (code < 0)
        return code;
    take_hostnames(w, &w->request.hosts);
    return cfssl_request_subject(&w->request, &w->subject, &w->err);
}

static int make_key_and_csr(struct work *w)
{
    int code = 0;
    if (!w->made.key)
        code = key_generate_sized(w->request.algorithm, w->request.bits, &w->made.key, &w->err);
    if (code == 0)
        code = csr_make(w->subject, &w->request.hosts, w->made.key, &w->made.csr, &w->err);
    return code;
}

static int read_config(struct work *w, const struct cfssl_profile **ret)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = 0;
    if (!w->options->config) {
        cfssl_config_default(&w->config);
    } else {
        code = pki_read(w->options->config, &text, &w->err);
        if (code == 0)
            code = cfssl_config_read(w->options->config, text.data, text.len, &w->config,
                                     &w->warnings, &w->err);
    }
    return code < 0 ? code : cfssl_config_profile(&w->config, w->options->profile, ret, &w->err);
}

// A server without names is the most frequent mistake of all.
static void warn_of_missing_hosts(struct work *w, const struct certificate_spec *spec)
{
    bool none = !spec->alt_names || spec->alt_names->n == 0;
    if (none && (spec->usages & CERTIFICATE_SERVER))
        string_list_add(
            &w->warnings,
            "the certificate is for a server, but names no hosts: clients will refuse it. "
            "Put its DNS names and IP addresses into \"hosts\"");
}

static void warn_of_early_end(struct work *w, const struct cfssl_profile *profile)
{
    char text[RFC3339_NANO_SIZE];
    walltime end = certificate_not_after(w->made.certificate);
    walltime start = certificate_time(X509_get0_notBefore(w->made.certificate));
    if (end.nsec < start.nsec + profile->expiry_sec * NSEC_PER_SEC)
        string_list_add_owned(&w->warnings,
                              xasprintf("the CA ends before the profile's expiry, and so does the "
                                        "certificate: %s",
                                        walltime_format(end, text)));
}

// By the CA of -ca and the policy of -config.
static int sign_for(struct work *w, EVP_PKEY *key, const struct string_list *hosts)
{
    const struct cfssl_profile *profile = NULL;
    const struct pki_options *options = w->options;
    int code = pki_load_ca(options->ca, options->ca_key, &w->ca, &w->ca_key, &w->err);
    if (code == 0)
        code = read_config(w, &profile);
    if (code < 0 || !profile)
        return code;
    struct certificate_spec spec = {
        .subject = w->subject,
        .is_ca = profile->is_ca,
        .limits_path = profile->limits_path,
        .path_length = profile->path_length,
        .key_usage = profile->key_usage,
        .usages = profile->usages,
        .alt_names = profile->is_ca ? NULL : hosts, // cfssl leaves a CA its IP addresses only
        .lifetime_sec = profile->expiry_sec,
        .lives_from_start = true,
        .backdate_sec = profile->backdate_sec,
        .ocsp_url = profile->ocsp_url,
        .crl_url = profile->crl_url,
    };
    warn_of_missing_hosts(w, &spec);
    code = certificate_make(&spec, key, w->ca, w->ca_key, &w->made.certificate, &w->err);
    if (code == 0)
        warn_of_early_end(w, profile);
    return code;
}

static int make_ca(struct work *w)
{
    const struct cfssl_request *request = &w->request;
    int64_t expiry = request->ca_expiry_sec > 0 ? request->ca_expiry_sec : CA_EXPIRY_SEC;
    struct certificate_spec spec = {
        .subject = w->subject,
        .is_ca = true,
        .limits_path = request->ca_limits_path,
        .path_length = request->ca_path_length,
        .key_usage = KU_KEY_CERT_SIGN | KU_CRL_SIGN,
        .alt_names = &request->hosts,
        .lifetime_sec = expiry,
        .lives_from_start = true,
        .backdate_sec = request->ca_backdate_sec,
    };
    return certificate_make(&spec, w->made.key, NULL, NULL, &w->made.certificate, &w->err);
}

// ---- gencert ----

// The same CA for as long again: same subject, same key. From a request (-initca -ca-key) or from
// the certificate (-renewca).
static int renew_ca(struct work *w)
{
    int code = pki_load_ca(w->options->ca, w->options->ca_key, &w->ca, &w->made.key, &w->err);
    if (code < 0)
        return code;
    int64_t from = certificate_time(X509_get0_notBefore(w->ca)).nsec;
    int64_t lifetime = (certificate_not_after(w->ca).nsec - from) / NSEC_PER_SEC;
    long length = X509_get_pathlen(w->ca);
    struct certificate_spec spec = {
        .subject = X509_get_subject_name(w->ca),
        .is_ca = true,
        .limits_path = length >= 0,
        .path_length = (int)length,
        .key_usage = X509_get_key_usage(w->ca),
        .lifetime_sec = lifetime,
        .lives_from_start = true,
    };
    if (X509_check_ca(w->ca) != 1)
        return error_set(&w->err, EINVAL, "%s: is not a CA", w->options->ca);
    code = certificate_make(&spec, w->made.key, NULL, NULL, &w->made.certificate, &w->err);
    if (code == 0)
        code = csr_make(X509_get_subject_name(w->ca), NULL, w->made.key, &w->made.csr, &w->err);
    EVP_PKEY_free(TAKE_PTR(w->made.key)); // it stays where it is
    return code;
}

static int generate_ca(struct work *w, const char *file)
{
    int code = read_request(w, file);
    if (code == 0 && w->options->ca_key)
        code = key_load(w->options->ca_key, &w->made.key, NULL, &w->err);
    if (code == 0)
        code = make_key_and_csr(w);
    if (code == 0)
        code = make_ca(w);
    if (w->options->ca_key)
        EVP_PKEY_free(TAKE_PTR(w->made.key));
    return code;
}

static int generate(struct work *w, const char *file)
{
    int code = read_request(w, file);
    if (code == 0)
        code = make_key_and_csr(w);
    return code < 0 ? code : sign_for(w, w->made.key, &w->request.hosts);
}

int pki_gencert(const struct pki_options *options, const char *const *words, size_t n)
{
    struct work w = {.options = options};
    if (options->renewca) {
        if (n != 0 || !options->ca || !options->ca_key)
            return pki_usage("gencert -renewca takes -ca and -ca-key, and no file");
        return finish(&w, renew_ca(&w));
    }
    if (n != 1)
        return pki_usage(
            "gencert takes one file with a request, such as ca-csr.json (\"-\" is standard "
            "input)");
    if (options->initca)
        return finish(&w, generate_ca(&w, words[0]));
    if (!options->ca || !options->ca_key)
        return pki_usage(
            "gencert needs a CA to sign with: -ca=ca.pem -ca-key=ca-key.pem; or make one: "
            "-initca");
    return finish(&w, generate(&w, words[0]));
}

int pki_genkey(const struct pki_options *options, const char *const *words, size_t n)
{
    struct work w = {.options = options};
    if (n != 1)
        return pki_usage("genkey takes one file with a request (\"-\" is standard input)");
    if (options->initca)
        return finish(&w, generate_ca(&w, words[0]));
    int code = read_request(&w, words[0]);
    return finish(&w, code < 0 ? code : make_key_and_csr(&w));
}

// ---- sign, selfsign ----

static int sign_csr(struct work *w, const char *file)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_x509_req_ X509_REQ *csr = NULL;
    _cleanup_string_list_ struct string_list hosts = {0};
    int code = pki_read(file, &text, &w->err);
    if (code < 0)
        return code;
    code = csr_from_pem(buffer_str(&text), text.len, &csr, &w->err);
    if (code < 0)
        return error_prefix(&w->err, code, "%s", file);
    csr_alt_names(csr, &hosts);
    take_hostnames(w, &hosts);
    w->subject = X509_NAME_dup(X509_REQ_get_subject_name(csr));
    code = sign_for(w, X509_REQ_get0_pubkey(csr), &hosts);
    w->made.csr = TAKE_PTR(csr);
    return code;
}

int pki_sign(const struct pki_options *options, const char *const *words, size_t n)
{
    struct work w = {.options = options};
    const char *file = options->csr ? options->csr : n > 0 ? words[0] : NULL;
    if (n > 1 || !file)
        return pki_usage(
            "sign takes one file with a request in PEM form (\"-\" is standard input)");
    if (!options->ca || !options->ca_key)
        return pki_usage("sign needs a CA to sign with: -ca=ca.pem -ca-key=ca-key.pem");
    return finish(&w, sign_csr(&w, file));
}

int pki_selfsign(const struct pki_options *options, const char *const *words, size_t n)
{
    struct work w = {.options = options};
    if (n != 2)
        return pki_usage("selfsign takes a host name and a file with a request");
    int code = read_request(&w, words[1]);
    if (code == 0 && *words[0] && !string_list_contains(&w.request.hosts, words[0]))
        string_list_add(&w.request.hosts, words[0]);
    if (code == 0)
        code = make_key_and_csr(&w);
    struct certificate_spec spec = {
        .subject = w.subject,
        .usages = CERTIFICATE_SERVER | CERTIFICATE_CLIENT,
        .alt_names = &w.request.hosts,
        .lifetime_sec = SELF_EXPIRY_SEC,
        .lives_from_start = true,
    };
    if (code == 0)
        code = certificate_make(&spec, w.made.key, NULL, NULL, &w.made.certificate, &w.err);
    return finish(&w, code);
}

// ---- certinfo, print-defaults ----

static int print_info(const char *file, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_x509_ X509 *certificate = NULL;
    int code = pki_read(file, &text, err);
    if (code < 0)
        return code;
    code = certificate_from_pem(buffer_str(&text), text.len, &certificate, err);
    if (code < 0)
        return error_prefix(err, code, "%s", file);
    json_t *info = cfssl_certificate_info(certificate, err);
    if (!info)
        return -EINVAL;
    json_dumpf(info, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(info);
    return 0;
}

int pki_certinfo(const struct pki_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *file = options->cert ? options->cert : n > 0 ? words[0] : NULL;
    if (!file || n > (options->cert ? 0 : 1))
        return pki_usage("certinfo takes one certificate: certinfo -cert ca.pem (\"-\" is standard "
                         "input)");
    return print_info(file, &err) < 0 ? pki_failed(&err) : CLI_DONE;
}

int pki_print_defaults(const struct pki_options *options, const char *const *words, size_t n)
{
    bool csr = n == 1 && str_equal(words[0], "csr");
    if (!csr && !(n == 1 && str_equal(words[0], "config")))
        return pki_usage("print-defaults takes csr or config");
    fputs(csr ? cfssl_default_csr : cfssl_default_config, stdout);
    return CLI_DONE;
}
