// `mainstay pki check`: whether the certificates that the manifests name do what they are there
// for: their chain, key, names, usages, modes, and how long they live. Offline: from the files
// alone.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/time-format.h"
#include "cli/check.h"
#include "cli/commands.h"
#include "cli/node-manifests.h"
#include "cli/pki-rotation.h"
#include "cli/term.h"

// A flag that names a certificate, and the flags that say what it must be good for.
struct role {
    const char *program, *flag;
    const char *key_flag; // the flag of its private key; NULL: none
    const char *ca_flag;  // the flag of the CA that its peers trust; NULL: it is one itself
    unsigned usages;      // enum certificate_usage
    const char *names[3]; // flags with the addresses and URLs under which it is reached
};

#define BOTH (CERTIFICATE_SERVER | CERTIFICATE_CLIENT)

static const struct role roles[] = {
    {"etcd",
     "cert-file",
     "key-file",
     "trusted-ca-file",
     CERTIFICATE_SERVER,
     {"advertise-client-urls", "listen-client-urls"}},
    {"etcd",
     "peer-cert-file",
     "peer-key-file",
     "peer-trusted-ca-file",
     BOTH,
     {"initial-advertise-peer-urls", "listen-peer-urls"}},
    {"kube-apiserver",
     "tls-cert-file",
     "tls-private-key-file",
     "client-ca-file",
     CERTIFICATE_SERVER,
     {"advertise-address", "bind-address"}},
    {"kube-apiserver", "etcd-certfile", "etcd-keyfile", "etcd-cafile", CERTIFICATE_CLIENT, {NULL}},
    {"kube-apiserver",
     "kubelet-client-certificate",
     "kubelet-client-key",
     "client-ca-file",
     CERTIFICATE_CLIENT,
     {NULL}},
    {"kube-apiserver",
     "proxy-client-cert-file",
     "proxy-client-key-file",
     "requestheader-client-ca-file",
     CERTIFICATE_CLIENT,
     {NULL}},
    {"kube-controller-manager",
     "cluster-signing-cert-file",
     "cluster-signing-key-file",
     NULL,
     0,
     {NULL}},
};

static const char *const kubeconfig_flags[] = {"kubeconfig", "authentication-kubeconfig",
                                               "authorization-kubeconfig"};

struct checking {
    const struct pki_options *options;
    walltime now;
    struct string_list seen; // "file role", each once
    size_t n, n_bad;
};

// ---- saying it ----

static void say(struct checking *c, const char *what, const char *user, bool good,
                const char *finding)
{
    bool color = term_has_color(stdout);
    c->n++;
    c->n_bad += !good;
    printf("%s%s%s  %s (%s)%s%s\n", term_begin(good ? TERM_GREEN : TERM_RED, color),
           good ? "good" : "BAD ", term_end(good ? TERM_GREEN : TERM_RED, color), what, user,
           *finding ? ": " : "", finding);
}

// ---- names ----

// "https://10.0.0.1:2379" or "10.0.0.1": the host; NULL where it says nothing about names (all
// addresses, this machine only). The caller frees.
static char *host_of(const char *text, size_t length)
{
    _cleanup_free_ char *copy = xstrndup(text, length);
    const char *host = strstr(copy, "://");
    host = host ? host + 3 : copy;
    bool bracket = *host == '[';
    struct in6_addr six;
    size_t n = bracket                                ? strcspn(host + 1, "]")
               : inet_pton(AF_INET6, host, &six) == 1 ? strlen(host)
                                                      : strcspn(host, ":/");
    char *name = xstrndup(host + bracket, n);
    static const char *const nothing[] = {"", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost"};
    for (size_t i = 0; i < ARRAY_SIZE(nothing); i++)
        if (str_equal(name, nothing[i])) {
            free(name);
            return NULL;
        }
    return name;
}

static void add_names(const struct container *container, const struct role *role,
                      struct string_list *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(role->names) && role->names[i]; i++) {
        const char *value = container_flag(container, role->names[i]);
        while (value && *value) {
            size_t n = strcspn(value, ",");
            char *host = host_of(value, n);
            if (host && !string_list_contains(ret, host))
                string_list_add(ret, host);
            free(host);
            value += n + (value[n] == ',');
        }
    }
}

// ---- a certificate by its role ----

static char *flag_path(const struct pod *pod, const struct container *container, const char *flag)
{
    const char *value = flag ? container_flag(container, flag) : NULL;
    return value && *value == '/' ? container_host_path(pod, container, value) : NULL;
}

// A key that others may read is no secret; a certificate that others may write is nobody's.
static void check_modes(const char *certificate, const char *key, struct buffer *out)
{
    struct stat st;
    if (key && stat(key, &st) == 0 && (st.st_mode & 0007))
        check_add(out, "%s may be read by everybody (mode %04o): chmod 600 %s", key,
                  (unsigned)st.st_mode & 07777, key);
    if (stat(certificate, &st) == 0 && (st.st_mode & 0022))
        check_add(out, "may be written by others than its owner (mode %04o): chmod 644 %s",
                  (unsigned)st.st_mode & 07777, certificate);
}

static void check_age(const struct checking *c, X509 *certificate, struct buffer *out)
{
    char left[DURATION_SIZE];
    int64_t sec = (certificate_not_after(certificate).nsec - c->now.nsec) / NSEC_PER_SEC;
    if (sec > 0 && sec < c->options->days * CERTIFICATE_DAY_SEC)
        check_add(out, "ends in %s", duration_format_human(sec, left));
}

// While a CA is rotated its file holds two. Where none of them has signed, the first is the one
// that should have. NULL where there is none.
static X509 *issuer_among(const struct certificate_bundle *cas, X509 *certificate)
{
    X509 *issuer = certificate_bundle_issuer(cas, certificate);
    return issuer || cas->n == 0 ? issuer : cas->items[0];
}

// What is wrong, joined by "; ".
static void examine(const struct checking *c, const struct role *role, const char *file,
                    const char *key_file, const char *ca_file, const struct string_list *names,
                    struct buffer *out)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_x509_ X509 *certificate = NULL;
    _cleanup_certificate_bundle_ struct certificate_bundle cas = {0};
    _cleanup_key_ EVP_PKEY *key = NULL;
    if (certificate_load(file, &certificate, &err) < 0) {
        check_add(out, "%s", error_message(&err));
        return;
    }
    if (key_file && key_load(key_file, &key, NULL, &err) < 0)
        check_add(out, "%s", error_message(&err));
    error_clear(&err);
    if (ca_file && certificate_bundle_load(ca_file, &cas, &err) < 0)
        check_add(out, "%s", error_message(&err));
    X509 *ca = issuer_among(&cas, certificate);
    error_clear(&err);
    struct certificate_spec spec = {
        .is_ca = !role->ca_flag, .usages = role->usages, .alt_names = names};
    struct certificate_expectation expectation = {
        .spec = &spec, .issuer = ca ? ca : certificate, .key = key, .now = c->now};
    if (role->ca_flag && !ca)
        expectation.issuer = NULL;
    if (certificate_check(certificate, &expectation, &err) < 0)
        check_add(out, "%s", error_message(&err));
    check_modes(file, key_file, out);
    check_age(c, certificate, out);
}

static bool is_new(struct checking *c, const char *file, const char *role)
{
    _cleanup_free_ char *key = xasprintf("%s %s", file, role);
    if (string_list_contains(&c->seen, key))
        return false;
    string_list_add(&c->seen, key);
    return true;
}

static void check_role(struct checking *c, const struct pod *pod, const struct container *container,
                       const struct role *role)
{
    _cleanup_buffer_ struct buffer findings = BUFFER_EMPTY;
    _cleanup_string_list_ struct string_list names = {0};
    _cleanup_free_ char *file = flag_path(pod, container, role->flag);
    if (!file || !container_runs(container, role->program))
        return;
    _cleanup_free_ char *user = xasprintf("%s --%s", role->program, role->flag);
    if (!is_new(c, file, user))
        return;
    _cleanup_free_ char *key = flag_path(pod, container, role->key_flag);
    _cleanup_free_ char *ca = flag_path(pod, container, role->ca_flag);
    add_names(container, role, &names);
    examine(c, role, file, key, ca, &names, &findings);
    say(c, file, user, findings.len == 0, buffer_str(&findings));
}

// ---- kubeconfigs ----

static void examine_kubeconfig(const struct checking *c, const char *file, struct buffer *out)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    if (kubeconfig_load(file, &content, &err) < 0) {
        check_add(out, "%s", error_message(&err));
        return;
    }
    if (content.mode & 0007)
        check_add(out, "holds a key and may be read by everybody (mode %04o): chmod 600 %s",
                  (unsigned)content.mode & 07777, file);
    if (!content.certificate || !content.ca)
        return;
    struct certificate_spec spec = {.usages = CERTIFICATE_CLIENT};
    struct certificate_expectation expectation = {
        .spec = &spec, .issuer = issuer_among(&content.cas, content.certificate), .now = c->now};
    if (certificate_check(content.certificate, &expectation, &err) < 0)
        check_add(out, "%s", error_message(&err));
    check_age(c, content.certificate, out);
}

static void check_kubeconfig(struct checking *c, const struct pod *pod,
                             const struct container *container, const char *flag)
{
    _cleanup_buffer_ struct buffer findings = BUFFER_EMPTY;
    _cleanup_free_ char *file = flag_path(pod, container, flag);
    if (!file || !is_new(c, file, "kubeconfig"))
        return;
    _cleanup_free_ char *user = xasprintf("%s --%s", container->name, flag);
    examine_kubeconfig(c, file, &findings);
    say(c, file, user, findings.len == 0, buffer_str(&findings));
}

static void check_container(void *userdata, const struct pod *pod,
                            const struct container *container)
{
    for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
        check_role(userdata, pod, container, &roles[i]);
    for (size_t i = 0; i < ARRAY_SIZE(kubeconfig_flags); i++)
        check_kubeconfig(userdata, pod, container, kubeconfig_flags[i]);
}

int pki_check(const struct pki_options *options, const char *const *words, size_t n)
{
    struct checking c = {.options = options, .now = walltime_now()};
    struct check_options places = {.common = options->common, .manifests = options->manifests};
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *path = check_manifest_path(&places);
    if (n > 0)
        return pki_usage("check takes no files: it looks at what the manifests name (--manifests)");
    if (node_manifests_load(path, NULL, &manifests, &err) < 0)
        return pki_failed(&err);
    LIST_EACH (passed_over, &manifests.passed_over)
        fprintf(stderr, "warning: %s\n", *passed_over);
    node_manifests_each(&manifests, check_container, &c);
    if (c.n == 0)
        fprintf(stderr, "No manifest in %s names a certificate.\n", path);
    else if (c.n_bad > 0)
        fprintf(stderr, "%zu of %zu are not well.\n", c.n_bad, c.n);
    pki_rotation_say_all(options);
    string_list_free(&c.seen);
    return c.n_bad > 0 || manifests.passed_over.n > 0 ? CLI_NO : CLI_DONE;
}
