// kubeadm's configuration file (kubeadm.k8s.io v1beta1 to v1beta4): what its documents
// ClusterConfiguration and InitConfiguration say of certificates and of the control plane's pods.
// Documents of others (the kubelet's, kube-proxy's, mainstay.dev) may stand beside them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"
#include "manifests/control-plane.h"
#include "podspec/yaml.h"

enum { KUBEADM_CONFIG_MAX = 1 << 20 };

// What the file does not say is NULL, 0 or empty. Strings are borrowed from the tree.
struct kubeadm_config {
    struct yaml_tree *tree;
    const char *kubernetes_version, *image_repository;
    const char *certificates_dir, *cluster_name, *control_plane_endpoint;
    const char *service_subnet, *pod_subnet, *dns_domain;
    const char *node_name, *advertise_address;
    int64_t bind_port;
    struct string_list api_sans, etcd_server_sans, etcd_peer_sans;
    // "flag=value" in the order of the file, from the old map and the new list alike.
    struct string_list extra_args[COMPONENTS];
    struct control_plane_volumes extra_volumes[COMPONENTS]; // not etcd's
    struct control_plane_envs extra_envs[COMPONENTS];
    const char *etcd_data_dir, *etcd_image_repository, *etcd_image_tag;
    bool has_external_etcd;
    struct string_list etcd_endpoints; // of an external etcd
    const char *etcd_ca_file, *etcd_certificate_file, *etcd_key_file;
    const char *encryption_algorithm; // "RSA-2048", … (v1beta4)
    bool says_ecdsa, ecdsa;           // the feature gate PublicKeysECDSA
};

// Reads a whole file. 0, or -EINVAL with "FILE:LINE:COL: field: what is wrong". `warnings` gets a
// sentence for what is not known.
int kubeadm_config_read(const char *file, const void *data, size_t size, struct kubeadm_config *ret,
                        struct string_list *warnings, struct error *err);

void kubeadm_config_free(struct kubeadm_config *config);
#define _cleanup_kubeadm_config_ _cleanup_(kubeadm_config_free)
