// The flags of `mainstay pki init`, which override kubeadm's configuration file.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/string-list.h"
#include "cli/options.h"

struct pki_init_options {
    const char *root, *cert_dir, *kubeconfig_dir, *csr_dir;
    const char *node_name, *advertise_address, *control_plane_endpoint;
    const char *service_cidr, *dns_domain, *key_type, *layout;
    struct string_list api_sans, etcd_sans;
    int64_t api_port;
    bool csr_only;
};

extern const char *const pki_init_layouts[], *const pki_init_key_types[];

#define PKI_INIT_OPTIONS(tag)                                                                      \
    OPT_STRING(tag, init.layout, .name = "layout", .only = "init", .argument = "LAYOUT",           \
               .help = "init: kubeadm (default), or srv for that of /srv/kubernetes",              \
               .values = pki_init_layouts),                                                        \
        OPT_STRING(tag, init.cert_dir, .name = "cert-dir", .only = "init", .argument = "DIR",      \
                   .help = "init: keys and certificates (default: /etc/kubernetes/pki)"),          \
        OPT_STRING(tag, init.kubeconfig_dir, .name = "kubeconfig-dir", .only = "init",             \
                   .argument = "DIR", .help = "init: kubeconfigs (default: /etc/kubernetes)"),     \
        OPT_STRING(tag, init.root, .name = "root", .only = "init,export,import",                   \
                   .argument = "DIR", .help = "init: put everything below DIR instead of /"),      \
        OPT_STRING(tag, init.node_name, .name = "node-name", .only = "init,import",                \
                   .argument = "NAME", .help = "init: this node's name (default: the host's)"),    \
        OPT_STRING(tag, init.advertise_address, .name = "advertise-address", .only = "init",       \
                   .argument = "IP",                                                               \
                   .help = "init: this node's address (default: that of the default route)"),      \
        OPT_STRING(tag, init.advertise_address, .name = "apiserver-advertise-address",             \
                   .only = "init", .argument = "IP",                                               \
                   .help = "kubeadm's name for --advertise-address"),                              \
        PKI_INIT_NAME_OPTIONS(tag), PKI_INIT_KEY_OPTIONS(tag)

#define PKI_INIT_NAME_OPTIONS(tag)                                                                 \
    OPT_INT(tag, init.api_port, .name = "apiserver-port", .only = "init", .argument = "PORT",      \
            .min = 1, .help = "init: kube-apiserver's port (default: 6443)"),                      \
        OPT_INT(tag, init.api_port, .name = "apiserver-bind-port", .only = "init",                 \
                .argument = "PORT", .min = 1, .help = "kubeadm's name for --apiserver-port"),      \
        OPT_STRING(tag, init.control_plane_endpoint, .name = "control-plane-endpoint",             \
                   .only = "init", .argument = "HOST[:PORT]",                                      \
                   .help = "init: the load balancer before the API servers"),                      \
        OPT_STRING(tag, init.service_cidr, .name = "service-cidr", .only = "init",                 \
                   .argument = "CIDR",                                                             \
                   .help = "init: network of the services (default: 10.96.0.0/12)"),               \
        OPT_STRING(tag, init.dns_domain, .name = "service-dns-domain", .only = "init",             \
                   .argument = "DOMAIN",                                                           \
                   .help = "init: DNS domain of the services (default: cluster.local)"),           \
        OPT_LIST(tag, init.api_sans, .name = "apiserver-cert-extra-sans", .only = "init",          \
                 .argument = "NAME,...",                                                           \
                 .help = "init: further names and addresses for kube-apiserver's certificate"),    \
        OPT_LIST(tag, init.etcd_sans, .name = "etcd-cert-extra-sans", .only = "init",              \
                 .argument = "NAME,...",                                                           \
                 .help = "init: further names and addresses for etcd's certificates")

#define PKI_INIT_KEY_OPTIONS(tag)                                                                  \
    OPT_STRING(tag, init.key_type, .name = "key-type", .only = "init", .argument = "TYPE",         \
               .offers = pki_init_key_types,                                                       \
               .help = "init: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096"),  \
        OPT_BOOL(tag, init.csr_only, .name = "csr-only", .only = "init",                           \
                 .help = "init: keys and signing requests only, for a CA that is elsewhere"),      \
        OPT_STRING(tag, init.csr_dir, .name = "csr-dir", .only = "init", .argument = "DIR",        \
                   .help = "init: where the requests go (default: beside the keys)")
