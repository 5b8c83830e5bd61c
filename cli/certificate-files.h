// Which certificates this node lives by, and who uses each: what the manifests' flags name.
#pragma once

#include "base/macro.h"
#include "base/string-list.h"
#include "cli/node-manifests.h"

struct certificate_file {
    char *path;               // on this host: a certificate, a bundle of CAs, or a kubeconfig
    struct string_list users; // "kube-apiserver --tls-cert-file"
};

struct certificate_files {
    struct certificate_file *items; // in the order in which they were found, each once
    size_t n;
};

void certificate_files_find(const struct node_manifests *manifests, struct certificate_files *ret);
// The file of this path, made where there is none.
struct certificate_file *certificate_files_get(struct certificate_files *files, const char *path);
void certificate_files_free(struct certificate_files *files);
#define _cleanup_certificate_files_ _cleanup_(certificate_files_free)
