// Kubeconfig files with everything inlined, as kubeadm writes them (clientcmd v1).
#pragma once

#include <openssl/x509.h>

#include "base/buffer.h"
#include "base/error.h"
#include "pki/bundle.h"

struct kubeconfig {
    const char *server;       // "https://10.0.0.1:6443"
    const char *cluster_name; // "kubernetes"
    const char *user;         // the certificate's common name; the context is "user@cluster"
    X509 *ca;
    X509 *certificate;
    EVP_PKEY *key;
};

// Appends the file's text, which holds a private key: wipe it with secret_free(). -EINVAL where a
// name or the URL has characters that do not belong there.
int kubeconfig_render(const struct kubeconfig *config, struct buffer *out, struct error *err);

// Renders and writes it: 0600, synced, and -EEXIST where something is there already.
int kubeconfig_write(const char *path, const struct kubeconfig *config, struct error *err);

// What can be told about a file that is already there. A file that names its certificates by path,
// or that another tool laid out in another way, leaves the members NULL.
struct kubeconfig_content {
    char *server;
    X509 *ca, *certificate;        // the first CA of its bundle
    struct certificate_bundle cas; // all that it trusts
    EVP_PKEY *key;
    mode_t mode;
};

// 0, -ENOENT where there is no file, or another errno where it cannot be read.
int kubeconfig_load(const char *path, struct kubeconfig_content *ret, struct error *err);
// The text of a kubeconfig with other certificates and another key in it: everything else of the
// file stays as it is. NULL members are left alone. -EINVAL where the file does not hold, by value,
// what is to be replaced.
struct kubeconfig_change {
    const struct certificate_bundle *cas;
    X509 *certificate;
    EVP_PKEY *key;
};
int kubeconfig_replace(const char *text, const struct kubeconfig_change *change, struct buffer *out,
                       struct error *err);

void kubeconfig_content_free(struct kubeconfig_content *content);
#define _cleanup_kubeconfig_content_ _cleanup_(kubeconfig_content_free)
