// See alt-names.h.
#include "pki/alt-names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "pki/key.h"

enum { DNS_NAME_MAX = 253, DNS_LABEL_MAX = 63, NAME_MAX_LENGTH = 1024 };

static size_t ip_bytes(const char *name, unsigned char *bytes)
{
    if (inet_pton(AF_INET, name, bytes) == 1)
        return sizeof(struct in_addr);
    return inet_pton(AF_INET6, name, bytes) == 1 ? sizeof(struct in6_addr) : 0;
}

static bool is_dns_label(const char *label, size_t len)
{
    if (len == 0 || len > DNS_LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!islower((unsigned char)label[i]) && !isdigit((unsigned char)label[i]) &&
            label[i] != '-')
            return false;
    }
    return true;
}

bool certificate_name_is_valid(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (ip_bytes(name, bytes) > 0)
        return true;
    if (str_starts_with(name, "*."))
        name += 2;
    if (strlen(name) > DNS_NAME_MAX)
        return false;
    for (;;) {
        size_t len = strcspn(name, ".");
        if (!is_dns_label(name, len))
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
}

// Printable, without blanks: what an IA5String may hold and a person can read.
static bool is_text(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)text[i]))
            return false;
    return length > 0 && length <= NAME_MAX_LENGTH;
}

static bool is_uri(const char *name)
{
    const char *colon = strstr(name, "://");
    if (!colon || colon == name || !colon[3] || !is_text(name))
        return false;
    for (const char *p = name; p < colon; p++)
        if (!isalnum((unsigned char)*p) && !strchr("+-.", *p))
            return false;
    return isalpha((unsigned char)*name);
}

static bool is_mail_address(const char *name)
{
    const char *at = strchr(name, '@');
    return at && at != name && is_text(name) && !strchr(at + 1, '@') && *(at + 1) != '*' &&
           certificate_name_is_valid(at + 1);
}

// The form of a name, or -1.
static int form_of(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (ip_bytes(name, bytes) > 0)
        return GEN_IPADD;
    if (is_uri(name))
        return GEN_URI;
    if (is_mail_address(name))
        return GEN_EMAIL;
    return certificate_name_is_valid(name) ? GEN_DNS : -1;
}

static GENERAL_NAME *general_name(const char *name, int form)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    size_t n = form == GEN_IPADD ? ip_bytes(name, bytes) : 0;
    GENERAL_NAME *general = GENERAL_NAME_new();
    ASN1_STRING *value = n > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (!general || !value ||
        ASN1_STRING_set(value, n > 0 ? (const void *)bytes : name, n > 0 ? (int)n : -1) != 1) {
        GENERAL_NAME_free(general);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(general, form, value);
    return general;
}

static bool add_form(GENERAL_NAMES *to, const struct string_list *names, int form)
{
    for (size_t i = 0; i < names->n; i++) {
        struct string_list before = {names->items, i};
        if (form_of(names->items[i]) != form || string_list_contains(&before, names->items[i]))
            continue;
        GENERAL_NAME *name = general_name(names->items[i], form);
        if (!name || sk_GENERAL_NAME_push(to, name) <= 0) {
            GENERAL_NAME_free(name);
            return false;
        }
    }
    return true;
}

int alt_names_make(const struct string_list *names, GENERAL_NAMES **ret, struct error *err)
{
    static const int forms[] = {GEN_DNS, GEN_EMAIL, GEN_IPADD, GEN_URI};
    *ret = NULL;
    for (size_t i = 0; names && i < names->n; i++)
        if (form_of(names->items[i]) < 0)
            return error_set(
                err, EINVAL,
                "\"%.200s\" is neither an IP address nor a DNS name, a mail address or a "
                "URI",
                names->items[i]);
    if (!names || names->n == 0)
        return 0;
    _cleanup_general_names_ GENERAL_NAMES *made = sk_GENERAL_NAME_new_null();
    bool ok = made != NULL;
    for (size_t i = 0; ok && i < ARRAY_SIZE(forms); i++)
        ok = add_form(made, names, forms[i]);
    if (!ok)
        return openssl_error(err, ENOMEM, "cannot add the subject alternative names");
    *ret = TAKE_PTR(made);
    return 0;
}

static char *ip_text(const ASN1_OCTET_STRING *ip)
{
    char text[INET6_ADDRSTRLEN];
    int n = ASN1_STRING_length(ip);
    int family = n == (int)sizeof(struct in_addr)    ? AF_INET
                 : n == (int)sizeof(struct in6_addr) ? AF_INET6
                                                     : AF_UNSPEC;
    if (family == AF_UNSPEC || !inet_ntop(family, ASN1_STRING_get0_data(ip), text, sizeof(text)))
        return NULL;
    return xstrdup(text);
}

// What somebody else wrote may hold NUL bytes, which no C string tells.
static char *ia5_text(const ASN1_IA5STRING *value)
{
    const char *data = (const char *)ASN1_STRING_get0_data(value);
    size_t length = (size_t)ASN1_STRING_length(value);
    return memchr(data, '\0', length) ? NULL : xstrndup(data, length);
}

void alt_names_list(const GENERAL_NAMES *names, struct string_list *ret)
{
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        int form;
        void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &form);
        char *text = form == GEN_IPADD                                         ? ip_text(value)
                     : form == GEN_DNS || form == GEN_EMAIL || form == GEN_URI ? ia5_text(value)
                                                                               : NULL;
        if (text)
            string_list_add_owned(ret, text);
    }
}
