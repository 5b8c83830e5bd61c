// See check.h: the age of the certificates that the manifests' flags name, of the CAs beside them
// and of those inside kubeconfigs.
#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "cli/certificate-files.h"
#include "cli/node-manifests.h"
#include "pki/certificate.h"
#include "pki/key.h"
#include "pki/kubeconfig.h"

enum {
    FILE_MAX_BYTES = 1 << 20,
    TOLD_MOST = 4, // further ones are counted
};

struct look {
    const struct check_options *options;
    walltime now;
    struct certificate_files files;
    size_t n, n_bad; // certificates, and those that are not well
    walltime first;  // to expire
    char *first_file;
    struct buffer *bad;
};

// ---- how long ----

// The first few by name: what cannot be renewed one by one need not be told one by one.
static void complain(struct look *look, const char *format, ...) _printf_(2, 3);
static void complain(struct look *look, const char *format, ...)
{
    va_list args;
    if (look->n_bad++ >= TOLD_MOST)
        return;
    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    check_add(look->bad, "%s", text);
}

static void judge(struct look *look, const char *file, X509 *certificate)
{
    char until[RFC3339_NANO_SIZE], left[DURATION_SIZE];
    walltime end = certificate_not_after(certificate);
    int64_t sec = (end.nsec - look->now.nsec) / NSEC_PER_SEC;
    look->n++;
    if (!look->first_file || end.nsec < look->first.nsec) {
        free(look->first_file);
        look->first_file = xstrdup(file);
        look->first = end;
    }
    walltime_format(end, until);
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        complain(look, "%s is not valid yet", file);
    if (sec <= 0)
        complain(look, "%s has expired, %s ago (%s)", file, duration_format_human(-sec, left),
                 until);
    else if (sec < look->options->days * CERTIFICATE_DAY_SEC)
        complain(look, "%s expires in %s (%s)", file, duration_format_human(sec, left), until);
}

// Every certificate of a PEM file: a bundle of CAs has several.
static void judge_pem(struct look *look, const char *file, const char *text)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    for (text = strstr(text, begin); text; text = strstr(text + strlen(begin), begin)) {
        _cleanup_error_ struct error err = ERROR_NONE;
        _cleanup_x509_ X509 *certificate = NULL;
        if (certificate_from_pem(text, strlen(text), &certificate, &err) < 0)
            complain(look, "%s: %s", file, error_message(&err));
        else
            judge(look, file, certificate);
    }
}

static void judge_kubeconfig(struct look *look, const char *file)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    if (kubeconfig_load(file, &content, &err) < 0) {
        complain(look, "%s: %s", file, error_message(&err));
        return;
    }
    if (!content.certificate && !content.ca && !content.server)
        complain(look, "%s holds no certificate", file);
    if (content.certificate)
        judge(look, file, content.certificate);
    if (content.ca)
        judge(look, file, content.ca);
}

static void judge_file(struct look *look, const char *file)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY; // a kubeconfig holds a key
    int r = fs_read_file(AT_FDCWD, file, FILE_MAX_BYTES, &text);
    if (r < 0)
        complain(look, "%s: %s", file, strerror(-r));
    else if (strstr(buffer_str(&text), "-----BEGIN CERTIFICATE-----"))
        judge_pem(look, file, buffer_str(&text));
    else
        judge_kubeconfig(look, file);
}

// ---- the check ----

static int find_files(struct look *look, const char *const *words, size_t n, struct error *err)
{
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    for (size_t i = 0; i < n; i++)
        certificate_files_get(&look->files, words[i]);
    if (n > 0)
        return 0;
    _cleanup_free_ char *path = check_manifest_path(look->options);
    int r = node_manifests_load(path, NULL, &manifests, err);
    if (r < 0)
        return r;
    certificate_files_find(&manifests, &look->files);
    for (size_t i = 0; i < manifests.passed_over.n; i++)
        complain(look, "%s", manifests.passed_over.items[i]);
    return 0;
}

static void say_good(const struct look *look, struct buffer *out)
{
    char left[DURATION_SIZE];
    int64_t sec = (look->first.nsec - look->now.nsec) / NSEC_PER_SEC;
    if (look->n == 0)
        buffer_add_str(out, "no manifest names a certificate");
    else if (look->n == 1)
        buffer_printf(out, "%s is valid, for %s more", look->first_file,
                      duration_format_human(sec, left));
    else
        buffer_printf(out, "%zu certificates in %zu %s are valid; the first to expire is %s, in %s",
                      look->n, look->files.n, look->files.n == 1 ? "file" : "files",
                      look->first_file, duration_format_human(sec, left));
}

int check_certificates(const struct check_options *options, const char *const *words, size_t n,
                       struct buffer *out, struct error *err)
{
    struct look look = {.options = options, .now = walltime_now(), .bad = out};
    int r = find_files(&look, words, n, err);
    for (size_t i = 0; i < look.files.n && r == 0; i++)
        judge_file(&look, look.files.items[i].path);
    if (look.n_bad > TOLD_MOST)
        check_add(out, "and %zu more", look.n_bad - TOLD_MOST);
    bool well = out->len == 0;
    if (well && r == 0)
        say_good(&look, out);
    certificate_files_free(&look.files);
    free(look.first_file);
    return r < 0 ? r : well;
}
