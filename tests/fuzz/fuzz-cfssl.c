// cfssl's JSON files and PEM requests, as anybody may hand them in; what is read is made into a
// subject and its names, too.
#include <stddef.h>
#include <stdint.h>

#include "pki/alt-names.h"
#include "pki/cfssl.h"
#include "pki/csr.h"

static void read_request(const char *text, size_t size)
{
    _cleanup_cfssl_request_ struct cfssl_request request = {0};
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    X509_NAME *subject = NULL;
    _cleanup_general_names_ GENERAL_NAMES *names = NULL;
    if (cfssl_request_read("fuzz", text, size, &request, &warnings, &err) < 0)
        return;
    if (cfssl_request_subject(&request, &subject, NULL) == 0)
        X509_NAME_free(subject);
    if (alt_names_make(&request.hosts, &names, NULL) == 0) {
        _cleanup_string_list_ struct string_list list = {0};
        alt_names_list(names, &list);
    }
}

static void read_config(const char *text, size_t size)
{
    _cleanup_cfssl_config_ struct cfssl_config config = {0};
    _cleanup_string_list_ struct string_list warnings = {0};
    const struct cfssl_profile *profile = NULL;
    if (cfssl_config_read("fuzz", text, size, &config, &warnings, NULL) == 0)
        cfssl_config_profile(&config, "peer", &profile, NULL);
}

static void read_csr(const char *text, size_t size)
{
    _cleanup_x509_req_ X509_REQ *csr = NULL;
    _cleanup_string_list_ struct string_list names = {0};
    if (csr_from_pem(text, size, &csr, NULL) == 0)
        csr_alt_names(csr, &names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data;
    read_request(text, size);
    read_config(text, size);
    read_csr(text, size);
    return 0;
}
