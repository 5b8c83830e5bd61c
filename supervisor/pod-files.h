// The files by which a pod's containers know names: /etc/hosts, /etc/resolv.conf and /etc/hostname
// (K/kubelet_pods.go, K/network/dns). They are below <root>/pods/<uid>, and mounted where they are
// not the node's own.
#pragma once

#include "base/error.h"
#include "base/string-list.h"
#include "supervisor/pod-dns.h"
#include "supervisor/shim/shim-spec.h"

struct pod_files_options { // borrowed
    const char *root_dir;
    struct pod_dns_options dns;
    const struct string_list *ips; // of a network of its own; NULL: the node's network
    bool read_only;                // of the container's root
};

// Writes those that the pod needs and adds the mounts to spec->mounts, but for places at which the
// container mounts something itself. With an image's own root the node's files are mounted where
// the pod has none of its own.
int pod_files_prepare(const struct pod_files_options *options, const struct pod *pod,
                      struct shim_spec *spec, struct error *err);

// The text of /etc/hosts. NULL ips: `node_hosts` and the pod's aliases.
void pod_files_hosts(const struct pod *pod, const char *cluster_domain,
                     const struct string_list *ips, const char *node_hosts, struct buffer *out);
