// kubeadm's configuration file (kubeadm.k8s.io v1beta1 to v1beta3), as far as it says something of
// keys, certificates and kubeconfigs: the documents ClusterConfiguration and InitConfiguration.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/yaml.h"

enum { KUBEADM_CONFIG_MAX = 1 << 20 };

// What the file does not say is NULL, 0 or empty. Strings are borrowed from the tree.
struct kubeadm_config {
    struct yaml_tree *tree;
    const char *certificates_dir, *cluster_name, *control_plane_endpoint;
    const char *service_subnet, *pod_subnet, *dns_domain;
    const char *node_name, *advertise_address;
    int64_t bind_port;
    struct string_list api_sans, etcd_server_sans, etcd_peer_sans;
    bool has_external_etcd;
    const char *etcd_ca_file, *etcd_certificate_file, *etcd_key_file;
    bool says_ecdsa, ecdsa; // the feature gate PublicKeysECDSA
};

// Reads a whole file. 0, or -EINVAL with "FILE:LINE:COL: field: what is wrong". `warnings` gets a
// sentence for what is not known; what says nothing of certificates is passed over.
int kubeadm_config_read(const char *file, const void *data, size_t size, struct kubeadm_config *ret,
                        struct string_list *warnings, struct error *err);

void kubeadm_config_free(struct kubeadm_config *config);
#define _cleanup_kubeadm_config_ _cleanup_(kubeadm_config_free)
