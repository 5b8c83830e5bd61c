// The set of keys, certificates and kubeconfigs that one control-plane node needs, laid out as
// kubeadm lays them out (cmd/kubeadm/app/phases/{certs,kubeconfig}): same names, subjects, subject
// alternative names, usages, lifetimes and modes.
//
// What is there and good is kept, what is missing is made, and nothing is ever overwritten: a set
// that was left half-finished is completed by running it again. A key is written before its
// certificate, so a crash leaves at most a key without one, and that key is then used.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/string-list.h"
#include "pki/key.h"

// The files of an etcd that somebody else runs. NULL: none (etcd without TLS).
struct pki_external_etcd {
    const char *ca_file, *certificate_file, *key_file;
    bool elsewhere; // they lie on another machine, and cannot be looked at
};

// What a node that does not run everything has no use for.
enum pki_without {
    PKI_WITHOUT_APISERVER = 1 << 0,   // etcd's CA and certificates only, no kubeconfigs
    PKI_WITHOUT_ETCD = 1 << 1,        // no certificates of a member of its own
    PKI_WITHOUT_CONTROLLERS = 1 << 2, // no controller-manager.conf and scheduler.conf
    PKI_AUTHORITIES_ONLY = 1 << 3,    // the CAs and the service accounts' key
};

// All borrowed.
struct pki_layout {
    const char *pki_dir;                // "/etc/kubernetes/pki"
    const char *kubeconfig_dir;         // "/etc/kubernetes"; NULL: no kubeconfigs
    const char *node_name;              // lower case
    const char *advertise_address;      // IP address of this node's kube-apiserver
    const char *control_plane_endpoint; // "host" or "host:port" of the balancer, or NULL
    const char *service_cidr;           // "10.96.0.0/12": its first address is a name of the API
    const char *dns_domain;             // "cluster.local"
    const char *cluster_name;           // "kubernetes"
    const struct string_list *api_sans; // further names of the API server, or NULL
    const struct string_list *etcd_server_sans, *etcd_peer_sans;
    const struct pki_external_etcd *external_etcd; // NULL: etcd's keys and certificates are made
    const char *csr_dir;                           // of pki_layout_request(); NULL: beside the keys
    int api_port;                                  // 6443
    bool kubelet;                                  // kubelet.conf too
    unsigned without;                              // of enum pki_without
    enum key_algorithm algorithm;
};

enum pki_outcome {
    PKI_MADE,
    PKI_KEPT,
    PKI_WRONG, // there, but it cannot be used; nothing was changed
};

struct pki_report_item {
    enum pki_outcome outcome;
    char *path;
    char *note; // what is wrong, or a warning about a piece that was kept; NULL for none
};

struct pki_report {
    struct pki_report_item *items;
    size_t n;
    size_t made, kept, wrong;
};

// Whether certificates can bear these names and addresses: 0, or -EINVAL. Nothing is looked at.
int pki_layout_check(const struct pki_layout *layout, struct error *err);

// Completes the set. 0; or a negative errno: -EINVAL where pieces are wrong (all of them are in the
// report, and nothing that depends on them was made). `report` is filled in both cases.
int pki_layout_make(const struct pki_layout *layout, struct pki_report *report, struct error *err);

// External CA mode: the keys of what the CAs would sign, and a signing request for each (NAME.csr;
// for kubeconfigs FILE.key and FILE.csr beside each other). What is there is kept and checked. Once
// the certificates lie beside their keys (FILE.crt for a kubeconfig), pki_layout_make() checks them
// and makes the kubeconfigs; it needs no CA's key for that.
int pki_layout_request(const struct pki_layout *layout, struct pki_report *report,
                       struct error *err);

// The older layout of the guides, in pki_dir (/srv/kubernetes): ca.crt, server.cert and .key,
// kubecfg.crt and .key, basic_auth.csv and known_tokens.csv with random secrets, and the CA's key,
// ca.key. The rules are those of pki_layout_make(); kubeconfigs are not part of it.
int pki_layout_make_srv(const struct pki_layout *layout, struct pki_report *report,
                        struct error *err);

// "https://HOST:PORT" with brackets around an IPv6 address. The caller frees.
char *pki_url(const char *host, int port);
// Splits "host", "host:port", "[v6]", "[v6]:port" or a bare IPv6 address. The host is without
// brackets, owned by the caller; *ret_port stays as it is where there is none. NULL where it is
// none of these.
char *pki_split_endpoint(const char *endpoint, int *ret_port, struct error *err);
// What admin.conf and kubelet.conf point at: the control plane's endpoint, else this node.
char *pki_endpoint_url(const struct pki_layout *layout);

// The first usable address of a CIDR ("10.96.0.0/12" → "10.96.0.1"), into ret (46 bytes): 0, or
// -EINVAL.
int pki_first_address(const char *cidr, char *ret, struct error *err);

// The subject alternative names that kubeadm gives to the API server's certificate, and to etcd's
// server and peer certificates. Appends to `out`. 0, or -EINVAL where the layout has no proper
// service CIDR or endpoint.
int pki_api_alt_names(const struct pki_layout *layout, struct string_list *out, struct error *err);
void pki_etcd_alt_names(const struct pki_layout *layout, const struct string_list *further,
                        struct string_list *out);

void pki_report_free(struct pki_report *report);
#define _cleanup_pki_report_ _cleanup_(pki_report_free)
