// Whether a certificate that is already there does what it is there for.
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/time-format.h"
#include "pki/certificate.h"

walltime certificate_time(const ASN1_TIME *t)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return (walltime){0};
    return (walltime){(int64_t)timegm(&tm) * NSEC_PER_SEC};
}

walltime certificate_not_after(X509 *certificate)
{
    return certificate_time(X509_get0_notAfter(certificate));
}

static void complain(struct buffer *wrong, const char *format, ...) _printf_(2, 3);
static void complain(struct buffer *wrong, const char *format, ...)
{
    if (wrong->len > 0)
        buffer_add_str(wrong, "; ");
    va_list args;
    va_start(args, format);
    buffer_vprintf(wrong, format, args);
    va_end(args);
}

static void check_time(X509 *certificate, walltime now, struct buffer *wrong)
{
    char text[RFC3339_NANO_SIZE];
    walltime from = certificate_time(X509_get0_notBefore(certificate));
    walltime to = certificate_not_after(certificate);
    if (now.nsec < from.nsec)
        complain(wrong, "not valid before %s (is this machine's clock right?)",
                 walltime_format(from, text));
    if (now.nsec > to.nsec)
        complain(wrong, "expired on %s", walltime_format(to, text));
}

static bool has_dns_name(X509 *certificate, const char *name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *general = sk_GENERAL_NAME_value(names, i);
        if (general->type != GEN_DNS)
            continue;
        const ASN1_STRING *value = general->d.dNSName;
        found = (size_t)ASN1_STRING_length(value) == strlen(name) &&
                strncasecmp((const char *)ASN1_STRING_get0_data(value), name, strlen(name)) == 0;
    }
    GENERAL_NAMES_free(names);
    return found;
}

static bool covers(X509 *certificate, const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1)
        return X509_check_ip_asc(certificate, name, 0) == 1;
    return X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1 ||
           has_dns_name(certificate, name);
}

static void check_names(X509 *certificate, const struct string_list *names, struct buffer *wrong)
{
    for (size_t i = 0; names && i < names->n; i++) {
        if (!covers(certificate, names->items[i]))
            complain(wrong, "does not name %s", names->items[i]);
    }
}

static void check_usages(X509 *certificate, const struct certificate_spec *spec,
                         struct buffer *wrong)
{
    uint32_t usages = X509_get_extended_key_usage(certificate);
    if (spec->is_ca && X509_check_ca(certificate) < 1)
        complain(wrong, "is not a CA");
    if ((spec->usages & CERTIFICATE_SERVER) && !(usages & XKU_SSL_SERVER))
        complain(wrong, "may not be used by a server (extended key usage)");
    if ((spec->usages & CERTIFICATE_CLIENT) && !(usages & XKU_SSL_CLIENT))
        complain(wrong, "may not be used by a client (extended key usage)");
}

static bool subject_has(X509 *certificate, int nid, const char *value)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, nid, i)) >= 0;) {
        const ASN1_STRING *data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
        if ((size_t)ASN1_STRING_length(data) == strlen(value) &&
            memcmp(ASN1_STRING_get0_data(data), value, strlen(value)) == 0)
            return true;
    }
    return false;
}

static void check_subject(X509 *certificate, const struct certificate_spec *spec,
                          struct buffer *wrong)
{
    if (!subject_has(certificate, NID_commonName, spec->common_name))
        complain(wrong, "its common name is not %s", spec->common_name);
    if (spec->organization && !subject_has(certificate, NID_organizationName, spec->organization))
        complain(wrong, "its organization is not %s", spec->organization);
}

static void check_issuer(X509 *certificate, X509 *issuer, struct buffer *wrong)
{
    if (X509_check_issued(issuer, certificate) != X509_V_OK)
        complain(wrong, "was not issued by this CA");
    else if (X509_verify(certificate, X509_get0_pubkey(issuer)) != 1)
        complain(wrong, "its signature is not this CA's");
    ERR_clear_error();
}

int certificate_check(X509 *certificate, const struct certificate_expectation *expectation,
                      struct error *err)
{
    const struct certificate_spec *spec = expectation->spec;
    _cleanup_buffer_ struct buffer wrong = BUFFER_EMPTY;
    check_time(certificate, expectation->now, &wrong);
    if ((expectation->issuer || !spec->is_ca) && !expectation->any_issuer)
        check_issuer(certificate, expectation->issuer ? expectation->issuer : certificate, &wrong);
    if (expectation->key && X509_check_private_key(certificate, expectation->key) != 1) {
        ERR_clear_error();
        complain(&wrong, "does not belong to the key beside it");
    }
    check_usages(certificate, spec, &wrong);
    if (expectation->subject)
        check_subject(certificate, spec, &wrong);
    check_names(certificate, spec->alt_names, &wrong);
    return wrong.len > 0 ? error_set(err, EINVAL, "%s", buffer_str(&wrong)) : 0;
}
