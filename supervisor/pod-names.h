// What a pod is called inside: its host name and domain.
#pragma once

#include "base/error.h"
#include "podspec/pod.h"

// K/kubelet_pods.go, GeneratePodHostNameAndDomain(): spec.hostnameOverride (1.34), spec.hostname or
// the pod's name, at most 63 bytes. The caller frees.
char *pod_names_hostname(const struct pod *pod);

// "<subdomain>.<namespace>.svc.<cluster domain>" (without the last part where there is no cluster
// domain); NULL for a pod without a subdomain. The caller frees.
char *pod_names_domain(const struct pod *pod, const char *cluster_domain);

// What the kernel is told, with the domain under setHostnameAsFQDN (K/util, GetNodenameForKernel).
// -ENAMETOOLONG where that is longer than the kernel allows. The caller frees.
int pod_names_for_kernel(const struct pod *pod, const char *cluster_domain, char **ret,
                         struct error *err);
