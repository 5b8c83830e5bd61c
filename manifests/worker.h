// What a worker needs to reach the cluster through its endpoint (the load balancer, where there is
// one): settings for the kubelet and kube-proxy.
//
//   etc/kubernetes/bootstrap-kubelet.conf   kubeconfig with a place for a bootstrap token
//   var/lib/kubelet/config.yaml             KubeletConfiguration
//   var/lib/kube-proxy/config.conf          KubeProxyConfiguration
//   var/lib/kube-proxy/kubeconfig.conf      kubeconfig of kube-proxy's service account
#pragma once

#include "base/error.h"
#include "manifests/cluster.h"
#include "manifests/file-set.h"

// The URL that clients outside ask: controlPlaneEndpoint, else the first kube-apiserver. The caller
// frees; NULL where the cluster has none.
char *worker_server_url(const struct cluster *cluster);

// Adds the files, each below `prefix` ("worker/"; "" for none). -EINVAL where a name or network of
// the cluster cannot stand in them.
int worker_render(const struct cluster *cluster, const char *prefix, struct file_set *out,
                  struct error *err);
