// Signing policies in cfssl's JSON, and what cfssl does without one. See cfssl.h.
#include <errno.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/alloc.h"
#include "pki/cfssl-json.h"
#include "pki/cfssl.h"
#include "pki/usages.h"

enum { EXPIRY_DEFAULT_SEC = 8760 * 3600, PATH_LENGTH_MAX = 100, PROFILES_MAX = 200 };

static const char *const top_fields[] = {"signing", "auth_keys", "remotes", "ocsp", NULL};
static const char *const signing_fields[] = {"default", "profiles", NULL};
static const char *const profile_fields[] = {
    "usages",          "expiry",   "backdate", "ca_constraint", "ocsp_url",  "crl_url",
    "issuer_urls",     "auth_key", "remote",   "not_before",    "not_after", "name_whitelist",
    "copy_extensions", NULL};
static const char *const constraint_fields[] = {"is_ca", "max_path_len", "max_path_len_zero", NULL};

// What would change who may have which certificate, and is not done here.
static const struct {
    const char *field, *why;
} refused[] = {
    {"auth_key", "requests over the network are not served here"},
    {"remote", "another signer is not asked; sign with the CA's key on this machine"},
    {"name_whitelist", "names are not checked against an expression here"},
    {"not_before", "fixed dates are not supported; use expiry"},
    {"not_after", "fixed dates are not supported; use expiry"},
};

static int refuse_fields(const struct cfssl_reader *reader, const json_t *object, const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const json_t *value = json_object_get(object, refused[i].field);
        bool asks =
            value && !json_is_null(value) && !(json_is_string(value) && !*json_string_value(value));
        if (asks)
            return cfssl_json_error(reader, path, refused[i].field, "%s", refused[i].why);
    }
    return 0;
}

static int read_usages(const struct cfssl_reader *reader, const json_t *object, const char *path,
                       struct cfssl_profile *profile)
{
    _cleanup_string_list_ struct string_list names = {0};
    int code = cfssl_json_texts(reader, object, path, "usages", &names);
    LIST_EACH (name, &names) {
        if (usage_from_name(*name, &profile->key_usage, &profile->usages))
            continue;
        const char *nearest = usage_nearest(*name);
        return cfssl_json_error(reader, path, "usages", "unknown usage \"%.60s\"%s%s%s", *name,
                                nearest ? " (did you mean \"" : "", nearest ? nearest : "",
                                nearest ? "\"?)" : "");
    }
    return code;
}

static int read_constraint(const struct cfssl_reader *reader, const json_t *object,
                           const char *path, struct cfssl_profile *profile)
{
    const json_t *constraint;
    int64_t length = 0;
    bool zero = false;
    int code = cfssl_json_object(reader, object, path, "ca_constraint", &constraint);
    if (code < 0 || !constraint)
        return code;
    _cleanup_free_ char *below = xasprintf("%s.ca_constraint", path);
    cfssl_json_check_names(reader, constraint, below, constraint_fields);
    code = cfssl_json_bool(reader, constraint, below, "is_ca", &profile->is_ca);
    if (code == 0)
        code = cfssl_json_number(reader, constraint, below, "max_path_len", 0, PATH_LENGTH_MAX,
                                 &length);
    if (code == 0)
        code = cfssl_json_bool(reader, constraint, below, "max_path_len_zero", &zero);
    profile->limits_path = zero || length > 0;
    profile->path_length = (int)length;
    return code;
}

static int read_profile(const struct cfssl_reader *reader, const json_t *object, const char *path,
                        struct cfssl_profile *profile)
{
    if (!json_is_object(object))
        return cfssl_json_error(reader, path, "", "must be an object");
    cfssl_json_check_names(reader, object, path, profile_fields);
    int code = refuse_fields(reader, object, path);
    if (code == 0)
        code = read_usages(reader, object, path, profile);
    if (code == 0)
        code = cfssl_json_duration(reader, object, path, "expiry", &profile->expiry_sec);
    if (code == 0)
        code = cfssl_json_duration(reader, object, path, "backdate", &profile->backdate_sec);
    if (code == 0)
        code = read_constraint(reader, object, path, profile);
    if (code == 0)
        code = cfssl_json_text(reader, object, path, "ocsp_url", &profile->ocsp_url);
    if (code == 0)
        code = cfssl_json_text(reader, object, path, "crl_url", &profile->crl_url);
    return code;
}

static int read_profiles(const struct cfssl_reader *reader, const json_t *signing,
                         struct cfssl_config *config)
{
    const json_t *profiles;
    const char *name;
    json_t *object;
    int code = cfssl_json_object(reader, signing, "signing", "profiles", &profiles);
    if (code < 0 || !profiles)
        return code;
    if (json_object_size(profiles) > PROFILES_MAX)
        return cfssl_json_error(reader, "signing", "profiles", "has more than %d", PROFILES_MAX);
    json_object_foreach ((json_t *)profiles, name, object) {
        _cleanup_free_ char *path = xasprintf("signing.profiles.%.100s", name);
        struct cfssl_profile *profile = LIST_APPEND(&config->profiles);
        profile->name = xstrdup(name);
        code = read_profile(reader, object, path, profile);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_config(const struct cfssl_reader *reader, const json_t *top,
                       struct cfssl_config *config)
{
    const json_t *signing, *basic;
    cfssl_json_check_names(reader, top, "", top_fields);
    int code = cfssl_json_object(reader, top, "", "signing", &signing);
    if (code < 0)
        return code;
    if (!signing)
        return cfssl_json_error(reader, "", "signing", "is missing");
    cfssl_json_check_names(reader, signing, "signing", signing_fields);
    struct cfssl_profile *first = LIST_APPEND(&config->profiles);
    first->name = xstrdup("");
    code = cfssl_json_object(reader, signing, "signing", "default", &basic);
    if (code == 0 && basic)
        code = read_profile(reader, basic, "signing.default", first);
    return code < 0 ? code : read_profiles(reader, signing, config);
}

int cfssl_config_read(const char *file, const void *data, size_t size, struct cfssl_config *ret,
                      struct string_list *warnings, struct error *err)
{
    struct cfssl_reader reader = {.file = file, .warnings = warnings, .err = err};
    struct cfssl_config config = {0};
    json_t *top = NULL;
    int code = cfssl_json_load(&reader, data, size, &top);
    if (code == 0)
        code = read_config(&reader, top, &config);
    json_decref(top);
    if (code < 0) {
        cfssl_config_free(&config);
        return code;
    }
    // What a profile does not say is what the default says.
    int64_t expiry = config.profiles.items[0].expiry_sec;
    LIST_EACH (profile, &config.profiles)
        if (profile->expiry_sec == 0)
            profile->expiry_sec = expiry > 0 ? expiry : EXPIRY_DEFAULT_SEC;
    *ret = config;
    return 0;
}

void cfssl_config_default(struct cfssl_config *ret)
{
    *ret = (struct cfssl_config){0};
    *LIST_APPEND(&ret->profiles) = (struct cfssl_profile){
        .name = xstrdup(""),
        .expiry_sec = EXPIRY_DEFAULT_SEC,
        .key_usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
        .usages = CERTIFICATE_SERVER | CERTIFICATE_CLIENT,
    };
}

void cfssl_config_free(struct cfssl_config *config)
{
    if (!config)
        return;
    LIST_EACH (profile, &config->profiles) {
        free(profile->name);
        free(profile->ocsp_url);
        free(profile->crl_url);
    }
    free(config->profiles.items);
    *config = (struct cfssl_config){0};
}

static int no_such_profile(const struct cfssl_config *config, const char *name, struct error *err)
{
    _cleanup_free_ const char **names = xcalloc(config->profiles.n + 1, sizeof(*names));
    size_t n = 0;
    LIST_EACH (profile, &config->profiles)
        if (*profile->name)
            names[n++] = profile->name;
    const char *nearest = str_nearest(name, names, n);
    return error_set(err, ENOENT, "there is no profile \"%s\" in the configuration%s%s%s", name,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

int cfssl_config_profile(const struct cfssl_config *config, const char *name,
                         const struct cfssl_profile **ret, struct error *err)
{
    if (!name)
        name = "";
    LIST_EACH (profile, &config->profiles) {
        if (!str_equal(profile->name, name))
            continue;
        if (profile->key_usage == 0 && profile->usages == 0)
            return error_set(err, EINVAL,
                             "%s%s%s has no usages: say what its certificates are for (such as "
                             "\"signing\", \"key encipherment\", \"server auth\")",
                             *name ? "profile \"" : "the default profile", name, *name ? "\"" : "");
        *ret = profile;
        return 0;
    }
    return no_such_profile(config, name, err);
}

const char cfssl_default_csr[] = "{\n"
                                 "    \"CN\": \"example.net\",\n"
                                 "    \"hosts\": [\n"
                                 "        \"example.net\",\n"
                                 "        \"www.example.net\"\n"
                                 "    ],\n"
                                 "    \"key\": {\n"
                                 "        \"algo\": \"ecdsa\",\n"
                                 "        \"size\": 256\n"
                                 "    },\n"
                                 "    \"names\": [\n"
                                 "        {\n"
                                 "            \"C\": \"US\",\n"
                                 "            \"ST\": \"CA\",\n"
                                 "            \"L\": \"San Francisco\"\n"
                                 "        }\n"
                                 "    ]\n"
                                 "}\n";

const char cfssl_default_config[] = "{\n"
                                    "    \"signing\": {\n"
                                    "        \"default\": {\n"
                                    "            \"expiry\": \"168h\"\n"
                                    "        },\n"
                                    "        \"profiles\": {\n"
                                    "            \"www\": {\n"
                                    "                \"expiry\": \"8760h\",\n"
                                    "                \"usages\": [\n"
                                    "                    \"signing\",\n"
                                    "                    \"key encipherment\",\n"
                                    "                    \"server auth\"\n"
                                    "                ]\n"
                                    "            },\n"
                                    "            \"client\": {\n"
                                    "                \"expiry\": \"8760h\",\n"
                                    "                \"usages\": [\n"
                                    "                    \"signing\",\n"
                                    "                    \"key encipherment\",\n"
                                    "                    \"client auth\"\n"
                                    "                ]\n"
                                    "            }\n"
                                    "        }\n"
                                    "    }\n"
                                    "}\n";
