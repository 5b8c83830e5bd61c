// The kubeconfigs of a control plane: kept, made, put together from what an external CA signed, or
// requested from it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/kubeconfig.h"
#include "pki/layout-internal.h"

#define MASTERS "system:masters"

// phases/kubeconfig/kubeconfig.go: people and the kubelet go through the balancer, this node's own
// components to this node's kube-apiserver. A user that ends in ":" is followed by the node's name.
static const struct client {
    const char *file, *user, *organization;
    bool through_endpoint, for_kubelet;
} clients[] = {
    {"admin.conf", "kubernetes-admin", MASTERS, true, false},
    {"controller-manager.conf", "system:kube-controller-manager", NULL, false, false},
    {"scheduler.conf", "system:kube-scheduler", NULL, false, false},
    {"kubelet.conf", "system:node:", "system:nodes", true, true},
};

static bool is_wanted(const struct pki_layout *layout, const struct client *client)
{
    unsigned without = PKI_WITHOUT_APISERVER | PKI_AUTHORITIES_ONLY;
    if (!client->through_endpoint)
        without |= PKI_WITHOUT_CONTROLLERS;
    return layout->kubeconfig_dir && !(layout->without & without) &&
           (!client->for_kubelet || layout->kubelet);
}

size_t pki_missing_clients(const struct pki_layout *layout)
{
    size_t n = 0;
    struct stat st;
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        if (!is_wanted(layout, &clients[i]))
            continue;
        _cleanup_free_ char *path = path_join(layout->kubeconfig_dir, clients[i].file);
        n += lstat(path, &st) < 0;
    }
    return n;
}

// One kubeconfig that is being looked after.
struct piece {
    const struct client *client;
    char *path, *user, *server;
    struct certificate_spec spec;
};

static void piece_free(struct piece *piece)
{
    free(piece->path);
    free(piece->user);
    free(piece->server);
}
#define _cleanup_piece_ _cleanup_(piece_free)

static int put_together(const struct pki_maker *maker, const struct piece *piece, X509 *ca,
                        X509 *certificate, EVP_PKEY *key, struct error *err)
{
    struct kubeconfig config = {
        .server = piece->server,
        .cluster_name = maker->layout->cluster_name,
        .user = piece->user,
        .ca = ca,
        .certificate = certificate,
        .key = key,
    };
    return kubeconfig_write(piece->path, &config, err);
}

// With what an external CA signed: FILE.key and FILE.crt.
static int make_of_signed(const struct pki_maker *maker, const struct piece *piece, X509 *ca,
                          struct error *err)
{
    _cleanup_key_ EVP_PKEY *key = NULL;
    _cleanup_x509_ X509 *certificate = NULL;
    _cleanup_free_ char *key_path = xasprintf("%s.key", piece->path);
    _cleanup_free_ char *certificate_path = xasprintf("%s.crt", piece->path);
    int code = key_load(key_path, &key, NULL, err);
    if (code == 0)
        code = certificate_load(certificate_path, &certificate, err);
    if (code == -ENOENT)
        return error_set(
            err, ENOENT,
            "cannot be made here: %s/ca.key is missing. `mainstay pki init --csr-only` "
            "makes %s.csr; sign that where the key is, put the certificate here as "
            "%s, and run this again",
            maker->layout->pki_dir, piece->client->file, certificate_path);
    struct certificate_expectation expectation = {
        .spec = &piece->spec, .subject = true, .issuer = ca, .key = key, .now = maker->now};
    if (code == 0 && certificate_check(certificate, &expectation, err) < 0)
        code = error_prefix(err, -EINVAL, "%s", certificate_path);
    return code < 0 ? code : put_together(maker, piece, ca, certificate, key, err);
}

static int write_client(const struct pki_maker *maker, const struct pki_signer *signer,
                        const struct piece *piece, struct error *err)
{
    _cleanup_key_ EVP_PKEY *key = NULL;
    _cleanup_x509_ X509 *certificate = NULL;
    if (!signer->key)
        return make_of_signed(maker, piece, signer->certificate, err);
    int code = fs_mkdir_parents_of(AT_FDCWD, piece->path);
    if (code < 0)
        return error_errno(err, code, "cannot make its directory");
    code = key_pool_take(maker->pool, &key, err);
    if (code == 0)
        code = certificate_make(&piece->spec, key, signer->certificate, signer->key, &certificate,
                                err);
    if (code < 0)
        return code;
    return put_together(maker, piece, signer->certificate, certificate, key, err);
}

// Another server is worth a warning only: somebody may have pointed the file elsewhere on purpose.
static void keep_client(struct pki_maker *maker, X509 *ca, const struct piece *piece,
                        const struct kubeconfig_content *content)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *more = NULL;
    struct certificate_expectation expectation = {
        .spec = &piece->spec, .subject = true, .issuer = ca, .now = maker->now};
    if (content->ca && X509_cmp(content->ca, ca) != 0)
        error_set(&err, EINVAL, "trusts another CA than %s/ca.crt", maker->layout->pki_dir);
    else if (content->certificate)
        certificate_check(content->certificate, &expectation, &err);
    if (!content->ca || !content->certificate)
        more = xstrdup("its certificates are not inside, so they were not checked");
    else if (!str_equal(content->server, piece->server))
        more = xasprintf("its server is %s, not %s", content->server ? content->server : "unknown",
                         piece->server);
    if (err.code == 0) {
        pki_maker_report(maker, PKI_KEPT, piece->path,
                         pki_maker_kept_note(maker, content->certificate, content->mode, more));
        return;
    }
    error_set(&err, EINVAL, "%s; move it away and run this again to make it anew",
              error_message(&err));
    pki_maker_report_wrong(maker, piece->path, &err);
}

static void make_client(struct pki_maker *maker, const struct pki_signer *signer,
                        const struct piece *piece)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    if (!signer->certificate)
        return; // reported
    int code = kubeconfig_load(piece->path, &content, &err);
    if (code == 0) {
        keep_client(maker, signer->certificate, piece, &content);
        return;
    }
    if (code == -ENOENT) {
        error_clear(&err);
        code = write_client(maker, signer, piece, &err);
    }
    if (code < 0)
        pki_maker_report_wrong(maker, piece->path, &err);
    else
        pki_maker_report(maker, PKI_MADE, piece->path, NULL);
}

void pki_make_clients(struct pki_maker *maker, const struct pki_signer *signer, bool request)
{
    const struct pki_layout *layout = maker->layout;
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        const struct client *client = &clients[i];
        if (!is_wanted(layout, client))
            continue;
        _cleanup_piece_ struct piece piece = {
            .client = client,
            .path = path_join(layout->kubeconfig_dir, client->file),
            .user = xasprintf("%s%s", client->user,
                              str_ends_with(client->user, ":") ? layout->node_name : ""),
            .server = client->through_endpoint
                          ? pki_endpoint_url(layout)
                          : pki_url(layout->advertise_address, layout->api_port),
        };
        piece.spec = (struct certificate_spec){.common_name = piece.user,
                                               .organization = client->organization,
                                               .usages = CERTIFICATE_CLIENT,
                                               .lifetime_sec = CERTIFICATE_LEAF_LIFETIME_SEC};
        if (request)
            pki_request_client(maker, client->file, &piece.spec);
        else
            make_client(maker, signer, &piece);
    }
}
