// What stands in a pod's resolv.conf (K/network/dns/dns.go).
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"

struct pod_dns_options {        // borrowed
    const char *cluster_dns;    // addresses, joined by commas; NULL or "" for none
    const char *cluster_domain; // NULL or "" for none
    const char *resolv_conf;    // the node's file; "": the node has no name servers; NULL: the
                                // default, /etc/resolv.conf
    const char *node_ip;        // NULL where unknown
};

// Whether the pod's file is another than the node's own /etc/resolv.conf.
bool pod_dns_differs(const struct pod_dns_options *options, const struct pod *pod);

// Appends its text. `warnings` gets a sentence for each thing that was left out or could not be had
// (NULL: nobody wants them). 0, or a negative errno where the node's file cannot be read.
int pod_dns_write(const struct pod_dns_options *options, const struct pod *pod, struct buffer *out,
                  struct string_list *warnings, struct error *err);
