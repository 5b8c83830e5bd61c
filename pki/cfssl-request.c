// Certificate requests in cfssl's JSON. See cfssl.h.
#include <errno.h>
#include <openssl/objects.h>
#include <string.h>

#include "base/alloc.h"
#include "pki/cfssl-json.h"
#include "pki/cfssl.h"
#include "pki/key.h"

enum { BITS_ECDSA_DEFAULT = 256, PATH_LENGTH_MAX = 100, NAMES_MAX = 100 };

static const char *const request_fields[] = {"CN", "names",        "hosts",      "key",
                                             "ca", "serialnumber", "extensions", NULL};
static const char *const key_fields[] = {"algo", "size", NULL};
static const char *const ca_fields[] = {"expiry", "pathlen", "pathlenzero", "backdate", NULL};

// The attributes of "names", in the order in which they stand in a subject.
static const struct {
    const char *field;
    int nid;
    size_t offset;
} attributes[] = {
    {"C", NID_countryName, offsetof(struct cfssl_name, country)},
    {"ST", NID_stateOrProvinceName, offsetof(struct cfssl_name, province)},
    {"L", NID_localityName, offsetof(struct cfssl_name, locality)},
    {"O", NID_organizationName, offsetof(struct cfssl_name, organization)},
    {"OU", NID_organizationalUnitName, offsetof(struct cfssl_name, unit)},
    {"SerialNumber", NID_serialNumber, offsetof(struct cfssl_name, serial_number)},
};

static char **attribute(const struct cfssl_name *name, size_t i)
{
    return (char **)((char *)name + attributes[i].offset);
}

// ---- reading ----

static int read_name(const struct cfssl_reader *reader, const json_t *object, size_t index,
                     struct cfssl_request *request)
{
    const char *known[ARRAY_SIZE(attributes) + 1] = {0};
    _cleanup_free_ char *path = xasprintf("names[%zu]", index);
    if (!json_is_object(object))
        return cfssl_json_error(reader, path, "", "must be an object");
    struct cfssl_name *name = LIST_APPEND(&request->names);
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(attributes) && code == 0; i++) {
        known[i] = attributes[i].field;
        code = cfssl_json_text(reader, object, path, attributes[i].field, attribute(name, i));
    }
    if (code == 0)
        cfssl_json_check_names(reader, object, path, known);
    return code;
}

static int read_names(const struct cfssl_reader *reader, const json_t *top,
                      struct cfssl_request *request)
{
    const json_t *names = json_object_get(top, "names");
    if (!names || json_is_null(names))
        return 0;
    if (!json_is_array(names) || json_array_size(names) > NAMES_MAX)
        return cfssl_json_error(reader, "", "names", "must be a list of at most %d objects",
                                NAMES_MAX);
    int code = 0;
    for (size_t i = 0; i < json_array_size(names) && code == 0; i++)
        code = read_name(reader, json_array_get(names, i), i, request);
    return code;
}

static int read_key(const struct cfssl_reader *reader, const json_t *top,
                    struct cfssl_request *request)
{
    const json_t *key;
    _cleanup_error_ struct error wrong = ERROR_NONE;
    int64_t bits = 0;
    int code = cfssl_json_object(reader, top, "", "key", &key);
    if (code < 0 || !key)
        return code;
    cfssl_json_check_names(reader, key, "key", key_fields);
    code = cfssl_json_text(reader, key, "key", "algo", &request->algorithm);
    if (code == 0)
        code = cfssl_json_number(reader, key, "key", "size", 0, 1 << 20, &bits);
    if (code < 0)
        return code;
    request->bits = (unsigned)bits;
    if (bits == 0 && str_equal(request->algorithm, "ecdsa"))
        request->bits = BITS_ECDSA_DEFAULT;
    if (bits == 0 && str_equal(request->algorithm, "rsa"))
        request->bits = 2048;
    if (key_check_size(request->algorithm, request->bits, &wrong) < 0)
        return cfssl_json_error(reader, "key", "", "%s", error_message(&wrong));
    return 0;
}

static int read_ca(const struct cfssl_reader *reader, const json_t *top,
                   struct cfssl_request *request)
{
    const json_t *ca;
    int64_t length = 0;
    bool zero = false;
    int code = cfssl_json_object(reader, top, "", "ca", &ca);
    if (code < 0 || !ca)
        return code;
    cfssl_json_check_names(reader, ca, "ca", ca_fields);
    code = cfssl_json_duration(reader, ca, "ca", "expiry", &request->ca_expiry_sec);
    if (code == 0)
        code = cfssl_json_duration(reader, ca, "ca", "backdate", &request->ca_backdate_sec);
    if (code == 0)
        code = cfssl_json_number(reader, ca, "ca", "pathlen", 0, PATH_LENGTH_MAX, &length);
    if (code == 0)
        code = cfssl_json_bool(reader, ca, "ca", "pathlenzero", &zero);
    if (code == 0 && zero && length > 0)
        return cfssl_json_error(reader, "ca", "pathlenzero", "contradicts a pathlen of %d",
                                (int)length);
    request->ca_limits_path = zero || length > 0;
    request->ca_path_length = (int)length;
    return code;
}

static int read_request(const struct cfssl_reader *reader, const json_t *top,
                        struct cfssl_request *request)
{
    request->algorithm = xstrdup("ecdsa");
    request->bits = BITS_ECDSA_DEFAULT;
    cfssl_json_check_names(reader, top, "", request_fields);
    int code = cfssl_json_text(reader, top, "", "CN", &request->common_name);
    if (code == 0)
        code = cfssl_json_text(reader, top, "", "serialnumber", &request->serial_number);
    if (code == 0)
        code = cfssl_json_texts(reader, top, "", "hosts", &request->hosts);
    if (code == 0)
        code = read_names(reader, top, request);
    if (code == 0)
        code = read_key(reader, top, request);
    if (code == 0)
        code = read_ca(reader, top, request);
    return code;
}

// cfssl's own print-defaults and many guides leave "" in the list where a name was.
static void drop_empty_hosts(struct cfssl_request *request)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->hosts.n; i++) {
        if (*request->hosts.items[i])
            request->hosts.items[kept++] = request->hosts.items[i];
        else
            free(request->hosts.items[i]);
    }
    request->hosts.n = kept;
}

int cfssl_request_read(const char *file, const void *data, size_t size, struct cfssl_request *ret,
                       struct string_list *warnings, struct error *err)
{
    struct cfssl_reader reader = {.file = file, .warnings = warnings, .err = err};
    struct cfssl_request request = {0};
    json_t *top = NULL;
    int code = cfssl_json_load(&reader, data, size, &top);
    if (code == 0)
        code = read_request(&reader, top, &request);
    json_decref(top);
    if (code < 0) {
        cfssl_request_free(&request);
        return code;
    }
    drop_empty_hosts(&request);
    *ret = request;
    return 0;
}

void cfssl_request_free(struct cfssl_request *request)
{
    if (!request)
        return;
    free(request->common_name);
    free(request->serial_number);
    LIST_EACH (name, &request->names)
        for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
            free(*attribute(name, i));
    free(request->names.items);
    string_list_free(&request->hosts);
    free(request->algorithm);
    *request = (struct cfssl_request){0};
}

// ---- the subject ----

// X.680: what a PrintableString may hold; Go takes that form where it can, else UTF-8.
static bool is_printable(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  " '()+,-./:=?";
    return text[strspn(text, allowed)] == '\0';
}

// `with_last`: a further value of the attribute that was added last.
static bool add_value(X509_NAME *subject, int nid, const char *text, bool with_last)
{
    int type = is_printable(text) ? V_ASN1_PRINTABLESTRING : MBSTRING_UTF8;
    return X509_NAME_add_entry_by_NID(subject, nid, type, (const unsigned char *)text, -1, -1,
                                      with_last ? -1 : 0) == 1;
}

static bool add_attribute(X509_NAME *subject, const struct cfssl_request *request, size_t i)
{
    bool ok = true, added = false;
    LIST_EACH (name, &request->names) {
        const char *text = *attribute(name, i);
        if (!text || !ok)
            continue;
        ok = add_value(subject, attributes[i].nid, text, added);
        added = true;
    }
    return ok;
}

int cfssl_request_subject(const struct cfssl_request *request, X509_NAME **ret, struct error *err)
{
    X509_NAME *subject = X509_NAME_new();
    bool ok = subject != NULL;
    size_t serial = ARRAY_SIZE(attributes) - 1;
    for (size_t i = 0; ok && i < serial; i++)
        ok = add_attribute(subject, request, i);
    if (ok && request->common_name)
        ok = add_value(subject, NID_commonName, request->common_name, false);
    ok = ok && add_attribute(subject, request, serial);
    if (ok && request->serial_number)
        ok = add_value(subject, NID_serialNumber, request->serial_number, false);
    if (!ok) {
        X509_NAME_free(subject);
        return openssl_error(err, EINVAL, "the subject cannot be put into a certificate");
    }
    *ret = subject;
    return 0;
}
