// Subject alternative names, told apart by their form as cfssl and Go do: an IP address, a URI
// ("scheme://…"), a mail address, else a DNS name (also "*.x").
#pragma once

#include <openssl/x509v3.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/string-list.h"

// True for an IP address, a DNS-1123 name or such a name behind "*.".
bool certificate_name_is_valid(const char *name);

// The names in Go's order (DNS, mail, IP, URI), each once; *ret is NULL where there are none.
// -EINVAL where one has none of the forms.
int alt_names_make(const struct string_list *names, GENERAL_NAMES **ret, struct error *err);

// The names of a certificate or request as texts, in its order. Others than the four forms are left
// out.
void alt_names_list(const GENERAL_NAMES *names, struct string_list *ret);

DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)
#define _cleanup_general_names_ _cleanup_(cleanup_GENERAL_NAMES_free)
