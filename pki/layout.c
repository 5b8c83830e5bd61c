// See layout.h. Three CAs, what each of them signs, the service accounts' key pair, and the
// kubeconfigs: three tables, and for each kind of piece one function that keeps, makes or refuses.
#include "pki/layout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "base/time-format.h"
#include "pki/certificate.h"
#include "pki/kubeconfig.h"

// From this age on a kept certificate is reported with a warning.
#define EXPIRES_SOON_NSEC (30 * CERTIFICATE_DAY_SEC * NSEC_PER_SEC)

enum authority { AUTHORITY_CLUSTER, AUTHORITY_FRONT_PROXY, AUTHORITY_ETCD, AUTHORITIES };

static const struct {
    const char *base, *common_name;
} authorities[AUTHORITIES] = {
    [AUTHORITY_CLUSTER] = {"ca", "kubernetes"},
    [AUTHORITY_FRONT_PROXY] = {"front-proxy-ca", "front-proxy-ca"},
    [AUTHORITY_ETCD] = {"etcd/ca", "etcd-ca"},
};

enum names { NAMES_NONE, NAMES_API, NAMES_ETCD_SERVER, NAMES_ETCD_PEER };

#define MASTERS "system:masters"
#define BOTH    (CERTIFICATE_SERVER | CERTIFICATE_CLIENT)

// kubeadm's list (phases/certs/certlist.go). A common name of NULL is the node's name.
static const struct leaf {
    const char *base;
    enum authority authority;
    const char *common_name, *organization;
    unsigned usages;
    enum names names;
} leaves[] = {
    {"apiserver", AUTHORITY_CLUSTER, "kube-apiserver", NULL, CERTIFICATE_SERVER, NAMES_API},
    {"apiserver-kubelet-client", AUTHORITY_CLUSTER, "kube-apiserver-kubelet-client", MASTERS,
     CERTIFICATE_CLIENT, NAMES_NONE},
    {"front-proxy-client", AUTHORITY_FRONT_PROXY, "front-proxy-client", NULL, CERTIFICATE_CLIENT,
     NAMES_NONE},
    {"etcd/server", AUTHORITY_ETCD, NULL, NULL, BOTH, NAMES_ETCD_SERVER},
    {"etcd/peer", AUTHORITY_ETCD, NULL, NULL, BOTH, NAMES_ETCD_PEER},
    {"etcd/healthcheck-client", AUTHORITY_ETCD, "kube-etcd-healthcheck-client", MASTERS,
     CERTIFICATE_CLIENT, NAMES_NONE},
    {"apiserver-etcd-client", AUTHORITY_ETCD, "kube-apiserver-etcd-client", MASTERS,
     CERTIFICATE_CLIENT, NAMES_NONE},
};

// phases/kubeconfig/kubeconfig.go: people go through the balancer, this node's own components to
// this node's kube-apiserver.
static const struct client {
    const char *file, *user, *organization;
    bool through_endpoint;
} clients[] = {
    {"admin.conf", "kubernetes-admin", MASTERS, true},
    {"controller-manager.conf", "system:kube-controller-manager", NULL, false},
    {"scheduler.conf", "system:kube-scheduler", NULL, false},
};

// A CA as far as it could be had: no certificate means that what it signs is left alone; no key,
// that it can check but not sign.
struct signer {
    X509 *certificate;
    EVP_PKEY *key;
};

struct maker {
    const struct pki_layout *layout;
    struct pki_report *report;
    struct signer signers[AUTHORITIES];
    walltime now;
};

static void report(struct maker *maker, enum pki_outcome outcome, const char *path, char *note)
{
    struct pki_report *to = maker->report;
    to->items = xreallocarray(to->items, to->n + 1, sizeof(to->items[0]));
    to->items[to->n++] = (struct pki_report_item){outcome, xstrdup(path), note};
    to->made += outcome == PKI_MADE;
    to->kept += outcome == PKI_KEPT;
    to->wrong += outcome == PKI_WRONG;
}

static int report_wrong(struct maker *maker, const char *path, struct error *err)
{
    const char *message = error_message(err);
    size_t len = strlen(path);
    if (str_starts_with(message, path) && str_starts_with(message + len, ": "))
        message += len + 2; // the path stands beside it already
    report(maker, PKI_WRONG, path, xstrdup(message));
    error_clear(err);
    return -EINVAL;
}

// Warnings about a piece that is kept, "; " between; NULL for none.
static char *kept_note(const struct maker *maker, X509 *certificate, mode_t key_mode,
                       const char *more)
{
    _cleanup_buffer_ struct buffer note = BUFFER_EMPTY;
    char text[RFC3339_NANO_SIZE];
    walltime end = certificate ? certificate_not_after(certificate) : (walltime){INT64_MAX};
    if (end.nsec - maker->now.nsec < EXPIRES_SOON_NSEC)
        buffer_printf(&note, "expires on %s", walltime_format(end, text));
    if (key_mode & 077)
        buffer_printf(&note, "%sthe private key can be read by others (mode %04o)",
                      note.len > 0 ? "; " : "", (unsigned)key_mode);
    if (more)
        buffer_printf(&note, "%s%s", note.len > 0 ? "; " : "", more);
    return note.len > 0 ? buffer_take(&note) : NULL;
}

// A key and its certificate on disk. What is missing is NULL.
struct pair {
    char *key_path, *certificate_path;
    EVP_PKEY *key;
    X509 *certificate;
    mode_t key_mode;
};

static void pair_free(struct pair *pair)
{
    free(pair->key_path);
    free(pair->certificate_path);
    EVP_PKEY_free(pair->key);
    X509_free(pair->certificate);
    *pair = (struct pair){0};
}
#define _cleanup_pair_ _cleanup_(pair_free)

static int pair_load(struct pair *pair, struct maker *maker, const char *base)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *dir = maker->layout->pki_dir;
    pair->key_path = xasprintf("%s/%s.key", dir, base);
    pair->certificate_path = xasprintf("%s/%s.crt", dir, base);
    int code = key_load(pair->key_path, &pair->key, &pair->key_mode, &err);
    if (code < 0 && code != -ENOENT)
        return report_wrong(maker, pair->key_path, &err);
    code = certificate_load(pair->certificate_path, &pair->certificate, &err);
    if (code < 0 && code != -ENOENT)
        return report_wrong(maker, pair->certificate_path, &err);
    return 0;
}

static int pair_write(struct pair *pair, const struct maker *maker,
                      const struct certificate_spec *spec, const struct signer *signer,
                      struct error *err)
{
    int code = fs_mkdir_parents_of(AT_FDCWD, pair->key_path);
    if (code < 0)
        return error_errno(err, code, "cannot make the directory of %s", pair->key_path);
    if (!pair->key) {
        code = key_generate(maker->layout->algorithm, &pair->key, err);
        if (code == 0)
            code = key_write(pair->key_path, pair->key, err);
    }
    if (code == 0)
        code = certificate_make(spec, pair->key, signer ? signer->certificate : NULL,
                                signer ? signer->key : NULL, &pair->certificate, err);
    return code < 0 ? code : certificate_write(pair->certificate_path, pair->certificate, err);
}

// Makes what the pair lacks, the key before the certificate, and reports it. False where that
// failed.
static bool pair_make(struct pair *pair, struct maker *maker, const struct certificate_spec *spec,
                      const struct signer *signer)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (pair_write(pair, maker, spec, signer, &err) < 0) {
        report_wrong(maker, pair->certificate_path, &err);
        return false;
    }
    report(maker, PKI_MADE, pair->certificate_path, NULL);
    return true;
}

// False where it cannot be used.
static bool keep_authority(struct maker *maker, const struct pair *pair,
                           const struct certificate_spec *spec)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct certificate_expectation expectation = {
        .spec = spec, .key = pair->key, .now = maker->now};
    const char *note = pair->key ? NULL : "its key is not here, so it can sign nothing new";
    if (certificate_check(pair->certificate, &expectation, &err) < 0) {
        error_prefix(&err, 0, "this CA cannot be used");
        report_wrong(maker, pair->certificate_path, &err);
        return false;
    }
    report(maker, PKI_KEPT, pair->certificate_path,
           kept_note(maker, pair->certificate, pair->key_mode, note));
    return true;
}

static void make_authority(struct maker *maker, enum authority which)
{
    _cleanup_pair_ struct pair pair = {0};
    struct certificate_spec spec = {
        .common_name = authorities[which].common_name,
        .is_ca = true,
        .lifetime_sec = CERTIFICATE_CA_LIFETIME_SEC,
    };
    if (pair_load(&pair, maker, authorities[which].base) < 0)
        return;
    if (pair.certificate ? keep_authority(maker, &pair, &spec)
                         : pair_make(&pair, maker, &spec, NULL)) {
        maker->signers[which].certificate = TAKE_PTR(pair.certificate);
        maker->signers[which].key = TAKE_PTR(pair.key);
    }
}

static void keep_leaf(struct maker *maker, const struct pair *pair, const struct leaf *leaf,
                      const struct certificate_spec *spec)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct certificate_expectation expectation = {
        .spec = spec,
        .subject = leaf->usages == CERTIFICATE_CLIENT,
        .issuer = maker->signers[leaf->authority].certificate,
        .key = pair->key,
        .now = maker->now,
    };
    if (!pair->key)
        error_set(&err, ENOENT,
                  "its private key %s is missing; move the certificate away and run this again to "
                  "make both anew",
                  pair->key_path);
    else if (certificate_check(pair->certificate, &expectation, &err) < 0)
        error_set(&err, EINVAL, "%s; move it away (not its key) and run this again to make it anew",
                  error_message(&err));
    if (err.code < 0)
        report_wrong(maker, pair->certificate_path, &err);
    else
        report(maker, PKI_KEPT, pair->certificate_path,
               kept_note(maker, pair->certificate, pair->key_mode, NULL));
}

static void make_leaf(struct maker *maker, const struct leaf *leaf,
                      const struct string_list *alt_names)
{
    _cleanup_pair_ struct pair pair = {0};
    const struct signer *signer = &maker->signers[leaf->authority];
    struct certificate_spec spec = {
        .common_name = leaf->common_name ? leaf->common_name : maker->layout->node_name,
        .organization = leaf->organization,
        .usages = leaf->usages,
        .alt_names = alt_names,
        .lifetime_sec = CERTIFICATE_LEAF_LIFETIME_SEC,
    };
    if (!signer->certificate)
        return; // its CA has been reported
    if (pair_load(&pair, maker, leaf->base) < 0)
        return;
    if (pair.certificate)
        keep_leaf(maker, &pair, leaf, &spec);
    else if (signer->key)
        pair_make(&pair, maker, &spec, signer);
    else
        report(maker, PKI_WRONG, pair.certificate_path,
               xasprintf("cannot be made here: %s/%s.key is missing", maker->layout->pki_dir,
                         authorities[leaf->authority].base));
}

static int make_leaves(struct maker *maker, struct error *err)
{
    const struct pki_layout *layout = maker->layout;
    _cleanup_string_list_ struct string_list api = {0}, server = {0}, peer = {0};
    int code = pki_api_alt_names(layout, &api, err);
    if (code < 0)
        return code;
    pki_etcd_alt_names(layout, layout->etcd_server_sans, &server);
    pki_etcd_alt_names(layout, layout->etcd_peer_sans, &peer);
    const struct string_list *const alt_names[] = {
        [NAMES_API] = &api, [NAMES_ETCD_SERVER] = &server, [NAMES_ETCD_PEER] = &peer};
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
        make_leaf(maker, &leaves[i], alt_names[leaves[i].names]);
    return 0;
}

static int write_public_key(const char *path, EVP_PKEY *key, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = key_public_to_pem(key, &text, err);
    if (code < 0)
        return code;
    code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0644,
                           FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 ? error_errno(err, code, "cannot write %s", path) : 0;
}

// The two files sa.key and sa.pub. What is missing is NULL.
struct key_pair {
    char *path, *public_path;
    EVP_PKEY *key, *public_key;
    mode_t mode;
};

static void key_pair_free(struct key_pair *pair)
{
    free(pair->path);
    free(pair->public_path);
    EVP_PKEY_free(pair->key);
    EVP_PKEY_free(pair->public_key);
}

static int key_pair_load(struct key_pair *pair, struct error *err)
{
    int code = key_load(pair->path, &pair->key, &pair->mode, err);
    if (code < 0 && code != -ENOENT)
        return code;
    code = key_public_load(pair->public_path, &pair->public_key, err);
    return code < 0 && code != -ENOENT ? code : 0;
}

static int key_pair_check(const struct key_pair *pair, struct error *err)
{
    if (!pair->key)
        return error_set(err, ENOENT,
                         "the private key sa.key that belongs to it is missing; every service "
                         "account token is signed with it: bring it back, or move this file away");
    if (EVP_PKEY_eq(pair->key, pair->public_key) != 1)
        return error_set(err, EINVAL,
                         "does not belong to sa.key; move it away to have it made anew from there");
    return 0;
}

static int key_pair_make(struct key_pair *pair, enum key_algorithm algorithm, struct error *err)
{
    int code = fs_mkdir_parents_of(AT_FDCWD, pair->path);
    if (code < 0)
        return error_errno(err, code, "cannot make its directory");
    if (!pair->key) {
        code = key_generate(algorithm, &pair->key, err);
        if (code == 0)
            code = key_write(pair->path, pair->key, err);
    }
    return code < 0 ? code : write_public_key(pair->public_path, pair->key, err);
}

static void make_service_account_key(struct maker *maker)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_(key_pair_free) struct key_pair pair = {
        .path = path_join(maker->layout->pki_dir, "sa.key"),
        .public_path = path_join(maker->layout->pki_dir, "sa.pub"),
    };
    int code = key_pair_load(&pair, &err);
    bool keep = pair.public_key != NULL;
    if (code == 0)
        code = keep ? key_pair_check(&pair, &err)
                    : key_pair_make(&pair, maker->layout->algorithm, &err);
    if (code < 0)
        report_wrong(maker, pair.public_path, &err);
    else if (keep)
        report(maker, PKI_KEPT, pair.public_path, kept_note(maker, NULL, pair.mode, NULL));
    else
        report(maker, PKI_MADE, pair.public_path, NULL);
}

static int write_client(const struct maker *maker, const char *path, const char *server,
                        const struct certificate_spec *spec, struct error *err)
{
    const struct signer *signer = &maker->signers[AUTHORITY_CLUSTER];
    _cleanup_key_ EVP_PKEY *key = NULL;
    _cleanup_x509_ X509 *certificate = NULL;
    if (!signer->key)
        return error_set(err, ENOENT, "cannot be made here: %s/ca.key is missing",
                         maker->layout->pki_dir);
    int code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code < 0)
        return error_errno(err, code, "cannot make its directory");
    code = key_generate(maker->layout->algorithm, &key, err);
    if (code == 0)
        code = certificate_make(spec, key, signer->certificate, signer->key, &certificate, err);
    if (code < 0)
        return code;
    struct kubeconfig config = {
        .server = server,
        .cluster_name = maker->layout->cluster_name,
        .user = spec->common_name,
        .ca = signer->certificate,
        .certificate = certificate,
        .key = key,
    };
    return kubeconfig_write(path, &config, err);
}

// Another server is worth a warning only: somebody may have pointed the file elsewhere on purpose.
static void keep_client(struct maker *maker, const char *path, const char *server,
                        const struct certificate_spec *spec,
                        const struct kubeconfig_content *content)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *more = NULL;
    X509 *ca = maker->signers[AUTHORITY_CLUSTER].certificate;
    struct certificate_expectation expectation = {
        .spec = spec, .subject = true, .issuer = ca, .now = maker->now};
    if (content->ca && X509_cmp(content->ca, ca) != 0)
        error_set(&err, EINVAL, "trusts another CA than %s/ca.crt", maker->layout->pki_dir);
    else if (content->certificate)
        certificate_check(content->certificate, &expectation, &err);
    if (!content->ca || !content->certificate)
        more = xstrdup("its certificates are not inside, so they were not checked");
    else if (!str_equal(content->server, server))
        more = xasprintf("its server is %s, not %s", content->server ? content->server : "unknown",
                         server);
    if (err.code == 0) {
        report(maker, PKI_KEPT, path, kept_note(maker, content->certificate, content->mode, more));
        return;
    }
    error_set(&err, EINVAL, "%s; move it away and run this again to make it anew",
              error_message(&err));
    report_wrong(maker, path, &err);
}

static void make_client(struct maker *maker, const struct client *client)
{
    const struct pki_layout *layout = maker->layout;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    _cleanup_free_ char *path = path_join(layout->kubeconfig_dir, client->file);
    _cleanup_free_ char *server = client->through_endpoint
                                      ? pki_endpoint_url(layout)
                                      : pki_url(layout->advertise_address, layout->api_port);
    struct certificate_spec spec = {
        .common_name = client->user,
        .organization = client->organization,
        .usages = CERTIFICATE_CLIENT,
        .lifetime_sec = CERTIFICATE_LEAF_LIFETIME_SEC,
    };
    if (!maker->signers[AUTHORITY_CLUSTER].certificate)
        return; // reported
    int code = kubeconfig_load(path, &content, &err);
    if (code == 0) {
        keep_client(maker, path, server, &spec, &content);
        return;
    }
    if (code == -ENOENT)
        code = write_client(maker, path, server, &spec, &err);
    if (code < 0)
        report_wrong(maker, path, &err);
    else
        report(maker, PKI_MADE, path, NULL);
}

static int check_layout(const struct pki_layout *layout, struct error *err)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (!certificate_name_is_valid(layout->node_name))
        return error_set(err, EINVAL, "node name \"%s\": not a lower-case DNS name",
                         layout->node_name);
    if (inet_pton(AF_INET, layout->advertise_address, bytes) != 1 &&
        inet_pton(AF_INET6, layout->advertise_address, bytes) != 1)
        return error_set(err, EINVAL, "advertise address \"%s\": not an IP address",
                         layout->advertise_address);
    _cleanup_string_list_ struct string_list names = {0};
    int code = pki_api_alt_names(layout, &names, err);
    if (code < 0)
        return code;
    pki_etcd_alt_names(layout, layout->etcd_server_sans, &names);
    pki_etcd_alt_names(layout, layout->etcd_peer_sans, &names);
    for (size_t i = 0; i < names.n; i++) {
        if (!certificate_name_is_valid(names.items[i]))
            return error_set(err, EINVAL,
                             "\"%s\" is neither an IP address nor a lower-case DNS "
                             "name",
                             names.items[i]);
    }
    return 0;
}

int pki_layout_make(const struct pki_layout *layout, struct pki_report *report, struct error *err)
{
    struct maker maker = {.layout = layout, .report = report, .now = walltime_now()};
    *report = (struct pki_report){0};
    int code = check_layout(layout, err);
    if (code < 0)
        return code;
    for (int i = 0; i < AUTHORITIES; i++)
        make_authority(&maker, (enum authority)i);
    code = make_leaves(&maker, err);
    make_service_account_key(&maker);
    for (size_t i = 0; layout->kubeconfig_dir && i < ARRAY_SIZE(clients); i++)
        make_client(&maker, &clients[i]);
    for (int i = 0; i < AUTHORITIES; i++) {
        X509_free(maker.signers[i].certificate);
        EVP_PKEY_free(maker.signers[i].key);
    }
    if (code == 0 && report->wrong > 0)
        code = error_set(err, EINVAL, "%zu of the pieces could not be made or used", report->wrong);
    return code;
}

void pki_report_free(struct pki_report *report)
{
    for (size_t i = 0; i < report->n; i++) {
        free(report->items[i].path);
        free(report->items[i].note);
    }
    free(report->items);
    *report = (struct pki_report){0};
}
